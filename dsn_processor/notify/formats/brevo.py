"""Brevo: one event of a transactional webhook. ``blocked`` is an address that Brevo itself refuses to write to; a sender who
is refused is a soft bounce there.
"""

import json
from typing import Any

from dsn_processor.notify.formats.rendered import Rendered, as_json
from dsn_processor.notify.formats.told import DELIVERIES, Told
from dsn_processor.notify.notification import EventType
from dsn_processor.terms import BounceType, Reason


def render(told: Told) -> Rendered | None:
    event = _event(told)
    if event is None:
        return None
    body: dict[str, Any] = {
        "event": event,
        "email": told.recipient,
        "id": told.number,
        "date": f"{told.at:%Y-%m-%d %H:%M:%S}",
        "ts": told.unix,
        "ts_event": told.unix,
        "ts_epoch": int(told.at.timestamp() * 1000),
        "message-id": f"<{told.message_id}>" if told.message_id else "",
        "subject": told.subject,
        "tag": told.campaign,
        "tags": [told.campaign] if told.campaign else [],
        "template_id": 0,
    }
    if told.type not in DELIVERIES and told.type is not EventType.COMPLAINT_RECEIVED:
        body["reason"] = told.description
    if told.tags:
        body["X-Mailin-custom"] = json.dumps(dict(told.tags))
    return as_json(body)


def _event(told: Told) -> str | None:
    if told.type is EventType.BOUNCE_FAILED:
        if told.reason is Reason.RECIPIENT_SYNTAX:
            return "invalid_email"
        return "hard_bounce" if told.bounce_type is BounceType.HARD else "soft_bounce"
    if told.type in DELIVERIES:
        return "delivered"
    return {EventType.BOUNCE_DELAYED: "deferred", EventType.COMPLAINT_RECEIVED: "spam"}.get(told.type)
