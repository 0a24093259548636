"""Abuse reports in ARF (RFC 5965), with the fields of RFC 6591 for authentication failures."""

from dsn_processor.facts import FeedbackReport, RecipientReport
from dsn_processor.parse.addresses import bare_address, is_address
from dsn_processor.parse.dates import iso_date
from dsn_processor.parse.fields import HEADER_LIMIT, Fields
from dsn_processor.parse.mail import Mail
from dsn_processor.parse.words import COMPLAINERS, COMPLAINTS, contains
from dsn_processor.parse.writer import carries_report, is_forward, is_listed
from dsn_processor.patterns import pattern

_LIMIT = 100_000
_IP = pattern(r"[0-9A-Fa-f.:]{3,45}")
_IPV4 = pattern(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.])")
_HEAD = 2_000  # characters of a text in which a complaint says what it is about
#: Fields of the returned message in which a provider keeps the recipient that it hides elsewhere.
_HIDDEN = ("x-hmxmroriginalrecipient", "x-original-rcpt-to")


def read_feedback(mail: Mail) -> FeedbackReport | None:
    """The machine-readable part of a complaint; None where the mail has none."""
    if mail.feedback_part is None:
        return None
    fields = Fields(mail.feedback_part.body(_LIMIT).decode("latin-1").strip("\n"))
    source_ip = _IP.search(fields.raw("source-ip") or "")
    return FeedbackReport(
        feedback_type=(fields.raw("feedback-type") or "abuse").strip().lower(),
        user_agent=fields.text("user-agent"),
        original_mail_from=_address(fields.raw("original-mail-from")),
        original_rcpt_to=tuple(filter(None, (_address(value) for value in fields.all("original-rcpt-to")))),
        arrival_date=iso_date(fields.raw("arrival-date") or fields.raw("received-date")),
        source_ip=source_ip[0] if source_ip else None,
        reported_domain=tuple(fields.all("reported-domain")),
        auth_failure=fields.raw("auth-failure"),
    )


def read_own_form(mail: Mail) -> FeedbackReport | None:
    """QUIRK: Microsoft's JMRP, SpamCop and abuse desks complain in a form of their own: a subject that says so, from
    somebody whose office it is, about a message that comes with it or an address that sent it.
    """
    subject = mail.folded_subject
    if not contains(subject, COMPLAINTS) or is_forward(mail):
        return None
    if is_listed(mail) or carries_report(mail) or not contains(mail.folded_from, COMPLAINERS):
        return None
    source_ip = _IPV4.search(subject) or _IPV4.search(mail.text[:_HEAD])
    if source_ip is None and mail.returned_part is None:
        return None
    return FeedbackReport(feedback_type="abuse", source_ip=source_ip[0] if source_ip else None)


def complaint_recipients(feedback: FeedbackReport, mail: Mail) -> tuple[RecipientReport, ...]:
    """Who complained: Original-Rcpt-To, else the returned message's only recipient. Reporters often hide both."""
    addresses = [address for address in feedback.original_rcpt_to if is_address(address)]
    if not addresses and mail.returned_part is not None:
        addresses = _hidden_recipients(mail)
    if not addresses and mail.returned is not None and mail.returned.to and mail.returned.to.count("@") == 1:
        addresses = [address for address in (bare_address(mail.returned.to),) if is_address(address)]
    return tuple(
        RecipientReport(address=address, action=None, origin="feedback-report")
        for address in dict.fromkeys(addresses)
    )


def _hidden_recipients(mail: Mail) -> list[str]:
    assert mail.returned_part is not None
    fields = Fields(mail.returned_part.header_within(HEADER_LIMIT).decode("latin-1"))
    values = [fields.raw(name) for name in _HIDDEN if name in fields]
    return [address for value in values if is_address(address := bare_address(value or ""))]


def _address(value: str | None) -> str | None:
    return None if value is None else bare_address(value)
