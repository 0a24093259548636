"""Reports damaged on the way: what is left says the same."""

import base64

import pytest

from dsn_processor.parse.charsets import decode
from dsn_processor.parse.message import parse_message
from dsn_processor.reading import read
from dsn_processor.terms import Action, Kind

REPORT = """\
Return-Path: <>
From: MAILER-DAEMON@mx.example.net
To: me@example.com
Subject: Undelivered Mail Returned to Sender
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="=_1"

This is a MIME-encapsulated message.

--=_1
Content-Type: text/plain

The mail could not be delivered.

--=_1
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.net

Final-Recipient: rfc822; bob@example.org
Action: failed
Status: 5.0.0
Diagnostic-Code: smtp; 550 5.1.1 User unknown

Final-Recipient: rfc822; eve@example.org
Action: relayed
Status: 2.0.0

--=_1
Content-Type: message/rfc822

From: me@example.com
To: bob@example.org
Subject: hello
Content-Type: text/plain

Final-Recipient: rfc822; mallory@example.org
Status: 5.1.1
--=_1--
"""
ARF = """\
From: fbl@isp.example
To: abuse@example.com
Subject: complaint
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="b"

--b
Content-Type: text/plain

Someone complained.
--b
Content-Type: message/feedback-report

Feedback-Type: abuse
User-Agent: isp/1.0
Version: 1

--b
Content-Type: message/rfc822

From: news@example.com
To: carol@isp.example
Subject: news

Buy.
--b--
"""
MDN = """\
From: eve@example.org
To: me@example.com
Subject: Read: hello
MIME-Version: 1.0
Content-Type: multipart/report; report-type=disposition-notification; boundary="b"

--b
Content-Type: text/plain

Your mail was displayed.
--b
Content-Type: message/disposition-notification

Reporting-UA: mail.example.org
Final-Recipient: rfc822; eve@example.org
Disposition: manual-action/MDN-sent-manually; displayed

--b--
"""


def damaged(mail, old, new):
    assert mail.count(old) >= 1
    return mail.replace(old, new, 1).encode("latin-1")


def fates(raw):
    return [(one.address, one.action, one.status) for one in parse_message(raw).recipients]


WHOLE = [("bob@example.org", Action.FAILED, "5.1.1"), ("eve@example.org", Action.RELAYED, "2.0.0")]


@pytest.mark.parametrize(
    "old, new",
    [
        ("Content-Type: message/delivery-status", "Content-Type: text/plain"),
        ("Content-Type: message/delivery-status", 'Content-Type: application/octet-stream; name="x.txt"'),
        ("Content-Type: message/delivery-status", "Content-Type: messxage/delivery-status"),
        ("Content-Type: message/delivery-status", "Content-T\xe9ype: message/delivery-status"),
        ("Content-Type: message/delivery-status\n", ""),
        ("Content-Type: message/delivery-status\n\n", "Content-Type: message/delivery-status\n"),
        ("Content-Type: message/delivery-status\n\n", "Content-Type: message/delivery-status\n  \t\n"),
        ("--=_1\nContent-Type: message/delivery-status", "-x-=_1\nContent-Type: message/delivery-status"),
        ("--=_1\nContent-Type: message/delivery-status", "\xe9--=_1\nContent-Type: message/delivery-status"),
        ("--=_1\nContent-Type: message/delivery-status", "Content-Type: message/delivery-status"),
        ("--=_1\nContent-Type: message/rfc822", "Content-Type: message/rfc822"),
        ("--=_1\nContent-Type: text/plain", "Content-Type: text/plain"),
        ("Content-Type: multipart/report; report-type=delivery-status; boundary=", "Content-Type: x; b="),
        ("Content-Type: multipart/report; report-type=delivery-status;", "Contaent-Type: x;"),
        ('boundary="=_1"', 'boundary="=_2"'),
        ("MIME-Version: 1.0\n", "MIME-Version: 1.0\nwords that are no field\n"),
        ('"=_1"\n\n', '"=_1"\n'),
        ('"=_1"\n\nThis is a MIME-encapsulated message.\n\n', '"=_1"\n'),
        ("Return-Path", "\ufeff".encode().decode("latin-1") + "Return-Path"),
        ("Return-Path", "\xe9\xff junk\nReturn-Path"),
        ("Reporting-MTA", "Repo\0rting-MTA"),
    ],
)  # fmt: skip
def test_delivery_status_survives(old, new):
    assert fates(damaged(REPORT, old, new)) == WHOLE


@pytest.mark.parametrize("charset", ["utf-16", "utf-16le", "utf-16be"])
def test_delivery_status_in_two_bytes_a_character(charset):
    head, _, rest = REPORT.partition("Content-Type: message/delivery-status\n\n")
    fields, delimiter, tail = rest.partition("\n--=_1\n")
    encoded = base64.encodebytes(fields.encode(charset)).decode()
    part = f"Content-Type: message/delivery-status; charset={charset}\nContent-Transfer-Encoding: base64\n\n{encoded}"
    assert fates((head + part + delimiter + tail).encode()) == WHOLE


