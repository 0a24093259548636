"""Postmark: bounce, spam complaint, delivery and subscription change webhooks."""

from typing import Any

from dsn_processor.notify.formats.rendered import Rendered, as_json
from dsn_processor.notify.formats.told import DELIVERIES, Told, zulu
from dsn_processor.notify.notification import EventType, Notification
from dsn_processor.terms import SuppressionKind

_DESCRIPTIONS = {
    "HardBounce": ("Hard bounce", "The server was unable to deliver the message: the recipient is not there"),
    "Transient": ("Message delayed", "The server could not deliver the message for now, and tries again"),
    "AutoResponder": ("Auto responder", "An automatic reply"),
    "AddressChange": ("Address change", "The recipient has another address"),
    "DnsError": ("DNS error", "A name could not be looked up for now"),
    "SpamNotification": ("Spam notification", "The message was taken for spam"),
    "SoftBounce": ("Soft bounce", "The message could not be delivered, for a reason that may pass"),
    "VirusNotification": ("Virus notification", "The message was taken for malware"),
    "ChallengeVerification": ("Spam challenge verification", "The recipient wants to know who writes"),
    "BadEmailAddress": ("Invalid email address", "The address is none"),
    "SpamComplaint": ("Spam complaint", "The recipient marked the message as spam"),
    "ManuallyDeactivated": ("Manually deactivated", "A server on the way sends nothing to this address"),
    "Blocked": ("ISP block", "The sender was refused, not the recipient"),
    "SMTPApiError": ("SMTP API error", "The sender has to authenticate"),
    "DMARCPolicy": ("DMARC policy", "The sender's authentication failed"),
    "Unknown": ("Undetermined", "The reason is not known"),
}
_REASONS = {
    SuppressionKind.BOUNCE: "HardBounce",
    SuppressionKind.COMPLAINT: "SpamComplaint",
    SuppressionKind.MANUAL: "ManualSuppression",
    SuppressionKind.UNSUBSCRIBE: "ManualSuppression",
}


def render(told: Told) -> Rendered | None:
    if told.type in DELIVERIES:
        return as_json(
            _common("Delivery", told)
            | {"Recipient": told.recipient, "DeliveredAt": told.zulu, "Details": told.text}
        )
    named = told.mappings.get("postmark")
    if named is None:
        return None
    complaint = told.type is EventType.COMPLAINT_RECEIVED
    title, description = _DESCRIPTIONS[named["name"]]
    return as_json(
        _common("SpamComplaint" if complaint else "Bounce", told)
        | {
            "ID": told.number,
            "Type": named["name"],
            "TypeCode": named["code"],
            "Name": title,
            "Description": description,
            "Details": told.description,
            "Email": told.recipient,
            "From": "",
            "BouncedAt": told.zulu,
            "DumpAvailable": False,
            "Inactive": named["name"] in {"HardBounce", "SpamComplaint"},
            "CanActivate": not complaint,
            "Subject": told.subject,
            "Content": "",
        }
    )


def render_address(notification: Notification) -> Rendered:
    """An address that gets no mail any more, or gets it again: its subscription has changed."""
    suppressed = notification.type is EventType.ADDRESS_SUPPRESSED
    kind = notification.data.get("kind")
    return as_json(
        {
            "RecordType": "SubscriptionChange",
            "MessageID": "",
            "ServerID": 0,
            "MessageStream": "outbound",
            "ChangedAt": zulu(notification.at),
            "Recipient": notification.address,
            "Origin": "Customer" if kind == SuppressionKind.MANUAL else "Recipient",
            "SuppressSending": suppressed,
            "SuppressionReason": _REASONS[SuppressionKind(kind)] if suppressed and kind else None,
            "Tag": "",
            "Metadata": {},
        }
    )


def _common(record: str, told: Told) -> dict[str, Any]:
    return {
        "RecordType": record,
        "MessageID": told.message_id,
        "ServerID": 0,
        "MessageStream": told.stream or "outbound",
        "Tag": told.campaign,
        "Metadata": dict(told.tags),
    }
