"""Messages on their way: gathered, retried, their URLs unseen. Apprise itself posts to a receiver on loopback."""

import asyncio
import json
import logging

import pytest
from notify.formats.samples import NOW, SAMPLES, bounce
from notify.sink import Reply, Sink

from dsn_processor import pipeline
from dsn_processor.bulk import take
from dsn_processor.facts import Envelope, InboundMessage
from dsn_processor.notify.attempts import Due
from dsn_processor.notify.endpoints import Endpoint, EndpointKind
from dsn_processor.notify.formats import Format, render
from dsn_processor.notify.options import WebhookOptions
from dsn_processor.notify.people.options import NotifyOptions
from dsn_processor.notify.people.sending import PeopleSender, Post, post
from dsn_processor.record.deliveries import DeliveryFilter
from dsn_processor.record.store import Store
from dsn_processor.server.webhooks import Webhooks
from dsn_processor.terms import MessageState

#: Apprise loads all its plugins, and one of them asks for what Python will have no more.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
ENDPOINT = Endpoint(id=1, name="notify.team", kind=EndpointKind.PEOPLE, url="", format="own")
URLS = ("json://user:hunter2@127.0.0.1:9/a", "json://user:hunter2@127.0.0.1:9/b")


def due(number, notification):
    body = render(Format.OWN, notification, at=NOW).body
    return Due(number, 1, notification.id, notification.type.value, "", 0, body, "application/json", {})


def sender(posted, refusing=(), **changes):
    options = NotifyOptions(**{"name": "team", "urls": URLS[:1], **changes})

    def fake(one: Post):
        posted.append((one.url, one.message))
        return f"{one.place} is down" if one.url in refusing else ""

    return PeopleSender(lambda: {"notify.team": options}, fake, gather_seconds=0.05)


def tell(people, dues, endpoint=ENDPOINT):
    async def together():
        return await asyncio.gather(*(people.send(endpoint, one) for one in dues))

    return asyncio.run(together())


def test_what_is_due_at_once_is_one_message():
    posted = []
    dues = [due(number, bounce(number=number, address=f"u{number}@example.net")) for number in range(200)]
    answers = tell(sender(posted), dues)
    assert {answer.status for answer in answers} == {200}
    [(_, message)] = posted
    assert message.title == "200 hard bounces"


def test_only_what_was_not_reached_is_tried_again():
    posted, refusing = [], {URLS[1]}
    people = sender(posted, refusing, urls=URLS)
    [answer] = tell(people, [due(1, SAMPLES["hard"])])
    assert (answer.status, answer.error) == (None, "URL 2 of notify.team is down")
    refusing.clear()
    first, second = tell(people, [due(1, SAMPLES["hard"]), due(2, SAMPLES["complaint"])])
    assert (first.status, second.status) == (200, 200)
    assert [(url, message.title) for url, message in posted] == [
        (URLS[0], "Hard bounce: ann@example.net"),
        (URLS[1], "Hard bounce: ann@example.net"),
        (URLS[0], "Complaint: ann@example.net"),
        (URLS[1], "1 hard bounce, 1 complaint"),
    ]


def test_what_cannot_be_told_is_an_answer(tmp_path):
    [gone] = tell(PeopleSender(dict, gather_seconds=0.01), [due(1, SAMPLES["hard"])])
    assert gone.error == "no [[notify]] is called 'notify.team' any more"
    [unread] = tell(sender([], urls=(), urls_file=str(tmp_path / "none")), [due(1, SAMPLES["hard"])])
    assert "cannot be read" in unread.error

    def broken(_):
        raise RuntimeError(URLS[0])

    people = PeopleSender(
        lambda: {"notify.team": NotifyOptions(name="team", urls=URLS)}, broken, gather_seconds=0.01
    )
    answers = tell(people, [due(1, SAMPLES["hard"]), due(2, SAMPLES["soft"])])
    assert {answer.error for answer in answers} == {"fault of ours: RuntimeError"}


@pytest.fixture
def store(url):
    with Store.open(url) as opened:
        yield opened


def deliver(store, people, times=1):
    """Deliver what is due, as a server would."""

    async def call(function):
        return function(store)

    async def run():
        webhooks = Webhooks(call, WebhookOptions, lambda: people)
        await webhooks.know_people()
        await webhooks.once()

    for _ in range(times):
        asyncio.run(run())


def rows(store):
    return list(store.outbox.deliveries(DeliveryFilter()))


