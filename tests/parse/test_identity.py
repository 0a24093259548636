import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsn_processor.canonical import canonical_address, canonical_domain
from dsn_processor.parse.identity import event_identity, identity

MAIL = b"From: a@example.net\nSubject: x\n\nHello\nFrom now on\n> quoted\n"
SAME = {
    "crlf": MAIL.replace(b"\n", b"\r\n"),
    "cr": MAIL.replace(b"\n", b"\r"),
    "trailing newlines": MAIL + b"\n\r\n\n",
    "no newline at the end": MAIL.rstrip(b"\n"),
    "mboxo quoting": MAIL.replace(b"\nFrom now", b"\n>From now"),
    "mboxrd quoting twice": MAIL.replace(b"\nFrom now", b"\n>>From now"),
    "mbox From line": b"From MAILER-DAEMON Fri Nov 20 02:40:30 2026\n" + MAIL,
    "mbox From line, quoting, CRLF": (
        b"From MAILER-DAEMON Fri Nov 20 02:40:30 2026\n" + MAIL.replace(b"\nFrom now", b"\n>From now")
    ).replace(b"\n", b"\r\n"),
    "return path": b"Return-Path: <>\n" + MAIL,
    "trace headers": (
        b"Return-Path: <>\nX-Original-To: b@example.com\nDelivered-To: b@example.com\n"
        b"Received: from mx.example.net (mx.example.net [192.0.2.1])\n\tby mail.example.com; Fri, 20 Nov 2026\n"
        b"ARC-Seal: i=1; a=rsa-sha256\nAuthentication-Results: mail.example.com;\n spf=none\nX-Spam-Status: No\n"
        + MAIL
    ),
    "letter case of trace headers": b"RECEIVED: from a\nreturn-path: <>\n" + MAIL,
    "flags of a mail store": MAIL.replace(
        b"\n\n", b"\nStatus: RO\nX-Status: A\nContent-Length: 20\nLines: 2\n\n", 1
    ),
    "flags between fields": MAIL.replace(b"Subject", b"X-Keywords: a\n b\nX-UID: 5\nSubject", 1),
}
OTHER = {
    "another subject": MAIL.replace(b"Subject: x", b"Subject: y"),
    "another body": MAIL.replace(b"Hello", b"hello"),
    "trace header further down": MAIL.replace(b"Subject", b"Received: from a\nSubject", 1),
    "flag in the body": MAIL.replace(b"Hello", b"Status: RO\nHello"),
    "leading space": MAIL.replace(b"Hello", b" Hello"),
    "a field like a flag": MAIL.replace(b"Subject", b"Statuses: 1\nSubject", 1),
    "an empty line less": MAIL.replace(b"\n\n", b"\n", 1),
}


@pytest.mark.parametrize("raw", SAME.values(), ids=SAME)
def test_same_mail(raw):
    assert raw != MAIL
    assert identity(raw) == identity(MAIL)


@pytest.mark.parametrize("raw", OTHER.values(), ids=OTHER)
def test_other_mail(raw):
    assert raw != MAIL
    assert identity(raw) != identity(MAIL)


@given(st.binary(max_size=300))
def test_any_bytes_have_an_identity_whatever_their_line_ends(raw):
    lf = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    assert re.fullmatch("[0-9a-f]{64}", identity(raw))
    assert identity(lf.replace(b"\n", b"\r\n")) == identity(raw)


@pytest.mark.parametrize(
    "raw", [b"", b"\n", b"From ", b"From x", b"Received: x", b"\n\n\n", b"Status: R\n\n", b">From x\n\ny"]
)
def test_degenerate_mails_have_one(raw):
    assert identity(raw) == identity(raw.replace(b"\n", b"\r\n"))


@pytest.mark.parametrize(
    ("address", "canonical"),
    [
        ("Bob@Example.NET", "bob@example.net"),
        ("bob@example.net.", "bob@example.net"),
        ('"bob"@example.net', "bob@example.net"),
        ('"b.o+b"@example.net', "b.o+b@example.net"),
        ('"bob smith"@example.net', '"bob smith"@example.net'),
        ('"a@b"@example.net', '"a@b"@example.net'),
        ("bob+tag@example.net", "bob+tag@example.net"),
        ("b.o.b@example.net", "b.o.b@example.net"),
        ("bob@xn--bcher-kva.example", "bob@bücher.example"),
        ("bob@XN--BCHER-KVA.example", "bob@bücher.example"),
        ("bob@Xn--Bcher-kva.example", "bob@bücher.example"),
        ("bob@BÜCHER.example", "bob@bücher.example"),
        ("bob@bu\u0308cher.example", "bob@bücher.example"),
        ("bob@straße.example", "bob@straße.example"),
        ("bob@bücher\u3002example", "bob@bücher.example"),
        ("bob@xn--a.example", "bob@xn--a.example"),
        ("bob@xn--abc-.example", "bob@xn--abc-.example"),
        ("bob@xn--99999999999.example", "bob@xn--99999999999.example"),
        ("bob@[192.0.2.1]", "bob@[192.0.2.1]"),
        ("bob", "bob"),
        ("@", "@"),
        ("", ""),
    ],
)
def test_canonical_address(address, canonical):
    assert canonical_address(address) == canonical


@given(st.text(max_size=60) | st.from_regex(r"[a-z\"]{0,8}@(xn--[a-z0-9-]{0,12}\.)?[a-zÀ-ſ.]{0,12}"))
def test_canonical_address_is_its_own_canonical_form(address):
    once = canonical_address(address)
    assert canonical_address(once) == once


@pytest.mark.parametrize("domain", ["Example.NET", "example.net.", "example.net"])
def test_canonical_domain(domain):
    assert canonical_domain(domain) == "example.net"


def event(**changed):
    facts = {
        "mail": "m1",
        "returned_message_id": "<x@example.com>",
        "recipient": "bob@example.net",
        "kind": "failed",
        "status": "5.1.1",
    }
    return event_identity(**{**facts, **changed})


def test_reports_about_one_sent_mail_are_one_event():
    assert event(mail="m2", returned_message_id=" x@example.com ") == event()


@pytest.mark.parametrize(
    "changed",
    [
        {"returned_message_id": "<y@example.com>"},
        {"recipient": "eve@example.net"},
        {"kind": "delayed"},
        {"status": "5.1.2"},
        {"status": None},
        {"returned_message_id": None},
    ],
)
def test_another_fact_is_another_event(changed):
    assert event(**changed) != event()


@pytest.mark.parametrize("nothing", [None, "", "<>", " "])
def test_without_a_returned_message_id_the_mail_stands_in(nothing):
    assert event(returned_message_id=nothing) == event(returned_message_id=None)
    assert event(returned_message_id=nothing, mail="m2") != event(returned_message_id=nothing)


def test_a_lone_surrogate_is_no_obstacle():
    assert event(recipient="\ud800@example.net") != event()
