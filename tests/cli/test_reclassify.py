import json
import random
import sqlite3

import pytest

from dsn_processor import pipeline, reclassify
from dsn_processor.bulk import take
from dsn_processor.cli import main
from dsn_processor.facts import InboundMessage, Reading
from dsn_processor.pipeline import accept
from dsn_processor.reading import read
from dsn_processor.record.store import Store


@pytest.fixture
def run(capfd, url):
    def run_command(*args):
        code = main([*args, "--db", url])
        out, err = capfd.readouterr()
        return code, out, err

    return run_command


@pytest.fixture
def filled(url, write_dsn):
    mails = [
        write_dsn(number=n, returned_id=f"<{n}@example.com>", others=["eve@example.net"]) for n in (1, 2)
    ]
    with Store.open(url) as store:
        take(store, [InboundMessage(raw=raw, source=f"{n}.eml") for n, raw in enumerate(mails, 1)])
    return mails


def alter(url, statement):
    database = sqlite3.connect(url.removeprefix("sqlite:///"))
    with database:
        database.execute(statement)
    database.close()


def content(url):
    database = sqlite3.connect(url.removeprefix("sqlite:///"))
    try:
        return [
            sorted(database.execute(f"SELECT * FROM {table}").fetchall(), key=repr)
            for table in ("message", "report", "recipient_event", "counter")
        ]
    finally:
        database.close()


STRAY = (
    "INSERT INTO recipient_event (message_id, identity, kind, occurred_at, address, canonical, domain, explanation, "
    "origin, trust) VALUES (1, 'x', 'failed', '2026-11-20 00:00:00.000000', 'a@b', 'a@b', 'b', '', 'flufl', 'unproved')"
)
SPOILT = (
    "UPDATE recipient_event SET bounce_type = 'soft', reason = 'expired', trust = 'signed' "
    "WHERE message_id = 1 AND canonical = 'bob@example.net'"
)


def test_nothing_to_change(filled, url, run):
    before = content(url)
    code, out, _ = run("reclassify")
    assert code == 0
    assert out == "2 mails read, 0 answers changed in 0 mails\n"
    assert content(url) == before


def test_a_spoilt_verdict_is_found_and_corrected(filled, url, run):
    before = content(url)
    alter(url, SPOILT)
    code, out, _ = run("reclassify", "--json")
    found = json.loads(out)
    assert code == 0
    [change] = found.pop("changes")
    assert found == {"mails": 2, "mails_changed": 1, "answers_changed": 1, "failed": 0, "dry_run": False}
    assert (change["message_id"], change["source"], change["address"]) == (1, "1.eml", "bob@example.net")
    assert (change["before"]["bounce_type"], change["before"]["reason"]) == ("soft", "expired")
    assert (change["after"]["bounce_type"], change["after"]["reason"]) == ("hard", "user_unknown")
    alter(
        url, "UPDATE recipient_event SET trust = 'unproved' WHERE trust = 'signed'"
    )  # kept: no parser proves it
    assert content(url) == before


def test_a_dry_run_lists_the_same_and_changes_nothing(filled, url, run):
    alter(url, SPOILT)
    before = content(url)
    code, out, _ = run("reclassify", "--dry-run")
    assert code == 0
    assert content(url) == before
    head, change, summary = out.splitlines()
    assert head.split() == ["mail", "address", "before", "after"]
    assert change.split()[:2] == ["1", "bob@example.net"]
    assert "failed 5.1.1 soft expired" in change
    assert "failed 5.1.1 hard user_unknown" in change
    assert summary == "2 mails read, 1 answers would change in 1 mails"
    assert run("reclassify")[1] == out.replace("would change", "changed")
    assert run("reclassify")[1].endswith("2 mails read, 0 answers changed in 0 mails\n")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE recipient_event SET diagnostic_code = 'x' WHERE id = 1",
        "UPDATE recipient_event SET evidence = NULL WHERE id = 1",
        "UPDATE report SET subject = 'x' WHERE message_id = 1",
        'UPDATE report SET defects = \'[["x",""]]\' WHERE message_id = 1',
    ],
)
def test_what_is_no_answer_is_corrected_without_a_word(filled, url, run, statement):
    before = content(url)
    alter(url, statement)
    assert content(url) != before
    assert "0 answers changed" in run("reclassify")[1]
    assert content(url) == before


