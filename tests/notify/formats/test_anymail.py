"""The webhook views of django-anymail, which thousands of applications run, receive ours as they receive the providers'."""

import asyncio
import json
from datetime import UTC

import pytest
from notify.delivery import add, options
from notify.formats.samples import AT, MESSAGE_ID, NOW, RECIPIENT, SAMPLES
from notify.sink import Sink

from dsn_processor.bulk import take
from dsn_processor.canonical import reference
from dsn_processor.facts import InboundMessage
from dsn_processor.notify.formats import Format, authorization, render
from dsn_processor.record.store import Store
from dsn_processor.server.webhooks import Webhooks

CREDENTIALS = "hooks:let-me-in"
SIGNING_KEY = "mailgun-signing-key"
KEYS = {Format.MAILGUN: f"{CREDENTIALS} {SIGNING_KEY}"}
PATHS = {
    Format.SES: "/amazon_ses/tracking/",
    Format.POSTMARK: "/postmark/tracking/",
    Format.SENDGRID: "/sendgrid/tracking/",
    Format.MAILGUN: "/mailgun/tracking/",
    Format.SPARKPOST: "/sparkpost/tracking/",
    Format.MAILJET: "/mailjet/tracking/",
    Format.BREVO: "/brevo/tracking/",
}
#: What an application hears: the event and the reason of a rejection. None: the provider has no word for it, so that
#: nothing is sent. SES tells no reason but "bounced" and no delay that anymail knows; SendGrid tells none at all.
EXPECTED = {
    "hard": {
        Format.SES: ("bounced", "bounced"),
        Format.POSTMARK: ("bounced", "bounced"),
        Format.SENDGRID: ("bounced", None),
        Format.MAILGUN: ("bounced", "bounced"),
        Format.SPARKPOST: ("bounced", "invalid"),
        Format.MAILJET: ("bounced", "bounced"),
        Format.BREVO: ("bounced", "bounced"),
    },
    "invalid": {
        Format.SES: ("bounced", "bounced"),
        Format.POSTMARK: ("rejected", "invalid"),
        Format.SENDGRID: ("bounced", None),
        Format.MAILGUN: ("bounced", "bounced"),
        Format.SPARKPOST: ("bounced", "invalid"),
        Format.MAILJET: ("bounced", "bounced"),
        Format.BREVO: ("bounced", "invalid"),
    },
    "soft": {
        Format.SES: ("bounced", "bounced"),
        Format.POSTMARK: ("bounced", "bounced"),
        Format.SENDGRID: ("bounced", None),
        Format.MAILGUN: ("bounced", "other"),
        Format.SPARKPOST: ("bounced", "bounced"),
        Format.MAILJET: ("bounced", "bounced"),
        Format.BREVO: ("bounced", "bounced"),
    },
    "expired": {
        Format.SES: ("bounced", "bounced"),
        Format.POSTMARK: ("bounced", "bounced"),
        Format.SENDGRID: ("bounced", None),
        Format.MAILGUN: ("bounced", "other"),
        Format.SPARKPOST: ("bounced", "timed_out"),
        Format.MAILJET: ("bounced", "other"),
        Format.BREVO: ("bounced", "bounced"),
    },
    "block": {
        Format.SES: ("bounced", "bounced"),
        Format.POSTMARK: ("rejected", "blocked"),
        Format.SENDGRID: ("bounced", None),
        Format.MAILGUN: ("bounced", "other"),
        Format.SPARKPOST: ("bounced", "spam"),
        Format.MAILJET: ("bounced", "blocked"),
        Format.BREVO: ("bounced", "bounced"),
    },
    "delayed": {
        Format.SES: ("unknown", None),
        Format.POSTMARK: ("deferred", None),
        Format.SENDGRID: ("deferred", None),
        Format.MAILGUN: ("deferred", "other"),
        Format.SPARKPOST: ("deferred", "bounced"),
        Format.MAILJET: ("deferred", "other"),
        Format.BREVO: ("deferred", None),
    },
    "delivered": dict.fromkeys(PATHS, ("delivered", None)),
    "relayed": dict.fromkeys(PATHS, ("delivered", None)),
    "complaint": {
        Format.SES: ("complained", "spam"),
        Format.POSTMARK: ("complained", "spam"),
        Format.SENDGRID: ("complained", None),
        Format.MAILGUN: ("complained", None),
        Format.SPARKPOST: ("complained", None),
        Format.MAILJET: ("complained", None),
        Format.BREVO: ("complained", "spam"),
    },
    "auto-reply": {
        Format.SES: ("bounced", "bounced"),
        Format.POSTMARK: ("autoresponded", None),
        Format.SENDGRID: None,
        Format.MAILGUN: None,
        Format.SPARKPOST: ("autoresponded", "other"),
        Format.MAILJET: None,
        Format.BREVO: None,
    },
    "suppressed": dict.fromkeys(PATHS) | {Format.POSTMARK: ("bounced", "bounced")},
    "complained": dict.fromkeys(PATHS) | {Format.POSTMARK: ("complained", "spam")},
    "reactivated": dict.fromkeys(PATHS) | {Format.POSTMARK: ("subscribed", None)},
}
MESSAGE_IDS = {
    Format.SENDGRID: f"<{MESSAGE_ID}>",
    Format.MAILGUN: f"<{MESSAGE_ID}>",
    Format.BREVO: f"<{MESSAGE_ID}>",
    Format.MAILJET: str(reference(MESSAGE_ID)),
}
#: Some of them write whole seconds.
WHOLE = {Format.SENDGRID, Format.SPARKPOST, Format.MAILJET}
#: django-anymail warns of every provider whose tests it no longer runs against the real one.
pytestmark = pytest.mark.filterwarnings("ignore:django-anymail has dropped official support for SendGrid")


