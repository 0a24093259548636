"""One flat object, as the simplest handlers take it: ``if (event.event === 'bounced') ...``. All of ``data`` is in it, too."""

from collections.abc import Mapping
from typing import Any

from dsn_processor.canonical import bare_id
from dsn_processor.notify.formats.rendered import Rendered, as_json
from dsn_processor.notify.notification import EventType, Notification
from dsn_processor.notify.people.wording import user_notification

_WORDS = {
    EventType.BOUNCE_FAILED: "bounced",
    EventType.BOUNCE_DELAYED: "delayed",
    EventType.DELIVERY_DELIVERED: "delivered",
    EventType.DELIVERY_RELAYED: "relayed",
    EventType.DELIVERY_EXPANDED: "expanded",
    EventType.COMPLAINT_RECEIVED: "complained",
    EventType.REPLY_AUTO: "replied",
    EventType.ADDRESS_SUPPRESSED: "suppressed",
    EventType.ADDRESS_PROPOSED: "proposed",
    EventType.ADDRESS_REACTIVATED: "reactivated",
    EventType.ADDRESS_AT_RISK: "at_risk",
    EventType.ADDRESS_RECOVERED: "recovered",
    EventType.DOMAIN_HELD: "held",
    EventType.SENDER_BLOCKED: "sender_blocked",
    EventType.REPORT_UNPARSED: "unparsed",
    EventType.REPORT_QUARANTINED: "quarantined",
    EventType.EVENT_RECLASSIFIED: "reclassified",
    EventType.WEBHOOK_TEST: "test",
}


def render(notification: Notification, words: Mapping[str, Any]) -> Rendered:
    data = notification.data
    smtp = data.get("smtp") or {}
    to = (data.get("recipient") or {}).get("address") or notification.address
    code = data.get("status") or smtp.get("enhanced") or smtp.get("code")
    reason = data.get("reason")
    return as_json(
        {
            **data,
            "event": _WORDS[notification.type],
            "id": notification.id,
            "timestamp": notification.at.isoformat(),
            "to": to,
            "bounceType": data.get("type"),
            "bounceCode": None if code is None else str(code),
            "bounceDescription": smtp.get("text") or (reason and str(reason).replace("_", " ")),
            "messageId": bare_id((data.get("message") or {}).get("message_id")) or None,
            "user_notification": user_notification(notification, words),
        }
    )
