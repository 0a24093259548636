import hmac
import json
from hashlib import sha256
from pathlib import Path

import pytest
from notify.formats.samples import AT, MESSAGE_ID, NOW, RECIPIENT, SAMPLES, bounce, delivery, notification

from dsn_processor.canonical import reference
from dsn_processor.notify.formats import NOTES, Format, authorization, check_key, render
from dsn_processor.notify.notification import EventType, Notification
from dsn_processor.terms import BounceType, Kind, Reason

FOREIGN = [one for one in Format if one not in {Format.OWN, Format.SEED}]
DOCS = Path(__file__).parents[3] / "docs" / "webhook-formats.md"


def body(form, notification, key=""):
    rendered = render(form, notification, key=key, at=NOW)
    return None if rendered is None else json.loads(rendered.body)


def test_own_format_is_type_timestamp_and_data():
    sample = SAMPLES["hard"]
    assert body(Format.OWN, sample) == {
        "type": "bounce.failed",
        "timestamp": AT.isoformat(),
        "data": sample.data,
    }


def test_the_seed_handler_finds_its_names():
    told = body(Format.SEED, SAMPLES["hard"])
    assert told["event"] == "bounced"
    assert told["to"] == RECIPIENT
    assert (told["bounceType"], told["bounceCode"]) == ("hard", "5.1.1")
    assert told["bounceDescription"].startswith("550 5.1.1 <ann@example.net>")
    assert told["messageId"] == MESSAGE_ID
    assert SAMPLES["hard"].data.items() <= told.items()
    assert told["user_notification"] == {
        "type": "email_delivery_failed",
        "message": f"We couldn't deliver emails to {RECIPIENT}. Please update your email address.",
        "action": "/settings/email",
    }


@pytest.mark.parametrize("name", ["soft", "block", "complaint", "delayed", "delivered"])
def test_no_user_is_asked_for_another_address_without_need(name):
    assert body(Format.SEED, SAMPLES[name])["user_notification"] is None


@pytest.mark.parametrize("type_", EventType)
def test_every_type_has_a_word_in_our_formats(type_):
    told = Notification(id="msg_1", type=type_, at=AT, address="", data={})
    assert body(Format.OWN, told)["type"] == type_
    assert body(Format.SEED, told)["event"]


@pytest.mark.parametrize("form", FOREIGN)
def test_providers_have_no_word_for_what_is_about_no_recipient(form):
    for type_ in (
        EventType.DOMAIN_HELD,
        EventType.SENDER_BLOCKED,
        EventType.REPORT_UNPARSED,
        EventType.ADDRESS_AT_RISK,
    ):
        data = {"recipient": {"address": None}, "subject": "example.net", "addresses": 30}
        assert (
            render(form, Notification(id="msg_1", type=type_, at=AT, address="", data=data), at=NOW) is None
        )


@pytest.mark.parametrize("form", FOREIGN)
def test_what_is_read_otherwise_later_is_told_in_our_formats_alone(form):
    sample = SAMPLES["hard"]
    again = Notification(
        id=sample.id, type=EventType.EVENT_RECLASSIFIED, at=AT, address=RECIPIENT, data=sample.data
    )
    assert render(form, again, key="k", at=NOW) is None
    assert body(Format.OWN, again)["type"] == "event.reclassified"


@pytest.mark.parametrize("form", Format)
@pytest.mark.parametrize("kind", [Kind.FAILED, Kind.DELAYED])
def test_every_reason_and_type_can_be_told(form, kind):
    """No combination is missing in a table."""
    for reason in Reason:
        for bounce_type in BounceType:
            sample = bounce(kind=kind)
            told = notification_of(sample, reason, bounce_type, kind)
            rendered = render(form, told, key="k", at=NOW)
            if rendered is not None:
                json.loads(rendered.body)


def notification_of(sample, reason, bounce_type, kind):
    from dsn_processor.mapping import map_reason

    data = {
        **sample.data,
        "reason": reason.value,
        "type": bounce_type.value,
        "mappings": map_reason(reason, bounce_type, kind),
    }
    return Notification(id=sample.id, type=sample.type, at=AT, address=RECIPIENT, data=data)


@pytest.mark.parametrize("form", Format)
def test_a_report_without_any_detail_can_be_told(form):
    from dsn_processor.facts import RecipientReport, Verdict
    from dsn_processor.terms import REASONS

    verdict = Verdict(
        BounceType.UNDETERMINED, Reason.UNDETERMINED, REASONS[Reason.UNDETERMINED][1], 0.1, "none"
    )
    bare = notification(Kind.FAILED, RecipientReport(RECIPIENT), verdict, tags=())
    assert RECIPIENT in render(form, bare, key="k", at=NOW).body.decode()


