"""Between the store and correlation: asks the registry of sends for a batch of reports at once."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Protocol

from dsn_processor.canonical import canonical_address, hashed, reference
from dsn_processor.correlate.clues import Clues, clues_of
from dsn_processor.correlate.options import CorrelationOptions, Ours, ours
from dsn_processor.correlate.token import Token
from dsn_processor.correlate.trust import Known, Subject, Tied, correlate, correlate_unnamed
from dsn_processor.facts import Envelope, InboundMessage, ParsedMessage, RecipientReport, Send
from dsn_processor.moments import believable
from dsn_processor.parse.identity import event_identity
from dsn_processor.policy.modes import way_of
from dsn_processor.record.entries import NewEvent, NewMessage
from dsn_processor.record.packing import unpack
from dsn_processor.terms import Kind

if TYPE_CHECKING:
    from dsn_processor.record.store import Store

_DEFAULT = CorrelationOptions()


class Unread(Protocol):
    """A mail before it was read: pipeline.Unread is one."""

    @property
    def message(self) -> InboundMessage: ...
    @property
    def identity(self) -> str: ...
    @property
    def now(self) -> datetime: ...


class Report(NamedTuple):
    """A mail that was read, with its ``identity``, and what it says of each recipient. ``raw`` gives its bytes: not all are
    asked for. ``source`` is where it came from.
    """

    identity: str
    raw: Callable[[], bytes]
    envelope: Envelope
    received_at: datetime
    parsed: ParsedMessage
    events: tuple[NewEvent, ...]
    source: str

    @property
    def came_at(self) -> datetime:
        """When it came, to tell whether that is too late. Who replays old files answers for the dates that these bear;
        whoever sends us a report does not choose when it came.
        """
        if way_of(self.source) != "files":
            return self.received_at
        return believable((self.parsed.date, self.parsed.arrival_date), self.received_at)

    @classmethod
    def of(cls, unread: Unread, parsed: ParsedMessage, events: tuple[NewEvent, ...]) -> "Report":
        """Of a mail whose bytes are at hand."""
        message = unread.message
        raw = partial(_raw_of, message)
        return cls(unread.identity, raw, message.envelope, unread.now, parsed, events, message.source)

    @classmethod
    def of_packed(cls, message: NewMessage, parsed: ParsedMessage, events: tuple[NewEvent, ...]) -> "Report":
        """Of a mail that is packed to be stored."""
        unpacked = partial(unpack, message.codec, message.packed, message.size)
        return cls(
            message.identity, unpacked, message.envelope, message.received_at, parsed, events, message.source
        )


def correlated(
    store: "Store", reports: Sequence[Report], options: CorrelationOptions | None
) -> list[tuple[NewEvent, ...]]:
    """The events of each report, held against what was sent. As they were where there is neither key nor registry."""
    events = [report.events for report in reports]
    own = ours(options or _DEFAULT)
    wanted = [bool(report.events) or report.parsed.kind is Kind.COMPLAINT for report in reports]
    registered = store.any_sends() if any(wanted) else False
    if not (own.keys or own.dkim or registered):
        return events
    asked = [_Asked.of(report, own) if asks else None for report, asks in zip(reports, wanted, strict=True)]
    known = _known(store, [one for one in asked if one is not None]) if registered else _NOTHING
    return [
        report.events if one is None else one.answered(report, own, known)
        for report, one in zip(reports, asked, strict=True)
    ]


def _raw_of(message: InboundMessage) -> bytes:
    return message.raw


def register(store: "Store", sent: Sequence[Send], *, delivered: bool, keep: float) -> int:
    """Keep what was sent, or ``delivered``, and forget some of what was longer ago than ``keep`` seconds, in one
    transaction: the registry stays as long as it is, and nobody has to come and clean it. Returns how many were new.
    """
    before = datetime.now(UTC) - timedelta(seconds=keep)
    with store.transaction():
        new = store.add_deliveries(sent) if delivered else store.add_sends(sent)
        store.drop_sends(before, limit=2 * len(sent))
    return new


class _Asked(NamedTuple):
    clues: Clues
    subjects: tuple[Subject, ...]

    @classmethod
    def of(cls, report: Report, own: Ours) -> "_Asked":
        subjects = tuple(_subject(event) for event in report.events)
        return cls(clues_of(report.raw(), report.envelope, report.parsed, own), subjects)

    def addresses(self) -> set[str]:
        found = {*self.clues.verp, *self.clues.named}
        return found.union(*(subject.addresses() for subject in self.subjects))

    def answered(self, report: Report, own: Ours, known: Known) -> tuple[NewEvent, ...]:
        if not self.subjects:
            unnamed = correlate_unnamed(self.clues, own, report.came_at, known)
            return () if unnamed is None else (_complaint(report, unnamed),)
        tied = correlate(self.clues, self.subjects, own, report.came_at, known)
        return tuple(
            _with_token(event, report, one.token)._replace(correlation=one.correlation)
            for event, one in zip(report.events, tied, strict=True)
        )


_NOTHING = Known({}, {}, any=False)


def _known(store: "Store", asked: Sequence[_Asked]) -> Known:
    wanted: dict[int, set[str]] = {}
    addresses: set[str] = set()
    for one in asked:
        mine = one.addresses()
        addresses |= mine
        for key in one.clues.references():
            wanted.setdefault(key, set()).update(mine)
    messages = store.find_sends(wanted)
    addresses.update(send.recipient for message in messages.values() for send in message.sends)
    return Known(messages, store.mailed(addresses), any=True)


def _subject(event: NewEvent) -> Subject:
    original = event.recipient.original
    other = canonical_address(original) if original else None
    return Subject(event.canonical, other if other != event.canonical else None)


def _complaint(report: Report, tied: Tied) -> NewEvent:
    """Of a complaint that left out who complains."""
    address = tied.correlation.mailed_address
    assert address is not None
    returned = report.parsed.returned_message
    message_id = returned.message_id if returned is not None else None
    event = NewEvent(
        identity=event_identity(
            mail=report.identity,
            returned_message_id=message_id,
            recipient=address,
            kind=report.parsed.kind,
            status=None,
        ),
        kind=report.parsed.kind,
        canonical=address,
        occurred_at=believable([report.parsed.date], report.received_at),
        recipient=RecipientReport(address, action=None, origin="correlation"),
        verdict=None,
        correlation=tied.correlation,
        about=reference(message_id),
    )
    return _with_token(event, report, tied.token)


def _with_token(event: NewEvent, report: Report, token: Token | None) -> NewEvent:
    """A report that returns no Message-ID is told from others by its token."""
    returned = report.parsed.returned_message
    if token is None or (returned is not None and returned.message_id):
        return event
    return event._replace(
        identity=event_identity(
            mail=report.identity,
            returned_message_id=None,
            token=token.text,
            recipient=event.canonical,
            kind=event.kind,
            status=event.recipient.status,
        ),
        about=token.message or hashed(token.text, 7),
    )
