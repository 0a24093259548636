"""What is told to others: one fact each, in the same words for every receiver. Formats (notify/formats) put it into theirs."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from dsn_processor.terms import Kind


class EventType(StrEnum):
    """What a notification tells. Names are added, never renamed."""

    BOUNCE_FAILED = "bounce.failed"
    BOUNCE_DELAYED = "bounce.delayed"
    DELIVERY_DELIVERED = "delivery.delivered"
    DELIVERY_RELAYED = "delivery.relayed"
    DELIVERY_EXPANDED = "delivery.expanded"
    COMPLAINT_RECEIVED = "complaint.received"
    REPLY_AUTO = "reply.auto"
    ADDRESS_SUPPRESSED = "address.suppressed"
    ADDRESS_PROPOSED = "address.proposed"
    ADDRESS_REACTIVATED = "address.reactivated"
    ADDRESS_AT_RISK = "address.at_risk"
    ADDRESS_RECOVERED = "address.recovered"
    DOMAIN_HELD = "domain.held"
    SENDER_BLOCKED = "sender.blocked"
    REPORT_UNPARSED = "report.unparsed"
    REPORT_QUARANTINED = "report.quarantined"
    EVENT_RECLASSIFIED = "event.reclassified"
    WEBHOOK_TEST = "webhook.test"


#: What the events of a mail are told as, and of a mail that names no recipient what it is told as itself.
OF_KIND = {
    Kind.FAILED: EventType.BOUNCE_FAILED,
    Kind.DELAYED: EventType.BOUNCE_DELAYED,
    Kind.DELIVERED: EventType.DELIVERY_DELIVERED,
    Kind.RELAYED: EventType.DELIVERY_RELAYED,
    Kind.EXPANDED: EventType.DELIVERY_EXPANDED,
    Kind.COMPLAINT: EventType.COMPLAINT_RECEIVED,
    Kind.AUTO_REPLY: EventType.REPLY_AUTO,
    Kind.UNPARSED: EventType.REPORT_UNPARSED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """``id`` ("msg_...") is the same for every receiver and every attempt: who gets it twice can tell. ``at`` is when it
    happened, in UTC. ``address`` is what it is about, canonical: of two with the same, the first is told first; ""
    where it is about none. ``data`` is JSON, as docs/webhooks.md and docs/webhooks.schema.json have it.
    """

    id: str
    type: EventType
    at: datetime
    address: str
    data: Mapping[str, Any]
