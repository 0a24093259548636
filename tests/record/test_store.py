from datetime import UTC, datetime
from sqlite3 import IntegrityError

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dsn_processor import pipeline
from dsn_processor.bulk import take
from dsn_processor.errors import StoreError
from dsn_processor.facts import (
    Block,
    Defect,
    Envelope,
    Evidence,
    FeedbackReport,
    InboundMessage,
    ParsedMessage,
    Reading,
    RecipientReport,
    ReturnedMessage,
    Verdict,
)
from dsn_processor.record import packing
from dsn_processor.record.entries import EventFilter
from dsn_processor.record.store import Store
from dsn_processor.terms import Action, BounceType, Kind, Reason, Scope

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)


@pytest.fixture
def store(url):
    with Store.open(url) as opened:
        yield opened


def full_reading(text="bücher \N{WAVING HAND SIGN}"):
    """A reading that has something in every field, ``text`` in all those that hold text of the mail."""
    recipient = RecipientReport(
        address=f"{text}@example.net",
        original=text,
        action=Action.FAILED,
        status=text,
        reply_code=550,
        diagnostic_code=text,
        diagnostic_type=text,
        explanation=text,
        remote_mta=text,
        smtp_command=text,
        last_attempt_date=text,
        will_retry_until=text,
        bounce_category=text,
        origin="dialect:exim",
    )
    verdict = Verdict(
        bounce_type=BounceType.BLOCK,
        reason=Reason.IP_BLOCKLISTED,
        scope=Scope.SENDER,
        confidence=0.95,
        rule_id="some-rule",
        evidence=(Evidence("diagnostic_code", text), Evidence("status", text)),
        block=Block(ip=text, list=text, url=text, mechanism="dnsbl"),
    )
    parsed = ParsedMessage(
        kind=Kind.FAILED,
        message_id=text,
        date=text,
        from_=text,
        subject=text,
        reporting_mta=text,
        original_envelope_id=text,
        arrival_date=text,
        recipients=(recipient,),
        returned_message=ReturnedMessage(
            message_id=text, from_=text, to=text, subject=text, date=text, envelope_sender=text
        ),
        feedback=FeedbackReport(
            feedback_type=text,
            user_agent=text,
            original_mail_from=text,
            original_rcpt_to=(text, text),
            arrival_date=text,
            source_ip=text,
            reported_domain=(text,),
            auth_failure=text,
        ),
        defects=(Defect("some_defect", text),),
    )
    return Reading(parsed=parsed, verdicts=(verdict,))


def stored_reading(store, monkeypatch, reading, raw=b"x"):
    monkeypatch.setattr(pipeline, "read", lambda *_: reading)
    [outcome] = take(store, [InboundMessage(raw=raw, source="-")], now=NOW)
    assert outcome.error is None
    return store.report(outcome.message_id).reading


def test_all_facts_come_out_as_they_went_in(store, monkeypatch):
    assert stored_reading(store, monkeypatch, full_reading()) == full_reading()


@pytest.mark.parametrize("bad", ["\0", "\ud800", "a\0b\udc80c"])
def test_text_no_database_takes_is_made_safe_everywhere(store, monkeypatch, bad):
    safe = "".join("\ufffd" if c == "\0" or "\ud800" <= c <= "\udfff" else c for c in bad)
    assert stored_reading(store, monkeypatch, full_reading(bad)) == full_reading(safe)
    wanted = EventFilter(address=f"{safe}@example.net")
    assert len(list(store.events(wanted))) == 1
    assert len(list(store.events(EventFilter(address=f"{bad}@example.net")))) == 1


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(exclude_categories=()), max_size=40))
def test_any_text_can_be_stored(tmp_path, text):
    with Store.open(f"sqlite:///{tmp_path}/any.db") as store, pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "read", lambda *_: full_reading(text))
        [outcome] = take(store, [InboundMessage(raw=repr(text).encode(), source=text)])
        assert outcome.error is None


@given(st.binary(max_size=3000))
def test_packing_gives_the_same_bytes_back(raw):
    assert packing.unpack(packing.CODEC, packing.pack(raw), len(raw)) == raw