@pytest.mark.parametrize("form", Format)
def test_bytes_that_were_no_text_are_told_all_the_same(form):
    sample = bounce()
    smtp = {**sample.data["smtp"], "text": "550 5.1.1 caf\udce9 unbekannt"}
    told = Notification(
        id=sample.id, type=sample.type, at=AT, address=RECIPIENT, data={**sample.data, "smtp": smtp}
    )
    assert b"unbekannt" in render(form, told, key="k", at=NOW).body


@pytest.mark.parametrize("form", Format)
def test_the_same_notification_makes_the_same_bytes(form):
    assert render(form, bounce(), key="k", at=NOW) == render(form, bounce(), key="k", at=NOW)


def test_a_refused_sender_is_nobodys_hard_bounce():
    """What handlers take for the recipient's fault is not sent of a block."""
    block = SAMPLES["block"]
    assert json.loads(body(Format.SES, block)["Message"])["bounce"]["bounceType"] == "Transient"
    assert body(Format.POSTMARK, block)["Type"] == "Blocked"
    assert body(Format.POSTMARK, block)["Inactive"] is False
    assert body(Format.SENDGRID, block)[0]["type"] == "blocked"
    assert body(Format.MAILGUN, block, "k")["event-data"]["reason"] == "espblock"
    assert body(Format.SPARKPOST, block)[0]["msys"]["message_event"]["bounce_class"] == "51"
    assert body(Format.MAILJET, block)["hard_bounce"] is False
    assert body(Format.MAILJET, block)["blocked"] is False
    assert body(Format.BREVO, block)["event"] == "soft_bounce"
    assert body(Format.LISTMONK, block) is None


def test_a_delay_is_of_the_type_that_ses_publishes():
    told = json.loads(body(Format.SES, SAMPLES["delayed full"])["Message"])
    assert told["eventType"] == "DeliveryDelay"
    assert "notificationType" not in told
    assert told["deliveryDelay"]["delayType"] == "MailboxFull"
    assert told["deliveryDelay"]["delayedRecipients"][0]["emailAddress"] == RECIPIENT


def test_ses_names_itself_as_sns_does():
    rendered = render(Format.SES, SAMPLES["hard"], at=NOW)
    told = json.loads(rendered.body)
    assert rendered.headers["x-amz-sns-message-type"] == told["Type"] == "Notification"
    assert rendered.headers["x-amz-sns-message-id"] == told["MessageId"]
    assert rendered.headers["x-amz-sns-topic-arn"] == told["TopicArn"]
    assert told["Signature"] == ""
    assert "no signature" in NOTES[Format.SES]
    inner = json.loads(told["Message"])
    assert inner["bounce"]["bounceSubType"] == "NoEmail"
    assert inner["bounce"]["bouncedRecipients"] == [
        {
            "emailAddress": RECIPIENT,
            "status": "5.1.1",
            "diagnosticCode": "smtp; 550 5.1.1 <ann@example.net>: Recipient address rejected: User unknown",
            "action": "failed",
        }
    ]
    assert inner["mail"]["commonHeaders"]["messageId"] == f"<{MESSAGE_ID}>"


def test_mailgun_signature_is_hmac_over_time_and_token():
    told = body(Format.MAILGUN, SAMPLES["hard"], "secret")["signature"]
    assert told["timestamp"] == str(int(NOW.timestamp()))
    assert len(told["token"]) == 50
    expected = hmac.new(b"secret", (told["timestamp"] + told["token"]).encode(), sha256).hexdigest()
    assert told["signature"] == expected


def test_mailjet_has_a_number_and_the_message_id_as_custom_id():
    told = body(Format.MAILJET, SAMPLES["hard"])
    assert told["MessageID"] == reference(MESSAGE_ID)
    assert told["MessageID"] < 2**63
    assert told["CustomID"] == MESSAGE_ID


@pytest.mark.parametrize(
    "name, type_",
    [("hard", "hard"), ("soft", "soft"), ("unproved hard on 4xx", "soft"), ("complaint", "complaint")],
)
def test_listmonk_gets_its_fields(name, type_):
    told = body(Format.LISTMONK, SAMPLES[name])
    assert (told["email"], told["type"], told["source"]) == (RECIPIENT, type_, "dsn-processor")
    assert json.loads(told["meta"])["message_id"] == MESSAGE_ID  # an object as text, as its documents have it
    assert "campaign_uuid" not in told


def test_listmonk_is_told_the_campaign_by_its_uuid():
    sample, uuid = SAMPLES["hard"], "9f86b50d-5711-41c8-ab03-bc91c43d711b"
    data = {**sample.data, "message": {**sample.data["message"], "campaign": uuid}}
    told = Notification(id="msg_1", type=sample.type, at=AT, address=RECIPIENT, data=data)
    assert body(Format.LISTMONK, told)["campaign_uuid"] == uuid


