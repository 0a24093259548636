"""SendGrid: an event webhook's list of one. Only a ``bounce`` of type ``bounce`` is taken for the recipient's fault there."""

from typing import Any

from dsn_processor.notify.formats.rendered import Rendered, as_json
from dsn_processor.notify.formats.told import DELIVERIES, Told
from dsn_processor.notify.notification import EventType
from dsn_processor.terms import BounceType, Reason, Scope

_CLASSES = {
    Reason.MAILBOX_FULL: "Mailbox Unavailable",
    Reason.MAILBOX_DISABLED: "Mailbox Unavailable",
    Reason.MAILBOX_ABANDONED: "Mailbox Unavailable",
    Reason.RATE_LIMITED: "Frequency or Volume Too High",
    Reason.RECIPIENT_RATE_LIMITED: "Frequency or Volume Too High",
    Reason.TOO_MANY_RECIPIENTS: "Frequency or Volume Too High",
    Reason.IP_BLOCKLISTED: "Reputation",
    Reason.REPUTATION: "Reputation",
    Reason.SENDER_REJECTED: "Reputation",
    Reason.POLICY: "Reputation",
    Reason.UNDETERMINED: "Unclassified",
}
_BY_SCOPE = {
    Scope.RECIPIENT: "Invalid Addresses",
    Scope.DOMAIN: "Invalid Addresses",
    Scope.MESSAGE: "Content",
}


def render(told: Told) -> Rendered | None:
    event: dict[str, Any]
    if told.type is EventType.BOUNCE_FAILED:
        event = {
            "event": "bounce",
            "type": "bounce" if told.bounce_type is BounceType.HARD else "blocked",
            "reason": told.description,
            "status": told.status,
            "bounce_classification": _classification(told),
        }
    elif told.type is EventType.BOUNCE_DELAYED:
        event = {"event": "deferred", "response": told.description, "attempt": "1"}
    elif told.type in DELIVERIES:
        event = {"event": "delivered", "response": told.text}
    elif told.type is EventType.COMPLAINT_RECEIVED:
        event = {"event": "spamreport"}
    else:
        return None
    common = {
        "email": told.recipient,
        "timestamp": told.unix,
        "sg_event_id": told.id,
        "sg_message_id": told.message_id,
        **({"smtp-id": f"<{told.message_id}>"} if told.message_id else {}),
        **({"category": [told.campaign]} if told.campaign else {}),
    }
    return as_json([{**told.tags, **common, **event}])


def _classification(told: Told) -> str:
    if told.reason in _CLASSES:
        return _CLASSES[told.reason]
    hard = told.bounce_type is BounceType.HARD
    return (
        "Invalid Addresses"
        if hard
        else _BY_SCOPE.get(Scope(told.data.get("scope") or "unknown"), "Technical")
    )
