import os
import signal
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from dsn_processor import pipeline
from dsn_processor.bulk import take
from dsn_processor.errors import StoreError
from dsn_processor.facts import Envelope, InboundMessage, ParsedMessage, Reading, RecipientReport
from dsn_processor.lines import one_line
from dsn_processor.pipeline import accept, process, process_pending
from dsn_processor.reading import read
from dsn_processor.record.store import Store
from dsn_processor.terms import Kind, MessageState

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)


@pytest.fixture
def store(url):
    with Store.open(url) as opened:
        yield opened


def inbound(raw, source="a.eml", **more):
    return InboundMessage(raw=raw, source=source, **more)


def on_one_line(reading):
    """As it is stored: what notices say joined."""
    recipients = [
        recipient._replace(explanation=one_line(recipient.explanation))
        for recipient in reading.parsed.recipients
    ]
    return reading._replace(parsed=reading.parsed._replace(recipients=tuple(recipients)))


def failing(*bad):
    """A reader with a fault: mails that hold one of ``bad`` make it raise."""

    def read_or_raise(raw, envelope=None, rules=None):
        if any(word in raw for word in bad):
            raise ZeroDivisionError("a fault of ours")
        return read(raw, envelope)

    return read_or_raise


def test_accept_then_process(store, write_dsn):
    envelope = Envelope(sender="", recipients=("bounces@example.com",))
    accepted = accept(store, inbound(write_dsn(), envelope=envelope), now=NOW)
    assert not accepted.duplicate
    waiting = store.report(accepted.id)
    assert (waiting.message.state, waiting.message.attempts, waiting.reading) == (
        MessageState.RECEIVED,
        0,
        None,
    )
    assert (waiting.message.envelope, waiting.message.received_at) == (envelope, NOW)

    outcome = process(store, accepted.id)
    assert (outcome.kind, outcome.error, outcome.duplicate, outcome.repeated) == (Kind.FAILED, None, False, 0)
    assert [event.recipient.address for event in outcome.events] == ["bob@example.net"]
    stored = store.report(accepted.id)
    assert (stored.message.state, stored.message.attempts) == (MessageState.PROCESSED, 1)
    assert stored.reading == on_one_line(read(write_dsn()))
    assert store.raw(accepted.id) == write_dsn()


def test_take_gives_the_same_as_accept_and_process(store, url, write_dsn, tmp_path):
    raws = [
        write_dsn(number=n, returned_id=f"<{n}@example.com>", others=["eve@example.net"]) for n in range(3)
    ]
    taken = take(store, [inbound(raw) for raw in raws], now=NOW)
    with Store.open(f"sqlite:///{tmp_path}/other.db") as other:
        stepped = [process(other, accept(other, inbound(raw), now=NOW).id) for raw in raws]
        assert stepped == taken
        assert [other.report(n) for n in (1, 2, 3)] == [store.report(n) for n in (1, 2, 3)]
        assert other.stats() == store.stats()
    assert [len(outcome.events) for outcome in taken] == [2, 2, 2]


def ways(raw):
    """One mail as it arrives over several ways."""
    crlf = raw.replace(b"\n", b"\r\n")
    return {
        "file": raw,
        "smtp": b"Return-Path: <>\r\nReceived: from mx.example.net by mail.example.com;\r\n\ttoday\r\n"
        + crlf,
        "mbox": b"From MAILER-DAEMON Fri Nov 20 02:40:30 2026\n"
        + raw.replace(b"\nFrom here", b"\n>From here"),
        "maildir": b"Delivered-To: news@example.com\n" + raw,
        "mbox read before": raw.replace(b"\n\n", b"\nStatus: RO\nX-UID: 5\n\n", 1),
        "cr": raw.replace(b"\n", b"\r"),
    }


@pytest.mark.parametrize("first", ways(b"x\n\ny"))
def test_the_same_mail_over_any_way_is_one(store, write_dsn, first):
    mails = ways(write_dsn())
    [outcome] = take(store, [inbound(mails[first], first)])
    again = take(store, [inbound(raw, source) for source, raw in mails.items()])
    assert [(o.duplicate, o.message_id, o.events, o.kind) for o in again] == [
        (True, outcome.message_id, (), None)
    ] * len(mails)
    assert accept(store, inbound(mails["smtp"])).duplicate
    stats = store.stats()
    assert (stats.mails, stats.events, stats.duplicates) == (1, 1, len(mails) + 1)
    assert store.raw(outcome.message_id) == mails[first]


def test_the_same_mail_twice_in_a_batch_is_one(store, write_dsn):
    outcomes = take(store, [inbound(raw, source) for source, raw in ways(write_dsn()).items()])
    assert [outcome.duplicate for outcome in outcomes] == [False, True, True, True, True, True]
    assert {outcome.message_id for outcome in outcomes} == {1}
    assert [outcome.source for outcome in outcomes] == list(ways(b""))
    assert store.stats().duplicates == 5