@pytest.mark.parametrize("name", ["delayed", "delivered", "auto-reply", "block", "suppressed"])
def test_listmonk_counts_nothing_else_against_a_subscriber(name):
    assert body(Format.LISTMONK, SAMPLES[name]) is None


def test_a_delivery_is_no_bounce_anywhere():
    for form in FOREIGN:
        rendered = render(form, delivery(), key="k", at=NOW)
        assert rendered is None or b"ounce" not in rendered.body


def test_a_key_is_what_the_format_needs():
    with pytest.raises(ValueError, match="mailgun signs with a key"):
        check_key(Format.MAILGUN, "")
    with pytest.raises(ValueError, match="takes no key"):
        check_key(Format.OWN, "x")
    with pytest.raises(ValueError, match="user:password"):
        check_key(Format.POSTMARK, "secret")
    with pytest.raises(ValueError, match="user:password"):
        check_key(Format.MAILGUN, "secret key")
    for form, key in [
        (Format.OWN, ""),
        (Format.MAILGUN, "key"),
        (Format.MAILGUN, "user:pass word key"),
        (Format.SES, ""),
        (Format.BREVO, "user:password"),
    ]:
        check_key(form, key)


def test_credentials_are_http_basic():
    assert authorization(Format.POSTMARK, "user:password") == {"authorization": "Basic dXNlcjpwYXNzd29yZA=="}
    assert authorization(Format.MAILGUN, "user:password key") == {
        "authorization": "Basic dXNlcjpwYXNzd29yZA=="
    }
    assert authorization(Format.MAILGUN, "key") == {}
    assert authorization(Format.OWN, "") == {}


SHOWN = {
    Format.OWN: ("hard",),
    Format.SEED: ("hard",),
    Format.SES: ("hard", "delayed full", "complaint", "delivered"),
    Format.POSTMARK: ("hard", "complaint", "delivered", "suppressed"),
    Format.SENDGRID: ("hard", "block", "delayed", "delivered", "complaint"),
    Format.MAILGUN: ("hard", "delayed"),
    Format.SPARKPOST: ("block", "auto-reply"),
    Format.MAILJET: ("hard", "delivered"),
    Format.BREVO: ("hard", "block"),
    Format.LISTMONK: ("hard",),
}


def shown(form, name):
    """A sample as docs/webhook-formats.md has it."""
    rendered = render(form, SAMPLES[name], key="key-of-the-handler" if form is Format.MAILGUN else "", at=NOW)
    lines = [f"{header}: {value}" for header, value in rendered.headers.items()]
    text = json.dumps(json.loads(rendered.body), indent=2, ensure_ascii=False)
    return f"```json\n{text}\n```" + ("\n\nwith " + ", ".join(f"`{line}`" for line in lines) if lines else "")


@pytest.mark.parametrize("form, name", [(form, name) for form in Format for name in SHOWN[form]])
def test_docs_show_what_is_sent(form, name):
    assert shown(form, name) in DOCS.read_text(), f"write this into {DOCS.name}:\n\n{shown(form, name)}"


def test_docs_say_what_to_know():
    text = " ".join(DOCS.read_text().split())
    assert all(note[1:] in text for note in NOTES.values())
    assert all(f"`{form}`" in text for form in Format)


def test_no_user_is_shown_what_may_be_forged():
    sample = SAMPLES["hard"]
    for action, shown in (
        ("suppress", True),
        ("strike", True),
        ("propose", False),
        ("hold", False),
        ("none", False),
    ):
        data = {**sample.data, "policy": {**sample.data["policy"], "action": action}}
        told = Notification(id=sample.id, type=sample.type, at=AT, address=RECIPIENT, data=data)
        assert bool(body(Format.SEED, told)["user_notification"]) is shown


WORDS = {"user_message": "${email} is dead (${reason}).", "user_action": "/account/${campaign}"}


def test_what_a_user_is_shown_is_the_operators():
    shown = {
        "type": "email_delivery_failed",
        "message": "ann@example.net is dead (user unknown).",
        "action": "/account/welcome",
    }
    seed = render(Format.SEED, SAMPLES["hard"], at=NOW, words=WORDS)
    assert json.loads(seed.body)["user_notification"] == shown
    own = json.loads(render(Format.OWN, SAMPLES["hard"], at=NOW, words=WORDS).body)
    assert own["data"] == {**SAMPLES["hard"].data, "user_notification": shown}
    for name in ("soft", "block", "complaint"):
        assert (
            json.loads(render(Format.OWN, SAMPLES[name], at=NOW, words=WORDS).body)["data"]
            == SAMPLES[name].data
        )
