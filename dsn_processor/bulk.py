"""Many mails at once, that stay where they came from until they are stored: accept and process in one transaction.

take() does it all. Its three parts serve replay, which reads in other processes: sift() and commit() where the store
is, prepare() anywhere (workers.py).
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple, Protocol

from dsn_processor.correlate.options import CorrelationOptions
from dsn_processor.errors import StoreError
from dsn_processor.facts import InboundMessage, ParsedMessage
from dsn_processor.matching import Report, correlated
from dsn_processor.parse.identity import identity
from dsn_processor.pipeline import (
    Examined,
    Outcome,
    Unread,
    also_for,
    examine_all,
    new_message,
    outcome_of,
    told,
)
from dsn_processor.reading import Rules
from dsn_processor.record.entries import MailboxNote, NewEvent, NewMessage, NewReport
from dsn_processor.terms import MessageState

if TYPE_CHECKING:
    from dsn_processor.record.store import Store  # a worker that only prepares needs no SQL


class Prepared(NamedTuple):
    """A mail read and ready to be stored. ``parsed`` is None where reading it failed: ``message`` says why; and where it is
    to be read later: then the message's state is RECEIVED. ``rules`` names the rules it was judged by.
    """

    message: NewMessage
    parsed: ParsedMessage | None
    rules: str = ""
    events: tuple[NewEvent, ...] = ()


def take(
    store: "Store",
    messages: Sequence[InboundMessage],
    rules: Rules | None = None,
    *,
    now: datetime | None = None,
    correlation: CorrelationOptions | None = None,
) -> list[Outcome]:
    """Accept and process a batch in one transaction. Mails that are known, or twice in the batch, add nothing."""
    sifted = sift(store, messages, now=now)
    prepared = [one if isinstance(one, Prepared) else prepare(one, rules) for one in sifted]
    return commit(store, prepared, correlation=correlation)


class Knowing(Protocol):
    """Who knows the mails that are stored."""

    def known(self, identities: Sequence[str]) -> dict[str, int]:
        """Of these mails, those that are stored: identity -> id."""


def sift(
    store: Knowing, messages: Sequence[InboundMessage], *, now: datetime | None = None
) -> list[Unread | Prepared]:
    """Tell the mails that are still to be read from those that are known already."""
    now = now or datetime.now(UTC)
    keys = [identity(message.raw) for message in messages]
    known = store.known(keys)
    return [
        Prepared(message=new_message(unread, packed=b""), parsed=None) if unread.identity in known else unread
        for unread in (Unread(message, key, now) for message, key in zip(messages, keys, strict=True))
    ]


def unsifted(messages: Sequence[InboundMessage]) -> list[Unread]:
    """Where nothing is stored no mail can be known: who they are is left to whoever reads them."""
    now = datetime.now(UTC)
    return [Unread(message, "", now) for message in messages]


def prepare(unread: Unread, rules: Rules | None = None) -> Prepared:
    """All that can be done for a mail without the store. Never raises: a fault of ours is put into the result."""
    [prepared] = prepare_together([unread], rules)
    return prepared


def prepare_together(unread: Sequence[Unread], rules: Rules | None = None) -> list[Prepared]:
    """As ``prepare``, for many: quicker than one by one."""
    named = list(map(_named, unread))
    return [_prepared(one, examined) for one, examined in zip(named, examine_all(named, rules), strict=True)]


def _named(unread: Unread) -> Unread:
    return unread if unread.identity else unread._replace(identity=identity(unread.message.raw))


def _prepared(unread: Unread, examined: Examined) -> Prepared:
    if examined.parsed is None:
        return put_aside(unread, examined.error or "")
    new = new_message(unread, state=MessageState.PROCESSED, attempts=1)
    return Prepared(message=new, parsed=examined.parsed, rules=examined.rules, events=examined.events)


def put_aside(unread: Unread, why: str) -> Prepared:
    """A mail that cannot be read: kept as it is, with the reason."""
    return Prepared(
        message=new_message(_named(unread), state=MessageState.QUARANTINED, attempts=1, error=why),
        parsed=None,
    )


def commit(
    store: "Store",
    batch: Sequence[Prepared],
    note: MailboxNote | None = None,
    *,
    correlation: CorrelationOptions | None = None,
) -> list[Outcome]:
    """Store prepared mails, held against what was sent, in one transaction; an outcome for each, in order. A mail that is
    there already gets the recipients that it has here, too, and is read again where those are new. Where one of
    them cannot be stored for a fault of ours, it is quarantined and the others are stored without it. ``note`` is kept in the same transaction,
    or in one after the last of the mails: never before.
    """
    try:
        return _commit(store, batch, note, correlation)
    except StoreError:
        raise
    except Exception as error:
        if len(batch) > 1:
            outcomes = [outcome for one in batch for outcome in commit(store, [one], correlation=correlation)]
            _commit(store, [], note, correlation)
            return outcomes
        if not batch or batch[0].parsed is None:
            raise
        aside = batch[0].message._replace(state=MessageState.QUARANTINED, last_error=told(error))
        return _commit(store, [Prepared(message=aside, parsed=None)], note, correlation)


def _commit(
    store: "Store",
    batch: Sequence[Prepared],
    note: MailboxNote | None,
    correlation: CorrelationOptions | None,
) -> list[Outcome]:
    with store.transaction():
        if note is not None:
            store.note(note)
        ids = store.known([prepared.message.identity for prepared in batch])
        fresh = list(
            {p.message.identity: p for p in reversed(batch) if p.message.identity not in ids}.values()
        )[::-1]
        stored = set(map(id, fresh))
        new = dict(
            zip(
                (p.message.identity for p in fresh),
                store.add_messages([p.message for p in fresh]),
                strict=True,
            )
        )
        tied = _correlated(store, fresh, correlation)
        reports = [
            NewReport(message_id=new[p.message.identity], parsed=p.parsed, rules=p.rules, events=p.events)
            for p in tied
            if p.parsed is not None
        ]
        added = store.add_reports(reports)
        for report in reports:
            store.strengthen(report.message_id, report.events)
        also_for(
            store,
            [
                (ids.get(key := p.message.identity) or new[key], p.message.envelope.recipients)
                for p in batch
                if id(p) not in stored
            ],
        )
        if len(fresh) < len(batch):
            store.count_duplicates(len(batch) - len(fresh))
            store.came_again(
                {ids[p.message.identity]: p.message.source for p in batch if p.message.identity in ids}
            )
    first = {id(before): after for before, after in zip(fresh, tied, strict=True)}
    ids.update(new)
    return [
        _committed(first.get(id(p), p), ids[p.message.identity], added, duplicate=id(p) not in first)
        for p in batch
    ]


def _correlated(
    store: "Store", batch: Sequence[Prepared], correlation: CorrelationOptions | None
) -> list[Prepared]:
    reports = [Report.of_packed(p.message, p.parsed, p.events) for p in batch if p.parsed is not None]
    events = iter(correlated(store, reports, correlation))
    return [p if p.parsed is None else p._replace(events=next(events)) for p in batch]


def _committed(prepared: Prepared, message_id: int, added: set[str], *, duplicate: bool) -> Outcome:
    message, parsed = prepared.message, prepared.parsed
    if duplicate:
        return Outcome(source=message.source, message_id=message_id, duplicate=True)
    if parsed is None:
        return Outcome(source=message.source, message_id=message_id, error=message.last_error)
    return outcome_of(message.source, message_id, parsed.kind, prepared.events, added)
