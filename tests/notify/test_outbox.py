"""The outbox: written with what it tells, once, in words that the published schema has."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jsonschema
import pytest
from sqlalchemy import text

from dsn_processor import pipeline, webhooks
from dsn_processor.bulk import take
from dsn_processor.facts import Envelope, InboundMessage, Send
from dsn_processor.notify import formats
from dsn_processor.notify.endpoints import types_of
from dsn_processor.notify.notification import EventType
from dsn_processor.notify.options import WebhookOptions
from dsn_processor.notify.people.options import NotifyOptions
from dsn_processor.policy.modes import Ruling
from dsn_processor.policy.options import PolicyOptions
from dsn_processor.reclassify import reclassify
from dsn_processor.record import endpoints, waves
from dsn_processor.record.deliveries import DeliveryFilter
from dsn_processor.record.standing import By
from dsn_processor.record.store import Store
from dsn_processor.terms import Act, MessageState, SuppressionKind

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
ANN = By("ann", "asked")
FULL = "452 4.2.2 The email account that you tried to reach is over quota"
SCHEMA = jsonschema.Draft202012Validator(json.loads((ROOT / "docs/webhooks.schema.json").read_text("utf-8")))


def add(store, name="app", events=(), words="own", key=""):
    deed = {"do": "add", "url": "https://app.example.com/hook", "name": name, "format": words, "key": key}
    return webhooks.do(store, {**deed, "events": list(events)}, WebhookOptions())


@pytest.fixture
def store(url):
    with Store.open(url) as opened:
        opened.addresses.ruling = Ruling(PolicyOptions(mode="open"))
        yield opened


@pytest.fixture
def mail(write_dsn):
    def write(number=1, **kwargs):
        kwargs.setdefault("returned_id", f"<sent-{number}@example.com>")
        kwargs.setdefault("diagnostic", "550 5.1.1 User unknown")
        raw = write_dsn(number=number, **kwargs)
        return InboundMessage(raw, f"smtp:{number}", Envelope("", ("bounces@example.com",)))

    return write


def told(store, endpoint="app"):
    """What lies in the outbox, oldest first, each body valid by the schema."""
    found = []
    for row in reversed(list(store.outbox.deliveries(DeliveryFilter(endpoint=endpoint)))):
        body = json.loads(store.outbox.body(row.id))
        SCHEMA.validate(body)
        assert set(body["data"]) <= properties(row.type)
        assert body["type"] == row.type
        found.append((row.type, row.address, body["data"]))
    return found


def properties(name):
    """The keys that the schema has for a type."""

    def of(part):
        if "$ref" in part:
            return of(SCHEMA.schema["$defs"][part["$ref"].rpartition("/")[2]])
        inner = [of(one) for key in ("allOf", "anyOf") for one in part.get(key, [])]
        return set(part.get("properties", {})).union(*inner)

    return of(SCHEMA.schema["$defs"][name]["properties"]["data"])


def types(store, endpoint="app"):
    return [type_ for type_, _, _ in told(store, endpoint)]


def test_the_schema_has_every_type():
    named = {part["$ref"].rpartition("/")[2] for part in SCHEMA.schema["oneOf"]}
    assert named == {type_.value for type_ in EventType}


def test_every_type_is_told_of_in_the_document():
    document = (ROOT / "docs/webhooks.md").read_text("utf-8")
    assert all(f"`{type_.value}`" in document for type_ in EventType)


def test_a_bounce_tells_the_event_and_then_what_it_meant(store, mail):
    add(store)
    take(store, [mail()])
    (first, address, bounce), (second, same, suppressed) = told(store)
    assert (first, second, address, same) == (
        "bounce.failed",
        "address.suppressed",
        "bob@example.net",
        "bob@example.net",
    )
    assert bounce["recipient"] == {"address": "bob@example.net", "original": None, "final": "bob@example.net"}
    assert (bounce["type"], bounce["reason"], bounce["advice"]) == (
        "hard",
        "user_unknown",
        "verify_or_remove",
    )
    assert bounce["policy"]["action"] == "suppress"
    assert bounce["smtp"]["code"] == 550
    assert bounce["smtp"]["enhanced"] == "5.1.1"
    assert bounce["message"]["message_id"] == "sent-1@example.com"
    assert bounce["mappings"]["postmark"] == {"code": 1, "name": "HardBounce"}
    assert (suppressed["event_id"], suppressed["kind"], suppressed["standing"]) == (
        bounce["event_id"],
        "bounce",
        "active",
    )


def test_every_fixture_tells_what_the_schema_has(store):
    add(store)
    paths = sorted((ROOT / "fixtures_eml").rglob("*.eml"))[::5]
    take(store, [InboundMessage(path.read_bytes(), path.name) for path in paths])
    found = told(store)
    assert {
        EventType.BOUNCE_FAILED,
        EventType.BOUNCE_DELAYED,
        EventType.COMPLAINT_RECEIVED,
        EventType.ADDRESS_SUPPRESSED,
    } <= {type_ for type_, _, _ in found}
    assert max(len(store.outbox.body(row.id)) for row in store.outbox.deliveries(DeliveryFilter())) < 20_000


def test_a_body_stays_small_whatever_a_mail_says(store, mail):
    add(store)
    take(store, [mail(diagnostic="550 5.1.1 user unknown " + "ü" * 90_000)])
    assert all(len(store.outbox.body(row.id)) < 20_000 for row in store.outbox.deliveries(DeliveryFilter()))


def test_the_same_again_tells_nothing(store, mail):
    add(store)
    mails = [mail(1), mail(2, status="4.2.2", diagnostic=FULL)]
    take(store, mails)
    before = told(store)
    take(store, mails)  # the same mails
    take(store, [mail(3, returned_id="<sent-1@example.com>")])  # another mail that tells the same
    list(reclassify(store, apply=True))
    with store.transaction():
        store.addresses.rebuild(ANN)
    assert told(store) == before


def test_both_ways_of_a_mail_tell_the_same(url, tmp_path, mail):
    found = []
    for name in ("a", "b"):
        with Store.open(f"sqlite:///{tmp_path}/{name}.db") as store:
            store.addresses.ruling = Ruling(PolicyOptions(mode="open"))
            add(store)
            if name == "a":
                take(store, [mail()])
            else:
                accepted = pipeline.accept(store, mail())
                pipeline.process(store, accepted.id)
            found.append(
                [row.message_id for row in store.outbox.deliveries(DeliveryFilter())][-1:]
                + [type_ for type_, _, _ in told(store)]
            )
    assert found[0] == found[1]


def test_nothing_is_written_or_noted_where_nobody_wants_it(store, mail):
    add(store, events=["complaint.received"])
    take(store, [mail()])
    assert told(store) == []
    with store._connection.begin():
        assert not store._connection.execute(text("SELECT name FROM sqlite_temp_master")).all()
    add(store, "other", events=["address.*"])
    take(store, [mail(2, recipient="ann@example.net")])
    assert types(store, "other") == ["address.suppressed"]
    assert types(store) == []


def test_what_comes_to_nothing_tells_nothing(store, mail):
    add(store)

    def undone(step):
        with store.transaction():
            step()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        undone(lambda: store.addresses.act(Act.ADD, ["bob@example.net"], ANN, kind=SuppressionKind.MANUAL))
    assert told(store) == []
    with pytest.raises(RuntimeError):
        undone(lambda: store.outbox.change(lambda connection: endpoints.remove(connection, 1)))
    take(store, [mail()])
    assert types(store) == ["bounce.failed", "address.suppressed"]


def test_people_act(store, mail):
    add(store, events=["address.*"])
    take(store, [mail(1)])
    for act, kind in (
        (Act.ADD, SuppressionKind.MANUAL),
        (Act.REMOVE, SuppressionKind.BOUNCE),
        (Act.REMOVE, None),
    ):
        with store.transaction():
            store.addresses.act(act, ["bob@example.net"], ANN, kind=kind)
    found = told(store)
    assert [(type_, data["kind"], data["author"]) for type_, _, data in found] == [
        ("address.suppressed", "bounce", "policy"),
        ("address.suppressed", "manual", "ann"),
        ("address.reactivated", "manual", "ann"),  # not before both were gone
    ]


def test_strikes_come_and_go(store, mail):
    add(store, events=["address.*", "bounce.*"])
    take(store, [mail(1, status="4.2.2", diagnostic=FULL)])
    delivered = Send("sent-9@example.com", "bob@example.net", NOW, delivered_at=NOW + timedelta(days=1))
    with store.transaction():
        store.add_deliveries([delivered])
    found = told(store)
    assert [type_ for type_, _, _ in found] == ["bounce.failed", "address.at_risk", "address.recovered"]
    policy = found[0][2]["policy"]
    assert (policy["action"], found[0][2]["exhausted"], bool(policy["next_retry_at"])) == (
        "strike",
        False,
        True,
    )
    assert found[0][2]["advice"] == "wait_and_retry"
    assert found[1][2]["strikes"] > 0


def test_what_is_only_observed_is_proposed(store, mail):
    store.addresses.ruling = Ruling(PolicyOptions(mode="observe"))
    add(store)
    take(store, [mail()])
    (_, _, bounce), (proposed, _, data) = told(store)
    assert (bounce["policy"]["action"], proposed, data["standing"]) == (
        "propose",
        "address.proposed",
        "proposed",
    )
    with store.transaction():
        store.addresses.act(Act.ACCEPT, ["bob@example.net"], ANN)
    assert types(store)[2:] == ["address.suppressed"]


def test_a_wave_is_told_with_what_it_takes_back(store, mail):
    store.addresses.ruling = Ruling(PolicyOptions(mode="open", wave_least=3, wave_share=0.0))
    add(store, events=["address.*", "domain.held"])
    for number in range(5):
        take(store, [mail(number, recipient=f"r{number}@example.net")])
    found = told(store)
    held = [data for type_, _, data in found if type_ == "domain.held"]
    assert {(one["scope"], one["subject"], one["addresses"]) for one in held} == {
        ("domain", "example.net", 4),
        ("remote_mta", "mx.example.net", 4),
    }
    standing = {address: type_ for type_, address, _ in found if address}
    assert standing == {f"r{number}@example.net": "address.reactivated" for number in range(3)}
    with store.transaction():
        store.addresses.decide_wave(held[0]["wave"], "released", ANN)
    released = told(store)[len(found) :]
    assert {(type_, address) for type_, address, _ in released} == {
        ("address.suppressed", f"r{number}@example.net") for number in range(5)
    }


def test_people_hear_once_of_what_waits_for_them(store, mail, monkeypatch):
    monkeypatch.setattr(waves, "_MANY_BLOCKS", 3)
    store.addresses.ruling = Ruling(PolicyOptions(mode="open", wave_least=3, wave_share=0.0))
    add(store)
    with store.transaction():
        store.outbox.know_people(
            {"team": NotifyOptions(name="team", urls=("json://a.example",)).filters}, 0.0
        )

    def blocked(number, **kwargs):
        refused = "554 5.7.1 Client host [192.0.2.25] blocked using zen.spamhaus.org"
        return mail(number, recipient=f"b{number}@two.example", status="5.7.1", diagnostic=refused, **kwargs)

    take(store, [blocked(number) for number in range(3)])
    assert "sender.blocked" not in types(store)
    for number in range(3, 9):
        take(store, [blocked(number)])
    told_blocked = [data for type_, _, data in told(store, "team") if type_ == "sender.blocked"]
    assert told_blocked == [data for type_, _, data in told(store) if type_ == "sender.blocked"]
    day = told_blocked[0]["day"]
    assert told_blocked == [
        {
            "subject": "192.0.2.25",
            "blocks": 4,
            "day": day,
            "look": f"dsn-processor events --type block --since {day}",
        }
    ]
    assert all(event.occurred_at.strftime("%Y-%m-%d") == day for event in store.events())
    take(store, [mail(number, recipient=f"r{number}@example.net") for number in range(20, 25)])
    with store.transaction():
        store.set_state(1, MessageState.QUARANTINED, "a fault of ours")
    assert set(types(store, "team")) == {
        "bounce.failed",
        "sender.blocked",
        "domain.held",
        "report.quarantined",
    }
    assert types(store).count("sender.blocked") == 1


def test_what_is_read_otherwise_now_is_told_as_that(store, mail):
    add(store)
    take(store, [mail(1), mail(2, recipient="ann@example.net"), mail(3, recipient="eve@example.net")])
    before = len(told(store))
    with store._connection.begin():  # as older rules would have it
        for statement in (
            "UPDATE recipient_event SET reason = 'mailbox_full', bounce_type = 'soft' WHERE canonical = 'bob@example.net'",
            "UPDATE recipient_event SET canonical = 'x@example.net', identity = 'x' WHERE canonical = 'ann@example.net'",
            "DELETE FROM recipient_event WHERE canonical = 'eve@example.net'",
        ):
            store._connection.execute(text(statement))
    list(reclassify(store, apply=True))
    new = told(store)[before:]
    changed = {data["recipient"]["address"]: data for type_, _, data in new if type_ == "event.reclassified"}
    assert changed["bob@example.net"]["before"]["reason"] == "mailbox_full"
    assert changed["bob@example.net"]["reason"] == "user_unknown"
    assert not changed["bob@example.net"]["withdrawn"]
    assert changed["x@example.net"]["withdrawn"]
    assert len(changed) == 2
    # What was told before under its own id is not told again, though the tables had forgotten it.
    assert [type_ for type_, _, _ in new].count("bounce.failed") == 0
    list(reclassify(store, apply=True))
    assert len(told(store)) == before + len(new)


def test_a_mail_without_recipient_is_told_once(store):
    add(store)
    raw = b"From: MAILER-DAEMON@example.net\nSubject: Undelivered Mail Returned to Sender\nContent-Type: multipart/report; "
    raw += b'report-type=delivery-status; boundary="x"\n\n--x\n\nIt could not be delivered.\n--x\n'
    raw += b"Content-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.net\n\n--x--\n"
    take(store, [InboundMessage(raw, "smtp:1")])
    list(reclassify(store, apply=True))
    [(type_, address, data)] = told(store)
    assert (type_, address, data["source"], data["reporting_mta"]) == (
        "report.unparsed",
        "",
        "smtp:1",
        "mx.example.net",
    )


def test_each_format_gets_its_own_body_and_only_what_it_has_a_word_for(store, mail):
    add(store, "app")
    add(store, "old", words="sendgrid")
    take(store, [mail()])
    assert types(store) == ["bounce.failed", "address.suppressed"]
    [row] = store.outbox.deliveries(DeliveryFilter(endpoint="old"))
    assert row.type == "bounce.failed"
    assert json.loads(store.outbox.body(row.id))[0]["event"] == "bounce"
    assert row.message_id == next(
        one.message_id
        for one in store.outbox.deliveries(DeliveryFilter(endpoint="app"))
        if one.type == row.type
    )


def test_what_cannot_be_rendered_is_kept_among_the_dead(store, mail, monkeypatch):
    add(store, words="sendgrid")
    render = formats.render

    def broken(chosen, notification, **kwargs):
        if chosen != "own":
            raise KeyError("a fault")
        return render(chosen, notification, **kwargs)

    monkeypatch.setattr(formats, "render", broken)
    take(store, [mail()])
    rows = list(store.outbox.deliveries(DeliveryFilter()))
    assert {(row.state, row.error) for row in rows} == {("dead", "fault of ours: KeyError('a fault')")}
    assert "bounce.failed" in {row.type for row in rows}


def test_patterns_of_types():
    assert types_of(["bounce.*"]) == {EventType.BOUNCE_FAILED, EventType.BOUNCE_DELAYED}
    assert types_of(["*"]) == set(EventType)
    with pytest.raises(ValueError, match="no type of event"):
        types_of(["bounced"])
