"""READ FIRST. The way of one mail: accept() makes it ours, process() makes sense of it.

    intake    bytes + envelope
    accept    raw bytes committed and synced      -> the sender may forget the mail
    process   parse -> classify                   (pure, can be done again by anybody, any time)
    record    report and per-recipient events, ONE transaction

take() does both steps for a batch of mails that stay where they came from until it returns. Its three parts serve
replay, which reads in other processes: sift() and commit() where the store is, prepare() anywhere (workers.py).
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from traceback import extract_tb
from typing import TYPE_CHECKING, NamedTuple

from dsn_processor.errors import StoreError
from dsn_processor.facts import InboundMessage, ParsedMessage, Reading, RecipientReport
from dsn_processor.parse.identity import canonical_address, event_identity, identity
from dsn_processor.reading import Rules, read, rules_version
from dsn_processor.record.entries import NewEvent, NewMessage, NewReport, StoredMessage
from dsn_processor.record.packing import CODEC, pack
from dsn_processor.terms import Kind, MessageState

if TYPE_CHECKING:
    from dsn_processor.record.store import Store  # a worker that only prepares needs no SQL

#: A mail whose processing failed this often, by an exception or a crash, is put aside.
ATTEMPTS = 2

_CLOCKS_DIFFER = timedelta(days=1)
_OLDEST = datetime(1990, 1, 1, tzinfo=UTC)


class Accepted(NamedTuple):
    """A mail that is on disk. ``duplicate``: it was there before."""

    id: int
    duplicate: bool


class Outcome(NamedTuple):
    """What became of one mail. ``kind`` is None for a duplicate and for a mail that could not be processed, whose
    ``error`` says why. ``events`` are those added; ``repeated`` counts the recipients told before by another mail.
    """

    source: str
    message_id: int
    duplicate: bool = False
    kind: Kind | None = None
    events: tuple[NewEvent, ...] = ()
    repeated: int = 0
    error: str | None = None


class Unread(NamedTuple):
    """A mail that is new to the store, with its ``identity``, met at ``now``."""

    message: InboundMessage
    identity: str
    now: datetime


class Prepared(NamedTuple):
    """A mail read and ready to be stored. ``parsed`` is None where reading it failed: ``message`` says why. ``rules``
    names the rules it was judged by.
    """

    message: NewMessage
    parsed: ParsedMessage | None
    rules: str = ""
    events: tuple[NewEvent, ...] = ()


def accept(store: "Store", message: InboundMessage, *, now: datetime | None = None) -> Accepted:
    """Make one mail ours: when this returns, its bytes are on disk. The same mail again is told, not stored."""
    new = _new_message(message, identity(message.raw), now or datetime.now(UTC))
    with store.transaction():
        known = store.known([new.identity])
        if known:
            store.count_duplicates(1)
            return Accepted(known[new.identity], duplicate=True)
        [message_id] = store.add_messages([new])
    return Accepted(message_id, duplicate=False)


def process(store: "Store", message_id: int, rules: Rules | None = None) -> Outcome:
    """Make sense of one accepted mail. The attempt is counted on disk first, so that a mail that takes the process
    down is put aside like one that raises. Raises LookupError where no such mail waits.
    """
    message = store.message(message_id)
    raw = store.raw(message_id)
    if message is None or raw is None or message.state is not MessageState.RECEIVED:
        raise LookupError(f"no mail {message_id} waits to be processed")
    if message.attempts >= ATTEMPTS:
        error = message.last_error or f"{message.attempts} attempts to process it did not come to an end"
        return _set_aside(store, message, error, MessageState.QUARANTINED)
    with store.transaction():
        attempts = store.count_attempt(message_id)
    try:
        reading = read(raw, message.envelope, rules)
        events = events_of(reading, message.identity, message.received_at)
        report = NewReport(
            message_id=message_id, parsed=reading.parsed, rules=rules_version(rules), events=events
        )
        with store.transaction():
            added = store.add_reports([report])
            store.set_state(message_id, MessageState.PROCESSED)
    except StoreError:
        raise
    except Exception as error:  # noqa: BLE001 - a fault of ours in one mail must not stop the others
        state = MessageState.QUARANTINED if attempts >= ATTEMPTS else MessageState.RECEIVED
        return _set_aside(store, message, told(error), state)
    return _outcome(message.source, message_id, reading.parsed.kind, events, added)


def process_pending(store: "Store", rules: Rules | None = None) -> Iterator[Outcome]:
    """Process the mails that a crash or a failed attempt left waiting, once each, as the result is consumed."""
    for message_id in store.message_ids(MessageState.RECEIVED):
        yield process(store, message_id, rules)


def take(
    store: "Store",
    messages: Sequence[InboundMessage],
    rules: Rules | None = None,
    *,
    now: datetime | None = None,
) -> list[Outcome]:
    """Accept and process a batch in one transaction. Mails that are known, or twice in the batch, add nothing."""
    sifted = sift(store, messages, now=now)
    return commit(store, [one if isinstance(one, Prepared) else prepare(one, rules) for one in sifted])


def sift(
    store: "Store", messages: Sequence[InboundMessage], *, now: datetime | None = None
) -> list[Unread | Prepared]:
    """Tell the mails that are still to be read from those that are known already."""
    now = now or datetime.now(UTC)
    keys = [identity(message.raw) for message in messages]
    known = store.known(keys)
    return [
        Prepared(message=_new_message(message, key, now, packed=b""), parsed=None)
        if key in known
        else Unread(message, key, now)
        for message, key in zip(messages, keys, strict=True)
    ]


def prepare(unread: Unread, rules: Rules | None = None) -> Prepared:
    """All that can be done for a mail without the store. Never raises: a fault of ours is put into the result."""
    try:
        reading = read(unread.message.raw, unread.message.envelope, rules)
        events = events_of(reading, unread.identity, unread.now)
    except Exception as error:  # noqa: BLE001 - one mail must not stop the rest
        return put_aside(unread, told(error))
    new = _new_message(unread.message, unread.identity, unread.now, state=MessageState.PROCESSED)
    return Prepared(message=new, parsed=reading.parsed, rules=rules_version(rules), events=events)


def put_aside(unread: Unread, why: str) -> Prepared:
    """A mail that cannot be read: kept as it is, with the reason."""
    new = _new_message(unread.message, unread.identity, unread.now, state=MessageState.PROCESSED)
    return Prepared(message=_quarantined(new, why), parsed=None)


def commit(store: "Store", batch: Sequence[Prepared]) -> list[Outcome]:
    """Store prepared mails in one transaction; an outcome for each, in order. Where one of them cannot be stored for
    a fault of ours, it is quarantined and the others are stored without it.
    """
    try:
        return _commit(store, batch)
    except StoreError:
        raise
    except Exception as error:
        if len(batch) > 1:
            return [outcome for prepared in batch for outcome in commit(store, [prepared])]
        if batch[0].parsed is None:
            raise
        return _commit(store, [Prepared(message=_quarantined(batch[0].message, told(error)), parsed=None)])


def _commit(store: "Store", batch: Sequence[Prepared]) -> list[Outcome]:
    with store.transaction():
        ids = store.known([prepared.message.identity for prepared in batch])
        fresh = list(
            {p.message.identity: p for p in reversed(batch) if p.message.identity not in ids}.values()
        )[::-1]
        new = dict(
            zip(
                (p.message.identity for p in fresh),
                store.add_messages([p.message for p in fresh]),
                strict=True,
            )
        )
        added = store.add_reports(
            [
                NewReport(
                    message_id=new[p.message.identity],
                    parsed=p.parsed,
                    rules=p.rules,
                    events=p.events,
                )
                for p in fresh
                if p.parsed is not None
            ]
        )
        if len(fresh) < len(batch):
            store.count_duplicates(len(batch) - len(fresh))
    first = set(map(id, fresh))
    ids.update(new)
    return [_committed(p, ids[p.message.identity], added, duplicate=id(p) not in first) for p in batch]


def _committed(prepared: Prepared, message_id: int, added: set[str], *, duplicate: bool) -> Outcome:
    message, parsed = prepared.message, prepared.parsed
    if duplicate:
        return Outcome(source=message.source, message_id=message_id, duplicate=True)
    if parsed is None:
        return Outcome(source=message.source, message_id=message_id, error=message.last_error)
    return _outcome(message.source, message_id, parsed.kind, prepared.events, added)


def _outcome(
    source: str, message_id: int, kind: Kind, events: Iterable[NewEvent], added: set[str]
) -> Outcome:
    """``added`` loses what is told here: an event that two mails of a batch bring is the first one's."""
    mine = []
    repeated = 0
    for event in events:
        if event.identity in added:
            added.discard(event.identity)
            mine.append(event)
        else:
            repeated += 1
    return Outcome(source=source, message_id=message_id, kind=kind, events=tuple(mine), repeated=repeated)


