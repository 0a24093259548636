"""SparkPost: a list of one event, each under ``msys``. Automatic replies are bounces of a class of their own there."""

from typing import Any

from dsn_processor.notify.formats.rendered import Rendered, as_json
from dsn_processor.notify.formats.told import DELIVERIES, Told
from dsn_processor.notify.notification import EventType

#: What their own test of an endpoint sends.
PING = as_json([{"msys": {}}])


def render(told: Told) -> Rendered | None:
    event: dict[str, Any]
    if told.type in DELIVERIES:
        event = {"type": "delivery", "queue_time": "0"}
    elif told.type is EventType.COMPLAINT_RECEIVED:
        event = {
            "type": "spam_complaint",
            "fbtype": told.feedback.get("feedback_type") or "abuse",
            "report_by": told.reporting_mta or told.domain,
            "report_to": "",
            "user_str": told.feedback.get("user_agent") or "",
        }
    elif named := told.mappings.get("sparkpost"):
        event = {
            "type": "delay" if told.type is EventType.BOUNCE_DELAYED else "bounce",
            "bounce_class": str(named["code"]),
            "error_code": str(told.code or ""),
            "raw_reason": told.description,
            "reason": told.description,
            "num_retries": "0",
        }
    else:
        return None
    return as_json([{"msys": {"message_event": _common(told) | event}}])


def _common(told: Told) -> dict[str, Any]:
    return {
        "event_id": str(told.number),
        "timestamp": str(told.unix),
        "message_id": told.message_id,
        "transmission_id": told.message_id,
        "raw_rcpt_to": told.recipient,
        "rcpt_to": told.recipient,
        "rcpt_meta": dict(told.tags),
        "rcpt_tags": [],
        "rcpt_type": "original",
        "routing_domain": told.domain,
        "campaign_id": told.campaign,
        "subject": told.subject,
        "ip_address": told.remote_ip,
        "customer_id": "0",
        "msg_from": "",
        "friendly_from": "",
        "msg_size": "0",
        "recv_method": "smtp",
        "template_id": "",
        "template_version": "0",
    }
