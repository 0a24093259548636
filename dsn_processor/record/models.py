"""The tables: shelves, not types to trust (SQLModel does not validate table models). Facts go in and come out of
them through rows.py alone. After a change here: ``make tables``, since the program loads what is made of them.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index, LargeBinary, text
from sqlmodel import Field

from dsn_processor.record import sendtables  # noqa: F401  they are tables of the same metadata
from dsn_processor.record.columns import SafeJSON, SafeText, UtcDateTime
from dsn_processor.record.shelf import Table, metadata
from dsn_processor.terms import MessageState, Mode, Trust

__all__ = ["metadata"]


class Message(Table, table=True):
    """A mail as it came: the truth that all else is derived from. ``id`` is handed out by ``Counter``."""

    __tablename__ = "message"

    id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    identity: str = Field(unique=True, max_length=64)
    received_at: datetime = Field(sa_type=UtcDateTime)
    source: str = Field(sa_type=SafeText)
    envelope_sender: str | None = Field(default=None, sa_type=SafeText)
    envelope_recipients: list[str] | None = Field(default=None, sa_type=SafeJSON)
    size: int
    truncated: bool = False
    state: str = Field(default=MessageState.RECEIVED, max_length=16, index=True)
    attempts: int = 0
    last_error: str | None = Field(default=None, sa_type=SafeText)
    codec: str = Field(max_length=16)
    raw: bytes = Field(sa_type=LargeBinary)


class Report(Table, table=True):
    """What a mail as a whole says of itself. ``rules`` names the parser and rules that read it; ``repeated`` counts
    the recipients whose event another mail had brought already. ``mode`` is what it may change.
    """

    __tablename__ = "report"

    message_id: int = Field(
        primary_key=True,
        foreign_key="message.id",
        ondelete="CASCADE",
        sa_column_kwargs={"autoincrement": False},
    )
    kind: str = Field(max_length=16, index=True)
    header_message_id: str | None = Field(default=None, sa_type=SafeText)
    date: str | None = Field(default=None, sa_type=SafeText)
    from_: str | None = Field(default=None, sa_type=SafeText)
    subject: str | None = Field(default=None, sa_type=SafeText)
    reporting_mta: str | None = Field(default=None, sa_type=SafeText)
    original_envelope_id: str | None = Field(default=None, sa_type=SafeText)
    arrival_date: str | None = Field(default=None, sa_type=SafeText)
    returned_message: dict[str, Any] | None = Field(default=None, sa_type=SafeJSON)
    feedback: dict[str, Any] | None = Field(default=None, sa_type=SafeJSON)
    defects: list[Any] | None = Field(default=None, sa_type=SafeJSON)
    rules: str = Field(max_length=64)
    repeated: int = 0
    mode: str = Field(default=Mode.OBSERVE, max_length=16, sa_column_kwargs={"server_default": "observe"})


class RecipientEvent(Table, table=True):
    """What happened to one recipient, the verdict on it, and how it is tied to what we sent: ``proved_by`` is the mail that
    says so, where it is another than the one that told of it first. ``about`` is a hash of the Message-ID that came back.
    """

    __tablename__ = "recipient_event"
    __table_args__ = (
        Index(None, "kind", "bounce_type", "reason"),
        # By time, too: of an address with very many events only the newest are read.
        Index(None, "canonical", "occurred_at"),
        Index(None, "mailed_address", "occurred_at", sqlite_where=text("mailed_address IS NOT NULL")),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True)
    message_id: int = Field(foreign_key="message.id", ondelete="CASCADE", index=True)
    identity: str = Field(unique=True, max_length=64)
    kind: str = Field(max_length=16)
    occurred_at: datetime = Field(sa_type=UtcDateTime, index=True)
    address: str = Field(sa_type=SafeText)
    canonical: str = Field(sa_type=SafeText)
    domain: str = Field(sa_type=SafeText, index=True)
    original: str | None = Field(default=None, sa_type=SafeText)
    action: str | None = Field(default=None, max_length=16)
    status: str | None = Field(default=None, sa_type=SafeText)
    reply_code: int | None = None
    diagnostic_code: str | None = Field(default=None, sa_type=SafeText)
    diagnostic_type: str | None = Field(default=None, sa_type=SafeText)
    explanation: str = Field(default="", sa_type=SafeText)
    remote_mta: str | None = Field(default=None, sa_type=SafeText)
    smtp_command: str | None = Field(default=None, sa_type=SafeText)
    last_attempt_date: str | None = Field(default=None, sa_type=SafeText)
    will_retry_until: str | None = Field(default=None, sa_type=SafeText)
    bounce_category: str | None = Field(default=None, sa_type=SafeText)
    origin: str = Field(max_length=64)
    bounce_type: str | None = Field(default=None, max_length=16)
    reason: str | None = Field(default=None, max_length=32, index=True)
    scope: str | None = Field(default=None, max_length=16)
    confidence: float | None = None
    rule_id: str | None = Field(default=None, max_length=255)
    evidence: list[Any] | None = Field(default=None, sa_type=SafeJSON)
    block: dict[str, Any] | None = Field(default=None, sa_type=SafeJSON)
    trust: str = Field(default=Trust.UNPROVED, max_length=16)
    proved_by: int | None = None
    matched_by: str | None = Field(default=None, max_length=16)
    mailed_address: str | None = Field(default=None, sa_type=SafeText)
    sent_message_id: str | None = Field(default=None, sa_type=SafeText)
    stream: str | None = Field(default=None, sa_type=SafeText)
    campaign: str | None = Field(default=None, sa_type=SafeText)
    tags: list[Any] | None = Field(default=None, sa_type=SafeJSON)
    findings: list[str] | None = Field(default=None, sa_type=SafeJSON)
    about: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": "0"})


class Counter(Table, table=True):
    """Numbers that no row can tell: ``message_id``, the last one handed out, and ``duplicates``, mails met again."""

    __tablename__ = "counter"

    name: str = Field(primary_key=True, max_length=32)
    value: int = 0


class MailboxFolder(Table, table=True):
    """How far a folder of an account has been read."""

    __tablename__ = "mailbox_folder"

    account: str = Field(primary_key=True, max_length=64)
    folder: str = Field(primary_key=True, sa_type=SafeText)
    uid_validity: int = Field(sa_type=BigInteger)
    last_uid: int = Field(sa_type=BigInteger)


class MailboxMail(Table, table=True):
    """A mail in a mailbox of which something is still to be done, or is to be remembered."""

    __tablename__ = "mailbox_mail"

    account: str = Field(primary_key=True, max_length=64)
    folder: str = Field(primary_key=True, sa_type=SafeText)
    uid: str = Field(primary_key=True, max_length=255)
    task: str = Field(max_length=16)
    unparsed: bool = False
    attempts: int = 0


class MailboxAccount(Table, table=True):
    """How an account does, for whoever asks."""

    __tablename__ = "mailbox_account"

    account: str = Field(primary_key=True, max_length=64)
    checked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    error: str | None = Field(default=None, sa_type=SafeText)
    error_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    failing: bool = False
    next_try_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    waiting: int = 0
    taken: int = 0


class LeftMail(Table, table=True):
    """The identity of a mail that was met in a mailbox and left there, since it is no report. Nothing else is kept of it."""

    __tablename__ = "left_mail"

    identity: str = Field(primary_key=True, max_length=64)


class Attempt(Table, table=True):
    """Where several reports tell the same of one recipient: when each says that it was tried, and how far it is proven."""

    __tablename__ = "attempt"
    __table_args__ = ({"sqlite_with_rowid": False},)

    identity: str = Field(primary_key=True, max_length=64)
    at: datetime = Field(primary_key=True, sa_type=UtcDateTime)
    trust: str = Field(primary_key=True, max_length=16)


class AddressState(Table, table=True):
    """What is known of an address in short (policy/fold.py). One of which nothing counts has no row."""

    __tablename__ = "address_state"
    __table_args__ = ({"sqlite_with_rowid": False},)

    address: str = Field(primary_key=True, sa_type=SafeText)
    domain: str = Field(sa_type=SafeText)
    deliverability: str = Field(max_length=16)
    strikes: float
    messages: int
    first_strike_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    last_strike_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    last_success_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    reason: str | None = Field(default=None, max_length=32)
    capped: bool = False


class Suppression(Table, table=True):
    """Why an address gets no mail. ``hour`` and ``domain``, or ``hour`` and ``remote_mta``, tell the wave that it is in."""

    __tablename__ = "suppression"
    __table_args__ = (
        Index(None, "domain", "hour", sqlite_where=text("guarded AND NOT proposed")),
        Index(None, "remote_mta", "hour", sqlite_where=text("guarded AND NOT proposed")),
        {"sqlite_with_rowid": False},
    )

    address: str = Field(primary_key=True, sa_type=SafeText)
    kind: str = Field(primary_key=True, max_length=16)
    proposed: bool = False
    held: bool = False
    at: datetime = Field(sa_type=UtcDateTime)
    until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    reason: str = Field(sa_type=SafeText)
    cause: str = Field(max_length=64)
    tier: int = 1
    author: str = Field(default="", sa_type=SafeText)
    guarded: bool = False
    domain: str = Field(sa_type=SafeText)
    remote_mta: str = Field(default="", sa_type=SafeText)
    hour: int


class Wave(Table, table=True):
    """Many addresses of one domain, or refused by one server, that would be suppressed within an hour. ``decision`` is ""
    while somebody is to look at it; then released or undone.
    """

    __tablename__ = "wave"

    name: str = Field(primary_key=True, sa_type=SafeText)
    kind: str = Field(max_length=16)
    subject: str = Field(sa_type=SafeText)
    hour: int
    addresses: int
    decision: str = Field(default="", max_length=16)


class ManualAct(Table, table=True):
    """What somebody did to an address, and why."""

    __tablename__ = "manual_act"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: int | None = Field(default=None, primary_key=True)
    address: str = Field(index=True, sa_type=SafeText)
    at: datetime = Field(sa_type=UtcDateTime)
    act: str = Field(max_length=16)
    kind: str | None = Field(default=None, max_length=16)
    until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    author: str = Field(sa_type=SafeText)
    reason: str = Field(sa_type=SafeText)


class Audit(Table, table=True):
    """What changed about an address, when, by whom and why: rows are added, never changed. ``cause`` is an event's identity."""

    __tablename__ = "audit"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: int | None = Field(default=None, primary_key=True)
    at: datetime = Field(sa_type=UtcDateTime)
    author: str = Field(sa_type=SafeText)
    action: str = Field(max_length=16)
    address: str = Field(index=True, sa_type=SafeText)
    reason: str = Field(sa_type=SafeText)
    cause: str | None = Field(default=None, max_length=64)
    before: dict[str, Any] | None = Field(default=None, sa_type=SafeJSON)
    after: dict[str, Any] | None = Field(default=None, sa_type=SafeJSON)


