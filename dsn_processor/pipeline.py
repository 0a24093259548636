"""READ FIRST. The way of one mail: accept() makes it ours, process() makes sense of it.

    intake    bytes + envelope
    accept    raw bytes committed and synced      -> the sender may forget the mail
    process   parse -> classify                   (pure, can be done again by anybody, any time)
    record    correlate; report and per-recipient events, ONE transaction

process() is an attempt counted, examine() and finish(); the server does these three in different places. Files to
replay stay where they are meanwhile: bulk.py takes them in one step.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from traceback import extract_tb
from typing import TYPE_CHECKING, NamedTuple

from dsn_processor.canonical import canonical_address, reference
from dsn_processor.correlate.options import CorrelationOptions
from dsn_processor.errors import StoreError
from dsn_processor.facts import Envelope, InboundMessage, ParsedMessage, Reading
from dsn_processor.lines import one_line
from dsn_processor.matching import Report, correlated
from dsn_processor.moments import believable
from dsn_processor.parse.identity import event_identity, identity
from dsn_processor.reading import Rules, read, read_all, rules_version
from dsn_processor.record.entries import NewEvent, NewMessage, NewReport, StoredMessage
from dsn_processor.record.packing import CODEC, pack
from dsn_processor.terms import Kind, MessageState

if TYPE_CHECKING:
    from dsn_processor.record.store import Store  # a worker that only prepares needs no SQL

#: A mail whose processing failed this often, by an exception or a crash, is put aside.
ATTEMPTS = 2
#: A mail is put aside, too, whose attempts so many times had no end that anybody saw: the machine or the program went
#: down, most likely for another reason.
UNANSWERED = 10

_RECIPIENTS = 1_000  # envelope recipients kept of one mail that comes again and again


class Accepted(NamedTuple):
    """A mail that is on disk. ``duplicate``: it was there before."""

    id: int
    duplicate: bool


class Unread(NamedTuple):
    """A mail to be read, with its ``identity``, met at ``now``."""

    message: InboundMessage
    identity: str
    now: datetime


class Work(NamedTuple):
    """An accepted mail whose turn it is: the attempt is counted on disk, and makes ``attempts``."""

    id: int
    unread: Unread
    attempts: int


class Examined(NamedTuple):
    """What a mail says, by which rules. ``parsed`` is None where reading it failed: ``error`` says why."""

    parsed: ParsedMessage | None
    rules: str = ""
    events: tuple[NewEvent, ...] = ()
    error: str | None = None


class Outcome(NamedTuple):
    """What became of one mail. ``kind`` is None for a duplicate, for a mail that could not be processed, whose ``error`` says
    why, and for one that waits to be. ``events`` are those added; ``repeated`` counts the recipients told before by another mail.
    """

    source: str
    message_id: int
    duplicate: bool = False
    kind: Kind | None = None
    events: tuple[NewEvent, ...] = ()
    repeated: int = 0
    error: str | None = None

    @property
    def waits(self) -> bool:
        """Whether the mail is stored and still to be processed."""
        return not self.duplicate and self.kind is None and self.error is None


def accept(store: "Store", message: InboundMessage, *, now: datetime | None = None) -> Accepted:
    """Make one mail ours: when this returns, its bytes are on disk. The same mail again is told, not stored."""
    [accepted], _ = accept_all(store, [message], now=now)
    return accepted


def accept_all(
    store: "Store", messages: Sequence[InboundMessage], *, begin: int = 0, now: datetime | None = None
) -> tuple[list[Accepted], list[Work]]:
    """As ``accept``, many mails in one transaction. An attempt at the first ``begin`` new ones is counted at once: they
    are the work returned.

    The same mail to somebody else is the same mail: the recipient is added to those that it has, and it is read again.
    """
    now = now or datetime.now(UTC)
    unread: dict[str, Unread] = {}
    keys = []
    for message in messages:
        key = identity(message.raw)
        keys.append(key)
        if key in unread:
            before = unread[key].message
            message = before._replace(envelope=with_recipients(before.envelope, message.envelope.recipients))
        unread[key] = Unread(message, key, now)
    with store.transaction():
        known = store.known(list(unread))
        also_for(store, [(id_, unread[key].message.envelope.recipients) for key, id_ in known.items()])
        fresh = [one for key, one in unread.items() if key not in known]
        begun = fresh[:begin]
        ids = store.add_messages(
            [new_message(one, attempts=1) for one in begun] + [new_message(one) for one in fresh[begin:]]
        )
        if len(fresh) < len(messages):
            store.count_duplicates(len(messages) - len(fresh))
            store.came_again({known[key]: unread[key].message.source for key in known})
    new = {one.identity: id_ for one, id_ in zip(fresh, ids, strict=True)}
    first = {key: at for at, key in reversed(list(enumerate(keys)))}
    accepted = [
        Accepted(known[key], duplicate=True)
        if key in known
        else Accepted(new[key], duplicate=first[key] < at)
        for at, key in enumerate(keys)
    ]
    return accepted, [Work(id_, one, 1) for id_, one in zip(ids, begun, strict=False)]


def with_recipients(envelope: Envelope, more: Iterable[str]) -> Envelope:
    """The envelope with these recipients, too, each once."""
    return envelope._replace(recipients=tuple(dict.fromkeys((*envelope.recipients, *more)))[:_RECIPIENTS])


def also_for(store: "Store", recipients: Iterable[tuple[int, Sequence[str]]]) -> set[int]:
    """Add to stored mails, by their ids, those to whom they came, too. Mails to whom that is news wait to be read again:
    returns their ids.
    """
    more: dict[int, list[str]] = {}
    for id_, addresses in recipients:
        if addresses:
            more.setdefault(id_, []).extend(addresses)
    before = store.envelopes(list(more)) if more else {}
    after = {id_: with_recipients(envelope, more[id_]) for id_, envelope in before.items()}
    changed = {id_ for id_, envelope in after.items() if envelope != before[id_]}
    for id_ in changed:
        store.readdress(id_, after[id_])
    return changed


def process(
    store: "Store",
    message_id: int,
    rules: Rules | None = None,
    correlation: CorrelationOptions | None = None,
) -> Outcome:
    """Make sense of one accepted mail. The attempt is counted on disk first, so that a mail that takes the process
    down is put aside like one that raises. Raises LookupError where no such mail waits.
    """
    message = store.message(message_id)
    raw = store.raw(message_id)
    if message is None or raw is None or message.state is not MessageState.RECEIVED:
        raise LookupError(f"no mail {message_id} waits to be processed")
    if error := exhausted(message, ATTEMPTS):
        with store.transaction():
            store.set_state(message_id, MessageState.QUARANTINED, error)
        return Outcome(source=message.source, message_id=message_id, error=error)
    with store.transaction():
        attempts = store.count_attempt(message_id)
    work = work_of(message, raw, attempts)
    [outcome] = finish(store, [(work, examine(work.unread, rules))], correlation)
    return outcome


def process_pending(
    store: "Store", rules: Rules | None = None, correlation: CorrelationOptions | None = None
) -> Iterator[Outcome]:
    """Process the mails that a crash or a failed attempt left waiting, once each, as the result is consumed."""
    for message_id in store.message_ids(MessageState.RECEIVED):
        yield process(store, message_id, rules, correlation)


def release(store: "Store", ids: Sequence[int] | None) -> list[int]:
    """Have quarantined mails wait to be processed again: these, or all. Returns those that were quarantined."""
    quarantined = list(store.message_ids(MessageState.QUARANTINED))
    chosen = quarantined if ids is None else [id_ for id_ in quarantined if id_ in set(ids)]
    with store.transaction():
        store.release(chosen)
    return chosen


def exhausted(message: StoredMessage, unanswered: int) -> str | None:
    """Why a waiting mail is not tried again, or None: it failed too often, or too many attempts had no end."""
    if message.attempts >= ATTEMPTS and message.last_error:
        return message.last_error
    if message.attempts >= unanswered:
        return f"{message.attempts} attempts to process it did not come to an end"
    return None


def work_of(message: StoredMessage, raw: bytes, attempts: int) -> Work:
    inbound = InboundMessage(raw, message.source, message.envelope, message.truncated)
    return Work(message.id, Unread(inbound, message.identity, message.received_at), attempts)


def without_raw(work: Work) -> Work:
    """The work without the mail's bytes: all that ``finish`` needs."""
    return work._replace(unread=work.unread._replace(message=work.unread.message._replace(raw=b"")))


