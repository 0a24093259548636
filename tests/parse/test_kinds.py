"""What a mail is: who wrote it and what came with it count before what it says."""

import pytest

from dsn_processor.facts import Envelope
from dsn_processor.parse.mail import Mail
from dsn_processor.parse.message import parse_message
from dsn_processor.parse.writer import has_forward_subject, is_daemon, is_null_sender, is_person
from dsn_processor.terms import Kind

REFUSAL = "Your message could not be delivered to:\n\n<nobody@example.org>: 550 5.1.1 User unknown\n"
RETURNED = "From: {from_}\nTo: nobody@example.org\nSubject: Hello\nMessage-ID: <sent@example.com>\n\nx\n"


def mail(subject="Undeliverable: Hello", text=REFUSAL, sender="service@example.net", **headers):
    named = "".join(f"{name.replace('_', '-')}: {value}\n" for name, value in headers.items())
    return (
        f"From: {sender}\nTo: news@example.com\nSubject: {subject}\n{named}"
        f"Content-Type: text/plain; charset=utf-8\n\n{text}"
    ).encode()


def with_part(part_type, body, **arguments):
    """The mail of ``mail`` with one more part."""
    head, _, text = mail(**arguments).decode().partition("\n\n")
    head = head.replace(
        "Content-Type: text/plain; charset=utf-8",
        'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="b"',
    )
    return f"{head}\n\n--b\nContent-Type: text/plain\n\n{text}\n--b\nContent-Type: {part_type}\n\n{body}\n--b--\n".encode()


def kind(raw, sender=None):
    return parse_message(raw, Envelope(sender=sender)).kind


def test_the_same_words_are_a_report_from_the_null_sender_only():
    assert kind(mail(), "") is Kind.FAILED
    assert kind(mail(), "service@example.net") is Kind.NOT_A_REPORT
    assert kind(mail(Return_Path="<>")) is Kind.FAILED
    assert kind(mail(Return_Path="<service@example.net>")) is Kind.NOT_A_REPORT


def test_a_copy_of_the_mail_proves_that_it_came_back():
    ours = RETURNED.format(from_="news@example.com")
    assert kind(with_part("message/rfc822", ours), "service@example.net") is Kind.FAILED
    assert kind(mail(text=f"{REFUSAL}\nOriginal message:\n\n{ours}"), "service@example.net") is Kind.FAILED


def test_list_fields_that_a_gateway_copied_do_not_hide_a_report():
    listed = {
        "List_Id": "<news.example.com>",
        "List_Unsubscribe": "<mailto:x@example.com>",
        "Precedence": "bulk",
    }
    ours = RETURNED.format(from_="news@example.com")
    assert kind(with_part("message/rfc822", ours, **listed), "gateway@example.net") is Kind.FAILED
    assert kind(mail(**listed), "") is Kind.FAILED
    assert kind(mail(**listed), "list-bounces@example.net") is Kind.NOT_A_REPORT


@pytest.mark.parametrize(
    "returned_from", ["Mail Delivery System <MAILER-DAEMON@example.net>", "postmaster@example.net"]
)
def test_a_report_that_somebody_sends_on_is_none(returned_from):
    theirs = RETURNED.format(from_=returned_from)
    assert kind(with_part("message/rfc822", theirs), "ann@example.net") is Kind.NOT_A_REPORT
    assert (
        kind(mail(text=f"Look:\n\n----- Forwarded message -----\n\n{theirs}\n{REFUSAL}")) is Kind.NOT_A_REPORT
    )


@pytest.mark.parametrize(
    "subject",
    [
        "Fwd: x",
        "FW: x",
        "WG: x",
        "TR : x",
        "RV: x",
        "VB: x",
        "VL: x",
        "PD: x",
        "ENC: x",
        "I: x",
        "İLT: x",
        "YNT: x",
        "Doorgestuurd: x",
        "Továbbítás: x",
        "ΠΡΘ: x",
        "转发: x",
        "轉寄：x",
        "転送: x",
        "전달: x",
        "[EXTERNAL] Fwd: x",
        "*** SPAM *** Re: x",
        "Re[2]: x",
        "[Fwd: x]",
        "[MAILER-DAEMON@example.net: failure notice]",
    ],
)
def test_forwarded_and_answered_subjects(subject):
    assert has_forward_subject(Mail(mail(subject)))


@pytest.mark.parametrize("subject", ["Undeliverable: Fwd: x", "Returned mail", "Report: x", "Recall: x"])
def test_other_subjects(subject):
    assert not has_forward_subject(Mail(mail(subject)))


@pytest.mark.parametrize(
    "header, program",
    [
        ("User_Agent", "Mozilla Thunderbird"),
        ("X_Mailer", "Microsoft Outlook 16.0"),
        ("X_Mailer", "iPhone Mail (20G75)"),
        ("User_Agent", "Roundcube Webmail/1.6.4"),
    ],
)
def test_mail_programs_write_letters(header, program):
    status = "Final-Recipient: rfc822; nobody@example.org\nAction: failed\nStatus: 5.1.1\n"
    raw = with_part("message/delivery-status", status, subject="My bounce", **{header: program})
    assert is_person(Mail(raw))
    assert kind(raw) is Kind.NOT_A_REPORT
    assert kind(raw, "") is Kind.FAILED  # a person's program never sends from the null sender


