"""The matching alone: no store, no parser."""

from datetime import UTC, date, datetime, timedelta

import pytest

from dsn_processor.canonical import reference
from dsn_processor.correlate.clues import clues_of
from dsn_processor.correlate.options import CorrelationOptions, ours
from dsn_processor.correlate.token import Key
from dsn_processor.correlate.trust import Known, Subject, correlate
from dsn_processor.facts import NO_CORRELATION, Envelope, ParsedMessage, ReturnedMessage, Send, SentMessage
from dsn_processor.terms import Finding, Kind, Match, Trust
from dsn_processor.tokens import mint, return_path

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
KEY = Key.parse("1:correct-horse-battery-staple")
OPTIONS = CorrelationOptions(keys=("1:correct-horse-battery-staple",), streams=("news", "receipts"))
TODAY = NOW.date()
ALICE, BOB, VICTIM = "alice@example.net", "bob@mail.example", "victim@example.org"
SENT = "sent-1@example.com"


def path(recipient=ALICE, *, today=TODAY, key=KEY, **kwargs):
    return return_path(key, recipient, domain="bounces.example.com", today=today, **kwargs)


def sent(*recipients, message_id=SENT, at=NOW - timedelta(days=1), **kwargs):
    sends = tuple(Send(message_id, recipient, at, **kwargs) for recipient in recipients)
    return {reference(message_id): SentMessage(sends, len(sends))}


def tie(
    *subjects,
    to=(),
    raw=b"",
    returned=None,
    envelope_id=None,
    known=None,
    options=OPTIONS,
    now=NOW,
    lists=(),
):
    """One answer a recipient."""
    own = ours(options)
    parsed = ParsedMessage(Kind.FAILED, original_envelope_id=envelope_id, returned_message=returned)
    clues = clues_of(raw, Envelope("", tuple([to] if isinstance(to, str) else to)), parsed, own)
    messages = known or {}
    addresses = {send.recipient: send.mailing_list for message in messages.values() for send in message.sends}
    registry = Known(messages, addresses | dict.fromkeys(lists, True), any=known is not None)
    told = correlate(
        clues,
        [Subject(*one) if isinstance(one, tuple) else Subject(one) for one in subjects],
        own,
        now,
        registry,
    )
    answers = [one.correlation for one in told]
    return answers[0] if len(answers) == 1 else answers


# ---- tokens


def test_a_token_in_the_envelope_signs():
    found = tie(ALICE, to=path(message_id=SENT, stream="news"), returned=ReturnedMessage(message_id=SENT))
    assert (found.trust, found.matched_by, found.mailed_address) == (Trust.SIGNED, Match.TOKEN, ALICE)
    assert (found.sent_message_id, found.stream, found.findings) == (SENT, "news", ())


def test_a_token_elsewhere_matches():
    for text in (f"X-DSN-Token: {mint(KEY, ALICE, today=NOW.date())}", f"Return-Path: <{path().upper()}>"):
        found = tie(ALICE, raw=b"To: x\r\n\r\n" + text.encode())
        assert (found.trust, found.matched_by, found.mailed_address) == (
            Trust.MATCHED,
            Match.TOKEN_INSIDE,
            ALICE,
        )


def test_a_message_id_that_the_token_does_not_know_is_not_told():
    assert (
        tie(ALICE, to=path(message_id="x"), returned=ReturnedMessage(message_id=SENT)).sent_message_id is None
    )


def test_the_registry_tells_what_the_token_cannot():
    known = sent(ALICE, stream="receipts", campaign="c", tags=(("user", "7"),))
    found = tie(ALICE, to=path(message_id=SENT), known=known)
    assert (found.sent_message_id, found.stream, found.campaign) == (SENT, "receipts", "c")
    assert found.tags == (("user", "7"),)


@pytest.mark.parametrize("days, late", [(30, False), (31, True), (400, True)])
def test_a_late_token_proves_what_does_not_count(days, late):
    found = tie(ALICE, to=path(), now=NOW + timedelta(days=days))
    assert found.trust is (Trust.UNPROVED if late else Trust.SIGNED)
    assert (found.matched_by, found.mailed_address) == (Match.TOKEN, ALICE)
    assert (Finding.LATE in found.findings) is late


def test_what_came_in_time_goes_before_what_came_late():
    old, new = path(today=NOW.date() - timedelta(days=60)), mint(KEY, ALICE, today=NOW.date())
    found = tie(ALICE, to=old, raw=new.encode())
    assert (found.trust, found.findings) == (Trust.MATCHED, ())


@pytest.mark.parametrize(
    "to",
    [
        "bounces@example.com",
        return_path(Key.parse("1:not-the-secret-that-we-have"), ALICE, domain="example.com"),
        return_path(Key.parse("9:correct-horse-battery-staple"), ALICE, domain="example.com"),
    ],
)
def test_what_no_key_of_ours_made_proves_nothing(to):
    found = tie(ALICE, to=to, raw=to.encode())
    assert (found.trust, found.matched_by, found.mailed_address) == (Trust.UNPROVED, None, None)
    assert (Finding.FALSE_TOKEN in found.findings) is ("t1" in to)