def examine(unread: Unread, rules: Rules | None = None) -> Examined:
    """Parse and judge one mail. Never raises: a fault of ours in one mail must not stop the others."""
    try:
        return _examined(unread, read(unread.message.raw, unread.message.envelope, rules), rules)
    except Exception as error:  # noqa: BLE001
        return Examined(None, error=told(error))


def examine_all(unread: Sequence[Unread], rules: Rules | None = None) -> list[Examined]:
    """As ``examine``, for many: quicker than one by one."""
    if len(unread) == 1:
        return [examine(unread[0], rules)]
    try:
        readings = read_all([one.message for one in unread], rules)
        return [_examined(one, reading, rules) for one, reading in zip(unread, readings, strict=True)]
    except Exception:  # noqa: BLE001  one of them is at fault: each for itself, then
        return [examine(one, rules) for one in unread]


def _examined(unread: Unread, reading: Reading, rules: Rules | None) -> Examined:
    return Examined(reading.parsed, rules_version(rules), events_of(reading, unread.identity, unread.now))


def finish(
    store: "Store",
    done: Sequence[tuple[Work, Examined]],
    correlation: CorrelationOptions | None = None,
) -> list[Outcome]:
    """Store what the mails say, held against what was sent, in one transaction; an outcome for each, in order. A mail that
    failed, or cannot be stored for a fault of ours, waits for its next attempt, or is quarantined where that was its last.
    """
    try:
        return _finish(store, done, correlation)
    except StoreError:
        raise
    except Exception as error:
        if len(done) > 1:
            return [outcome for one in done for outcome in finish(store, [one], correlation)]
        work, examined = done[0]
        if examined.parsed is None:
            raise
        return _finish(store, [(work, Examined(None, error=told(error)))], correlation)


