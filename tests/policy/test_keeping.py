"""Addresses in the store: derived in the transaction that brings an event, the same in any order and after a rebuild."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from dsn_processor import pipeline
from dsn_processor.bulk import take
from dsn_processor.facts import Envelope, InboundMessage, Send
from dsn_processor.policy.modes import Ruling
from dsn_processor.policy.options import PolicyOptions
from dsn_processor.reclassify import reclassify
from dsn_processor.record import standing
from dsn_processor.record.checking import SuppressionFilter
from dsn_processor.record.standing import By
from dsn_processor.record.store import Store
from dsn_processor.terms import Act, Standing, SuppressionKind

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
ANN = By("ann", "asked")
FULL = "452 4.2.2 The email account that you tried to reach is over quota"
LISTED = "550 5.7.1 Service unavailable, client [192.0.2.1] blocked using zen.example"
TABLES = ("address_state", "suppression", "wave")


@pytest.fixture
def store(url):
    with Store.open(url) as opened:
        yield opened


@pytest.fixture
def mail(write_dsn):
    """A report, its source and its date to choose."""

    def write(number=1, *, source="a.eml", date=None, **kwargs):
        kwargs.setdefault("returned_id", f"<sent-{number}@example.com>")
        kwargs.setdefault("diagnostic", "550 5.1.1 User unknown")
        raw = write_dsn(number=number, **kwargs)
        if date is not None:
            raw = raw.replace(b"Date: Fri, 20 Nov 2026 02:40:30 +0000", b"Date: " + date.encode())
        return InboundMessage(raw, source, Envelope("", ("bounces@example.com",)))

    return write


def full(mail, number, **kwargs):
    return mail(number, status="4.2.2", diagnostic=FULL, **kwargs)


def rows(store):
    with store._connection.begin():
        return {
            table: sorted(
                map(tuple, store._connection.execute(text(f"SELECT * FROM {table}"))),
                key=repr,
            )
            for table in TABLES
        }


def say(store, statement):
    with store._connection.begin():
        return store._connection.execute(text(statement)).all()


def listed(store, now=NOW, **wanted):
    return list(store.addresses.suppressions(SuppressionFilter(now=now, **wanted)))


def test_a_hard_bounce_suppresses_with_its_event(store, mail):
    take(store, [mail()], now=NOW)
    [one] = listed(store)
    assert (one.address, one.kind, one.standing, one.until) == (
        "bob@example.net",
        SuppressionKind.BOUNCE,
        Standing.ACTIVE,
        None,
    )
    assert list(store.addresses.check(["bob@example.net", "eve@example.net"], NOW)) == ["bob@example.net"]


def test_old_reports_act_at_their_own_time_clamped_to_receipt(store, mail):
    take(store, [mail(1, date="Fri, 20 Nov 2020 02:40:30 +0000")], now=NOW)
    take(store, [mail(2, recipient="eve@example.net", date="Fri, 20 Nov 2099 02:40:30 +0000")], now=NOW)
    old, clamped = listed(store)
    assert (old.at, clamped.at) == (datetime(2020, 11, 20, 2, 40, 30, tzinfo=UTC), NOW)


def test_a_suppression_ends_by_itself(store, mail):
    take(store, [full(mail, number) for number in range(5)], now=NOW)
    at = datetime(2026, 11, 20, 2, 40, 30, tzinfo=UTC)
    for seconds, expected in ((86_399, Standing.ACTIVE), (86_400, Standing.EXPIRED)):
        now = at + timedelta(seconds=seconds)
        assert [one.standing for one in listed(store, now)] == [expected]
        assert bool(store.addresses.check(["bob@example.net"], now)) == (expected is Standing.ACTIVE)


@pytest.mark.parametrize("source", ["smtp:192.0.2.1", "lmtp:unix", "imap:a/INBOX#1", "pop3:a#1", "ingest"])
def test_what_anybody_can_send_only_proposes(store, mail, source):
    take(store, [mail(source=source)], now=NOW)
    assert [one.standing for one in listed(store)] == [Standing.PROPOSED]
    assert store.addresses.check(["bob@example.net"], NOW) == {}
    with store.transaction():
        store.addresses.act(Act.ACCEPT, ["bob@example.net"], ANN, at=NOW)
    assert [(one.standing, one.author) for one in listed(store)] == [(Standing.ACTIVE, "ann")]


def test_with_a_registry_only_what_is_proven_counts(store, mail):
    with store.transaction():
        store.add_sends([Send("sent-7@example.com", "bob@example.net", NOW - timedelta(days=2))])
    take(store, [mail(number) for number in range(1, 4)], now=NOW)
    assert rows(store) == {table: [] for table in TABLES}
    take(store, [mail(7)], now=NOW)
    assert [one.standing for one in listed(store)] == [Standing.ACTIVE]


def test_the_same_report_a_thousand_times_is_one_strike(store, mail):
    for source in ("a.mbox#1", "smtp:192.0.2.1", "imap:a/INBOX#7"):
        take(store, [full(mail, 1, source=source) for _ in range(334)], now=NOW)
    assert store.stats().events == 1
    assert store.addresses.show("bob@example.net", NOW).state["strikes"] == 1.0


def test_attempts_at_one_message(store, mail):
    minutes = (0, 5, 35, 155, 635)
    mails = [
        full(
            mail,
            n,
            returned_id="<same@example.com>",
            date=f"Fri, 20 Nov 2026 {m // 60:02}:{m % 60:02}:00 +0000",
        )
        for n, m in enumerate(minutes)
    ]
    for one in reversed(mails[1:]):
        take(store, [one], now=NOW)
    assert listed(store) == []
    take(store, [mails[0]], now=NOW)
    assert [one.reason for one in listed(store)] == ["Every attempt failed: mailbox_full"]


def test_deliveries_take_strikes_away(store, mail):
    store.addresses.ruling = Ruling(PolicyOptions(mode="open"))
    take(store, [full(mail, number) for number in range(4)], now=NOW)
    with store.transaction():
        store.add_deliveries([Send("x@example.com", "bob@example.net", NOW, delivered_at=NOW)])
    report = store.addresses.show("bob@example.net", NOW)
    assert report.state["strikes"] == 0.0
    assert report.state["last_success_at"] == NOW


def test_one_blocked_address_of_ours_suppresses_nobody_and_is_told_once(store, mail):
    blocks = [
        mail(
            number,
            recipient=f"user{number % 5000}@example{number % 7}.net",
            status="5.7.1",
            diagnostic=LISTED,
        )
        for number in range(10_000)
    ]
    for start in range(0, len(blocks), 1000):
        take(store, blocks[start : start + 1000], now=NOW)
    assert store.stats().by_type == {"block": 10_000}
    assert rows(store) == {table: [] for table in TABLES}
    [alert] = store.addresses.alerts()
    assert (alert.kind, alert.number) == ("blocks", 10_000)


def outage(mail, number=60):
    return [mail(n, recipient=f"user{n}@example.net") for n in range(number)]


def test_a_wave_is_held_released_and_undone(store, mail):
    take(store, outage(mail, 50), now=NOW)
    assert {one.standing for one in listed(store)} == {Standing.ACTIVE}
    take(store, outage(mail, 60), now=NOW)
    assert [one.standing for one in listed(store)] == [Standing.HELD] * 60
    assert store.addresses.check([f"user{n}@example.net" for n in range(60)], NOW) == {}
    [alert] = store.addresses.alerts()
    assert (alert.subject, alert.number) == ("example.net", 60)
    assert {wave.name for wave in store.addresses.waves()} == {
        "example.net@2026-11-20T02",
        "mx:mx.example.net@2026-11-20T02",
    }
    with store.transaction():
        assert store.addresses.decide_wave("example.net@2026-11-20T02", "released", ANN) == 60
    assert {one.standing for one in listed(store)} == {Standing.ACTIVE}
    with store.transaction():
        assert store.addresses.decide_wave("example.net@2026-11-20T02", "undone", ANN) == 60
    assert listed(store) == []


def test_d56_a_server_that_says_550_to_all(store, mail):
    """Of many domains, each of which is below its own limit; their users took mail before."""
    store.addresses.ruling = Ruling(PolicyOptions(mode="open"))
    users = [f"user{n}@domain{n % 3}.example" for n in range(60)]
    before = NOW - timedelta(days=5)
    with store.transaction():
        store.add_deliveries([Send(f"{one}-1", one, before, delivered_at=before) for one in users])
    take(store, [mail(n, recipient=one) for n, one in enumerate(users)], now=NOW)
    assert {one.standing for one in listed(store)} == {Standing.HELD}
    assert store.addresses.check(users, NOW) == {}
    [wave] = store.addresses.waves()
    assert (wave.kind, wave.subject, wave.addresses) == ("mx", "mx.example.net", 60)
    with store.transaction():
        store.addresses.decide_wave(wave.name, "undone", ANN)
    assert listed(store) == []
    assert (
        store.addresses.show(users[0], NOW).state is None
        or not store.addresses.show(users[0], NOW).state["strikes"]
    )


def test_a_wave_of_one_server_is_an_alert(store, mail):
    users = [f"user{n}@domain{n % 3}.example" for n in range(60)]
    take(store, [mail(n, recipient=one) for n, one in enumerate(users)], now=NOW)
    assert [(one.kind, one.subject) for one in store.addresses.alerts()] == [
        ("suppressions_held", "mx.example.net")
    ]


def test_a_rebuild_of_many_pages(store, mail, monkeypatch):
    monkeypatch.setattr("dsn_processor.record.standing._PAGE", 2)
    with store.transaction():
        store.addresses.act(Act.ADD, [f"user{n:03}@example.net" for n in range(205)], ANN, at=NOW)
    before = rows(store)
    with store.transaction():
        assert store.addresses.rebuild(By()) == 0
        for table in TABLES:
            store._connection.execute(text(f"DELETE FROM {table}"))
        assert store.addresses.rebuild(By()) == 205
    assert rows(store) == before


def test_a_large_domain_has_a_large_limit(store, mail):
    store.addresses.ruling = Ruling(PolicyOptions(mode="open"))
    with store.transaction():
        store.add_sends([Send(f"{n}@example.com", f"u{n}@example.net", NOW) for n in range(3000)])
    take(store, outage(mail, 60), now=NOW)
    assert {one.standing for one in listed(store)} == {Standing.ACTIVE}
    take(store, outage(mail, 62), now=NOW)
    assert {one.standing for one in listed(store)} == {Standing.HELD}


def test_reclassify_and_the_audit_log(store, mail, monkeypatch):
    take(store, [mail()], now=NOW)
    changed = pipeline.read

    def soft(*args):
        reading = changed(*args)
        verdict = reading.verdicts[0]._replace(confidence=0.5)
        return reading._replace(verdicts=(verdict,))

    monkeypatch.setattr("dsn_processor.reclassify.read", soft)
    assert all(one.error is None for one in reclassify(store, apply=True))
    assert listed(store) == []
    report = store.addresses.show("bob@example.net", NOW)
    assert [entry.action for entry in report.audit] == ["suppress", "lift"]
    assert report.audit[1].before["reason"] == "Hard bounce: user_unknown"
    assert report.state["strikes"] == 1.0


def test_what_people_do_is_kept_with_why(store):
    with store.transaction():
        store.addresses.act(Act.ADD, ["bob@example.net"], ANN, kind=SuppressionKind.MANUAL, at=NOW)
    with store.transaction():
        store.addresses.act(Act.REMOVE, ["bob@example.net"], By("eve", "mistake"), at=NOW)
    assert listed(store) == []
    audit = store.addresses.show("bob@example.net", NOW).audit
    assert [(one.author, one.action, one.reason) for one in audit] == [
        ("ann", "suppress", "asked"),
        ("eve", "lift", "mistake"),
    ]


def test_a_transaction_that_fails_changes_no_address(store, mail, monkeypatch):
    def broken(*_):
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr("dsn_processor.record.standing.fold", broken)
        [outcome] = take(store, [mail()], now=NOW)
        assert outcome.error is not None
    assert rows(store) == {table: [] for table in TABLES}


def test_an_address_with_many_events_is_folded_from_the_newest(store, mail, monkeypatch):
    monkeypatch.setattr("dsn_processor.record.standing._NEWEST", 3)
    take(store, [full(mail, n, date=f"Fri, 20 Nov 2026 02:{n:02}:30 +0000") for n in range(10)], now=NOW)
    state = store.addresses.show("bob@example.net", NOW).state
    assert (state["capped"], state["strikes"]) == (True, 3.0)


def test_of_an_address_with_many_events_no_more_than_the_newest_are_read(store, mail, monkeypatch):
    monkeypatch.setattr("dsn_processor.record.standing._NEWEST", 3)
    dates = [f"Fri, 20 Nov 2026 02:{n:02}:30 +0000" for n in range(12)]
    take(store, [full(mail, n, date=date) for n, date in enumerate(dates[2:], 2)], now=NOW)
    found = []
    happened = standing._happened
    monkeypatch.setattr(standing, "_happened", lambda *given: found.append(happened(*given)) or found[-1])
    for number in (0, 1):  # older than those that count
        take(store, [full(mail, number, date=dates[number])], now=NOW)
    take(store, [mail(12, date="Fri, 20 Nov 2026 02:12:30 +0000")], now=NOW)
    read = [sorted(row[2][14:16] for row in rows["bob@example.net"]) for rows in found]
    assert read == [["08", "09", "10", "11"]] * 2 + [["09", "10", "11", "12"]]
    assert [one.address for one in listed(store)] == ["bob@example.net"]
    kept = rows(store)
    say(store, "UPDATE address_state SET capped = 0 RETURNING address")
    with store.transaction():
        store.addresses.rebuild(By())
    assert rows(store) == kept


def test_what_comes_again_by_an_open_way_counts(store, mail):
    take(store, [mail(source="smtp:192.0.2.1")], now=NOW)
    assert [one.standing for one in listed(store)] == [Standing.PROPOSED]
    take(store, [mail(source="imap:a/INBOX#1")], now=NOW)
    assert [one.standing for one in listed(store)] == [Standing.PROPOSED]
    take(store, [mail(source="a.eml")], now=NOW)
    assert [one.standing for one in listed(store)] == [Standing.ACTIVE]
    take(store, [mail(source="smtp:192.0.2.1")], now=NOW)
    with store.transaction():
        assert store.addresses.rebuild(By()) == 0
    assert [one.standing for one in listed(store)] == [Standing.ACTIVE]


def test_what_waits_and_comes_again_by_an_open_way_counts(store, mail):
    accepted = pipeline.accept(store, mail(source="smtp:192.0.2.1"), now=NOW)
    take(store, [mail(source="a.eml")], now=NOW)
    pipeline.process(store, accepted.id)
    assert [one.standing for one in listed(store)] == [Standing.ACTIVE]


def test_by_a_listener_that_is_open_too(store, mail):
    store.addresses.ruling = Ruling(PolicyOptions(modes=("lmtp=open",)))
    take(store, [mail(source="smtp:192.0.2.1")], now=NOW)
    assert pipeline.accept(store, mail(source="lmtp:unix"), now=NOW).duplicate
    assert [one.standing for one in listed(store)] == [Standing.ACTIVE]


def test_purging_sends_brings_no_strike_back(store, mail):
    store.addresses.ruling = Ruling(PolicyOptions(mode="open"))
    take(store, [full(mail, number) for number in range(4)], now=NOW)
    done = [
        Send("x@example.com", "bob@example.net", NOW, delivered_at=NOW),
        Send("y@example.com", "eve@example.net", NOW, delivered_at=NOW),
    ]
    with store.transaction():
        store.add_deliveries(done)
    before = rows(store)
    with store.transaction():
        assert store.drop_sends(NOW + timedelta(days=1), limit=10) == (2, 2)
    assert store.send_stats().mails == 0
    kept = [tuple(row) for row in say(store, "SELECT address FROM delivery")]
    assert kept == [("bob@example.net",)]  # of eve nothing failed: nothing is kept
    with store.transaction():
        assert store.addresses.rebuild(By()) == 0
    assert rows(store) == before
    take(store, [full(mail, 9, date="Sat, 21 Nov 2026 12:00:00 +0000")], now=NOW + timedelta(days=1))
    assert store.addresses.show("bob@example.net", NOW).state["strikes"] == 1.0
    with store.transaction():
        store.add_deliveries(done)  # told again: the same delivery
    assert store.addresses.show("bob@example.net", NOW).state["strikes"] == 1.0


ADDRESSES = st.sampled_from(["bob@example.net", "eve@example.net", "ann@example.org"])
DAYS = st.integers(1, 19)  # of November
MAILED = st.tuples(
    st.just("mail"),
    st.integers(1, 5),  # message
    ADDRESSES,
    st.sampled_from(["hard", "full", "full", "block", "delayed"]),
    DAYS,
    st.sampled_from(["a.eml", "smtp:192.0.2.1", "imap:a/INBOX#1"]),
)
DELIVERED = st.tuples(st.just("delivered"), st.integers(0, 7), ADDRESSES, DAYS)
ACTED = st.tuples(st.just("act"), st.sampled_from(list(Act)), ADDRESSES, DAYS)
WHAT = st.lists(st.one_of(MAILED, MAILED, MAILED, DELIVERED, ACTED), max_size=16, unique=True)
#: What comes to a mail by its way is fixed: auto would be strict from the first delivery on.
FIXED = PolicyOptions(
    wave_least=1,
    strikes=2.0,
    retries="0s/5m",
    modes=("files=open", "smtp=observe", "imap=observe", "lmtp=observe"),
)


def written(mail, what):
    _, number, recipient, kind, day, source = what
    if number > 2:  # different mails that tell the same event come by ways that may the same
        source = "a.eml"
    elif source == "a.eml":
        source = "lmtp:unix"
    more = {
        "hard": {},
        "full": {"status": "4.2.2", "diagnostic": FULL},
        "block": {"status": "5.7.1", "diagnostic": LISTED},
        "delayed": {"status": "4.2.2", "diagnostic": FULL, "action": "delayed"},
    }[kind]
    raw = mail(recipient=recipient, source=source, returned_id=f"<{number}-{recipient}>", **more)
    date = f"{day:02} Nov 2026 02:40:30 +0000".encode()
    # A mail that reports another attempt is another mail.
    changed = raw.raw.replace(b"Fri, 20 Nov 2026 02:40:30 +0000", date).replace(
        b"Message-ID: <", b"Message-ID: <%d-" % day, 1
    )
    return raw._replace(raw=changed)


def happens(store, mail, portion):
    """Mails together, and what else there is in their order."""
    take(store, [written(mail, one) for one in portion if one[0] == "mail"], now=NOW)
    with store.transaction():
        for one in portion:
            if one[0] == "delivered":
                _, number, address, day = one
                at = datetime(2026, 11, day, 12, number, tzinfo=UTC)
                name = f"{number}-{address}" if number else ""
                store.add_deliveries([Send(name, address, at, delivered_at=at)])
            elif one[0] == "act":
                _, act, address, day = one
                at = datetime(2026, 11, day, 18, list(Act).index(act), tzinfo=UTC)
                kind = SuppressionKind.MANUAL if act is Act.ADD else None
                store.addresses.act(act, [address], ANN, kind=kind, at=at)


def rebuilt(store):
    with store.transaction():
        assert store.addresses.rebuild(By()) == 0
        for table in TABLES:
            store._connection.execute(text(f"DELETE FROM {table}"))
        store.addresses.rebuild(By())
    return rows(store)


def causes_named(found):
    """Acts have the numbers in which they came."""
    return [
        {
            table: sorted(
                (tuple("act" if str(cell).startswith("act:") else cell for cell in row) for row in kept),
                key=repr,
            )
            for table, kept in one.items()
        }
        for one in found
    ]


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # to shrink an example takes minutes
)
@given(WHAT, st.randoms(use_true_random=False), st.integers(1, 5))
def test_any_order_any_portions_twice_and_rebuilt(tmp_path_factory, mail, what, chance, size):
    found = []
    twice = [*what, *(one for one in what if one[0] != "act")]
    for order in (what, chance.sample(what, len(what)), chance.sample(twice, len(twice))):
        with Store.open(f"sqlite:///{tmp_path_factory.mktemp('s')}/a.db") as store:
            store.addresses.ruling = Ruling(FIXED)
            for start in range(0, len(order), size):
                happens(store, mail, order[start : start + size])
            found += [rows(store), rebuilt(store)]
            with store.transaction():
                store.drop_sends(NOW + timedelta(days=1), limit=100)
            found.append(rebuilt(store))
    named = causes_named(found)
    assert all(one == named[0] for one in named)