def test_a_token_is_about_one_of_several_recipients():
    alice, bob = tie(ALICE, BOB, to=path())
    assert (alice.trust, bob.trust) == (Trust.SIGNED, Trust.UNPROVED)
    assert bob.findings == (Finding.OTHER_RECIPIENT,)
    assert bob.mailed_address is None


def test_several_tokens_are_about_several_recipients():
    alice, bob = tie(ALICE, BOB, to=[path(), path(BOB)])
    assert (alice.trust, alice.mailed_address) == (Trust.SIGNED, ALICE)
    assert (bob.trust, bob.mailed_address) == (Trust.SIGNED, BOB)


def test_the_token_of_somebody_else_does_not_reach_a_victim():
    found = tie(VICTIM, to=path(ALICE, message_id=SENT), returned=ReturnedMessage(message_id=SENT, to=VICTIM))
    assert (found.trust, found.mailed_address) == (Trust.UNPROVED, None)
    assert found.findings == (Finding.OTHER_RECIPIENT,)
    known = tie(VICTIM, to=path(ALICE, message_id=SENT), known=sent(ALICE))
    assert (known.trust, known.mailed_address) == (
        Trust.SIGNED,
        ALICE,
    )  # it is about the one who had the token


def test_without_keys_a_token_says_nothing():
    assert tie(ALICE, to=path(), options=CorrelationOptions()) == NO_CORRELATION


# ---- forwarding: D50, D51


def test_d50_after_forwarding_the_mailed_address_is_concerned():
    by_original = tie((BOB, ALICE), to=path())
    by_returned = tie(BOB, to=path(), returned=ReturnedMessage(to=f"Alice <{ALICE}>"))
    by_registry = tie(BOB, to=path(message_id=SENT), known=sent(ALICE))
    by_message_id = tie(BOB, returned=ReturnedMessage(message_id=SENT), known=sent(ALICE))
    for found in (by_original, by_returned, by_registry, by_message_id):
        assert found.trust in (Trust.SIGNED, Trust.MATCHED)
        assert found.mailed_address == ALICE
        assert found.findings == (Finding.FORWARDED,)


def test_d50_by_verp_it_is_known_but_not_proven():
    found = tie(BOB, to="bounces+alice=example.net@example.com")
    assert (found.trust, found.matched_by, found.mailed_address) == (Trust.UNPROVED, Match.VERP, ALICE)
    assert found.findings == (Finding.FORWARDED,)


def test_one_address_forwarded_to_many_is_the_one_concerned():
    both = tie(BOB, VICTIM, returned=ReturnedMessage(message_id=SENT), known=sent(ALICE))
    assert [(one.trust, one.mailed_address) for one in both] == [(Trust.MATCHED, ALICE)] * 2


@pytest.mark.parametrize("where", ["configuration", "registry", "send"])
def test_d51_a_mailing_list_is_told(where):
    options = CorrelationOptions(
        keys=OPTIONS.keys, lists=("Alice@Example.NET",) if where == "configuration" else ()
    )
    known = sent(ALICE, mailing_list=True) if where == "send" else {}
    found = tie(
        (BOB, ALICE), to=path(), options=options, known=known, lists=[ALICE] if where == "registry" else []
    )
    assert found.mailed_address == ALICE
    assert set(found.findings) == {Finding.FORWARDED, Finding.MAILING_LIST}


def test_d51_a_list_that_the_report_names_is_told_without_proof_too():
    found = tie((BOB, ALICE), known={}, lists=[ALICE])
    assert found.findings == (Finding.MAILING_LIST,)


# ---- wrapping: D52


@pytest.mark.parametrize(
    "wrapped", ["prvs=190694bd6d={}@example.com", "SRS0=HHHH=TT=example.com={}@forwarder.example"]
)
def test_d52_wrapping_is_taken_off(wrapped):
    local = path().partition("@")[0]
    assert tie(ALICE, to=wrapped.format(local)).trust is Trust.SIGNED
    assert tie(ALICE, to=wrapped.format("bounces+alice=example.net")).mailed_address == ALICE


# ---- message ids


@pytest.mark.parametrize(
    "kwargs, match",
    [
        ({"returned": ReturnedMessage(message_id=SENT)}, Match.MESSAGE_ID),
        ({"envelope_id": f"<{SENT}>"}, Match.ENVELOPE_ID),
        ({"raw": f"To: x\r\n\r\nx-dsn-message-id:  <{SENT}>\r\n".encode()}, Match.HEADER),
    ],
)
def test_an_id_that_went_to_this_recipient_alone_matches(kwargs, match):
    found = tie(ALICE, known=sent(ALICE), **kwargs)
    assert (found.trust, found.matched_by, found.mailed_address) == (Trust.MATCHED, match, ALICE)
    assert found.sent_message_id == SENT


