import pytest

from dsn_processor.lines import one_line
from dsn_processor.parse.dsn import BLOCK_LIMIT, read_status, recipient_reports
from dsn_processor.parse.message import parse_message
from dsn_processor.terms import Action, Kind

REPORT = """From: MAILER-DAEMON@mx.example.net
To: bounces@example.com
Subject: Undelivered Mail Returned to Sender
Message-ID: <report@mx.example.net>
Date: Sat, 21 Nov 2026 02:40:30 +0000
MIME-Version: 1.0
Content-Type: multipart/report; report-type={kind}; boundary="b"

--b
Content-Type: text/plain; charset=utf-8

{notice}

--b
Content-Type: message/{type}
{headers}
{status}
--b
Content-Type: {returned_type}

Return-Path: <bounces+1@example.com>
Message-ID: <sent@example.com>
From: News <news@example.com>
To: ann@example.net
Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=
Date: Fri, 20 Nov 2026 02:40:30 +0000

the body
--b--
"""


def report(
    status: str,
    notice: str = "It failed.",
    kind: str = "delivery-status",
    type_: str = "delivery-status",
    headers: str = "",
    returned_type: str = "message/rfc822",
):
    text = REPORT.format(
        status=status, notice=notice, kind=kind, type=type_, headers=headers, returned_type=returned_type
    )
    return parse_message(text.encode())


def read(text: str):
    defects = []
    reports = recipient_reports(read_status(text, defects), defects)
    return reports, [defect.code for defect in defects]


STATUS = """Reporting-MTA: dns; mx.example.net
Original-Envelope-Id: QQ314159
Arrival-Date: Fri, 20 Nov 2026 02:40:31 +0000

Original-Recipient: rfc822;ann@example.net
Final-Recipient: rfc822;ann@mailbox.example.net
Action: failed
Status: 5.1.1
Remote-MTA: dns; mailbox.example.net (192.0.2.7)
Diagnostic-Code: smtp; 550-5.1.1 <ann@mailbox.example.net>: no such
 550 5.1.1 user
Last-Attempt-Date: Sat, 21 Nov 2026 02:40:29 +0000
Will-Retry-Until: Sun, 22 Nov 2026 02:40:29 +0000
"""


def test_every_field_of_a_report():
    parsed = report(STATUS, notice="<ann@mailbox.example.net>: it said: 550 no (in reply to RCPT TO command)")
    assert (parsed.kind, parsed.reporting_mta, parsed.original_envelope_id) == (
        Kind.FAILED,
        "mx.example.net",
        "QQ314159",
    )
    assert (parsed.message_id, parsed.date) == ("report@mx.example.net", "2026-11-21T02:40:30+00:00")
    assert parsed.arrival_date == "2026-11-20T02:40:31+00:00"
    (one,) = parsed.recipients
    assert (one.address, one.original, one.action) == (
        "ann@mailbox.example.net",
        "ann@example.net",
        Action.FAILED,
    )
    assert (one.status, one.reply_code, one.smtp_command) == ("5.1.1", 550, "RCPT")
    assert one.diagnostic_code == "550-5.1.1 <ann@mailbox.example.net>: no such user"
    assert (one.diagnostic_type, one.remote_mta) == ("smtp", "mailbox.example.net")
    assert (one.last_attempt_date, one.will_retry_until) == (
        "2026-11-21T02:40:29+00:00",
        "2026-11-22T02:40:29+00:00",
    )
    assert one.origin == "delivery-status"
    returned = parsed.returned_message
    assert (returned.message_id, returned.envelope_sender, returned.subject) == (
        "sent@example.com",
        "bounces+1@example.com",
        "Grüße",
    )
    assert (returned.from_, returned.to, returned.date) == (
        "News <news@example.com>",
        "ann@example.net",
        "2026-11-20T02:40:30+00:00",
    )
    assert parsed.defects == ()


@pytest.mark.parametrize(
    "returned_type",
    ["message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers", "text/rfc822"],
)
def test_every_form_of_returned_message(returned_type):
    assert report(STATUS, returned_type=returned_type).returned_message.message_id == "sent@example.com"


