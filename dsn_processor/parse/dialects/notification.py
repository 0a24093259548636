"""Amazon SES bounce notifications in JSON, as SNS mails them: a report by another transport."""

import json

from dsn_processor.facts import RecipientReport
from dsn_processor.parse.addresses import is_address
from dsn_processor.parse.dsn import merged_status
from dsn_processor.parse.mail import Mail
from dsn_processor.parse.replies import find_reply_code, join_lines
from dsn_processor.patterns import pattern
from dsn_processor.terms import Action

_START = pattern(r"\s*\{\s*\"(?:notificationType|eventType)\"\s*:\s*\"(Bounce|DeliveryDelay)\"")
_LISTS = {"Bounce": '"bouncedRecipients"', "DeliveryDelay": '"delayedRecipients"'}
_LIMIT = 100_000


def read_notification(mail: Mail) -> list[RecipientReport]:
    """The recipients of a Bounce or DeliveryDelay notification. The list alone is read: mail wraps the rest's lines."""
    match = _START.match(mail.text)
    if match is None:
        return []
    start = mail.text.find("[", mail.text.find(_LISTS[match[1]]))
    if start < 0:
        return []
    try:
        rows, _ = json.JSONDecoder(strict=False).raw_decode(mail.text[start : start + _LIMIT])
    except (ValueError, RecursionError):
        return []
    action = Action.FAILED if match[1] == "Bounce" else Action.DELAYED
    return [report for row in rows if isinstance(row, dict) and (report := _recipient(row, action))]


def _recipient(row: dict[str, object], action: Action) -> RecipientReport | None:
    address = str(row.get("emailAddress") or "")
    if not is_address(address):
        return None
    kind, _, text = str(row.get("diagnosticCode") or "").rpartition(";")
    status = str(row["status"]) if row.get("status") else None
    return RecipientReport(
        address=address,
        action=action,
        status=merged_status(status, text),
        reply_code=find_reply_code(text),
        diagnostic_code=join_lines(text) or None,
        diagnostic_type=kind.strip().lower() or None,
        origin="dialect:ses-notification",
    )