class Alert(Table, table=True):
    """Something for a person to look at: refusals of one kind in a day, counted; raised where they are many."""

    __tablename__ = "alert"

    name: str = Field(primary_key=True, sa_type=SafeText)
    kind: str = Field(max_length=16)
    subject: str = Field(sa_type=SafeText)
    number: int
    raised_at: datetime | None = Field(default=None, sa_type=UtcDateTime, index=True)


class Endpoint(Table, table=True):
    """Who is told of what happens (notify/endpoints.py). ``created_at`` and ``paused_until`` are in seconds since 1970."""

    __tablename__ = "endpoint"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True, max_length=64)
    kind: str = Field(max_length=16)
    url: str = Field(sa_type=SafeText)
    format: str = Field(max_length=16)
    events: list[str] = Field(sa_type=SafeJSON)
    filters: dict[str, Any] | None = Field(default=None, sa_type=SafeJSON)
    key: str = Field(default="", sa_type=SafeText)
    secret: str = Field(default="", max_length=128)
    previous_secret: str = Field(default="", max_length=128)
    previous_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    enabled: bool = True
    why: str = Field(default="", sa_type=SafeText)
    created_at: float
    paused_until: float | None = None


class Webhook(Table, table=True):
    """The outbox: what an endpoint is to be told, made in the transaction in which it happened. Times are seconds since 1970;
    ``next_at`` is when a pending one is tried.
    """

    __tablename__ = "webhook"
    __table_args__ = (
        Index(None, "endpoint_id", "message_id", unique=True),
        Index(None, "endpoint_id", "next_at", "id", sqlite_where=text("state = 'pending'")),
        Index(None, "endpoint_id", "address", "id", sqlite_where=text("state = 'pending'")),
        Index(None, "attempted_at", sqlite_where=text("state != 'pending'")),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True)
    endpoint_id: int = Field(foreign_key="endpoint.id", ondelete="CASCADE")
    message_id: str = Field(max_length=64)
    type: str = Field(max_length=32)
    address: str = Field(sa_type=SafeText)
    created_at: float
    state: str = Field(max_length=16)
    attempts: int = 0
    next_at: float
    attempted_at: float | None = None
    status: int | None = None
    error: str = Field(default="", sa_type=SafeText)
    content_type: str = Field(max_length=64)
    headers: dict[str, str] | None = Field(default=None, sa_type=SafeJSON)
    body: bytes = Field(sa_type=LargeBinary)