def test_our_header_has_the_name_that_is_configured():
    options = CorrelationOptions(header="X-Number")
    raw = f"\nX-Number: {SENT}\nX-DSN-Message-ID: other\n".encode()
    assert tie(ALICE, raw=raw, options=options, known=sent(ALICE)).matched_by is Match.HEADER
    assert tie(ALICE, raw=raw, known=sent(ALICE)).matched_by is None


def test_an_id_that_went_to_few_matches_each_of_them():
    returned, known = ReturnedMessage(message_id=SENT), sent(ALICE, VICTIM)
    alice, victim = tie(ALICE, VICTIM, returned=returned, known=known, options=CorrelationOptions())
    assert alice.trust is victim.trust is Trust.MATCHED
    assert alice.findings == (Finding.SHARED_MESSAGE,)


def test_with_a_key_an_id_that_others_know_is_plausible():
    alice = tie(ALICE, returned=ReturnedMessage(message_id=SENT), known=sent(ALICE, VICTIM))
    assert (alice.trust, alice.findings) == (Trust.PLAUSIBLE, (Finding.SHARED_MESSAGE,))


@pytest.mark.parametrize(
    "others, most, trust",
    [(9, 10, Trust.MATCHED), (10, 10, Trust.PLAUSIBLE), (1, 1, Trust.PLAUSIBLE), (10, 11, Trust.MATCHED)],
)
def test_an_id_that_many_others_know_is_plausible(others, most, trust):
    known = sent(ALICE, *(f"{n}@example.org" for n in range(others)))
    options = CorrelationOptions(shared_recipients=most)
    returned = ReturnedMessage(message_id=SENT)
    assert tie(ALICE, returned=returned, known=known, options=options).trust is trust


def test_of_an_id_that_others_know_what_is_only_guessed_is_plausible():
    to = "bounces+alice=example.net@example.com"
    found = tie(BOB, to=to, returned=ReturnedMessage(message_id=SENT), known=sent(ALICE, VICTIM))
    assert (found.trust, found.mailed_address) == (Trust.PLAUSIBLE, ALICE)


def test_of_an_id_that_others_know_nobody_else_is_concerned():
    found = tie(BOB, returned=ReturnedMessage(message_id=SENT), known=sent(ALICE, VICTIM))
    assert (found.trust, found.mailed_address) == (Trust.UNPROVED, None)


@pytest.mark.parametrize("days, late", [(29, False), (31, True)])
def test_a_late_report_by_message_id(days, late):
    known = sent(ALICE, at=NOW - timedelta(days=days))
    found = tie(ALICE, returned=ReturnedMessage(message_id=SENT), known=known)
    assert found.trust is (Trust.UNPROVED if late else Trust.MATCHED)
    assert (Finding.LATE in found.findings) is late


# ---- never mailed: D54


def test_d54_an_address_that_was_never_mailed():
    found = tie(VICTIM, returned=ReturnedMessage(message_id="invented@example.com"), known=sent(ALICE))
    assert (found.trust, found.findings) == (Trust.UNPROVED, (Finding.NEVER_MAILED,))
    assert tie(VICTIM, known=None).findings == ()
    assert tie(ALICE, known=sent(ALICE)).findings == ()


# ---- VERP


def test_verp_never_proves():
    found = tie(ALICE, to="bounces+alice=example.net@example.com", known=sent(ALICE))
    assert (found.trust, found.matched_by, found.mailed_address) == (Trust.UNPROVED, Match.VERP, ALICE)


def test_where_verp_is_ambiguous_report_and_registry_decide():
    to = "owner-list-user=example.net@example.com"
    assert tie("user@example.net", to=to).mailed_address == "user@example.net"
    assert tie(BOB, to=to).mailed_address == "list-user@example.net"
    assert tie(BOB, to=to, known=sent("user@example.net")).mailed_address == "user@example.net"


@pytest.mark.parametrize("header", ["Delivered-To", "X-Original-To", "to"])
def test_verp_without_an_envelope_is_read_from_the_header(header):
    raw = f"{header}: <bounces+alice=example.net@example.com>\r\nFrom: x\r\n\r\nTo: bounces+eve=example.net@x.example".encode()
    assert tie(BOB, raw=raw).mailed_address == ALICE


def test_days():
    assert date(2026, 12, 21) - NOW.date() == timedelta(days=30)
    with pytest.raises(ValueError, match="valid has to be"):
        CorrelationOptions(valid=3600.0)
    with pytest.raises(ValueError, match="keep_sends has to be"):
        CorrelationOptions(keep_sends=86_400.0)
    with pytest.raises(ValueError, match="shared_recipients has to be"):
        CorrelationOptions(shared_recipients=0)
    with pytest.raises(ValueError, match="header has to be"):
        CorrelationOptions(header="X Number")
    with pytest.raises(ValueError, match="no address"):
        CorrelationOptions(lists=("staff",))