@pytest.mark.parametrize("together", [True, False])
def test_two_reports_about_one_sent_mail_are_two_mails_and_one_event(store, write_dsn, together):
    mails = [inbound(write_dsn(number=n)) for n in (1, 2)]
    first, second = take(store, mails) if together else [take(store, [mail])[0] for mail in mails]
    assert (len(first.events), first.repeated) == (1, 0)
    assert (len(second.events), second.repeated) == (0, 1)
    assert (second.kind, second.duplicate) == (Kind.FAILED, False)
    assert (store.stats().mails, store.stats().events) == (2, 1)
    assert store.report(second.message_id).repeated == 1


def test_one_recipient_twice_in_a_report_is_one_event(store, write_dsn):
    [outcome] = take(store, [inbound(write_dsn(others=["BOB@Example.net", "eve@example.net"]))])
    assert len(outcome.events) == len(list(store.events())) == 2


def test_ids_are_never_used_again(store, write_dsn):
    take(store, [inbound(b"Subject: 1\n\n"), inbound(b"Subject: 2\n\n")])
    with store.transaction():
        store._connection.exec_driver_sql("DELETE FROM message WHERE id = 2")
    assert accept(store, inbound(b"Subject: 3\n\n")).id == 3


def test_a_fault_in_one_mail_of_a_batch_stops_none_of_the_others(store, write_dsn, monkeypatch):
    raws = [write_dsn(number=n, returned_id=f"<{n}@example.com>") for n in range(5)]
    monkeypatch.setattr(pipeline, "read", failing(b"<2@example.com>"))
    outcomes = take(store, [inbound(raw) for raw in raws])
    assert [outcome.error is not None for outcome in outcomes] == [False, False, True, False, False]
    assert outcomes[2].error.startswith("ZeroDivisionError: a fault of ours (test_pipeline.py:")
    assert [event.message_id for event in store.events()] == [5, 4, 2, 1]
    kept = store.message(3)
    assert (kept.state, kept.last_error) == (MessageState.QUARANTINED, outcomes[2].error)
    assert store.raw(3) == raws[2]
    assert store.stats().quarantined == 1


@pytest.mark.parametrize(
    "fault",
    [
        {"address": "x@example.net", "reply_code": 2**70},  # no database has such integers
        {"address": "x@example.net", "reply_code": [550]},
        {"address": "x@example.net", "status": 5.11},
        {"address": "x@example.net", "explanation": None},
    ],
)
def test_a_mail_that_cannot_be_stored_stops_none_of_the_others(store, write_dsn, monkeypatch, fault):
    def faulty(raw, envelope=None, rules=None):
        reading = read(raw, envelope)
        if b"<2@example.com>" not in raw:
            return reading
        recipient = RecipientReport(
            address="x@example.net", reply_code=2**70
        )  # no database has such integers
        return Reading(parsed=ParsedMessage(kind=Kind.FAILED, recipients=(recipient,)), verdicts=(None,))

    monkeypatch.setattr(pipeline, "read", faulty)
    outcomes = take(store, [inbound(write_dsn(number=n, returned_id=f"<{n}@example.com>")) for n in range(4)])
    assert [outcome.error is not None for outcome in outcomes] == [False, False, True, False]
    assert (store.stats().mails, store.stats().quarantined, store.stats().events) == (4, 1, 3)


def test_process_puts_a_mail_aside_after_two_failures(store, write_dsn, monkeypatch):
    message_id = accept(store, inbound(write_dsn())).id
    monkeypatch.setattr(pipeline, "read", failing(b"Postfix", b"MAILER-DAEMON"))
    assert "ZeroDivisionError" in process(store, message_id).error
    assert (store.message(message_id).state, store.message(message_id).attempts) == (MessageState.RECEIVED, 1)
    [outcome] = process_pending(store)
    assert "ZeroDivisionError" in outcome.error
    assert (store.message(message_id).state, store.message(message_id).attempts) == (
        MessageState.QUARANTINED,
        2,
    )
    assert list(process_pending(store)) == []
    assert store.raw(message_id) == write_dsn()
    with pytest.raises(LookupError, match="no mail 1 waits"):
        process(store, message_id)


def test_processing_is_all_or_nothing(store, write_dsn, monkeypatch):
    message_id = accept(store, inbound(write_dsn())).id
    monkeypatch.setattr(
        Store, "set_processed", lambda *_: (_ for _ in ()).throw(StoreError("the disk is full"))
    )
    with pytest.raises(StoreError):
        process(store, message_id)
    monkeypatch.undo()
    assert store.stats().events == 0
    [outcome] = process_pending(store)
    assert len(outcome.events) == 1


