"""What a format that has no word for a test sends instead: a bounce of an address that is nobody's."""

from dataclasses import replace
from typing import Any

from dsn_processor.mapping import map_reason
from dsn_processor.notify.notification import EventType, Notification
from dsn_processor.terms import BounceType, Reason, Scope

ADDRESS = "bounce-test@example.com"


def sample(test: Notification) -> Notification:
    """The test as a bounce."""
    return replace(test, type=EventType.BOUNCE_FAILED, address=ADDRESS, data=_data())


def _data() -> dict[str, Any]:
    reason, bounce_type = Reason.USER_UNKNOWN, BounceType.HARD
    return {
        "type": bounce_type.value,
        "reason": reason.value,
        "scope": Scope.RECIPIENT.value,
        "recipient": {"address": ADDRESS, "original": None, "final": ADDRESS},
        "status": "5.1.1",
        "smtp": {
            "code": 550,
            "enhanced": "5.1.1",
            "text": f"550 5.1.1 <{ADDRESS}>: User unknown (this is a test)",
        },
        "reporting_mta": "mta.example.com",
        "message": {"message_id": "test@example.com", "tags": {}, "subject": "Test"},
        "mappings": map_reason(reason, bounce_type),
    }
