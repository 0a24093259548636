"""Decides what kind of mail this is and gathers what it says. Never raises on bad mail."""

from collections.abc import Sequence
from typing import NamedTuple

from dsn_processor.facts import Envelope, FeedbackReport, ParsedMessage, RecipientReport, ReturnedMessage
from dsn_processor.parse.arf import complaint_recipients, read_feedback, read_own_form
from dsn_processor.parse.autoreply import is_auto_reply, is_challenge
from dsn_processor.parse.dates import iso_date
from dsn_processor.parse.dialects import read_plain_report
from dsn_processor.parse.dsn import Group, host_name, recipient_reports
from dsn_processor.parse.explain import with_explanations
from dsn_processor.parse.mail import Mail
from dsn_processor.parse.mdn import is_plain_receipt, read_disposition
from dsn_processor.parse.mime import lf_lines
from dsn_processor.parse.returned import message_id
from dsn_processor.parse.signals import (
    is_damaged,
    is_plainly_report,
    looks_returned,
    report_score,
    wrapped_report,
)
from dsn_processor.parse.writer import is_forward
from dsn_processor.terms import STRENGTH, Action, Kind

_REPORT = "multipart/report"
_NO_REPORTS = frozenset({Kind.NOT_A_REPORT, Kind.AUTO_REPLY, Kind.CHALLENGE})
_NO_STATUS: Group = {}
_KIND_OF = {action: Kind(action.value) for action in Action}


def parse_message(raw: bytes, envelope: Envelope | None = None) -> ParsedMessage:
    """Parse one mail, whatever it is. ``raw`` may have LF, CRLF or CR line ends."""
    [parsed] = parse_messages([(raw, envelope)])
    return parsed


def parse_messages(mails: Sequence[tuple[bytes, Envelope | None]]) -> list[ParsedMessage]:
    """Parse mails, each for itself, but step by step for all of them: so a step's code and tables stay in the processor's
    cache, which all steps together do not fit into. A dozen or two at once is best.
    """
    opened = [_opened(raw, envelope) for raw, envelope in mails]
    for mail in opened:
        mail.look_at_notice()
    for mail in opened:
        mail.look_at_returned()
    stated = [_stated(mail) for mail in opened]
    explained = [
        tuple(with_explanations(reports, mail)) if reports else ()
        for mail, reports in zip(opened, stated, strict=True)
    ]
    seen = [
        None if reports or not _is_free_form(mail) else _seen(mail)
        for mail, reports in zip(opened, explained, strict=True)
    ]
    read = [
        read_plain_report(mail) if look is not None and look.may_report else reports
        for mail, look, reports in zip(opened, seen, explained, strict=True)
    ]
    return [_concluded(mail, look, reports) for mail, look, reports in zip(opened, seen, read, strict=True)]


class _Look(NamedTuple):
    """What a mail without a machine-readable part looks like."""

    receipt: bool = False
    challenge: bool = False
    answer: bool = False
    score: int = 0

    @property
    def may_report(self) -> bool:
        return self.score >= 2 and not (self.receipt or self.answer or self.challenge)


def _opened(raw: bytes, envelope: Envelope | None) -> Mail:
    mail = Mail(raw, envelope)
    if mail.status_parts or len(mail.parts) == 1:
        return mail
    if (wrapped := wrapped_report(mail)) is not None:
        raw = wrapped
        mail = Mail(raw, envelope)
    if is_damaged(mail):
        from dsn_processor.parse.salvage import salvage  # noqa: PLC0415  few mails need it

        if b"\r" in mail.root.raw:
            mail = Mail(lf_lines(raw), envelope)  # whose parts can be cut anywhere
        salvage(mail)
    return mail


def _is_complaint(mail: Mail) -> bool:
    return mail.feedback_part is not None and (mail.root.content_type == _REPORT or not is_forward(mail))