def _finish(
    store: "Store", done: Sequence[tuple[Work, Examined]], correlation: CorrelationOptions | None
) -> list[Outcome]:
    with store.transaction():
        done = _correlated(store, done, correlation)
        again = store.reported([work.id for work, _ in done])
        reports = [
            NewReport(
                message_id=work.id, parsed=examined.parsed, rules=examined.rules, events=examined.events
            )
            for work, examined in done
            if examined.parsed is not None
        ]
        added = store.add_reports([report for report in reports if report.message_id not in again])
        for report in reports:
            if report.message_id in again:
                store.replace_report(report)
            store.strengthen(report.message_id, report.events)
        store.set_processed([report.message_id for report in reports])
        for work, examined in done:
            if examined.parsed is None:
                over = work.attempts >= ATTEMPTS
                state = MessageState.QUARANTINED if over else MessageState.RECEIVED
                store.set_state(work.id, state, examined.error)
    return [
        Outcome(source=work.unread.message.source, message_id=work.id, error=examined.error)
        if examined.parsed is None
        else outcome_of(
            work.unread.message.source,
            work.id,
            examined.parsed.kind,
            () if work.id in again else examined.events,
            added,
        )
        for work, examined in done
    ]


def _correlated(
    store: "Store", done: Sequence[tuple[Work, Examined]], correlation: CorrelationOptions | None
) -> list[tuple[Work, Examined]]:
    events = iter(
        correlated(
            store,
            [
                Report.of(work.unread, examined.parsed, examined.events)
                for work, examined in done
                if examined.parsed is not None
            ],
            correlation,
        )
    )
    return [
        (work, examined if examined.parsed is None else examined._replace(events=next(events)))
        for work, examined in done
    ]


def outcome_of(
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


def new_message(
    unread: Unread,
    *,
    state: MessageState = MessageState.RECEIVED,
    attempts: int = 0,
    packed: bytes | None = None,
    error: str | None = None,
) -> NewMessage:
    message, key, now = unread
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
        attempts=attempts,
        last_error=error,
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
                occurred_at=believable((recipient.last_attempt_date, parsed.date), received_at),
                recipient=recipient._replace(explanation=one_line(recipient.explanation)),
                verdict=verdict,
                about=reference(returned),
            )
        )
    return tuple(events)


def told(error: Exception) -> str:
    """A fault of ours as one line: what, and where."""
    frames = extract_tb(error.__traceback__, limit=-1)
    where = f" ({Path(frames[0].filename).name}:{frames[0].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}"[:500] + where
