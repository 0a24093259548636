"""What the commands that write have in common: open the store, move mails through the pipeline."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from dsn_processor import deeds, pipeline, webhooks
from dsn_processor.correlate.options import CorrelationOptions
from dsn_processor.errors import StoreBusyError, UsageError
from dsn_processor.facts import InboundMessage
from dsn_processor.intake.files import complaint
from dsn_processor.intake.items import Limits
from dsn_processor.intake.walk import read_stdin
from dsn_processor.notify.options import WebhookOptions
from dsn_processor.notify.people.options import NotifyOptions
from dsn_processor.pipeline import Outcome
from dsn_processor.reading import Rules
from dsn_processor.reclassify import Reclassified, reclassify
from dsn_processor.record.deliveries import Delivery, DeliveryFilter, Figures
from dsn_processor.record.store import Store, file_of
from dsn_processor.server.handover import Handover
from dsn_processor.settings import correlation_options, database_url, pipe_envelope, ruling

_STEP_SECONDS = 0.25


def _packaged() -> None:
    """No rules but the package's."""


@contextmanager
def opened(url: str, *, wait: float = 5.0) -> Iterator[Store | Handover]:
    """The database, or the server that holds it, to write by. Waits for another writer. Raises StoreError."""
    database = file_of(url)
    deadline = time.monotonic() + wait
    while True:
        if server := Handover.connect(database):
            with server:
                yield server
            return
        try:
            # In short steps: who holds it now may be a server that is about to listen.
            store = Store.open(url, wait=min(_STEP_SECONDS, wait))
        except StoreBusyError:
            if time.monotonic() >= deadline:
                raise
            continue
        with store:
            store.addresses.ruling = ruling()
            yield store
        return


def ingest(db: str | None, rules: Callable[[], Rules | None] = _packaged, *, wait: float) -> None:
    """Take one mail from standard input. When this returns, the mail is ours; whatever raises leaves it with the MTA.

    A mail that is accepted and fails to be processed is ours too: it waits in the store for the next run, which
    processes it with its own.
    """
    try:
        message = read_stdin(Limits().mail)
    except OSError as error:
        raise UsageError(f"standard input {complaint(error)}") from None
    if not message.raw:
        raise UsageError("standard input holds no mail")
    message = InboundMessage(
        raw=message.raw, source="ingest", envelope=pipe_envelope(), truncated=message.truncated
    )
    own, correlation = (
        rules(),
        correlation_options(),
    )  # before the mail is ours: it stays with the MTA where they are wrong
    with opened(database_url(db), wait=wait) as store:
        if isinstance(store, Handover):
            store.take(message)
            return
        pipeline.accept(store, message)
        try:
            for _ in pipeline.process_pending(store, own, correlation):
                pass
        except Exception:  # noqa: BLE001  the mail is on disk: to refuse it now would bring it twice
            return


@contextmanager
def reclassified(url: str, rules: Rules | None, *, apply: bool) -> Iterator[Iterator[Reclassified]]:
    """Read all stored mail again, as the results are consumed. Where a server holds the database, it writes them."""
    with ExitStack() as closing:
        store = closing.enter_context(opened(url)) if apply else None
        server = store if isinstance(store, Handover) else None
        if store is None or isinstance(store, Handover):
            store = closing.enter_context(Store.open(url, readonly=True))
        yield reclassify(store, rules, apply=apply, server=server, correlation=correlation_options())


def do(url: str, wanted: Iterable[dict[str, Any]]) -> int:
    """Do something to addresses (deeds.py), or have the server that holds the database do it. Returns how many changed."""
    with opened(url) as store:
        return sum(
            store.do(deed) if isinstance(store, Handover) else deeds.do(store, deed) for deed in wanted
        )


def do_webhooks(url: str, deed: dict[str, Any], options: WebhookOptions) -> dict[str, Any]:
    """Do something about webhooks (webhooks.py), or have the server that holds the database do it. Returns what came of it."""
    with opened(url) as store:
        answer = store.webhooks(deed) if isinstance(store, Handover) else webhooks.do(store, deed, options)
    if "error" in answer:
        raise UsageError(answer["error"])
    return answer


def deliver_webhooks(
    url: str, options: WebhookOptions, people: Sequence[NotifyOptions] = ()
) -> Figures | None:
    """Deliver what is due, and tell what is left. None where a server holds the database: it does so by itself."""
    import uvloop  # noqa: PLC0415  most commands deliver nothing

    from dsn_processor.server.webhooks import Webhooks  # noqa: PLC0415

    with opened(url) as store:
        if isinstance(store, Handover):
            return None
        mine = store

        async def call(function: Callable[[Store], Any]) -> Any:
            return function(mine)

        uvloop.run(Webhooks(call, lambda: options, lambda: people).once())
        return store.outbox.figures()


def outcome_of_webhook(
    url: str, webhook: str, options: WebhookOptions, people: Sequence[NotifyOptions] = ()
) -> Delivery | None:
    """Have it delivered, or wait until a running server has made an attempt. None where that takes too long."""
    deliver_webhooks(url, options, people)
    deadline = time.monotonic() + options.timeout + _STEP_SECONDS
    while True:
        with Store.open(url, readonly=True) as store:
            for delivery in store.outbox.deliveries(DeliveryFilter(message_id=webhook)):
                if delivery.attempts:
                    return delivery
        if time.monotonic() >= deadline:
            return None
        time.sleep(_STEP_SECONDS)


def retry(url: str, ids: Sequence[int] | None) -> tuple[list[int], bool, list[Outcome]]:
    """Have quarantined mails processed again: these, or all. Returns those that were quarantined, whether a running
    server has them now, and, where not, those that failed again.
    """
    with opened(url) as store:
        if isinstance(store, Handover):
            return store.retry(ids), True, []
        correlation = correlation_options()
        retried = pipeline.release(store, ids)
        failed = [outcome for id_ in retried if (outcome := _twice(store, id_, correlation)).error]
    return retried, False, failed


def _twice(store: Store, message_id: int, correlation: CorrelationOptions | None) -> Outcome:
    outcome = pipeline.process(store, message_id, correlation=correlation)
    return pipeline.process(store, message_id, correlation=correlation) if outcome.error else outcome
