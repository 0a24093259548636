"""Reports in plain text, and mail that only looks like one."""

import pytest

from dsn_processor.parse.message import parse_message
from dsn_processor.terms import Action, Kind

DAEMON = "Return-Path: <>\nFrom: Mail Delivery System <MAILER-DAEMON@mx.example.net>\nTo: bounces@example.com\nSubject: {subject}\n\n{text}"
RETURNED = "\n\n--- Below this line is a copy of the message.\n\nReturn-Path: <bounces@example.com>\nMessage-ID: <sent@example.com>\nTo: ann@example.net\n\n550 5.7.1 <evil@example.org>: no\n"


def daemon(text: str, subject: str = "failure notice"):
    return parse_message(DAEMON.format(subject=subject, text=text).encode())


@pytest.mark.parametrize(
    "text, expected",
    [
        (
            "I'm sorry.\n\n<ann@example.net>:\nSorry, no mailbox here by that name. (#5.1.1)\n",
            [("ann@example.net", "5.1.1", None)],
        ),
        (
            "It failed:\n\n  ann@example.net\n    host mx.example.net [192.0.2.1]: 550 unknown user\n",
            [("ann@example.net", None, 550)],
        ),
        (
            "Failed:\n\nann@example.net: 552 5.2.2 full\n\nbob@example.org: 550 5.1.1 gone\n",
            [("ann@example.net", "5.2.2", 552), ("bob@example.org", "5.1.1", 550)],
        ),
        (
            "   ----- Transcript of session follows -----\n>>> RCPT To:<ann@example.net>\n<<< 550 no\n550 <ann@example.net>... User unknown\n",
            [("ann@example.net", None, 550)],
        ),
        (
            "There was an error delivering your mail to <ann@gone-away.example.net>.\n\nmx.example.net [192.0.2.1] did not like our RCPT TO:\n551 User not local; please try <bob@example.org>\n",
            [("ann@gone-away.example.net", None, 551)],
        ),
        ("Recipient: ann@example.net\nReason: mailbox full\n", [("ann@example.net", None, None)]),
        (
            "Your message to ann@example.net could not be delivered: 450 4.2.2 quota\n",
            [("ann@example.net", "4.2.2", 450)],
        ),
        (
            "ann@example.net Invalid Address, ERROR_CODE :550, ERROR_CODE :5.1.1\nbob@example.org Invalid Address, ERROR_CODE :552\n",
            [("ann@example.net", "5.1.1", 550), ("bob@example.org", None, 552)],
        ),
        (
            "The message for the following address failed:\n\nann@example.net\n\nThe server said:\n550 5.4.1 denied\n",
            [("ann@example.net", "5.4.1", 550)],
        ),
        (
            "Failed for postmaster:\n\n<postmaster@example.net>: 550 no\n\nFor help, write to <support@mx.example.net>.\n",
            [("postmaster@example.net", None, 550)],
        ),
    ],
)
def test_shapes(text, expected):
    parsed = daemon(text + RETURNED)
    assert parsed.kind is Kind.FAILED
    assert [(one.address, one.status, one.reply_code) for one in parsed.recipients] == expected
    assert parsed.returned_message.message_id == "sent@example.com"


BEGUN = (
    "{}",
    "{}:",
    "  > {} ...User unknown",
    "{}...gone",
    "- {}",
    "• {}, ",
    "12) {}  no such user",
    "|{} ; full",
    '"Ann Doe" <{}>',
    "<smtp:{}> on Monday",
    "[mailto:{}](was bob@example.org)",
    "RFC822; {} (reason: 550 no)",
    "No such user here: {}",
    "* e-mail address = {}",
    "Rcpt-To：{}",
    "宛先： <{}>",
    "Recipient's addresses(s): {}",
)


@pytest.mark.parametrize("line", BEGUN)
def test_a_line_that_an_address_or_a_label_begins(line):
    parsed = daemon(f"It failed:\n\n{line.format('ann@example.net')}\n")
    assert [one.address for one in parsed.recipients] == ["ann@example.net"]


