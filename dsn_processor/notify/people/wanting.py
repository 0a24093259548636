"""What people want to hear, and when. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from dsn_processor.notify.notification import EventType, Notification

_HOUR, _DAY = 3_600, 86_400


class Occasion(NamedTuple):
    """Types of events, and of bounces where only some count."""

    types: tuple[EventType, ...]
    bounce_types: tuple[str, ...] = ()


#: What an operator writes -> what is meant.
OCCASIONS = {
    "hard_bounce": Occasion((EventType.BOUNCE_FAILED,), ("hard",)),
    "soft_bounce": Occasion((EventType.BOUNCE_FAILED,), ("soft",)),
    "block": Occasion((EventType.BOUNCE_FAILED, EventType.BOUNCE_DELAYED), ("block",)),
    "undetermined": Occasion((EventType.BOUNCE_FAILED,), ("undetermined",)),
    "delayed": Occasion((EventType.BOUNCE_DELAYED,)),
    "complaint": Occasion((EventType.COMPLAINT_RECEIVED,)),
    "suppressed": Occasion((EventType.ADDRESS_SUPPRESSED,)),
    "proposed": Occasion((EventType.ADDRESS_PROPOSED,)),
    "at_risk": Occasion((EventType.ADDRESS_AT_RISK,)),
    "reactivated": Occasion((EventType.ADDRESS_REACTIVATED, EventType.ADDRESS_RECOVERED)),
    "held": Occasion((EventType.DOMAIN_HELD,)),
    "sender_blocked": Occasion((EventType.SENDER_BLOCKED,)),
    "quarantine": Occasion((EventType.REPORT_UNPARSED, EventType.REPORT_QUARANTINED)),
}


def types_on(occasions: Iterable[str]) -> tuple[EventType, ...]:
    """The types of events that the occasions are made of, in order."""
    return tuple(dict.fromkeys(type_ for one in occasions for type_ in OCCASIONS[one].types))


def occasion_of(notification: Notification, among: Iterable[str]) -> str | None:
    """The first of these that it is; None where it is none of them."""
    bounce_type = notification.data.get("type")
    for name in among:
        occasion = OCCASIONS.get(name)
        if occasion is None or notification.type not in occasion.types:
            continue
        if not occasion.bounce_types or bounce_type in occasion.bounce_types:
            return name
    return None


def wanted(filters: Mapping[str, Any], notification: Notification) -> bool:
    """Whether those who wrote these filters want to hear it. A test everybody hears. What has no reason, stream or tag passes
    no filter of these, but for what is about no mail at all.
    """
    if notification.type is EventType.WEBHOOK_TEST:
        return True
    if occasion_of(notification, filters.get("on", ())) is None:
        return False
    data = notification.data
    message = data.get("message")
    reasons, streams, tags = (filters.get(name, ()) for name in ("reasons", "streams", "tags"))
    if reasons and "reason" in data and data["reason"] not in reasons:
        return False
    if message is None:
        return True
    if streams and message.get("stream") not in streams:
        return False
    return not tags or any(_tagged(message, tag) for tag in tags)


def due_at(filters: Mapping[str, Any], notification: Notification, now: float) -> float:
    """When to tell what is known ``now``, both in seconds since 1970: with the next digest; without one, and a test, at once."""
    match notification.type is not EventType.WEBHOOK_TEST and filters.get("digest"):
        case "hourly":
            return (now // _HOUR + 1) * _HOUR
        case "daily":
            offset = float(filters.get("digest_hour", 0)) * _HOUR
            return ((now - offset) // _DAY + 1) * _DAY + offset
        case _:
            return now


def _tagged(message: Mapping[str, Any], tag: str) -> bool:
    name, equals, value = tag.partition("=")
    tags = message.get("tags") or {}
    return name in tags and (not equals or str(tags[name]) == value)