def _new_message(
    message: InboundMessage,
    key: str,
    now: datetime,
    *,
    state: MessageState = MessageState.RECEIVED,
    packed: bytes | None = None,
) -> NewMessage:
    return NewMessage(
        identity=key,
        received_at=now,
        source=message.source,
        envelope=message.envelope,
        size=len(message.raw),
        truncated=message.truncated,
        codec=CODEC,
        packed=pack(message.raw) if packed is None else packed,
        state=state,
        attempts=0 if state is MessageState.RECEIVED else 1,
    )


def events_of(reading: Reading, mail: str, received_at: datetime) -> tuple[NewEvent, ...]:
    """The events of a mail, one a recipient. ``mail`` is its identity."""
    parsed = reading.parsed
    returned = parsed.returned_message.message_id if parsed.returned_message else None
    events = []
    for recipient, verdict in zip(parsed.recipients, reading.verdicts, strict=True):
        kind = parsed.kind if recipient.action is None else Kind(recipient.action.value)
        canonical = canonical_address(recipient.address)
        events.append(
            NewEvent(
                identity=event_identity(
                    mail=mail,
                    returned_message_id=returned,
                    recipient=canonical,
                    kind=kind,
                    status=recipient.status,
                ),
                kind=kind,
                canonical=canonical,
                occurred_at=_occurred_at(recipient, parsed, received_at),
                recipient=recipient,
                verdict=verdict,
            )
        )
    return tuple(events)


def _occurred_at(recipient: RecipientReport, parsed: ParsedMessage, received_at: datetime) -> datetime:
    """The last attempt, or the report's date, or when we got it. A date to come, or of old, is not believed."""
    for text in (recipient.last_attempt_date, parsed.date):
        if text is not None and (date := _instant(text)) and _OLDEST <= date <= received_at + _CLOCKS_DIFFER:
            return date
    return received_at


def _instant(text: str) -> datetime | None:
    try:
        date = datetime.fromisoformat(text)
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _set_aside(store: "Store", message: StoredMessage, error: str, state: MessageState) -> Outcome:
    with store.transaction():
        store.set_state(message.id, state, error)
    return Outcome(source=message.source, message_id=message.id, error=error)


def _quarantined(message: NewMessage, error: str) -> NewMessage:
    return message._replace(state=MessageState.QUARANTINED, last_error=error)


def told(error: Exception) -> str:
    """A fault of ours as one line: what, and where."""
    frames = extract_tb(error.__traceback__, limit=-1)
    where = f" ({Path(frames[0].filename).name}:{frames[0].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}"[:500] + where