@pytest.mark.parametrize(
    "line", ("Mail to {} is read here", "RCPT TO is not: <{}>", "ask <x> {}", "{} reads it")
)
def test_a_line_that_an_address_only_stands_in_is_second_choice(line):
    parsed = daemon(f"It failed:\n\n{line.format('bob@example.org')}\n\n<ann@example.net>:\nno mailbox\n")
    assert [one.address for one in parsed.recipients] == ["ann@example.net"]


def test_a_refused_name_and_the_address_it_stands_for_are_one():
    text = "  Recipient address: {}\n  Original address: ann@example.net\n  Reason: Over quota\n"
    for name, address in (
        ("ann@ims-daemon", "ann@example.net"),
        ("ann@box.example.net", "ann@box.example.net"),
    ):
        (one,) = daemon("Your message cannot be delivered to:\n\n" + text.format(name)).recipients
        assert (one.address, one.original) == (address, "ann@example.net")
        assert "Over quota" in one.diagnostic_code


def test_what_the_server_said_counts_and_not_what_sendmail_made_of_it():
    text = (
        ">>> RCPT To:<ann@example.net>\n<<< 550 MAILBOX FULL\n550 5.1.1 <ann@example.net>... User unknown\n"
    )
    (one,) = daemon("   ----- Transcript of session follows -----\n" + text).recipients
    assert "MAILBOX FULL" in one.diagnostic_code
    assert "User unknown" not in one.diagnostic_code
    assert (one.status, one.reply_code) == ("5.1.1", 550)


def test_the_name_of_a_worm_is_no_recipient():
    (one,) = daemon("Your message to ann@example.net was undeliverable: W32.Netsky.P@mm\n").recipients
    assert one.address == "ann@example.net"


def test_blanks_written_as_underscores():
    (one,) = daemon("<ann@example.net>:\nRemote_host_said:_550_5.1.1_User_unknown_here/\n").recipients
    assert (one.status, one.reply_code) == ("5.1.1", 550)


def test_the_report_behind_a_banner():
    head = 'From: MAILER-DAEMON@mx.example.net\nSubject: failure notice\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="b"\n\n'
    banner = "--b\nContent-Type: text/plain\n\nCAUTION: from outside.\n"
    report = "--b\nContent-Type: text/plain\n\nIt could not be delivered:\n\n<ann@example.net>: 550 no\n"
    parsed = parse_message((head + banner + report + "--b--\n").encode())
    assert [one.address for one in parsed.recipients] == ["ann@example.net"]
    parsed = parse_message(
        (head + banner + report.replace("It could not be delivered", "Hello") + "--b--\n").encode()
    )
    assert not parsed.recipients


def test_the_alias_that_was_mailed_is_the_original():
    (one,) = daemon(
        "failed:\n\n  ann@mailbox.example.net\n    (generated from ann@example.net)\n    unknown user\n"
    ).recipients
    assert (one.address, one.original) == ("ann@mailbox.example.net", "ann@example.net")


@pytest.mark.parametrize(
    "subject, text, action",
    [
        ("Warning: message delayed 24 hours", "", Action.DELAYED),
        (
            "Mail status",
            "THIS IS A WARNING MESSAGE ONLY. YOU DO NOT NEED TO RESEND YOUR MESSAGE.",
            Action.DELAYED,
        ),
        ("Delivery Status Notification (Delay)", "", Action.DELAYED),
        ("Undelivered mail", "It has been delayed; I've given up.", Action.FAILED),
        (
            "Successful Mail Delivery Report: delivered",
            "Your message was successfully delivered to:",
            Action.DELIVERED,
        ),
    ],
)
def test_delays_and_successes(subject, text, action):
    (one,) = daemon(f"{text}\n\n<ann@example.net>: see above\n", subject).recipients
    assert one.action is action


def test_the_returned_message_names_the_recipient_where_nobody_else_does():
    parsed = daemon("Your message could not be delivered.\n" + RETURNED)
    assert [one.address for one in parsed.recipients] == ["ann@example.net"]
    assert "recipient_from_returned_message" in {defect.code for defect in parsed.defects}


