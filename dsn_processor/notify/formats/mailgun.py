"""Mailgun: event data with a signature over time and token. The token is the same for the same event, as handlers take it
for the event's id.
"""

import hmac
from datetime import datetime
from hashlib import sha256
from typing import Any

from dsn_processor.notify.formats.rendered import Rendered, as_json
from dsn_processor.notify.formats.told import DELIVERIES, Told
from dsn_processor.notify.notification import EventType
from dsn_processor.terms import BounceType, Reason

_TOKEN = 50  # hexadecimal digits
_REASONS = {
    Reason.GREYLISTED: "greylisted",
    Reason.EXPIRED: "old",
    Reason.SUPPRESSED_UPSTREAM: "suppress-bounce",
}


def render(told: Told, key: str, at: datetime) -> Rendered | None:
    event = _event(told)
    if event is None:
        return None
    timestamp = str(int(at.timestamp()))
    token = sha256(told.id.encode()).hexdigest()[:_TOKEN]
    signature = hmac.new(key.encode(), f"{timestamp}{token}".encode(), sha256).hexdigest()
    common = {
        "id": told.uuid,
        "timestamp": told.at.timestamp(),
        "recipient": told.recipient,
        "recipient-domain": told.domain,
        "message": {
            "headers": {
                "to": told.recipient,
                "from": "",
                "subject": told.subject,
                **({"message-id": told.message_id} if told.message_id else {}),
            },
            "attachments": [],
            "size": 0,
        },
        "envelope": {"transport": "smtp", "sender": "", "targets": told.recipient},
        "flags": {
            "is-authenticated": True,
            "is-routed": False,
            "is-system-test": False,
            "is-test-mode": False,
        },
        "tags": [told.campaign] if told.campaign else [],
        "campaigns": [],
        "user-variables": dict(told.tags),
    }
    return as_json(
        {
            "signature": {"timestamp": timestamp, "token": token, "signature": signature},
            "event-data": common | event,
        }
    )


def _event(told: Told) -> dict[str, Any] | None:
    if told.type is EventType.BOUNCE_FAILED:
        return {
            "event": "failed",
            "severity": "permanent",
            "log-level": "error",
            "reason": _reason(told),
            "delivery-status": _status(told),
        }
    if told.type is EventType.BOUNCE_DELAYED:
        return {
            "event": "failed",
            "severity": "temporary",
            "log-level": "warn",
            "reason": "greylisted" if told.reason is Reason.GREYLISTED else "generic",
            "delivery-status": _status(told),
        }
    if told.type in DELIVERIES:
        return {"event": "delivered", "log-level": "info", "delivery-status": _status(told)}
    if told.type is EventType.COMPLAINT_RECEIVED:
        return {"event": "complained", "log-level": "warn"}
    return None


def _reason(told: Told) -> str:
    if told.reason in _REASONS:
        return _REASONS[told.reason]
    if told.bounce_type is BounceType.HARD:
        return "bounce"
    return "espblock" if told.bounce_type is BounceType.BLOCK else "generic"


def _status(told: Told) -> dict[str, Any]:
    return {
        "code": told.code or _class(told),
        "enhanced-code": told.status,
        "message": told.text,
        "description": "" if told.text else told.description,
        "mx-host": told.remote_mta,
        "attempt-no": 1,
        "session-seconds": 0.0,
        **(
            {"bounce-type": told.bounce_type.value}
            if told.bounce_type in {BounceType.HARD, BounceType.SOFT}
            else {}
        ),
    }


def _class(told: Told) -> int:
    """A reply code by the class of the enhanced one, where no reply is told."""
    return {"2": 250, "4": 450, "5": 550}.get(told.status[:1], 250 if told.type in DELIVERIES else 550)
