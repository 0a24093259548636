from datetime import UTC, datetime, timedelta

import pytest

from dsn_processor import matching
from dsn_processor.canonical import reference
from dsn_processor.facts import Send
from dsn_processor.record.store import Store

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ALICE, BOB, EVE = "alice@example.net", "bob@mail.example", "eve@example.org"


@pytest.fixture
def store(url):
    with Store.open(url) as opened:
        yield opened


def send(message_id="1@example.com", recipient=ALICE, at=NOW, **kwargs):
    return Send(message_id, recipient, at, **kwargs)


def add(store, *sends):
    with store.transaction():
        return store.add_sends(sends)


def deliver(store, *sends):
    with store.transaction():
        return store.add_deliveries(sends)


def found(store, message_id="1@example.com", *addresses):
    return store.find_sends({reference(message_id): addresses}).get(reference(message_id))


def test_what_was_registered_is_found(store):
    sent = send(stream="news", campaign="c-1", tags=(("b", "ü"), ("a", "1")), mailing_list=True)
    assert not store.any_sends()
    assert add(store, sent) == 1
    assert store.any_sends()
    assert found(store).sends == (sent,)
    assert found(store).recipients == 1
    assert found(store, "2@example.com") is None
    assert store.find_sends({}) == {}


def test_the_same_again_is_no_news(store):
    assert add(store, send(stream="first"), send(stream="second")) == 1
    assert add(store, send(stream="third"), send("2@example.com")) == 1
    assert found(store).sends[0].stream == "first"


def test_of_a_message_to_many_those_are_told_that_were_asked_for(store):
    add(store, *(send(recipient=f"{number}@example.net") for number in range(500)), send(recipient=ALICE))
    told = found(store, "1@example.com", ALICE, EVE, "7@example.net")
    assert told.recipients == 501
    assert {one.recipient for one in told.sends} == {ALICE, "7@example.net"}
    assert found(store).sends == ()


def test_a_batch_is_asked_for_at_once(store):
    add(store, *(send(f"{number}@example.com", f"{number}@example.net") for number in range(3_000)))
    wanted = {reference(f"{number}@example.com"): () for number in range(0, 6_000, 2)}
    told = store.find_sends(wanted)
    assert len(told) == 1_500
    assert told[reference("998@example.com")].sends[0].recipient == "998@example.net"


def test_addresses_are_compared_in_their_one_form(store):
    add(store, send(recipient="Alice@Example.NET."))
    assert found(store).sends[0].recipient == ALICE
    assert store.mailed([ALICE, EVE]) == {ALICE: False}


def test_once_a_list_always_a_list(store):
    add(store, send())
    add(store, send("2@example.com", mailing_list=True))
    add(store, send("3@example.com"))
    assert store.mailed([ALICE]) == {ALICE: True}


def test_deliveries(store):
    add(store, send(stream="news"))
    first, second = NOW + timedelta(minutes=1), NOW + timedelta(minutes=2)
    assert deliver(store, send(delivered_at=first)) == 1
    assert deliver(store, send(delivered_at=first)) == 0
    assert deliver(store, send(delivered_at=second)) == 1
    assert deliver(store, send(delivered_at=first)) == 0
    [told] = found(store).sends
    assert (told.sent_at, told.delivered_at, told.stream) == (NOW, second, "news")


def test_what_was_delivered_before_it_was_registered(store):
    deliver(store, send(at=NOW, delivered_at=NOW))
    assert add(store, send(at=NOW - timedelta(hours=1), stream="news")) == 1
    [told] = found(store).sends
    assert (told.sent_at, told.delivered_at, told.stream) == (NOW - timedelta(hours=1), NOW, "news")
    assert add(store, send(stream="other")) == 0


def test_a_delivery_of_nobody_knows_what(store):
    deliver(store, send("", delivered_at=NOW), send("", BOB, delivered_at=NOW))
    assert store.mailed([ALICE, BOB, EVE]) == {ALICE: False, BOB: False}
    assert store.send_stats().delivered == 2


def test_what_is_old_goes_by_itself(store):
    keep = 90 * 86_400.0
    now = datetime.now(UTC)
    old = [
        send(f"old-{number}@example.com", f"{number}@example.net", now - timedelta(days=91))
        for number in range(30)
    ]
    kept = send("kept@example.com", BOB, now - timedelta(days=89))
    add(store, *old[:10], kept, *old[10:])
    counts = []
    for number in range(10):
        matching.register(store, [send(f"new-{number}@example.com", EVE, now)], delivered=False, keep=keep)
        counts.append(store.send_stats().mails)
    assert counts[:5] == [30, 29, 28, 27, 26]  # one comes, two go
    assert store.mailed([ALICE, BOB, EVE, "0@example.net"]) == {BOB: False, EVE: False}


def test_what_was_delivered_lately_is_not_old(store):
    add(store, send(at=NOW - timedelta(days=100)))
    deliver(store, send(delivered_at=NOW))
    with store.transaction():
        assert store.drop_sends(NOW - timedelta(days=90), limit=10) == (0, 1)
        assert store.drop_sends(NOW + timedelta(days=1), limit=10) == (1, 1)
        assert store.drop_sends(NOW + timedelta(days=1), after=1, limit=10) == (0, 0)


def test_numbers(store):
    assert store.send_stats()._asdict() == dict.fromkeys(("mails", "delivered", "addresses"), 0) | {
        "first": None,
        "last": None,
    }
    add(store, send(at=NOW - timedelta(days=1)), send("2@example.com"), send("2@example.com", BOB))
    assert tuple(store.send_stats()) == (3, 0, 2, NOW - timedelta(days=1), NOW)


def test_words_that_no_database_takes(store):
    odd = "a\0b\ud800"
    add(store, send(f"{odd}@example.com", f"{odd}@example.net", stream=odd, tags=((odd, odd),)))
    [told] = found(store, f"{odd}@example.com").sends
    assert told.stream == "a\ufffdb\ufffd"
