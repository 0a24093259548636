"""Abuse reports in ARF (RFC 5965), with the fields of RFC 6591 for authentication failures."""

import re

from dsn_processor.facts import FeedbackReport, RecipientReport
from dsn_processor.parse.addresses import bare_address, is_address
from dsn_processor.parse.dates import iso_date
from dsn_processor.parse.fields import Fields
from dsn_processor.parse.mail import Mail

_LIMIT = 100_000
_IP = re.compile(r"[0-9A-Fa-f.:]{3,45}")


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


def complaint_recipients(feedback: FeedbackReport, mail: Mail) -> tuple[RecipientReport, ...]:
    """Who complained: Original-Rcpt-To, else the returned message's only recipient. Reporters often hide both."""
    addresses = [address for address in feedback.original_rcpt_to if is_address(address)]
    if not addresses and mail.returned is not None and mail.returned.to and mail.returned.to.count("@") == 1:
        addresses = [address for address in (bare_address(mail.returned.to),) if is_address(address)]
    return tuple(
        RecipientReport(address=address, action=None, origin="feedback-report")
        for address in dict.fromkeys(addresses)
    )


def _address(value: str | None) -> str | None:
    return None if value is None else bare_address(value)
