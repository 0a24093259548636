"""What goes into the store and what comes out of it. Plain facts: nobody outside this room sees a row or a session."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from dsn_processor.facts import Envelope, ParsedMessage, Reading, RecipientReport, Verdict
from dsn_processor.terms import Kind, MessageState, Trust


class NewMessage(NamedTuple):
    """A mail to store. ``raw`` is as it came; ``codec`` names how ``packed`` holds it."""

    identity: str
    received_at: datetime
    source: str
    envelope: Envelope
    size: int
    truncated: bool
    codec: str
    packed: bytes
    state: MessageState = MessageState.RECEIVED
    attempts: int = 0
    last_error: str | None = None


class NewEvent(NamedTuple):
    """One recipient of a report, to be stored. ``canonical`` is the address to look up by."""

    identity: str
    kind: Kind
    canonical: str
    occurred_at: datetime
    recipient: RecipientReport
    verdict: Verdict | None


class NewReport(NamedTuple):
    """What a stored mail says. ``rules`` names what read it."""

    message_id: int
    parsed: ParsedMessage
    rules: str
    events: tuple[NewEvent, ...]


class StoredMessage(NamedTuple):
    """A mail as kept, without its bytes."""

    id: int
    identity: str
    received_at: datetime
    source: str
    envelope: Envelope
    size: int
    truncated: bool
    state: MessageState
    attempts: int
    last_error: str | None


class StoredEvent(NamedTuple):
    """One recipient's event, with what is needed of its mail to make sense of it."""

    id: int
    message_id: int
    identity: str
    kind: Kind
    canonical: str
    occurred_at: datetime
    trust: Trust
    recipient: RecipientReport
    verdict: Verdict | None
    source: str
    reporting_mta: str | None


class StoredReport(NamedTuple):
    """A mail with everything derived from it. ``reading`` is None while it waits or is quarantined; its recipients
    are those in ``events``; ``repeated`` counts those that another mail had told already.
    """

    message: StoredMessage
    reading: Reading | None
    events: tuple[StoredEvent, ...]
    rules: str | None
    repeated: int


class EventFilter(NamedTuple):
    """Which events to list; None asks for all. ``address`` and ``domain`` are canonical forms."""

    kind: str | None = None
    bounce_type: str | None = None
    reason: str | None = None
    domain: str | None = None
    address: str | None = None
    since: datetime | None = None
    limit: int | None = None


class Stats(NamedTuple):
    """Counts over the whole store. Events without a verdict (delivered, complaints, ...) have no type and no reason."""

    mails: int
    pending: int
    quarantined: int
    unparsed: int
    duplicates: int
    events: int
    by_kind: Mapping[str, int]
    by_type: Mapping[str, int]
    by_reason: Mapping[str, int]