def test_people_are_told_by_way_of_the_outbox(store, write_dsn, monkeypatch, caplog):
    """From the mail to the service and back, with one that refuses first; what it costs to import Apprise is paid once."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr("dsn_processor.notify.attempts.DELAYS", (0.0,) * 9)
    refusals = [Reply(500), Reply(200)]

    async def answer(_):
        return refusals.pop(0) if refusals else Reply(200)

    async def run():
        async with Sink(answer) as sink:
            url = f"json://user:hunter2@127.0.0.1:{sink.port}/hook?cto=30&rto=30"
            people = [
                NotifyOptions(name="team", urls=(url,)),
                NotifyOptions(name="boss", urls=(url,), on=("complaint",)),
                NotifyOptions(name="later", urls=(url,), digest="daily"),
            ]

            await asyncio.to_thread(deliver, store, people)
            raws = [write_dsn(number=number, returned_id=f"<sent-{number}@example.com>") for number in (1, 2)]
            take(store, [InboundMessage(raw, "smtp:1", Envelope("", ("b@example.com",))) for raw in raws])
            with store.transaction():
                store.set_state(next(store.message_ids()), MessageState.QUARANTINED, "ValueError: x")
            await asyncio.to_thread(deliver, store, people, times=3)
            return [json.loads(one.body) for one in sink.got], people

    got, _people = asyncio.run(run())
    assert [one["title"] for one in got[:2]] == ["2 hard bounces, 1 mail for a person"] * 2
    assert len(got) == 2
    assert "ValueError: x" in got[1]["message"]
    team = [row for row in rows(store) if row.endpoint == "notify.team"]
    assert {(row.state, row.attempts, row.address) for row in team} == {("delivered", 2, "")}
    later = [row for row in rows(store) if row.endpoint == "notify.later"]
    assert {row.state for row in later} == {"pending"}
    assert len({row.next_at for row in later}) == 1
    assert later[0].next_at % 86_400 == 8 * 3600
    assert not [row for row in rows(store) if row.endpoint == "notify.boss"]
    assert "hunter2" not in caplog.text
    assert "hunter2" not in "".join(row.error for row in rows(store))
    with store.transaction():
        store.outbox.know_people({}, 0.0)
    assert not rows(store)  # who is told no more has nothing waiting


def test_a_url_that_apprise_does_not_know_is_told_by_its_place(caplog):
    caplog.set_level(logging.DEBUG)
    from dsn_processor.notify.people.composing import Message

    assert (
        post(Post("nosuch://user:hunter2@host", "URL 1 of notify.team", Message("t", "b")))
        == "URL 1 of notify.team is no URL that Apprise understands"
    )
    assert "hunter2" not in caplog.text


def test_filters_follow_the_settings_and_webhooks_keep_their_names(store):
    with store.transaction():
        assert store.outbox.know_people({"notify.a": NotifyOptions(name="a", urls=URLS).filters}, 0.0) == []
    [before] = store.outbox.endpoints().values()
    filters = NotifyOptions(name="a", urls=URLS, on=("held",), digest="hourly").filters
    with store.transaction():
        store.outbox.know_people({"notify.a": filters}, 0.0)
    [after] = store.outbox.endpoints().values()
    assert after.id == before.id
    assert (after.filters, after.events) == (filters, ("domain.held",))
    from dsn_processor import webhooks
    from dsn_processor.errors import UsageError

    for deed in ("remove", "rotate"):
        with pytest.raises(UsageError, match=r"is a \[\[notify\]\] of the configuration"):
            webhooks.do(store, {"do": deed, "name": "notify.a", "grace": 0}, WebhookOptions())
    words = {
        "url": "https://app.example.com/hook",
        "name": "notify.b",
        "format": "own",
        "key": "",
        "events": [],
    }
    webhooks.do(store, {"do": "add", **words}, WebhookOptions())
    with store.transaction():
        assert store.outbox.know_people({"notify.b": filters}, 0.0) == ["notify.b"]
    assert [one.kind for one in store.outbox.endpoints().values()] == [EndpointKind.WEBHOOK]


def test_a_mail_put_aside_is_told_whichever_way_it_was(store, write_dsn):
    options = NotifyOptions(name="team", urls=URLS, on=("quarantine",))
    with store.transaction():
        store.outbox.know_people({"notify.team": options.filters}, 0.0)
    from dsn_processor.bulk import commit, put_aside
    from dsn_processor.pipeline import Unread

    raw = write_dsn(number=1)
    commit(store, [put_aside(Unread(InboundMessage(raw, "a.eml"), "one", NOW), "ValueError: a fault")])
    accepted = pipeline.accept(store, InboundMessage(write_dsn(number=2), "b.eml"))
    with store.transaction():
        store.set_state(accepted.id, MessageState.QUARANTINED, "its bytes are gone")
    told = [json.loads(store.outbox.body(row.id)) for row in reversed(rows(store))]
    assert [one["type"] for one in told] == ["report.quarantined"] * 2
    assert [one["data"]["error"] for one in told] == ["ValueError: a fault", "its bytes are gone"]


def test_an_endpoint_has_words_of_its_own_for_its_users(store, write_dsn):
    from dsn_processor import webhooks
    from dsn_processor.errors import UsageError

    deed = {
        "do": "add",
        "url": "https://app.example.com/hook",
        "name": "app",
        "format": "own",
        "key": "",
        "events": [],
    }
    with pytest.raises(UsageError, match="stands for nothing"):
        webhooks.do(store, {**deed, "user_message": "${who} is dead"}, WebhookOptions())
    webhooks.do(store, {**deed, "user_message": "${email} is dead"}, WebhookOptions())
    take(store, [InboundMessage(write_dsn(number=1), "one.eml")])
    [row] = [row for row in rows(store) if row.type == "bounce.failed"]
    assert json.loads(store.outbox.body(row.id))["data"]["user_notification"] == {
        "type": "email_delivery_failed",
        "message": f"{row.address} is dead",
        "action": "/settings/email",
    }
