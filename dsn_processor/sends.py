"""For senders: tell what was sent, so that what comes back can be tied to it.

    from dsn_processor.sends import Send, register

    register("sqlite:////var/lib/dsn-processor/bounces.db", [Send("7@example.com", "user@example.net", now, stream="news")])

Where a server holds the database it does the writing. Raises StoreError where it cannot be written: try again later, or
hand over a file by `dsn-processor sends register`.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice

from dsn_processor import matching
from dsn_processor.app import opened
from dsn_processor.correlate.options import CorrelationOptions
from dsn_processor.facts import Send
from dsn_processor.server.handover import Handover
from dsn_processor.settings import correlation_options

__all__ = ["Send", "delivered", "purge", "register"]

BATCH = 2_000  # sends committed together
_PURGED = 50_000  # sends looked at in one transaction


def register(url: str, sent: Iterable[Send]) -> tuple[int, int]:
    """Register mails that were sent. Returns how many there were, and how many of them were new. What is older than
    ``keep_sends`` is forgotten meanwhile.
    """
    return _write(url, sent, done=False)


def delivered(url: str, sent: Iterable[Send]) -> tuple[int, int]:
    """Note that mails were delivered, at their ``delivered_at``; without a message id it is the address alone that took mail.
    Returns how many there were, and for how many of them it was news.
    """
    return _write(url, sent, done=True)


def purge(url: str, older: timedelta | None = None) -> int:
    """Forget what was sent longer ago than ``older``, or than ``keep_sends``. Returns how many mails that were."""
    keep = (correlation_options() or CorrelationOptions()).keep_sends
    before = datetime.now(UTC) - (timedelta(seconds=keep) if older is None else older)
    dropped = after = 0
    with opened(url) as store:
        while True:
            if isinstance(store, Handover):
                number, after = store.drop_sends(before, after=after, limit=_PURGED)
            else:
                with store.transaction():
                    number, after = store.drop_sends(before, after=after, limit=_PURGED)
            dropped += number
            if not after:
                return dropped


def _write(url: str, sent: Iterable[Send], *, done: bool) -> tuple[int, int]:
    total = new = 0
    keep = (correlation_options() or CorrelationOptions()).keep_sends
    with opened(url) as store:
        for batch in _batches(sent):
            if isinstance(store, Handover):
                new += store.register(batch, delivered=done)
            else:
                new += matching.register(store, batch, delivered=done, keep=keep)
            total += len(batch)
    return total, new


def _batches(sent: Iterable[Send]) -> Iterator[list[Send]]:
    waiting = iter(sent)
    while batch := list(islice(waiting, BATCH)):
        yield batch
