"""Puts a notification into the words that somebody's handler understands: ours, or those of a mail service.

    rendered = render(Format.POSTMARK, notification, at=now)    # None: that format has no word for it

Pure. What each format looks like: docs/webhook-formats.md.
"""

from base64 import b64encode
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from dsn_processor.notify.formats import (
    brevo,
    listmonk,
    mailgun,
    mailjet,
    own,
    postmark,
    seed,
    sendgrid,
    ses,
    sparkpost,
)
from dsn_processor.notify.formats.rendered import Rendered
from dsn_processor.notify.formats.sample import sample
from dsn_processor.notify.formats.told import tell
from dsn_processor.notify.notification import EventType, Notification

__all__ = ["NOTES", "Format", "Rendered", "authorization", "check_key", "render"]


class Format(StrEnum):
    """Whose words a webhook speaks."""

    OWN = "own"
    SEED = "seed"
    SES = "ses"
    POSTMARK = "postmark"
    SENDGRID = "sendgrid"
    MAILGUN = "mailgun"
    SPARKPOST = "sparkpost"
    MAILJET = "mailjet"
    BREVO = "brevo"
    LISTMONK = "listmonk"


#: What somebody who chooses a format has to know.
NOTES = {
    Format.SES: "bodies have the shape of SNS notifications, and no signature: the handler must not check it",
    Format.MAILGUN: "bodies are signed with the key; the time in the signature is that of the event's recording",
    Format.LISTMONK: "blocks and delays are not sent: listmonk would count them against the subscriber",
}
_PLAIN = {
    Format.SES: ses.render,
    Format.POSTMARK: postmark.render,
    Format.SENDGRID: sendgrid.render,
    Format.SPARKPOST: sparkpost.render,
    Format.MAILJET: mailjet.render,
    Format.BREVO: brevo.render,
    Format.LISTMONK: listmonk.render,
}
_ADDRESS = (EventType.ADDRESS_SUPPRESSED, EventType.ADDRESS_REACTIVATED)


def render(
    format: Format,  # noqa: A002
    notification: Notification,
    *,
    key: str = "",
    at: datetime,
    words: Mapping[str, Any] = MappingProxyType({}),
) -> Rendered | None:
    """The body to post, made ``at``. ``key`` signs it where the format has a signature of its own. ``words`` are templates of
    what to show to a user whose address is dead (notify/people/wording.py). None where the format
    has no word for this: then nothing is to be sent. A test is a sample of a bounce where the format has none.
    """
    if format is Format.OWN:
        return own.render(notification, words)
    if format is Format.SEED:
        return seed.render(notification, words)
    if notification.type is EventType.WEBHOOK_TEST:
        if format is Format.SPARKPOST:
            return sparkpost.PING
        notification = sample(notification)
    if format is Format.POSTMARK and notification.type in _ADDRESS:
        return postmark.render_address(notification)
    if notification.type is EventType.EVENT_RECLASSIFIED:
        return None
    told = tell(notification)
    if told is None:
        return None
    if format is Format.MAILGUN:
        return mailgun.render(told, parted(format, key)[1], at)
    return _PLAIN[format](told)


def check_key(format: Format, key: str) -> None:  # noqa: A002
    """Raises ValueError where the format cannot do with this key."""
    credentials, signing = parted(format, key)
    if format is Format.OWN and key:
        raise ValueError("the own format is signed with the endpoint's secret, and takes no key")
    if format is Format.MAILGUN and not signing:
        raise ValueError("the format mailgun signs with a key: give the one that the handler checks with")
    if credentials and not (":" in credentials and credentials.isascii() and credentials.isprintable()):
        raise ValueError(
            f"the key of {format} is for HTTP basic authentication: write user:password, in ASCII"
        )


def authorization(format: Format, key: str) -> dict[str, str]:  # noqa: A002
    """The headers that let us in where a handler asks who posts (RFC 7617): none without a key."""
    credentials, _ = parted(format, key)
    return {"authorization": f"Basic {b64encode(credentials.encode()).decode()}"} if credentials else {}


def parted(format: Format, key: str) -> tuple[str, str]:  # noqa: A002
    """What a handler lets us in by, "user:password", and what we sign with, each "" where there is none. Mailgun's key signs;
    credentials may stand before it, with a blank between.
    """
    if format is Format.MAILGUN:
        credentials, _, signing = key.rpartition(" ")
        return credentials, signing
    return ("", "") if format is Format.OWN else (key, "")