@pytest.mark.parametrize(
    "action, status, expected",
    [
        ("failed", "4.4.7", Action.FAILED),
        ("delayed", "4.4.1", Action.DELAYED),
        ("delivered", "2.0.0", Action.DELIVERED),
        ("relayed", "2.1.9", Action.RELAYED),
        ("expanded", "2.0.0", Action.EXPANDED),
        ("FAILED (bounce)", "5.1.1", Action.FAILED),
        ("error", "5.1.1", Action.FAILED),
        ("failure", "5.1.1", Action.FAILED),
        ("", "5.1.1", Action.FAILED),
        ("", "4.2.2", Action.DELAYED),
        ("", "2.0.0", Action.DELIVERED),
        ("mangled", "", Action.FAILED),
    ],
)
def test_actions_met_and_inferred(action, status, expected):
    ((one,), _) = read(f"\n\nFinal-Recipient: rfc822; a@example.net\nAction: {action}\nStatus: {status}\n")
    assert one.action is expected


@pytest.mark.parametrize(
    "status, diagnostic, expected",
    [
        ("5.1.1", "550 5.2.1 disabled", "5.1.1"),
        ("5.0.0", "550 5.2.1 disabled", "5.2.1"),
        ("5.0.0", "550 5.0.0 no", "5.0.0"),
        ("5.0.0", "550 no", "5.0.0"),
        ("5.0.0", "550 no, was 2.1.5 ok", "5.0.0"),
        ("5.1.1 (bad mailbox)", "550 no", "5.1.1"),
        ("5.01.001", "550 no", "5.1.1"),
        ("", "550 5.2.1 disabled", "5.2.1"),
        ("", "550 no", None),
        ("nonsense", "", None),
    ],
)
def test_the_status_that_a_mail_states(status, diagnostic, expected):
    ((one,), _) = read(
        f"\n\nFinal-Recipient: rfc822; a@example.net\nAction: failed\nStatus: {status}\nDiagnostic-Code: smtp; {diagnostic}\n"
    )
    assert one.status == expected


def test_a_status_field_may_hold_a_reply():
    ((one,), _) = read("\n\nFinal-Recipient: rfc822; a@example.net\nAction: failed\nStatus: 553 too large\n")
    assert (one.status, one.reply_code) == (None, 553)


def test_recipients_with_different_fates():
    text = "Reporting-MTA: dns; x\n" + "".join(
        f"\nFinal-Recipient: rfc822; {name}@example.net\nAction: {action}\nStatus: {status}\n"
        for name, action, status in [
            ("a", "delivered", "2.0.0"),
            ("b", "delayed", "4.4.1"),
            ("c", "failed", "5.1.1"),
        ]
    )
    parsed = report(text)
    assert parsed.kind is Kind.FAILED
    assert [(one.address[0], one.action.value) for one in parsed.recipients] == [
        ("a", "delivered"),
        ("b", "delayed"),
        ("c", "failed"),
    ]


def test_blocks_without_blank_lines_and_with_too_many():
    run_on = "Reporting-MTA: dns; x\nFinal-Recipient: rfc822; a@example.net\nAction: failed\nFinal-Recipient: rfc822; b@example.net\nAction: delayed\n"
    reports, _ = read(run_on)
    assert [(one.address, one.action.value) for one in reports] == [
        ("a@example.net", "failed"),
        ("b@example.net", "delayed"),
    ]
    torn = (
        "Reporting-MTA: dns; x\n\nFinal-Recipient: rfc822; a@example.net\n\nAction: delayed\nStatus: 4.2.2\n"
    )
    reports, _ = read(torn)
    assert [(one.address, one.action.value, one.status) for one in reports] == [
        ("a@example.net", "delayed", "4.2.2")
    ]


def test_a_recipient_named_twice_with_one_fate_is_one():
    block = "\nFinal-Recipient: rfc822; a@example.net\nAction: failed\nStatus: 5.1.1\n"
    assert len(read(block * 3)[0]) == 1
    assert len(read(block + block.replace("5.1.1", "5.2.2"))[0]) == 2


def test_fields_that_stand_in_for_others():
    ((one,), _) = read("\n\nOriginal-Recipient: rfc822; a@example.net\nAction: failed\nStatus: 5.1.1\n")
    assert (one.address, one.original) == ("a@example.net", "a@example.net")
    ((one,), _) = read(
        "\n\nFinal-Recipient: rfc822; Ann Example\nX-Actual-Recipient: rfc822; a@example.net\nAction: failed\n"
    )
    assert one.address == "a@example.net"
    info = "X-Supplementary-Info: <mx.example.net #5.0.0 smtp; 550 5.4.1 Recipient rejected>"
    ((one,), _) = read(
        f"\n\nFinal-Recipient: rfc822; a@example.net\nAction: failed\nStatus: 5.0.0\nDiagnostic-Code: smtp; 5.1.0 - Unknown\n{info}\n"
    )
    assert (one.status, one.reply_code) == ("5.4.1", 550)
    ((one,), _) = read(f"\n\nFinal-Recipient: rfc822; a@example.net\nAction: failed\nStatus: 5.0.0\n{info}\n")
    assert (one.status, one.reply_code) == ("5.4.1", 550)


