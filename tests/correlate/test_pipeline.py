"""Correlation where mails come in: by batch, one by one, again, and by another order."""

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from dsn_processor import pipeline
from dsn_processor.bulk import take
from dsn_processor.correlate.options import CorrelationOptions
from dsn_processor.correlate.token import Key
from dsn_processor.facts import Envelope, InboundMessage, Send
from dsn_processor.reclassify import reclassify
from dsn_processor.record.entries import EventFilter
from dsn_processor.record.store import Store
from dsn_processor.terms import Finding, Match, Trust
from dsn_processor.tokens import return_path

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SECRET = "1:correct-horse-battery-staple"
OPTIONS = CorrelationOptions(keys=(SECRET,))
ALICE, BOB = "alice@example.net", "bob@mail.example"


@pytest.fixture
def store(url):
    with Store.open(url) as opened:
        yield opened


def path(recipient=ALICE, **kwargs):
    return return_path(Key.parse(SECRET), recipient, domain="example.com", today=NOW.date(), **kwargs)


def mail(raw, *recipients):
    return InboundMessage(raw, "test", Envelope("", recipients))


def send(message_id="sent-1@example.com", recipient=ALICE):
    return Send(message_id, recipient, NOW - timedelta(days=1), stream="news", tags=(("plan", "pro"),))


def register(store, *sends):
    with store.transaction():
        store.add_sends(sends)


def one_by_one(store, messages, correlation=OPTIONS):
    for message in messages:
        accepted = pipeline.accept(store, message, now=NOW)
        if not accepted.duplicate:
            pipeline.process(store, accepted.id, correlation=correlation)


def together(store, messages, correlation=OPTIONS):
    take(store, messages, now=NOW, correlation=correlation)


WAYS = pytest.mark.parametrize("way", [one_by_one, together])


def proofs(store):
    return {event.canonical: event.correlation for event in store.events()}


@WAYS
def test_it_is_kept_with_the_event(store, write_dsn, way):
    register(store, send())
    way(
        store,
        [mail(write_dsn(recipient="Alice@example.net", others=[BOB]), path(message_id="sent-1@example.com"))],
    )
    alice, bob = proofs(store)[ALICE], proofs(store)[BOB]
    assert (alice.trust, alice.matched_by, alice.mailed_address) == (Trust.SIGNED, Match.TOKEN, ALICE)
    assert (alice.stream, alice.tags, alice.sent_message_id) == (
        "news",
        (("plan", "pro"),),
        "sent-1@example.com",
    )
    assert (bob.trust, bob.findings) == (Trust.UNPROVED, (Finding.OTHER_RECIPIENT, Finding.NEVER_MAILED))


@WAYS
def test_without_key_and_sends_nothing_is_looked_for(store, write_dsn, way, monkeypatch):
    monkeypatch.setattr("dsn_processor.matching.clues_of", None)
    way(store, [mail(write_dsn(recipient=ALICE), path())], None)
    assert proofs(store)[ALICE].findings == ()


@WAYS
def test_a_registry_alone_is_enough(store, write_dsn, way):
    register(store, send())
    way(store, [mail(write_dsn(recipient=ALICE))], None)
    assert proofs(store)[ALICE].matched_by is Match.MESSAGE_ID


@WAYS
def test_the_same_report_by_any_order_has_its_strongest_proof(store, url, write_dsn, way):
    reports = [
        mail(write_dsn(recipient=ALICE, number=1)),
        mail(write_dsn(recipient=ALICE, number=2), path()),
        mail(write_dsn(recipient=ALICE, number=3), path(BOB)),
        mail(write_dsn(recipient=ALICE, number=4) + path().encode()),
    ]
    for number, order in enumerate(permutations(reports)):
        with Store.open(f"{url}.{number}") as other:
            way(other, order)
            [event] = other.events()
            assert event.trust is Trust.SIGNED
            assert event.concerned == ALICE


@WAYS
def test_what_came_in_time_replaces_what_came_late(store, write_dsn, way):
    late = return_path(Key.parse(SECRET), ALICE, domain="example.com", today=NOW.date() - timedelta(days=40))
    way(store, [mail(write_dsn(recipient=ALICE, number=1), late)])
    assert proofs(store)[ALICE].findings == (Finding.LATE,)
    way(store, [mail(write_dsn(recipient=ALICE, number=2) + path().encode())])
    assert proofs(store)[ALICE].trust is Trust.MATCHED
    assert proofs(store)[ALICE].findings == ()


@WAYS
def test_a_token_stands_in_for_a_message_id_that_did_not_come_back(store, write_dsn, way):
    way(
        store,
        [mail(write_dsn(recipient=ALICE, returned_id=None, number=number), path()) for number in range(5)]
        + [
            mail(
                write_dsn(recipient=ALICE, returned_id=None, number=9), path(message_id="another@example.com")
            )
        ],
    )
    assert store.stats().events == 2


@WAYS
def test_events_are_found_by_the_mailed_address(store, write_dsn, way):
    register(store, send())
    way(store, [mail(write_dsn(recipient=BOB))])
    [event] = store.events(EventFilter(address=ALICE))
    assert (event.canonical, event.concerned) == (BOB, ALICE)
    assert [one.id for one in store.events(EventFilter(address=BOB))] == [event.id]


def again(store, options, *, apply=True):
    return [
        one
        for one in reclassify(store, apply=apply, correlation=options)
        if one.changes and one.changes.events
    ]