@pytest.fixture(scope="session")
def application():
    """A Django project that has django-anymail's URLs. Yields a client, and the list of what its handler was told."""
    from django.conf import settings

    settings.configure(
        ALLOWED_HOSTS=["*"],
        ANYMAIL={"WEBHOOK_SECRET": CREDENTIALS, "MAILGUN_WEBHOOK_SIGNING_KEY": SIGNING_KEY},
        LOGGING_CONFIG=None,
        ROOT_URLCONF="anymail.urls",
        SECRET_KEY="none",
        USE_TZ=True,
    )
    import django

    django.setup()
    from anymail.signals import tracking
    from anymail.webhooks import amazon_ses
    from django.test import Client

    # What an SES view would need to fetch inbound mail from S3, and asks for before it knows whether it has to.
    amazon_ses._get_anymail_boto3_params = lambda kwargs: ({}, {})
    heard = []

    def handler(sender, event, esp_name, **kwargs):
        heard.append(event)

    tracking.connect(handler)
    yield Client(raise_request_exception=False), heard
    tracking.disconnect(handler)


def post(client, form, rendered, key=""):
    key = key or KEYS.get(form, CREDENTIALS)
    headers = {**rendered.headers, **authorization(form, key)}
    return client.post(PATHS[form], rendered.body, content_type=rendered.content_type, headers=headers)


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.parametrize("form", PATHS)
def test_a_handler_hears_what_happened(application, form, name):
    client, heard = application
    heard.clear()
    rendered = render(form, SAMPLES[name], key=KEYS.get(form, ""), at=NOW)
    expected = EXPECTED[name][form]
    if expected is None:
        assert rendered is None
        return
    assert post(client, form, rendered).status_code == 200
    [event] = heard
    assert (event.event_type, event.reject_reason) == expected
    assert event.recipient == RECIPIENT
    about_address = "recipient" not in SAMPLES[name].data
    assert event.message_id == ("" if about_address else MESSAGE_IDS.get(form, MESSAGE_ID))
    assert event.timestamp.astimezone(UTC) == (AT.replace(microsecond=0) if form in WHOLE else AT)


