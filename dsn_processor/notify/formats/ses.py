"""Amazon SES by way of SNS: a notification envelope around SES's own JSON, as text. Not signed: that can be done by
Amazon's keys alone.
"""

from typing import Any

from dsn_processor.notify.formats.rendered import Rendered, as_json, dump
from dsn_processor.notify.formats.told import DELIVERIES, Told, moment, zulu
from dsn_processor.notify.notification import EventType

#: In place of a topic's name: the account of twelve zeros is nobody's.
TOPIC = "arn:aws:sns:us-east-1:000000000000:dsn-processor"


def render(told: Told) -> Rendered | None:
    message = _message(told)
    if message is None:
        return None
    envelope = {
        "Type": "Notification",
        "MessageId": told.uuid,
        "TopicArn": TOPIC,
        "Message": dump(message).decode(),
        "Timestamp": told.zulu,
        "SignatureVersion": "1",
        "Signature": "",
        "SigningCertURL": "",
        "UnsubscribeURL": "",
    }
    headers = {
        "x-amz-sns-message-type": "Notification",
        "x-amz-sns-message-id": told.uuid,
        "x-amz-sns-topic-arn": TOPIC,
    }
    return as_json(envelope, content_type="text/plain; charset=UTF-8", headers=headers)


def _message(told: Told) -> dict[str, Any] | None:
    ses = told.mappings.get("ses") or {}
    match ses.get("event"):
        case "Bounce":
            event, inner = "Bounce", _bounce(told, ses)
        case "DeliveryDelay":
            event, inner = "DeliveryDelay", _delay(told, ses)
        case "Complaint":
            event, inner = "Complaint", _complaint(told, ses)
        case "Delivery" if told.type in DELIVERIES:
            event, inner = "Delivery", _delivery(told)
        case _:
            return None
    # Feedback notifications have the one name, published events the other; a handler looks for its own.
    names = {"eventType": event} | ({} if event == "DeliveryDelay" else {"notificationType": event})
    return {**names, event[0].lower() + event[1:]: inner, "mail": _mail(told)}


def _bounce(told: Told, ses: dict[str, Any]) -> dict[str, Any]:
    failed = told.type is EventType.BOUNCE_FAILED
    return {
        "bounceType": ses["type"],
        "bounceSubType": ses["subtype"],
        "bouncedRecipients": [_recipient(told) | ({"action": "failed"} if failed else {})],
        "timestamp": told.zulu,
        "feedbackId": told.uuid,
        **_mtas(told),
    }


def _delay(told: Told, ses: dict[str, Any]) -> dict[str, Any]:
    until = told.data.get("will_retry_until")
    return {
        "timestamp": told.zulu,
        "delayType": ses["type"],
        **({"expirationTime": zulu(moment(until, told.at))} if until else {}),
        "delayedRecipients": [_recipient(told)],
        **_mtas(told),
    }


def _complaint(told: Told, ses: dict[str, Any]) -> dict[str, Any]:
    return {
        "complainedRecipients": [{"emailAddress": told.recipient}],
        "timestamp": told.zulu,
        "feedbackId": told.uuid,
        "complaintSubType": None,
        "complaintFeedbackType": ses["type"],
        "userAgent": told.feedback.get("user_agent") or "",
        "arrivalDate": zulu(moment(told.feedback.get("arrival_date"), told.at)),
    }


def _delivery(told: Told) -> dict[str, Any]:
    return {
        "timestamp": told.zulu,
        "processingTimeMillis": 0,
        "recipients": [told.recipient],
        "smtpResponse": told.text,
        **_mtas(told),
    }


def _recipient(told: Told) -> dict[str, str]:
    shown = {"emailAddress": told.recipient}
    if told.status:
        shown["status"] = told.status
    if told.text:
        shown["diagnosticCode"] = f"smtp; {told.text}"
    return shown


def _mtas(told: Told) -> dict[str, str]:
    return ({"remoteMtaIp": told.remote_ip} if told.remote_ip else {}) | (
        {"reportingMTA": f"dns; {told.reporting_mta}"} if told.reporting_mta else {}
    )


def _mail(told: Told) -> dict[str, Any]:
    """Of the mail that was sent there is left what the report gives back of it."""
    message_id = f"<{told.message_id}>" if told.message_id else ""
    named = {"Message-ID": message_id, "Subject": told.subject, "To": told.recipient}
    return {
        "timestamp": zulu(moment(told.arrival_date, told.at)),
        "messageId": told.message_id,
        "source": "",
        "destination": [told.recipient],
        "headersTruncated": False,
        "headers": [{"name": name, "value": value} for name, value in named.items() if value]
        + ([{"name": "X-Tag", "value": told.campaign}] if told.campaign else []),
        "commonHeaders": {"to": [told.recipient], "messageId": message_id, "subject": told.subject},
        "tags": {name: [value] for name, value in told.tags.items()}
        | ({"campaign": [told.campaign]} if told.campaign else {}),
    }