@WAYS
def test_reclassify_finds_what_was_registered_later(store, write_dsn, way):
    way(store, [mail(write_dsn(recipient=ALICE))])
    register(store, send())
    [result] = again(store, OPTIONS, apply=False)
    assert [change.answer for change in result.changes.events] == [True]
    assert proofs(store)[ALICE].trust is Trust.UNPROVED
    again(store, OPTIONS)
    assert proofs(store)[ALICE].trust is Trust.MATCHED
    assert again(store, OPTIONS) == []


@WAYS
def test_reclassify_without_key_and_sends_keeps_what_was_proven(store, write_dsn, way):
    way(store, [mail(write_dsn(recipient=ALICE), path())])
    before = proofs(store)
    assert again(store, None) == []
    assert proofs(store) == before


@WAYS
def test_reclassify_with_another_key_takes_it_back(store, write_dsn, way):
    way(store, [mail(write_dsn(recipient=ALICE), path())])
    again(store, CorrelationOptions(keys=("1:another-secret-of-enough-length",)))
    assert proofs(store)[ALICE].trust is Trust.UNPROVED


@WAYS
def test_reclassify_keeps_the_proof_that_another_mail_brought(store, write_dsn, way):
    way(
        store,
        [mail(write_dsn(recipient=ALICE, number=1)), mail(write_dsn(recipient=ALICE, number=2), path())],
    )
    assert again(store, OPTIONS) == []
    assert proofs(store)[ALICE].trust is Trust.SIGNED
    [event] = store.events()
    assert (event.message_id, event.proved_by) == (1, 2)


@WAYS
def test_reclassify_with_a_first_key_finds_what_a_repeated_report_proves(store, write_dsn, way):
    mails = [mail(write_dsn(recipient=ALICE, number=1)), mail(write_dsn(recipient=ALICE, number=2), path())]
    way(store, mails, None)
    again(store, OPTIONS)
    assert proofs(store)[ALICE].trust is Trust.SIGNED


REDACTED = """\
From: feedback@isp.example
To: abuse@example.com
Subject: complaint
Date: Fri, 20 Nov 2026 08:00:00 +0000
Message-ID: <fbl-1@isp.example>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="f"

--f
Content-Type: text/plain

Somebody complains.
--f
Content-Type: message/feedback-report

Feedback-Type: abuse
User-Agent: x/1
Version: 1

--f
Content-Type: text/rfc822-headers

{returned}
From: news@example.com
To: undisclosed-recipients:;

--f--
"""


@WAYS
@pytest.mark.parametrize("by", ["token", "message id"])
def test_a_complaint_that_leaves_out_the_recipient_is_about_who_was_mailed(store, way, by):
    register(store, send(message_id="sent-1@example.com"))
    token = path(message_id="sent-1@example.com")
    returned = f"Return-Path: <{token}>" if by == "token" else "Message-ID: <sent-1@example.com>"
    raw = REDACTED.format(returned=returned.replace("t1", "T1")).encode()
    way(store, [mail(raw), mail(raw.replace(b"fbl-1", b"fbl-2"))])
    [event] = store.events()
    assert (event.canonical, event.trust, event.recipient.origin) == (ALICE, Trust.MATCHED, "correlation")
    assert event.correlation.findings == ()
    assert event.occurred_at == datetime(2026, 11, 20, 8, tzinfo=UTC)
    assert again(store, OPTIONS) == []


@WAYS
def test_a_complaint_that_nothing_ties_has_no_event(store, way):
    register(store, send(message_id="sent-1@example.com"))
    way(store, [mail(REDACTED.format(returned="Message-ID: <other@example.com>").encode())])
    assert list(store.events()) == []


def test_a_mail_to_another_recipient_is_read_again(store, write_dsn):
    raw = write_dsn(recipient=ALICE, others=[BOB])
    one_by_one(store, [mail(raw, path())])
    pipeline.accept(store, mail(raw, path(BOB)), now=NOW)
    list(pipeline.process_pending(store, None, OPTIONS))
    assert {one.trust for one in proofs(store).values()} == {Trust.SIGNED}


def test_a_thousand_times_is_once(store, write_dsn):
    raw = write_dsn(recipient=ALICE)
    together(store, [mail(raw, path())] * 500 + [mail(raw.replace(b"\n", b"\r\n"), path())] * 500)
    assert store.stats().events == 1
    assert proofs(store)[ALICE].trust is Trust.SIGNED


@pytest.mark.parametrize(
    "source, date, late",
    [
        ("old.mbox#1", "Fri, 20 Nov 2026 02:40:30 +0000", False),
        ("old.mbox#1", "Fri, 25 Dec 2026 02:40:30 +0000", True),  # late by its own date, too
        ("old.mbox#1", "Fri, 20 Nov 2099 02:40:30 +0000", True),  # one to come is not believed
        ("smtp:192.0.2.1", "Fri, 20 Nov 2026 02:40:30 +0000", True),
        ("imap:a/INBOX#1", "Fri, 20 Nov 2026 02:40:30 +0000", True),
        ("ingest", "Fri, 20 Nov 2026 02:40:30 +0000", True),
    ],
)
@pytest.mark.parametrize("token", [True, False])
def test_replayed_files_are_as_late_as_their_own_date_says(store, write_dsn, source, date, late, token):
    if not token:
        register(store, send())
    raw = write_dsn(recipient=ALICE, returned_id=None if token else "<sent-1@example.com>")
    raw = raw.replace(b"Date: Fri, 20 Nov 2026 02:40:30 +0000", f"Date: {date}".encode())
    message = InboundMessage(raw, source, Envelope("", (path(),) if token else ("bounces@example.com",)))
    take(store, [message], now=NOW + timedelta(days=60), correlation=OPTIONS)
    [event] = store.events()
    assert (Finding.LATE in event.correlation.findings) is late
    assert (event.trust is Trust.UNPROVED) is late
