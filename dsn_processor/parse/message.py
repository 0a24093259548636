"""Decides what kind of mail this is and gathers what it says. Never raises on bad mail."""

from collections.abc import Sequence

from dsn_processor.facts import Envelope, FeedbackReport, ParsedMessage, RecipientReport, ReturnedMessage
from dsn_processor.parse.arf import complaint_recipients, read_feedback, read_own_form
from dsn_processor.parse.autoreply import is_auto_reply, is_challenge
from dsn_processor.parse.dates import iso_date
from dsn_processor.parse.dsn import host_name, recipient_reports
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
        with_explanations(reports, mail) if reports else ()
        for mail, reports in zip(opened, stated, strict=True)
    ]
    return [_concluded(mail, tuple(reports)) for mail, reports in zip(opened, explained, strict=True)]


def _opened(raw: bytes, envelope: Envelope | None) -> Mail:
    mail = Mail(raw, envelope)
    if (wrapped := wrapped_report(mail)) is not None:
        raw = wrapped
        mail = Mail(raw, envelope)
    if is_damaged(mail):
        from dsn_processor.parse.salvage import salvage  # noqa: PLC0415  few mails need it

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


def _concluded(mail: Mail, recipients: tuple[RecipientReport, ...]) -> ParsedMessage:
    """All of a mail's facts; ``recipients`` are those of its delivery-status fields."""
    if recipients:
        return _facts(mail, kind_of(recipients), recipients)
    if _is_complaint(mail):
        return _complaint(mail)
    if mail.disposition_part is not None:
        kind, recipients, original_id = read_disposition(mail)
        return _facts(mail, kind, recipients, returned_id=message_id(original_id))
    return _free_form(mail)


def _complaint(mail: Mail) -> ParsedMessage:
    if mail.returned_part is None:
        from dsn_processor.parse.salvage import salvage_returned  # noqa: PLC0415  few mails need it

        salvage_returned(mail)
    feedback = read_feedback(mail)
    assert feedback is not None
    return _facts(mail, Kind.COMPLAINT, complaint_recipients(feedback, mail), feedback=feedback)


def _free_form(mail: Mail) -> ParsedMessage:
    """A mail without a machine-readable part: a report in plain text, an automatic reply, or ordinary mail."""
    from dsn_processor.parse.dialects import read_plain_report  # noqa: PLC0415  its patterns take long to compile

    if is_plain_receipt(mail):
        return _facts(mail, Kind.DISPOSITION)
    challenge = is_challenge(mail)
    score = report_score(mail)
    if mail.status_parts and not is_forward(mail):
        score += 3
    answer = not looks_returned(mail) and is_auto_reply(mail)
    if score >= 2 and not answer and not challenge:
        recipients = read_plain_report(mail)
        if recipients:
            return _facts(mail, kind_of(recipients), recipients)
    if (feedback := read_own_form(mail)) is not None:
        return _facts(mail, Kind.COMPLAINT, complaint_recipients(feedback, mail), feedback=feedback)
    if challenge:
        return _facts(mail, Kind.CHALLENGE)
    if not answer and is_plainly_report(mail, score):
        return _facts(mail, Kind.UNPARSED)
    return _facts(mail, Kind.AUTO_REPLY if answer or is_auto_reply(mail) else Kind.NOT_A_REPORT)


def kind_of(recipients: tuple[RecipientReport, ...]) -> Kind:
    """The strongest of the recipients' fates names the mail."""
    if len(recipients) == 1 and recipients[0].action is not None:
        return _KIND_OF[recipients[0].action]
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
    fields, status = mail.fields, mail.status_fields.message
    returned = None if kind in _NO_REPORTS else mail.returned
    if returned_id and returned is None:
        returned = ReturnedMessage(message_id=returned_id)
    return ParsedMessage(
        kind,
        message_id(fields.raw("message-id")),
        iso_date(fields.raw("date")),
        mail.from_ or None,
        mail.subject if mail.subject or "subject" in fields else None,
        host_name(status.get("reporting-mta")),
        status.get("original-envelope-id"),
        iso_date(status.get("arrival-date")),
        recipients,
        returned,
        feedback,
        tuple(dict.fromkeys(mail.defects)) if mail.defects else (),
    )