def test_mail_servers_are_no_mail_programs():
    assert not is_person(Mail(mail(X_Mailer="Microsoft CDO for Windows 2000")))
    assert not is_person(Mail(mail(X_Mailer="<SMTP32 v8.22>")))


def test_a_name_alone_makes_no_daemon_of_an_ordinary_sender():
    lure = mail(sender='"Mail Delivery System" <x@evil.example>', Return_Path="<x@evil.example>")
    assert not is_daemon(Mail(lure))
    assert is_daemon(Mail(mail(sender='"Mail Delivery System" <x@example.net>', Return_Path="<>")))
    assert is_daemon(Mail(mail(sender="MAILER-DAEMON@example.net", Return_Path="<x@example.net>")))


@pytest.mark.parametrize("path", ["<>", "< >", "", "<MAILER-DAEMON>", "<mailer-daemon@mx.example.net>"])
def test_null_senders(path):
    assert is_null_sender(Mail(mail(Return_Path=path)))


def test_archives_are_not_returned():
    aggregate = mail("Undelivered mail", sender="postmaster@example.net").decode()
    raw = with_part(
        'application/gzip; name="r.xml.gz"',
        "H4sI",
        subject="Delivery report",
        sender="postmaster@example.net",
    )
    assert kind(raw, "") is Kind.NOT_A_REPORT
    assert kind(aggregate.encode(), "") is Kind.FAILED


def test_what_the_returned_mail_was_called_is_no_notice():
    assert kind(mail("Undeliverable: Logwatch for web1", sender="postmaster@example.net"), "") is Kind.FAILED
    assert (
        kind(mail("Logwatch for web1", sender="postmaster@example.net"), "root@example.net")
        is Kind.NOT_A_REPORT
    )
    assert kind(mail("Undeliverable: Your parcel")) is Kind.FAILED
    assert kind(mail("Your parcel could not be delivered")) is Kind.NOT_A_REPORT


@pytest.mark.parametrize(
    "headers, sender, expected",
    [
        ({}, "", Kind.AUTO_REPLY),  # RFC 3834 section 3.3
        ({"Precedence": "junk"}, "ann@example.net", Kind.AUTO_REPLY),
        ({"Auto_Submitted": "auto-generated"}, "ann@example.net", Kind.AUTO_REPLY),
        ({"Auto_Submitted": "auto-generated", "X_Zendesk_Id": "1"}, "help@example.net", Kind.NOT_A_REPORT),
        (
            {"Auto_Submitted": "auto-generated", "List_Id": "<x.example.net>"},
            "x@example.net",
            Kind.NOT_A_REPORT,
        ),
        ({}, "ann@example.net", Kind.NOT_A_REPORT),
    ],
)
def test_an_automatic_answer_needs_no_words(headers, sender, expected):
    raw = mail(
        "Re: Hello", "Töltött káposzta.\n", "ann@example.net", In_Reply_To="<sent@example.com>", **headers
    )
    assert kind(raw, sender) is expected


@pytest.mark.parametrize(
    "subject",
    ["Automatic reply: Delivery failure", "Automatische Antwort: Unzustellbar: Hallo", "自动回复: 退信"],
)
def test_an_automatic_reply_keeps_the_subject_that_it_answers(subject):
    assert (
        kind(mail(subject, "Away. Write to ben@example.net.\n", Auto_Submitted="auto-replied"), "")
        is Kind.AUTO_REPLY
    )


def test_people_speak_of_holidays_too():
    raw = mail(
        "Re: vacation plans",
        "See you in June.\n\n> When?\n",
        "ann@example.net",
        In_Reply_To="<sent@example.com>",
    )
    assert kind(raw) is Kind.NOT_A_REPORT
    assert kind(raw, "ann@example.net") is Kind.NOT_A_REPORT


def test_a_challenge_that_names_a_reply_code_is_a_refusal():
    words = "Your message to <nobody@example.org> was rejected:\n{}Confirm that you are human.\n"
    daemon = {"sender": "MAILER-DAEMON@example.net"}
    assert kind(mail("Failure", words.format(""), **daemon), "") is Kind.CHALLENGE
    assert kind(mail("Failure", words.format("550 5.7.1 "), **daemon), "") is Kind.FAILED


def test_challenge_words_in_ordinary_mail():
    assert kind(mail("Yoga", "You are on the waiting list.\n"), "yoga@example.net") is Kind.NOT_A_REPORT
    assert (
        kind(mail("Yoga", "You are on the waiting list.\n", Auto_Submitted="auto-replied"), "")
        is Kind.CHALLENGE
    )
