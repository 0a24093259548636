"""Mailjet: one event of its event API. Its number of a message is ours, made of the Message-ID; that itself is the CustomID."""

import json
from typing import Any

from dsn_processor.canonical import reference
from dsn_processor.notify.formats.rendered import Rendered, as_json
from dsn_processor.notify.formats.told import DELIVERIES, Told
from dsn_processor.notify.notification import EventType
from dsn_processor.terms import BounceType, Reason

# What an error is about there, and which it is.
_ERRORS = {
    Reason.USER_UNKNOWN: ("recipient", "user unknown"),
    Reason.MAILBOX_MOVED: ("recipient", "user unknown"),
    Reason.OWNER_CHANGED: ("recipient", "user unknown"),
    Reason.RECIPIENT_SYNTAX: ("recipient", "user unknown"),
    Reason.RECIPIENT_REJECTED: ("recipient", "user unknown"),
    Reason.MAILBOX_DISABLED: ("recipient", "mailbox inactive"),
    Reason.MAILBOX_ABANDONED: ("recipient", "mailbox inactive"),
    Reason.MAILBOX_FULL: ("recipient", "quota exceeded"),
    Reason.SUPPRESSED_UPSTREAM: ("recipient", "blacklisted"),
    Reason.DOMAIN_NOT_FOUND: ("domain", "invalid domain"),
    Reason.DOMAIN_NULL_MX: ("domain", "no mail host"),
    Reason.RELAY_DENIED: ("domain", "relay/access denied"),
    Reason.GREYLISTED: ("domain", "greylisted"),
    Reason.SPAM_CONTENT: ("spam", "content blocked"),
    Reason.VIRUS: ("spam", "content blocked"),
    Reason.PROHIBITED_ATTACHMENT: ("spam", "content blocked"),
    Reason.CONTENT_FORMAT: ("spam", "content blocked"),
    Reason.IP_BLOCKLISTED: ("spam", "sender blocked"),
    Reason.REPUTATION: ("spam", "sender blocked"),
    Reason.SENDER_REJECTED: ("spam", "sender blocked"),
    Reason.AUTH_FAILED: ("spam", "sender blocked"),
    Reason.PTR_MISSING: ("spam", "sender blocked"),
    Reason.NETWORK_ERROR: ("system", "connection issue"),
    Reason.DNS_FAILURE: ("system", "connection issue"),
    Reason.SERVER_UNAVAILABLE: ("system", "connection issue"),
    Reason.EXPIRED: ("system", "connection issue"),
    Reason.PROTOCOL_ERROR: ("system", "protocol issue"),
}


def render(told: Told) -> Rendered | None:
    event: dict[str, Any]
    if told.type is EventType.BOUNCE_FAILED:
        hard = told.bounce_type is BounceType.HARD
        event = {"event": "bounce", "blocked": hard, "hard_bounce": hard, **_error(told)}
    elif told.type is EventType.BOUNCE_DELAYED and told.reason is Reason.GREYLISTED:
        event = {"event": "bounce", "blocked": False, "hard_bounce": False, **_error(told)}
    elif told.type in DELIVERIES:
        event = {"event": "sent", "smtp_reply": told.text}
    elif told.type is EventType.COMPLAINT_RECEIVED:
        event = {"event": "spam", "source": told.feedback.get("user_agent") or told.reporting_mta}
    else:
        return None
    return as_json(
        {
            "time": told.unix,
            "MessageID": reference(told.message_id),
            "Message_GUID": told.uuid,
            "email": told.recipient,
            "mj_campaign_id": 0,
            "mj_contact_id": 0,
            "customcampaign": told.campaign,
            "CustomID": told.message_id,
            "Payload": json.dumps(dict(told.tags)) if told.tags else "",
            **event,
        }
    )


def _error(told: Told) -> dict[str, str]:
    otherwise = (
        ("spam", "policy issue") if told.bounce_type is BounceType.BLOCK else ("system", "system issue")
    )
    about, error = _ERRORS.get(told.reason or Reason.UNDETERMINED, otherwise)
    return {"error_related_to": about, "error": error, "comment": told.description}