@pytest.mark.parametrize("form", PATHS)
def test_what_a_send_was_tagged_with_comes_back(application, form):
    client, heard = application
    heard.clear()
    post(client, form, render(form, SAMPLES["hard"], key=KEYS.get(form, ""), at=NOW))
    [event] = heard
    assert event.tags == ["welcome"]
    if form is not Format.SES:  # it has them, but anymail looks for its own header
        assert event.metadata.items() >= {"user": "17", "plan": "pro"}.items()


@pytest.mark.parametrize("form", PATHS)
def test_a_test_is_a_bounce_of_nobody(application, form):
    client, heard = application
    heard.clear()
    assert (
        post(client, form, render(form, SAMPLES["test"], key=KEYS.get(form, ""), at=NOW)).status_code == 200
    )
    if form is Format.SPARKPOST:
        assert not heard  # its own test is an empty event
    else:
        assert [event.recipient for event in heard] == ["bounce-test@example.com"]


@pytest.mark.parametrize("form", PATHS)
def test_a_handler_lets_nobody_else_in(application, form):
    client, heard = application
    heard.clear()
    wrong = f"wrong:password {SIGNING_KEY}" if form is Format.MAILGUN else "wrong:password"
    rendered = render(form, SAMPLES["hard"], key=KEYS.get(form, ""), at=NOW)
    assert post(client, form, rendered, wrong).status_code == 400
    assert not heard


def test_mailgun_signs_with_the_key(application):
    client, heard = application
    heard.clear()
    rendered = render(Format.MAILGUN, SAMPLES["hard"], key=f"{CREDENTIALS} another-key", at=NOW)
    assert post(client, Format.MAILGUN, rendered).status_code == 400
    assert not heard
    first, again = (
        json.loads(render(Format.MAILGUN, SAMPLES["hard"], key=KEYS[Format.MAILGUN], at=NOW).body)[
            "signature"
        ]
        for _ in range(2)
    )
    assert first == again  # handlers refuse a second use of a token: the same event has the same
    other = json.loads(render(Format.MAILGUN, SAMPLES["soft"], key=KEYS[Format.MAILGUN], at=NOW).body)
    assert other["signature"]["token"] != first["token"]


def test_a_mail_reaches_the_handlers_as_it_is_delivered(application, url, write_dsn):
    """From the mail by way of the outbox and HTTP: what a sink got, headers included, is what the views take."""
    client, heard = application

    async def deliver(store):
        async def call(function):
            return function(store)

        async with Sink() as sink:
            for form, path in PATHS.items():
                key = KEYS.get(form, CREDENTIALS)
                where = {
                    "url": f"http://127.0.0.1:{sink.port}{path}",
                    "format": form.value,
                    "key": key,
                }
                add(store, sink, name=form.value, events=["bounce.*"], **where)
            take(store, [InboundMessage(write_dsn(number=1, returned_id=f"<{MESSAGE_ID}>"), "one.eml")])
            await Webhooks(call, lambda: options(sink), tuple).once()
            return sink.got

    with Store.open(url) as store:
        got = asyncio.run(deliver(store))
    assert {one.target for one in got} == set(PATHS.values())
    for one in got:
        heard.clear()
        sent = {name: value for name, value in one.headers.items() if name != "content-type"}
        answer = client.post(one.target, one.body, content_type=one.headers["content-type"], headers=sent)
        assert answer.status_code == 200
        [event] = heard
        form = next(form for form, path in PATHS.items() if path == one.target)
        assert event.message_id == MESSAGE_IDS.get(form, MESSAGE_ID)
        assert event.event_type == "bounced"
        assert event.recipient.endswith("@example.net")
        assert client.post(one.target, one.body, content_type=one.headers["content-type"]).status_code in {
            400,
            401,
        }
