"""What goes into the store and what comes out of it. Plain facts: nobody outside this room sees a row or a session."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from dsn_processor.facts import Correlation, Envelope, ParsedMessage, Reading, RecipientReport, Verdict
from dsn_processor.terms import Kind, MailboxTask, MessageState, Trust


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
    """One recipient of a report, to be stored. ``canonical`` is the address to look up by. ``correlation`` is None where
    nobody held it against what was sent. ``about`` is the ``reference`` of the Message-ID that came back, or 0.
    """

    identity: str
    kind: Kind
    canonical: str
    occurred_at: datetime
    recipient: RecipientReport
    verdict: Verdict | None
    correlation: Correlation | None = None
    about: int = 0


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
    """One recipient's event, with what is needed of its mail to make sense of it. ``proved_by`` is the mail that
    ``correlation`` is from, where that is another.
    """

    id: int
    message_id: int
    identity: str
    kind: Kind
    canonical: str
    occurred_at: datetime
    recipient: RecipientReport
    verdict: Verdict | None
    correlation: Correlation
    proved_by: int | None
    source: str
    reporting_mta: str | None
    arrival_date: str | None = None

    @property
    def trust(self) -> Trust:
        return self.correlation.trust

    @property
    def concerned(self) -> str:
        """The canonical address that this is about: the one that we mailed, where known, else the one that failed."""
        return self.correlation.mailed_address or self.canonical


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
    """Which events to list; None asks for all. ``address`` and ``domain`` are canonical forms; an address is
    the one that failed, or the one that was mailed.
    """

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


class MailboxPosition(NamedTuple):
    """How far a folder has been read: every mail up to ``last_uid`` is stored, left or noted. Another ``uid_validity``
    means other numbers for the same mails (RFC 9051 section 2.3.1.1).
    """

    uid_validity: int
    last_uid: int


class MailboxMail(NamedTuple):
    """A mail in a mailbox of which something is still to be done, or is to be remembered. ``uid`` is IMAP's number or
    POP3's unique-id as text; ``attempts`` have failed so far. ``unparsed`` mails may go to a folder of their own.
    """

    uid: str
    task: MailboxTask
    unparsed: bool = False
    attempts: int = 0


class MailboxNote(NamedTuple):
    """What is kept of a folder together with its mails: where we are now (None: as before), mails of which something is
    to be done, and the identities of those that were left because they are no reports.
    """

    account: str
    folder: str = ""
    position: MailboxPosition | None = None
    mails: tuple[MailboxMail, ...] = ()
    left: tuple[str, ...] = ()


class AccountStatus(NamedTuple):
    """How an account does. ``checked_at`` is when all its folders were last read to their end; ``error`` is the last
    one, and of now where ``failing``; ``waiting`` mails were still to be fetched when it was last looked at.
    """

    account: str
    checked_at: datetime | None = None
    error: str | None = None
    error_at: datetime | None = None
    failing: bool = False
    next_try_at: datetime | None = None
    waiting: int = 0
    taken: int = 0
