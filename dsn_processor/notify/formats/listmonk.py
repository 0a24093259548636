"""listmonk: its bounce webhook, which knows hard, soft and complaint. It counts bounces against the subscriber, so that
blocks and delays are not told: they say nothing of one.
"""

import json
from uuid import UUID

from dsn_processor.notify.formats.rendered import Rendered, as_json
from dsn_processor.notify.formats.told import Told
from dsn_processor.notify.notification import EventType
from dsn_processor.terms import BounceType


def render(told: Told) -> Rendered | None:
    if told.type is EventType.COMPLAINT_RECEIVED:
        type_ = "complaint"
    elif told.type is EventType.BOUNCE_FAILED and told.bounce_type is not BounceType.BLOCK:
        type_ = "hard" if told.bounce_type is BounceType.HARD else "soft"
    else:
        return None
    meta = {
        "id": told.id,
        "reason": told.reason,
        "status": told.status,
        "diagnostic": told.text,
        "message_id": told.message_id,
    }
    return as_json(
        {
            "email": told.recipient,
            **({"campaign_uuid": told.campaign} if _is_uuid(told.campaign) else {}),
            "source": "dsn-processor",
            "type": type_,
            "meta": json.dumps({name: value for name, value in meta.items() if value}),
            "created_at": told.zulu,
        }
    )


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