def test_the_net_below_is_asked_last():
    text = "The message you sent could not be delivered because: , user@localhost.example, rejects it\n"
    assert all(one.origin in {"dialect:plain", "flufl"} for one in daemon(text).recipients)


def person(subject: str, text: str, headers: str = ""):
    head = f"Return-Path: <ann@example.net>\nFrom: Ann <ann@example.net>\nTo: bob@example.com\nSubject: {subject}\n{headers}\n"
    return parse_message((head + text).encode())


@pytest.mark.parametrize(
    "subject, headers",
    [
        ("Fwd: Undelivered Mail Returned to Sender", ""),
        ("Re: failure notice", "In-Reply-To: <x@example.com>\n"),
        ("AW: Mail delivery failed", ""),
        ("[ticket 17] Bounces since Monday", ""),
        (
            "Your weekly newsletter: bounced mail explained",
            "List-Unsubscribe: <https://example.net/u>\nList-Id: <news.example.net>\n",
        ),
    ],
)
def test_people_and_lists_who_quote_reports(subject, headers):
    text = "Look what I got:\n\n> I'm sorry to have to inform you that your message could not be delivered.\n> <carl@example.org>: 550 5.1.1 User unknown\n"
    assert person(subject, text, headers).kind is Kind.NOT_A_REPORT


def test_a_forwarded_report_as_attachment_is_no_report():
    inner = "From: MAILER-DAEMON@mx.example.net\nContent-Type: multipart/report; boundary=i\n\n--i\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; x\n\nFinal-Recipient: rfc822; a@example.net\nAction: failed\n--i--\n"
    text = f"--o\n\nWhat is this?\n--o\nContent-Type: message/rfc822\n\n{inner}--o--\n"
    assert (
        person("Fwd: bounce", text, "Content-Type: multipart/mixed; boundary=o\n").kind is Kind.NOT_A_REPORT
    )


def test_a_gateways_wrapper_around_a_report_is_taken_off():
    inner = "From: postmaster@mx.example.net\nContent-Type: multipart/report; boundary=i\n\n--i\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; x\n\nFinal-Recipient: rfc822; a@example.net\nAction: failed\nStatus: 5.1.1\n--i--\n"
    text = f"From: postmaster@mx.example.net\nSubject: Delivery Status Notification (Failure)\nContent-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: message/rfc822\n\n{inner}--o\n\nThis e-mail is confidential.\n--o--\n"
    parsed = parse_message(text.encode())
    assert [(one.address, one.status) for one in parsed.recipients] == [("a@example.net", "5.1.1")]


@pytest.mark.parametrize(
    "subject, headers, text, kind",
    [
        (
            "Out of office",
            "Auto-Submitted: auto-replied\n",
            "Back on Monday. My mailbox is full.",
            Kind.AUTO_REPLY,
        ),
        ("Abwesenheitsnotiz: Hallo", "In-Reply-To: <x@example.com>\n", "Bin weg.", Kind.AUTO_REPLY),
        ("Re: hello", "X-Autoreply: yes\n", "Away.", Kind.AUTO_REPLY),
        ("Out of office", "", "I was out of office when you wrote.", Kind.NOT_A_REPORT),
        (
            "Please confirm",
            "",
            "Click here to prove that you are human, then your message goes on.",
            Kind.CHALLENGE,
        ),
        ("Hello", "", "How are you?", Kind.NOT_A_REPORT),
        ("", "", "", Kind.NOT_A_REPORT),
    ],
)
def test_mail_that_reports_no_delivery(subject, headers, text, kind):
    parsed = person(subject, text, headers)
    assert (parsed.kind, parsed.recipients) == (kind, ())


def test_a_report_from_which_nobody_can_be_told_is_kept_for_a_person():
    assert daemon("Your message could not be delivered. Sorry.").kind is Kind.UNPARSED


def test_a_lure_that_copies_a_reports_words_is_none():
    text = "Return-Path: <x@phish.example>\nFrom: Mail Administrator <admin@phish.example>\nTo: ann@example.com\nSubject: Delivery failure: 5 messages pending\n\nMail for ann@example.com could not be delivered: your mailbox is full.\n"
    assert parse_message(text.encode()).kind is Kind.NOT_A_REPORT


