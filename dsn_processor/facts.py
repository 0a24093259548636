"""Frozen facts handed from room to room. Absent is ``None``; ``""`` as envelope sender is the null sender ``<>``.

An address is a ``str`` as reported, decoded, letter case kept. A date is the ``str`` of the mail brought to ISO 8601
with its offset (``2026-11-21T02:40:30+00:00``), or ``None`` where it cannot be read.
"""

from datetime import datetime
from typing import NamedTuple

from dsn_processor.terms import Action, BounceType, Finding, Kind, Match, Reason, Scope, Trust


class Envelope(NamedTuple):
    """The SMTP envelope a mail came in (RFC 5321 section 2.3.1). ``sender`` "" is the null sender, None unknown."""

    sender: str | None = None
    recipients: tuple[str, ...] = ()


class InboundMessage(NamedTuple):
    """Bytes as they came, before anybody looked. ``source`` names where: a path, ``path#n``, ``-``."""

    raw: bytes
    source: str
    envelope: Envelope = Envelope()
    truncated: bool = False


class Defect(NamedTuple):
    """Something wrong in a mail that did not stop us: a stable ``code`` in snake_case, and a short detail."""

    code: str
    detail: str = ""


class Evidence(NamedTuple):
    """One thing that speaks for a verdict. ``source`` names the field it was read from: ``diagnostic_code``,
    ``status``, ``reply_code``, ``smtp_command``, ``action``, ``text`` (the report's own words) or a header's name.
    """

    source: str
    text: str


class RecipientReport(NamedTuple):
    """What a report states about one recipient, before it is judged (RFC 3464 section 2.3).

    ``status`` is the enhanced code the mail states ("5.1.1"), never invented. ``diagnostic_code`` is the text of the
    reply or error with continuation lines joined by one space and the type ("smtp;") taken off. ``explanation`` is
    the report's own words about this recipient outside the diagnostic ("" where none). Their lines are as they stand
    till ``one_line`` joins them for who reads or stores them: the judge need not, where the diagnostic tells.
    ``smtp_command`` is the verb refused: CONNECT, EHLO, STARTTLS, MAIL, RCPT, DATA, or EOD for the end of data.
    ``action`` is None where nothing was to be delivered (complaints, dispositions).
    ``origin`` says who found it: ``delivery-status``, ``disposition``, ``dialect:<name>``, ``flufl``, or
    ``correlation``: the report left it out, and what it is tied to says it.
    """

    address: str
    original: str | None = None
    action: Action | None = Action.FAILED
    status: str | None = None
    reply_code: int | None = None
    diagnostic_code: str | None = None
    diagnostic_type: str | None = None
    explanation: str = ""
    remote_mta: str | None = None
    smtp_command: str | None = None
    last_attempt_date: str | None = None
    will_retry_until: str | None = None
    bounce_category: str | None = None
    origin: str = "delivery-status"


class ReturnedMessage(NamedTuple):
    """What the report gives back of the message it is about (RFC 6522 section 3)."""

    message_id: str | None = None
    from_: str | None = None
    to: str | None = None
    subject: str | None = None
    date: str | None = None
    envelope_sender: str | None = None


class FeedbackReport(NamedTuple):
    """A complaint's fields (RFC 5965 section 3)."""

    feedback_type: str
    user_agent: str | None = None
    original_mail_from: str | None = None
    original_rcpt_to: tuple[str, ...] = ()
    arrival_date: str | None = None
    source_ip: str | None = None
    reported_domain: tuple[str, ...] = ()
    auth_failure: str | None = None


class ParsedMessage(NamedTuple):
    """Everything a mail says of itself, its recipients still unjudged."""

    kind: Kind
    message_id: str | None = None
    date: str | None = None
    from_: str | None = None
    subject: str | None = None
    reporting_mta: str | None = None
    original_envelope_id: str | None = None
    arrival_date: str | None = None
    recipients: tuple[RecipientReport, ...] = ()
    returned_message: ReturnedMessage | None = None
    feedback: FeedbackReport | None = None
    defects: tuple[Defect, ...] = ()


class Block(NamedTuple):
    """Who refused us and where to ask: the listed ``ip``, the ``list``'s name, the delisting ``url``, the
    ``mechanism``: dnsbl, provider_list, reputation, rate, auth, content; and the ``authentication`` that failed: any of
    spf, dkim, dmarc, arc, ptr, helo.
    """

    ip: str | None = None
    list: str | None = None
    url: str | None = None
    mechanism: str | None = None
    authentication: tuple[str, ...] = ()


class Candidate(NamedTuple):
    """One answer that some evidence gave: what ``explain`` lists. ``step`` is its place in the order of evidence."""

    step: str
    rule_id: str
    reason: Reason
    bounce_type: BounceType
    scope: Scope
    confidence: float
    evidence: Evidence


class Verdict(NamedTuple):
    """The judgement on one failed or delayed recipient, with what it rests on. ``candidates`` holds every answer that
    was considered, strongest first, only where a trace was asked for.
    """

    bounce_type: BounceType
    reason: Reason
    scope: Scope
    confidence: float
    rule_id: str
    evidence: tuple[Evidence, ...] = ()
    block: Block | None = None
    candidates: tuple[Candidate, ...] = ()


class Reading(NamedTuple):
    """A mail parsed and judged: ``verdicts`` run beside ``parsed.recipients``; None where there is nothing to judge
    (delivered, relayed, expanded, complaints, dispositions).
    """

    parsed: ParsedMessage
    verdicts: tuple[Verdict | None, ...]


class Send(NamedTuple):
    """A mail that we sent to one recipient. ``message_id`` is without angle brackets, ``recipient`` canonical, "" where
    nobody told; ``tags`` are pairs of name and value. ``mailing_list``: the recipient hands mail on to many.
    """

    message_id: str
    recipient: str
    sent_at: datetime
    stream: str | None = None
    campaign: str | None = None
    tags: tuple[tuple[str, str], ...] = ()
    mailing_list: bool = False
    delivered_at: datetime | None = None


#: Recipients of one message that are counted: beyond that they are many.
COUNTED_RECIPIENTS = 1_000


class SentMessage(NamedTuple):
    """What is known of one message id: the sends of it that were asked for, or the only one. It went to so many
    ``recipients``, counted up to a bound.
    """

    sends: tuple[Send, ...]
    recipients: int = 1


class Correlation(NamedTuple):
    """How one recipient of a report is tied to what we sent. ``trust`` is about ``mailed_address``, the canonical address
    that we mailed: after forwarding it is another than the one that failed. None where it is not known.
    """

    trust: Trust = Trust.UNPROVED
    matched_by: Match | None = None
    mailed_address: str | None = None
    sent_message_id: str | None = None
    stream: str | None = None
    campaign: str | None = None
    tags: tuple[tuple[str, str], ...] = ()
    findings: tuple[Finding, ...] = ()


NO_CORRELATION = Correlation()