def _stated(mail: Mail) -> list[RecipientReport] | None:
    """The recipients in the delivery-status fields of a report."""
    if not mail.status_parts or _is_complaint(mail) or is_forward(mail):
        return None
    return recipient_reports(mail.status_fields, mail.defects)


def _is_free_form(mail: Mail) -> bool:
    """A report in plain text, an automatic reply, or ordinary mail."""
    return mail.disposition_part is None and not _is_complaint(mail)


def _seen(mail: Mail) -> _Look:
    if is_plain_receipt(mail):
        return _Look(receipt=True)
    challenge = is_challenge(mail)
    score = report_score(mail)
    if mail.status_parts and not is_forward(mail):
        score += 3
    return _Look(False, challenge, not looks_returned(mail) and is_auto_reply(mail), score)


def _concluded(mail: Mail, look: _Look | None, recipients: tuple[RecipientReport, ...]) -> ParsedMessage:
    """All of a mail's facts; ``recipients`` are those of its delivery-status fields or its text."""
    if recipients:
        return _facts(mail, kind_of(recipients), recipients)
    if look is not None:
        return _unreported(mail, look)
    if _is_complaint(mail):
        return _complaint(mail)
    kind, recipients, original_id = read_disposition(mail)
    return _facts(mail, kind, recipients, returned_id=message_id(original_id))


def _complaint(mail: Mail) -> ParsedMessage:
    if mail.returned_part is None:
        from dsn_processor.parse.salvage import salvage_returned  # noqa: PLC0415  few mails need it

        salvage_returned(mail)
    feedback = read_feedback(mail)
    assert feedback is not None
    return _facts(mail, Kind.COMPLAINT, complaint_recipients(feedback, mail), feedback=feedback)


def _unreported(mail: Mail, look: _Look) -> ParsedMessage:
    """A mail without a machine-readable part in which no recipient of a report was found."""
    if look.receipt:
        return _facts(mail, Kind.DISPOSITION)
    if (feedback := read_own_form(mail)) is not None:
        return _facts(mail, Kind.COMPLAINT, complaint_recipients(feedback, mail), feedback=feedback)
    if look.challenge:
        return _facts(mail, Kind.CHALLENGE)
    if not look.answer and is_plainly_report(mail, look.score):
        return _facts(mail, Kind.UNPARSED)
    return _facts(mail, Kind.AUTO_REPLY if look.answer or is_auto_reply(mail) else Kind.NOT_A_REPORT)


def kind_of(recipients: tuple[RecipientReport, ...]) -> Kind:
    """The strongest of the recipients' fates names the mail."""
    if len(recipients) == 1 and (action := recipients[0].action) is not None:
        return _KIND_OF[action]
    actions = {recipient.action for recipient in recipients}
    return _KIND_OF[next(action for action in STRENGTH if action in actions)]


def _facts(
    mail: Mail,
    kind: Kind,
    recipients: tuple[RecipientReport, ...] = (),
    *,
    feedback: FeedbackReport | None = None,
    returned_id: str | None = None,
) -> ParsedMessage:
    fields = mail.fields
    status = mail.status_fields.message if mail.status_parts else _NO_STATUS
    returned = None if kind in _NO_REPORTS else mail.returned
    if returned_id and returned is None:
        returned = ReturnedMessage(message_id=returned_id)
    # Past the constructor of a named tuple, which takes twice as long: in the order of ParsedMessage.
    return tuple.__new__(
        ParsedMessage,
        (
            kind,
            message_id(fields.raw("message-id")),
            iso_date(fields.raw("date")),
            mail.from_ or None,
            mail.subject if mail.subject or "subject" in fields else None,
            host_name(status.get("reporting-mta")),
            status.get("original-envelope-id"),
            iso_date(arrival) if (arrival := status.get("arrival-date")) else None,
            recipients,
            returned,
            feedback,
            tuple(dict.fromkeys(mail.defects)) if mail.defects else (),
        ),
    )
