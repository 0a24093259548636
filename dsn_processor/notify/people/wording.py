"""What people read of one notification. Pure; the words are templates that an operator may replace."""

import re
from collections.abc import Mapping
from string import Template
from typing import Any

from dsn_processor.canonical import bare_id
from dsn_processor.notify.notification import EventType, Notification
from dsn_processor.safe import safe

#: What a template may name.
NAMES = (
    "email",
    "domain",
    "event",
    "type",
    "reason",
    "status",
    "code",
    "description",
    "message_id",
    "subject",
    "stream",
    "campaign",
    "remote_mta",
    "ip",
    "list",
    "url",
    "mail_id",
    "at",
)
#: What an application shows to the user whose address has failed.
USER_TYPE = "email_delivery_failed"
USER_MESSAGE = "We couldn't deliver emails to ${email}. Please update your email address."
USER_ACTION = "/settings/email"
_OF_MANY = (EventType.DOMAIN_HELD, EventType.SENDER_BLOCKED)  # about no address: told by their subject
_COUNTED = ("suppress", "strike")  # what a bounce did about its address, where it did anything


class Words(Template):
    """A text with ``${names}``. Only these: a price like $5 is none."""

    idpattern = None  # type: ignore[assignment]
    braceidpattern = r"[A-Za-z_][A-Za-z0-9_]*"
    flags = re.ASCII


def check(text: str, names: tuple[str, ...] = NAMES) -> None:
    """Raises ValueError where a template names what there is not."""
    named = re.findall(r"(?<!\$)(?:\$\$)*\$\{([^}]*)\}", text)
    for name in named:
        if name not in names:
            raise ValueError(f"${{{name}}} stands for nothing: there are {', '.join(names)}")
    if not Words(text).is_valid():
        raise ValueError("a $ has to be the beginning of a ${name}: write $$ for a $ of its own")


def fill(text: str, notification: Notification, more: Mapping[str, str] | None = None) -> str:
    """The template with what is known; what is not is left out. ``more`` are further names."""
    return Words(text).safe_substitute({**values(notification), **(more or {})})


def values(notification: Notification) -> dict[str, str]:
    """What the names stand for, safe to be shown on one line."""
    data = notification.data
    smtp, message = data.get("smtp") or {}, data.get("message") or {}
    block = data.get("block") or {}
    subject = data.get("subject") if notification.type in _OF_MANY else None
    email = (data.get("recipient") or {}).get("address") or notification.address or subject
    reason = data.get("reason")
    found = {
        "email": email,
        "domain": email and email.rpartition("@")[2],
        "event": notification.type.value,
        "type": data.get("type"),
        "reason": reason and str(reason).replace("_", " "),
        "status": data.get("status") or smtp.get("enhanced"),
        "code": smtp.get("code"),
        "description": smtp.get("text"),
        "message_id": bare_id(message.get("message_id")),
        "subject": message.get("subject") or data.get("subject"),
        "stream": message.get("stream"),
        "campaign": message.get("campaign"),
        "remote_mta": data.get("remote_mta"),
        "ip": block.get("ip"),
        "list": block.get("list"),
        "url": block.get("url"),
        "mail_id": data.get("mail_id"),
        "at": f"{notification.at:%Y-%m-%d %H:%M} UTC",
    }
    return {name: "" if value is None else safe(value) for name, value in found.items()}


def user_notification(notification: Notification, words: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What to show to the user whose address is dead; None for anything else: a full mailbox is no reason to ask for another
    address, and a report that did not count against it may be forged. ``words`` may have templates, ``user_message`` and
    ``user_action``.
    """
    data = notification.data
    counted = (data.get("policy") or {}).get("action") in _COUNTED
    failed = notification.type is EventType.BOUNCE_FAILED and counted
    dead = failed and (data.get("type") == "hard" or data.get("exhausted"))
    suppressed = notification.type is EventType.ADDRESS_SUPPRESSED and data.get("kind") == "bounce"
    if not (dead or suppressed):
        return None
    return {
        "type": USER_TYPE,
        "message": fill(words.get("user_message") or USER_MESSAGE, notification),
        "action": fill(words.get("user_action") or USER_ACTION, notification),
    }