def test_internationalised_reports():
    status = "Reporting-MTA: dns; x\n\nFinal-Recipient: utf-8; pelé@example.net\nOriginal-Recipient: utf-8; pel\\x{e9}@example.net\nAction: failed\nStatus: 5.6.7\n"
    parsed = report(status, kind="global-delivery-status", type_="global-delivery-status")
    assert [(one.address, one.original) for one in parsed.recipients] == [
        ("pelé@example.net", "pelé@example.net")
    ]


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable"])
def test_encoded_status_parts(encoding):
    import base64
    import quopri

    encode = base64.encodebytes if encoding == "base64" else quopri.encodestring
    parsed = report(encode(STATUS.encode()).decode(), headers=f"Content-Transfer-Encoding: {encoding}\n")
    assert [one.status for one in parsed.recipients] == ["5.1.1"]


def test_a_status_part_that_names_nobody_is_kept_for_a_person():
    assert report("Reporting-MTA: dns; x\n").kind in {Kind.UNPARSED, Kind.FAILED}


def test_the_number_of_blocks_is_bounded():
    text = "\n".join(
        f"\nFinal-Recipient: rfc822; u{n}@example.net\nAction: failed\n" for n in range(BLOCK_LIMIT + 5)
    )
    reports, defects = read(text)
    assert len(reports) == BLOCK_LIMIT
    assert "recipient_blocks_exceeded" in defects


FAILED = "Final-Recipient: rfc822; ann@example.net\nAction: failed\nStatus: 5.7.1\nDiagnostic-Code: smtp; "


@pytest.mark.parametrize(
    "lines, text",
    [
        ("550-5.7.1 Refused.\n550 5.7.1 Listed at dnsbl.example.org", "550-5.7.1 Refused. Listed at dnsbl.example.org"),
        ("550-5.7.1 Refused.\n\n 550-5.7.1 Your IP\n 550 5.7.1 is listed.", "550-5.7.1 Refused. Your IP is listed."),
        ("550 <ann@example.net>: Rejected:\nUser unknown in table", "550 <ann@example.net>: Rejected: User unknown in table"),
    ],
    ids=["without indentation", "behind a blank line", "words without a colon"],
)  # fmt: skip
def test_a_reply_that_lost_its_folding_is_joined(lines, text):
    reports, _ = read(
        f"{FAILED}{lines}\nRemote-MTA: dns; mx.example.net\n\nFinal-Recipient: rfc822; bob@example.net\n"
    )
    assert [report.address for report in reports] == ["ann@example.net", "bob@example.net"]
    assert (reports[0].diagnostic_code, reports[0].remote_mta) == (text, "mx.example.net")


def test_what_failed_and_why_may_stand_above_whom_it_was_made_from():
    notice = '   ----- Fatal errors -----\n"|/usr/bin/vacation"\n    (reason: 550 no such user)\n    (expanded from: <ann@example.net>)\n'
    status = "Final-Recipient: rfc822; ann@example.net\nAction: failed\nStatus: 5.2.0\nDiagnostic-Code: X-Unix; 67\n"
    (one,) = report(status, notice).recipients
    assert one_line(one.explanation).startswith('"|/usr/bin/vacation" (reason: 550')
    assert (one.reply_code, one.original) == (550, None)


@pytest.mark.parametrize(
    "notice, heard",
    [
        ("Undeliverable:\n\nThe account is disabled.\n\n   <ann@example.net>\n\nBye.", True),
        ("Undeliverable:\n\nThe account is disabled.\n\n   <ann@example.net>: no mailbox here", False),
        (
            "Subject: The account is disabled\n\nnot delivered to:\n\n   ann@example.net\n\nno mailbox here",
            False,
        ),
    ],
)
def test_a_sentence_above_the_only_address_is_about_it(notice, heard):
    status = "Final-Recipient: rfc822;ann@example.net\nAction: failed\nStatus: 5.1.1\n"
    [one] = report(status, notice).recipients
    assert ("account is disabled" in one.explanation) is heard