def test_a_notification_in_json():
    rows = '[{"emailAddress":"a@example.net","action":"failed","status":"5.1.1","diagnosticCode":"smtp; 550 5.1.1 user unknown"}]'
    text = f'From: no-reply@sns.amazonaws.com\nSubject: AWS Notification Message\n\n{{"notificationType":"Bounce","bounce":{{"bouncedRecipients":{rows}}}}}\n'
    (one,) = parse_message(text.encode()).recipients
    assert (one.address, one.status, one.reply_code, one.origin) == (
        "a@example.net",
        "5.1.1",
        550,
        "dialect:ses-notification",
    )


def test_a_list_of_addresses_behind_one_label():
    parsed = daemon(
        "The following recipients are unknown: ann@example.net, <bob@example.org>; carl@example.net\n"
    )
    assert [one.address for one in parsed.recipients] == [
        "ann@example.net",
        "bob@example.org",
        "carl@example.net",
    ]


def found(text, subject="failure notice"):
    parsed = daemon(text, subject)
    return [(one.address, one.reply_code) for one in parsed.recipients]


def test_whom_to_ask_and_who_scanned_are_no_recipients():
    assert found("ann@example.net: 550 unknown user\n\nNeed help? help@host.example\n") == [
        ("ann@example.net", 550)
    ]
    assert found("Your message to <ann@example.net> was not delivered.\nScanned by scan@gw.example\n") == [
        ("ann@example.net", None)
    ]
    assert found("Not delivered:\n\nhelp@example.net\n") == [("help@example.net", None)]


def test_what_a_colon_announces_stands_in_the_next_paragraph():
    assert found(
        "<ann@example.net>\nThe remote server answered:\n\n550 unknown user\n\n<bob@example.org>\n552 full\n"
    ) == [
        ("ann@example.net", 550),
        ("bob@example.org", 552),
    ]


def test_what_a_notice_says_above_a_bare_list_is_said_of_all():
    text = "Host example.net is not responding.\n\nNot delivered to:\n\n  <ann@example.net>\nNot delivered to:\n\n  <bob@example.net>\n"
    assert all("not responding" in one.explanation for one in daemon(text).recipients)


def test_the_subject_may_name_the_only_recipient():
    assert found(
        "It was refused: only members may post.", "Your message to list@example.net was rejected"
    ) == [("list@example.net", None)]


QUOTED = """The provider's own letter names nobody.

---------------------------------
Return-Path: <>
From: MAILER-DAEMON@relay.example.net (Mail Delivery System)
Subject: Undelivered Mail Returned to Sender
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="q"

--q
Content-Type: text/plain

<ann@example.net>: unknown user
--q
Content-Type: message/delivery-status

Reporting-MTA: dns; relay.example.net

Final-Recipient: rfc822; ann@example.net
Action: failed
Status: 5.1.1
--q--
"""


def test_a_report_quoted_whole_below_a_letter_is_read():
    parsed = daemon(QUOTED, "Undelivered Mail Returned to Sender")
    assert [(one.address, one.status) for one in parsed.recipients] == [("ann@example.net", "5.1.1")]
    assert "report_quoted" in [defect.code for defect in parsed.defects]


def test_a_delivery_status_attached_as_a_file_is_read():
    fields = "Reporting-MTA: dns; mx\n\nFinal-Recipient: rfc822; ann@example.net\nAction: failed\nDiagnostic-Code: smtp; 550 unknown\n"
    raw = (
        "Return-Path: <>\nFrom: postmaster@mx.example.net\nSubject: Undeliverable mail\n"
        'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="b"\n\n--b\nContent-Type: text/plain\n\n'
        "Your mail was not delivered.\n--b\nContent-Type: application/octet-stream\n\n" + fields + "--b--\n"
    )
    assert [(one.address, one.reply_code) for one in parse_message(raw.encode()).recipients] == [
        ("ann@example.net", 550)
    ]
