"""Notifications as the program makes them, one of each thing that can be told of a recipient."""

from datetime import UTC, datetime

from dsn_processor.facts import (
    Block,
    Correlation,
    Evidence,
    FeedbackReport,
    ParsedMessage,
    RecipientReport,
    ReturnedMessage,
    Verdict,
)
from dsn_processor.notify.describing import Decision, Report, address_data, event_data
from dsn_processor.notify.notification import OF_KIND, EventType, Notification
from dsn_processor.record.entries import NewEvent
from dsn_processor.terms import REASONS, Action, BounceType, Kind, Match, Reason, Trust

AT = datetime(2026, 11, 20, 9, 30, 15, 250_000, UTC)
NOW = datetime(2026, 11, 20, 9, 30, 20, tzinfo=UTC)
RECIPIENT = "ann@example.net"
MESSAGE_ID = "2026.1120.093000@mail.example.com"

_REPLIES = {
    Reason.USER_UNKNOWN: (
        "5.1.1",
        550,
        "550 5.1.1 <ann@example.net>: Recipient address rejected: User unknown",
    ),
    Reason.RECIPIENT_SYNTAX: ("5.1.3", 553, "553 5.1.3 <ann@example.net>: Invalid address"),
    Reason.MAILBOX_FULL: ("5.2.2", 552, "552 5.2.2 Mailbox full"),
    Reason.EXPIRED: ("4.4.7", None, "4.4.7 Message expired"),
    Reason.GREYLISTED: ("4.2.0", 450, "450 4.2.0 Greylisted, try again later"),
    Reason.IP_BLOCKLISTED: (
        "5.7.1",
        554,
        (
            "554 5.7.1 Service unavailable; Client host [192.0.2.25] blocked using zen.spamhaus.org; "
            "https://check.spamhaus.org/query/ip/192.0.2.25"
        ),
    ),
    Reason.SPAM_CONTENT: ("5.7.1", 550, "550 5.7.1 Message content rejected as spam"),
}
LISTED = Block(
    ip="192.0.2.25",
    list="zen.spamhaus.org",
    url="https://check.spamhaus.org/query/ip/192.0.2.25",
    mechanism="dnsbl",
)


def bounce(
    reason=Reason.USER_UNKNOWN,
    bounce_type=None,
    *,
    kind=Kind.FAILED,
    address=RECIPIENT,
    block=None,
    number=1,
    tags=(("user", "17"), ("plan", "pro")),
):
    status, code, text = _REPLIES[reason]
    bounce_type = bounce_type or REASONS[reason][0]
    verdict = Verdict(
        bounce_type,
        reason,
        REASONS[reason][1],
        0.97,
        "rule",
        (Evidence("diagnostic_code", text),),
        block=block,
    )
    recipient = RecipientReport(
        address,
        action=Action(kind.value),
        status=status,
        reply_code=code,
        diagnostic_code=text,
        remote_mta="mx.example.net",
    )
    return notification(kind, recipient, verdict, number=number, tags=tags)


def delivery(kind=Kind.DELIVERED):
    recipient = RecipientReport(
        RECIPIENT,
        action=Action(kind.value),
        status="2.0.0",
        reply_code=250,
        diagnostic_code="250 2.0.0 Ok: queued as 4XyZ",
        remote_mta="mx.example.net",
    )
    return notification(kind, recipient, None)


def complaint():
    return notification(
        Kind.COMPLAINT,
        RecipientReport(RECIPIENT, action=None),
        None,
        feedback=FeedbackReport("abuse", user_agent="ExampleFBL/1.0", source_ip="192.0.2.25"),
    )


def auto_reply():
    return notification(Kind.AUTO_REPLY, RecipientReport(RECIPIENT, action=None), None)


def suppressed(type_=EventType.ADDRESS_SUPPRESSED, kind="bounce"):
    row = {"kind": kind, "reason": "user_unknown", "cause": "e1", "at": AT, "until": None, "tier": 0}
    state = {"deliverability": "undeliverable", "strikes": 1.0}
    data = address_data(RECIPIENT, state, row if type_ is EventType.ADDRESS_SUPPRESSED else None, "active")
    return Notification(id="msg_sample_address", type=type_, at=AT, address=RECIPIENT, data=data)


def test_():
    return Notification(
        id="msg_sample_test", type=EventType.WEBHOOK_TEST, at=AT, address="", data={"name": "app"}
    )


def notification(
    kind, recipient, verdict, *, feedback=None, number=1, tags=(("user", "17"), ("plan", "pro"))
):
    hard = kind is Kind.FAILED and verdict is not None and verdict.bounce_type is BounceType.HARD
    decision = Decision("suppress", 1.0) if hard else Decision()
    event = NewEvent(
        identity=f"event-{number}",
        kind=kind,
        canonical=recipient.address,
        occurred_at=AT,
        recipient=recipient,
        verdict=verdict,
        correlation=Correlation(
            Trust.MATCHED,
            Match.MESSAGE_ID,
            recipient.address,
            MESSAGE_ID,
            stream="transactional",
            campaign="welcome",
            tags=tags,
        ),
    )
    parsed = ParsedMessage(
        kind,
        date="2026-11-20T09:30:15+00:00",
        reporting_mta="mail.example.com",
        arrival_date="2026-11-20T09:30:00+00:00",
        returned_message=ReturnedMessage(message_id=f"<{MESSAGE_ID}>", subject="Welcome"),
        feedback=feedback,
    )
    return Notification(
        id=f"msg_{kind.value}_{verdict.reason.value if verdict else 0}_{number}",
        type=OF_KIND[kind],
        at=AT,
        address=recipient.address,
        data=event_data(event, Report(17, parsed), decision),
    )


#: name -> notification: what docs/webhook-formats.md shows, and what the tests send.
SAMPLES = {
    "hard": bounce(),
    "invalid": bounce(Reason.RECIPIENT_SYNTAX),
    "soft": bounce(Reason.MAILBOX_FULL),
    "expired": bounce(Reason.EXPIRED),
    "block": bounce(Reason.IP_BLOCKLISTED, block=LISTED),
    "content": bounce(Reason.SPAM_CONTENT),
    "unproved hard on 4xx": bounce(Reason.USER_UNKNOWN, BounceType.SOFT),
    "delayed": bounce(Reason.GREYLISTED, kind=Kind.DELAYED),
    "delayed full": bounce(Reason.MAILBOX_FULL, kind=Kind.DELAYED),
    "delivered": delivery(),
    "relayed": delivery(Kind.RELAYED),
    "complaint": complaint(),
    "auto-reply": auto_reply(),
    "suppressed": suppressed(),
    "complained": suppressed(kind="complaint"),
    "reactivated": suppressed(EventType.ADDRESS_REACTIVATED),
    "test": test_(),
}