DIE = """
import os, signal, sys
from dsn_processor import bulk, pipeline
from dsn_processor.facts import InboundMessage
from dsn_processor.record.store import Store

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

store = Store.open(sys.argv[1])
message = InboundMessage(raw=sys.stdin.buffer.read(), source="-")
if sys.argv[2] == "between":
    pipeline.accept(store, message)
    die()
if sys.argv[2] == "processing":
    accepted = pipeline.accept(store, message)
    pipeline.read = die
    pipeline.process(store, accepted.id)
if sys.argv[2] == "taking":
    Store.add_reports = die
    bulk.take(store, [message])
if sys.argv[2] == "again":
    pipeline.read = die
    list(pipeline.process_pending(store))
"""


def killed(url, where, raw):
    ran = subprocess.run(
        [sys.executable, "-c", DIE, url, where], input=raw, timeout=60, check=False, env=os.environ
    )
    assert ran.returncode == -signal.SIGKILL


@pytest.mark.parametrize(("where", "attempts"), [("between", 1), ("processing", 2)])
def test_killed_after_accept_the_mail_is_processed_later_once(url, write_dsn, where, attempts):
    killed(url, where, write_dsn())
    with Store.open(url) as store:
        assert (store.stats().mails, store.stats().pending, store.stats().events) == (1, 1, 0)
        [outcome] = process_pending(store)
        assert len(outcome.events) == 1
        assert store.message(1).attempts == attempts
        assert take(store, [inbound(write_dsn())])[0].duplicate
        assert (store.stats().mails, store.stats().pending, store.stats().events) == (1, 0, 1)


def test_killed_within_a_batch_nothing_of_it_is_there(url, write_dsn):
    killed(url, "taking", write_dsn())
    with Store.open(url) as store:
        assert store.stats().mails == 0
        assert not take(store, [inbound(write_dsn())])[0].duplicate
        assert store.stats().events == 1


def test_a_mail_that_kills_the_process_twice_is_put_aside_untried(url, write_dsn):
    killed(url, "processing", write_dsn())
    killed(url, "again", b"")
    with Store.open(url) as store:
        [outcome] = process_pending(store)
        assert outcome.error == "2 attempts to process it did not come to an end"
        assert store.message(1).state is MessageState.QUARANTINED


@pytest.mark.parametrize(
    ("date", "attempt", "expected"),
    [
        ("2026-11-20T03:00:00+01:00", None, "2026-11-20T02:00:00+00:00"),
        ("2026-11-20T03:00:00+01:00", "2026-11-19T03:00:00+00:00", "2026-11-19T03:00:00+00:00"),
        ("2099-01-01T00:00:00+00:00", None, NOW.isoformat()),
        ("1970-01-01T00:00:00+00:00", None, NOW.isoformat()),
        ("0001-01-01T00:00:00+23:00", None, NOW.isoformat()),
        ("2026-11-20T02:00:00", None, "2026-11-20T02:00:00+00:00"),
        ("yesterday", None, NOW.isoformat()),
        (None, None, NOW.isoformat()),
    ],
)
def test_when_an_event_happened(store, monkeypatch, date, attempt, expected):
    recipient = RecipientReport(address="bob@example.net", last_attempt_date=attempt)
    reading = Reading(
        parsed=ParsedMessage(kind=Kind.FAILED, date=date, recipients=(recipient,)), verdicts=(None,)
    )
    monkeypatch.setattr(pipeline, "read", lambda *_: reading)
    take(store, [inbound(b"x")], now=NOW)
    [event] = store.events()
    assert event.occurred_at.isoformat() == expected


def test_what_a_notice_says_is_stored_on_one_line(store, monkeypatch):
    words = "<bob@example.net>:\n  550-5.1.1 no\n  550 5.1.1 such user"
    recipient = RecipientReport(address="bob@example.net", explanation=words)
    reading = Reading(parsed=ParsedMessage(kind=Kind.FAILED, recipients=(recipient,)), verdicts=(None,))
    monkeypatch.setattr(pipeline, "read", lambda *_: reading)
    take(store, [inbound(b"x")])
    [event] = store.events()
    assert event.recipient.explanation == "<bob@example.net>: no such user"


def test_an_event_without_action_has_the_kind_of_its_mail(store, monkeypatch):
    recipient = RecipientReport(address="bob@example.net", action=None)
    reading = Reading(parsed=ParsedMessage(kind=Kind.COMPLAINT, recipients=(recipient,)), verdicts=(None,))
    monkeypatch.setattr(pipeline, "read", lambda *_: reading)
    [outcome] = take(store, [inbound(b"x")])
    assert outcome.events[0].kind is Kind.COMPLAINT
    assert store.stats().by_kind == {"complaint": 1}


def test_an_empty_batch(store):
    assert take(store, []) == []