@pytest.mark.parametrize(
    ("statement", "before", "after"),
    [
        ("DELETE FROM recipient_event WHERE id = 1", None, "failed"),
        (
            STRAY,
            "failed",
            None,
        ),
    ],
)
def test_recipients_come_and_go(filled, url, run, statement, before, after):
    alter(url, statement)
    for args in (["--dry-run"], []):
        [change] = json.loads(run("reclassify", "--json", *args)[1])["changes"]
        assert [change[name] and change[name]["kind"] for name in ("before", "after")] == [before, after]
    assert json.loads(run("reclassify", "--json")[1])["changes"] == []


def test_the_waiting_and_the_quarantined_get_their_turn(url, run, write_dsn, monkeypatch):
    with Store.open(url) as store:
        accept(store, InboundMessage(raw=write_dsn(number=1, returned_id="<1@example.com>"), source="-"))
        monkeypatch.setattr(pipeline, "read", lambda *_: 1 / 0)
        take(store, [InboundMessage(raw=write_dsn(number=2, returned_id="<2@example.com>"), source="-")])
        assert (store.stats().pending, store.stats().quarantined) == (1, 1)
    monkeypatch.undo()
    assert "2 answers changed in 2 mails" in run("reclassify")[1]
    with Store.open(url) as store:
        stats = store.stats()
        assert (stats.pending, stats.quarantined, stats.events) == (0, 0, 2)
        assert store.message(2).last_error is None


def test_a_mail_of_no_recipient_whose_kind_changes(url, run):
    with Store.open(url) as store:
        take(store, [InboundMessage(raw=b"From: a@example.net\nSubject: lunch?\n\nAt noon.\n", source="-")])
    alter(url, "UPDATE report SET kind = 'unparsed'")
    [change] = json.loads(run("reclassify", "--json")[1])["changes"]
    assert (change["address"], change["before"], change["after"]) == (
        None,
        {"kind": "unparsed"},
        {"kind": "not_a_report"},
    )


def test_a_mail_that_cannot_be_read_keeps_its_answer(filled, url, run, monkeypatch):
    def read_or_raise(raw, envelope=None, rules=None):
        if b"<1@example.com>" in raw:
            raise ZeroDivisionError("a fault of ours")
        return read(raw, envelope)

    alter(url, SPOILT.replace("message_id = 1", "message_id IN (1, 2)"))
    monkeypatch.setattr(reclassify, "read", read_or_raise)
    code, out, err = run("reclassify")
    assert code == 1
    assert "mail 1: ZeroDivisionError" in err
    assert "1 answers changed in 1 mails" in out
    with Store.open(url, readonly=True) as store:
        assert [event.verdict.reason for event in store.events() if event.canonical[:3] == "bob"] == [
            "user_unknown",
            "expired",
        ]


def test_a_repeated_event_is_told_once_dry_or_not(url, run, write_dsn):
    """Two mails tell one event: lost, it comes back as the first one's."""
    with Store.open(url) as store:
        take(store, [InboundMessage(raw=write_dsn(number=n), source=f"{n}.eml") for n in (1, 2)])
        assert store.report(2).repeated == 1
    alter(url, "DELETE FROM recipient_event")
    dry = json.loads(run("reclassify", "--json", "--dry-run")[1])["changes"]
    real = json.loads(run("reclassify", "--json")[1])["changes"]
    assert dry == real
    assert [(change["message_id"], change["before"]) for change in real] == [(1, None)]
    with Store.open(url) as store:
        assert (store.stats().events, store.report(1).repeated, store.report(2).repeated) == (1, 0, 1)


