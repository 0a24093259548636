"""A notification as foreign formats look at it: flat, with nothing missing but what nobody knows."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import NAMESPACE_URL, uuid5

from dsn_processor.canonical import bare_id, hashed
from dsn_processor.notify.notification import EventType, Notification
from dsn_processor.terms import BounceType, Reason

#: What became of a recipient, and what a recipient said: all that providers' formats speak of.
DELIVERIES = (EventType.DELIVERY_DELIVERED, EventType.DELIVERY_RELAYED, EventType.DELIVERY_EXPANDED)


class Told(NamedTuple):
    """What happened to ``recipient``, ``at`` when, by what a report says. Texts that nobody knows are "", numbers None.

    ``status`` is the enhanced code (RFC 3463), ``code`` the reply's (RFC 5321 section 4.2), ``text`` its words.
    ``message_id`` has no angle brackets. ``number`` stands for the event where an id has to be a number: 56 bits.
    """

    id: str
    type: EventType
    at: datetime
    recipient: str
    bounce_type: BounceType | None
    reason: Reason | None
    status: str
    code: int | None
    text: str
    message_id: str
    subject: str
    stream: str
    campaign: str
    tags: Mapping[str, str]
    remote_mta: str
    remote_ip: str
    reporting_mta: str
    arrival_date: str
    feedback: Mapping[str, Any]
    mappings: Mapping[str, Any]
    data: Mapping[str, Any]

    @property
    def number(self) -> int:
        return hashed(self.id, 7)

    @property
    def uuid(self) -> str:
        """Always the same for the same notification."""
        return str(uuid5(NAMESPACE_URL, self.id))

    @property
    def unix(self) -> int:
        """Seconds since 1970."""
        return int(self.at.timestamp())

    @property
    def zulu(self) -> str:
        """``at`` as most APIs write it: 2026-11-21T12:00:00.000Z."""
        return zulu(self.at)

    @property
    def description(self) -> str:
        """Why, in words: the server's own where it had any."""
        return self.text or (self.reason.value.replace("_", " ") if self.reason else "")

    @property
    def domain(self) -> str:
        return self.recipient.rpartition("@")[2]


def tell(notification: Notification) -> Told | None:
    """None where the notification is about no recipient of a mail: no provider's format has a word for that."""
    data = notification.data
    address = (data.get("recipient") or {}).get("address")
    if not address:
        return None
    smtp, message = data.get("smtp") or {}, data.get("message") or {}
    bounce_type, reason = data.get("type"), data.get("reason")
    return Told(
        id=notification.id,
        type=notification.type,
        at=notification.at,
        recipient=address,
        bounce_type=BounceType(bounce_type) if bounce_type else None,
        reason=Reason(reason) if reason else None,
        status=data.get("status") or smtp.get("enhanced") or "",
        code=smtp.get("code"),
        text=smtp.get("text") or "",
        message_id=bare_id(message.get("message_id")),
        subject=message.get("subject") or "",
        stream=message.get("stream") or "",
        campaign=message.get("campaign") or "",
        tags=message.get("tags") or {},
        remote_mta=data.get("remote_mta") or "",
        remote_ip=data.get("remote_ip") or "",
        reporting_mta=data.get("reporting_mta") or "",
        arrival_date=data.get("arrival_date") or "",
        feedback=data.get("feedback") or {},
        mappings=data.get("mappings") or {},
        data=data,
    )


def moment(text: str | None, otherwise: datetime) -> datetime:
    """A date of a mail, ISO 8601 by now."""
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        return otherwise
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def zulu(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