@pytest.mark.parametrize(
    "old, new",
    [
        ("Content-Type: message/feedback-report", "Content-Type: message/feedb\xe9ack-report"),
        ("Content-Type: message/feedback-report", "Content-Type: text/plain"),
        ("--b\nContent-Type: message/feedback-report", "Content-Type: message/feedback-report"),
        ("Content-Type: message/rfc822", "Content-Type: message/rf c822"),
        ("Content-Type: message/rfc822", "Content-Type: text/plain"),
    ],
)
def test_complaint_survives(old, new):
    parsed = parse_message(damaged(ARF, old, new))
    assert parsed.kind is Kind.COMPLAINT
    assert [one.address for one in parsed.recipients] == ["carol@isp.example"]


@pytest.mark.parametrize(
    "old, new",
    [
        ("message/disposition-notification\n\n", "message/disposition-notification\n"),
        ("message/disposition-notification", "application/octet-stream"),
        ("--b\nContent-Type: message/disp", "Content-Type: message/disp"),
    ],
)
def test_disposition_survives(old, new):
    assert parse_message(damaged(MDN, f"{old}", new)).kind is Kind.DISPOSITION


def test_a_persons_mail_with_a_status_as_attachment_is_no_report():
    raw = REPORT.replace("Return-Path: <>\n", "").replace(
        "MAILER-DAEMON@mx.example.net", "Ann <ann@example.net>"
    )
    raw = raw.replace("multipart/report; report-type=delivery-status;", "multipart/mixed;")
    raw = raw.replace("Subject: Undelivered Mail Returned to Sender", "Subject: what does this mean?")
    raw = raw.replace("message/delivery-status", 'application/octet-stream; name="details.txt"')
    raw = raw.replace("The mail could not be delivered.", "Hi, I got the attached file. Can you help?")
    assert parse_message(raw.encode()).kind is Kind.NOT_A_REPORT


@pytest.mark.parametrize("tag", ["[SPAM] ", "[EXTERNAL] ", "*** SPAM *** ", "{Spam?} ", "[EXT] [SPAM] "])
def test_what_gateways_write_before_a_subject_changes_nothing(tag):
    assert fates(damaged(REPORT, "Subject: ", f"Subject: {tag}")) == WHOLE
    question = f"From: ann@example.net\nTo: me@example.com\nSubject: {tag}Re: Undelivered Mail Returned to Sender\n\nDid you mend it?\n\n> <bob@example.org>: 550 5.1.1 user unknown\n"
    assert parse_message(question.encode()).kind is Kind.NOT_A_REPORT


def test_a_gateways_wrapping_is_taken_off():
    inner = REPORT
    outer = f'From: MAILER-DAEMON@mx.example.net\nSubject: Undelivered Mail Returned to Sender\nContent-Type: multipart/mixed; boundary="o"\n\n--o\nContent-Type: message/rfc822\n\n{inner}\n--o\nContent-Type: text/plain\n\nConfidential.\n--o--\n'
    assert fates(outer.encode()) == WHOLE
    complaint = ARF.partition("MIME-Version")[0]
    wrapped = f'{complaint}Content-Type: multipart/mixed; boundary="o"\n\n--o\nContent-Type: message/rfc822\n\n{ARF}\n--o--\n'
    assert parse_message(wrapped.encode()).kind is Kind.COMPLAINT
    forward = wrapped.replace("From: fbl@isp.example", "From: ann@example.net", 1)
    assert parse_message(forward.encode()).kind is not Kind.COMPLAINT


PLAIN = "From: MAILER-DAEMON@mx.example.net\nReturn-Path: <>\nSubject: failure notice\n\nHi. This is the mail program at mx.example.net.\nI could not deliver your message to the following addresses.\n\n<bob@example.org>:\n550 5.1.1 User unknown\n\n--- Below this line is a copy of the message.\n\nFrom: me@example.com\n"


@pytest.mark.parametrize(
    "mail",
    [
        PLAIN.replace("notice\n\n", "notice\n", 1),
        PLAIN.replace("\n\n", "\n \t\n"),
        PLAIN.replace("\n", "  \n").replace("\n  \n", "\n\n"),
        PLAIN.replace("could not deliver", "could\tnot\tdeliver").replace("User unknown", "User\xa0unknown"),
        PLAIN.replace("Subject:", "Content-Type: txxt/plain\nSubject:", 1),
        PLAIN.replace("Subject:", "Content-Type: text/plain; charset=utf-16\nSubject:", 1),
    ],
    ids=["no_empty_line", "blanks_for_empty", "blanks_at_ends", "tabs", "unknown_type", "wrong_charset"],
)
def test_a_notice_survives(mail):
    reading = read(mail.encode("latin-1" if "\xa0" not in mail else "utf-8"))
    assert [one.address for one in reading.parsed.recipients] == ["bob@example.org"]
    assert [verdict.reason for verdict in reading.verdicts] == ["user_unknown"]


def test_words_of_a_status_comment():
    raw = damaged(REPORT, "Status: 5.0.0\nDiagnostic-Code: smtp; 550 5.1.1 User unknown", "Status: 4.0.0 (example.org: host name lookup failure)")  # fmt: skip
    reading = read(raw)
    assert reading.parsed.recipients[0].diagnostic_code is None
    assert reading.verdicts[0].reason == "dns_failure"


def test_a_label_of_two_bytes_on_text_of_one():
    assert decode(b"User unknown", "utf-16") == "User unknown"
    assert decode("User unknown".encode("utf-16"), "utf-16") == "User unknown"