def test_an_event_moves_to_the_other_mail_that_told_it(url, run, write_dsn, monkeypatch):
    with Store.open(url) as store:
        take(store, [InboundMessage(raw=write_dsn(number=n), source=f"{n}.eml") for n in (1, 2)])

    def read_otherwise(raw, envelope=None, rules=None):
        return read(
            raw.replace(b"Status: 5.1.1", b"Status: 5.1.6") if b"<report-1@" in raw else raw, envelope
        )

    monkeypatch.setattr(reclassify, "read", read_otherwise)
    dry = json.loads(run("reclassify", "--json", "--dry-run")[1])["changes"]
    real = json.loads(run("reclassify", "--json")[1])["changes"]
    assert dry == real
    assert [(c["message_id"], c["before"] and c["before"]["status"], c["after"]["status"]) for c in real] == [
        (1, "5.1.1", "5.1.6"),
        (2, None, "5.1.1"),
    ]
    assert json.loads(run("reclassify", "--json")[1])["changes"] == []


@pytest.mark.parametrize("seed", range(12))
def test_interrupted_and_run_again_the_events_are_as_if_all_had_come_in_today(
    url, tmp_path, write_dsn, monkeypatch, seed
):
    """Five mails tell of the same recipients; before and today each of them yields others, or could not be read."""
    draw = random.Random(seed)
    addresses = [f"{name}@example.net" for name in "abcd"]
    mails = [
        InboundMessage(
            raw=write_dsn(
                number=n, recipient=addresses[0], others=addresses[1:], returned_id=f"<{n % 2}@example.com>"
            ),
            source=f"{n}.eml",
        )
        for n in range(5)
    ]

    def reader(broken):
        found = {mail.raw: {a for a in addresses if draw.random() < 0.5} for mail in mails}
        unread = {mail.raw for mail in mails if draw.random() < broken}

        def read_some(raw, envelope=None, rules=None):
            if raw in unread:
                raise ZeroDivisionError
            reading = read(raw, envelope)
            kept = [n for n, found_ in enumerate(reading.parsed.recipients) if found_.address in found[raw]]
            recipients = tuple(reading.parsed.recipients[n] for n in kept)
            verdicts = tuple(reading.verdicts[n] for n in kept)
            return Reading(parsed=reading.parsed._replace(recipients=recipients), verdicts=verdicts)

        return read_some

    monkeypatch.setattr(pipeline, "read", reader(broken=0.2))
    with Store.open(url) as store:
        take(store, mails)
    today = reader(broken=0)
    monkeypatch.setattr(pipeline, "read", today)
    monkeypatch.setattr(reclassify, "read", today)
    monkeypatch.setattr(reclassify, "_BATCH", 2)
    with Store.open(f"sqlite:///{tmp_path}/today.db") as store:
        take(store, mails)
        expected = held(store)
    with Store.open(url) as store:
        next(reclassify.reclassify(store, apply=True))  # and no further: the first batch alone is on disk
        dry = [changed(result) for result in reclassify.reclassify(store, apply=False)]
        assert [changed(result) for result in reclassify.reclassify(store, apply=True)] == dry
        assert held(store) == expected
        assert not any(result.changes.events for result in reclassify.reclassify(store, apply=True))


def changed(result):
    return [
        (change.before and change.before.identity, change.after and change.after.identity)
        for change in result.changes.events
    ]


def held(store):
    """Each event and the mail that has it, and how many each mail repeats."""
    events = {event.identity: event.message_id for event in store.events()}
    return events, [store.report(n).repeated for n in store.message_ids()]


def test_a_dry_run_needs_no_lock(filled, url, run):
    with Store.open(url):
        assert run("reclassify", "--dry-run")[0] == 0