def test_a_damaged_mail_is_told():
    packed = packing.pack(b"some mail" * 100)
    with pytest.raises(StoreError, match="damaged"):
        packing.unpack(packing.CODEC, packed[:-5], 900)
    with pytest.raises(StoreError, match="damaged"):
        packing.unpack(packing.CODEC, packed, 901)
    with pytest.raises(StoreError, match="a newer one wrote it"):
        packing.unpack("brotli", packed, 900)


def test_a_transaction_that_fails_leaves_nothing(store):
    def fail():
        with store.transaction():
            store.count_duplicates(5)
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        fail()
    assert store.stats().duplicates == 0


def test_an_error_does_not_tell_what_mails_say(store):
    mail = InboundMessage(b"From: secret-9\n\nsecret-9", "secret-9", Envelope("secret-9@example.com"))
    message = pipeline.new_message(pipeline.Unread(mail, "x", NOW))
    with store.transaction():
        store.add_messages([message])
    with store.transaction(), pytest.raises(IntegrityError) as caught:
        store.add_messages([message])
    assert "secret-9" not in pipeline.told(caught.value)
    assert "identity" in pipeline.told(caught.value)


def test_nothing_there(store):
    assert (store.message(1), store.raw(1), store.report(1)) == (None, None, None)
    assert list(store.events()) == list(store.message_ids()) == []
    assert store.known(["x"]) == {}


def test_ids_come_page_by_page(store):
    take(store, [InboundMessage(raw=b"Subject: %d\n\n" % n, source="-") for n in range(1201)])
    assert list(store.message_ids()) == list(range(1, 1202))


@pytest.fixture
def some_events(store, write_dsn):
    mails = [
        write_dsn(recipient="bob@example.net", number=1, returned_id="<1@example.com>"),
        write_dsn(
            recipient="eve@Other.example",
            number=2,
            returned_id="<2@example.com>",
            action="delayed",
            status="4.2.2",
            diagnostic="452 4.2.2 The email account that you tried to reach is over quota",
        ),
        write_dsn(recipient="Bob@example.net", number=3, returned_id="<3@example.com>"),
    ]
    take(store, [InboundMessage(raw=raw, source=str(n)) for n, raw in enumerate(mails)], now=NOW)
    return store


@pytest.mark.parametrize(
    ("wanted", "mails"),
    [
        ({}, [3, 2, 1]),
        ({"kind": "failed"}, [3, 1]),
        ({"kind": "delivered"}, []),
        ({"bounce_type": "soft"}, [2]),
        ({"reason": "user_unknown"}, [3, 1]),
        ({"domain": "other.example"}, [2]),
        ({"address": "bob@example.net"}, [3, 1]),
        ({"address": "bob@example.net", "limit": 1}, [3]),
        ({"since": datetime(2026, 11, 20, 2, 40, 30, tzinfo=UTC)}, [3, 2, 1]),
        ({"since": datetime(2026, 11, 20, 2, 40, 31, tzinfo=UTC)}, []),
        ({"address": "' OR 1=1 --"}, []),
        ({"address": "%"}, []),
    ],
)
def test_filters(some_events, wanted, mails):
    assert [event.message_id for event in some_events.events(EventFilter(**wanted))] == mails
    if "limit" not in wanted:
        assert some_events.count_events(EventFilter(**wanted)) == len(mails)


def test_stats(some_events):
    found = some_events.stats()
    assert (found.mails, found.events, found.unparsed) == (3, 3, 0)
    assert list(found.by_kind.items()) == [("failed", 2), ("delayed", 1)]
    assert found.by_type == {"hard": 2, "soft": 1}
    assert found.by_reason == {"user_unknown": 2, "mailbox_full": 1}


def test_an_address_beyond_all_limits(store, monkeypatch):
    address = f"{'a' * 5000}@{'b' * 5000}.example"
    reading = Reading(
        parsed=ParsedMessage(kind=Kind.FAILED, recipients=(RecipientReport(address=address),)),
        verdicts=(None,),
    )
    assert stored_reading(store, monkeypatch, reading) == reading
    assert len(list(store.events(EventFilter(address=address)))) == 1
