"""Complaints (RFC 5965) and dispositions (RFC 8098)."""

import pytest

from dsn_processor.parse.message import parse_message
from dsn_processor.terms import Action, Kind

ARF = """From: abuse@example.net
Subject: FW: Your news
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="b"

--b
Content-Type: text/plain

This is an email abuse report.
--b
Content-Type: message/feedback-report

Feedback-Type: {type}
User-Agent: Example/1.0
Version: 1
Original-Mail-From: <bounces@example.com>
{rcpt}Arrival-Date: Sat, 21 Nov 2026 02:40:30 +0000
Source-IP: 192.0.2.17
Reported-Domain: example.com
Auth-Failure: dmarc
--b
Content-Type: message/rfc822

Message-ID: <sent@example.com>
From: news@example.com
To: {to}

x
--b--
"""


@pytest.mark.parametrize(
    "feedback_type", ["abuse", "fraud", "virus", "opt-out", "not-spam", "auth-failure", "other"]
)
def test_every_type_of_feedback(feedback_type):
    parsed = parse_message(
        ARF.format(
            type=feedback_type, rcpt="Original-Rcpt-To: <ann@example.net>\n", to="ann@example.net"
        ).encode()
    )
    feedback = parsed.feedback
    assert (parsed.kind, feedback.feedback_type, feedback.source_ip) == (
        Kind.COMPLAINT,
        feedback_type,
        "192.0.2.17",
    )
    assert (feedback.original_mail_from, feedback.original_rcpt_to) == (
        "bounces@example.com",
        ("ann@example.net",),
    )
    assert (feedback.reported_domain, feedback.auth_failure, feedback.user_agent) == (
        ("example.com",),
        "dmarc",
        "Example/1.0",
    )
    assert feedback.arrival_date == "2026-11-21T02:40:30+00:00"
    assert [(one.address, one.action) for one in parsed.recipients] == [("ann@example.net", None)]
    assert parsed.returned_message.message_id == "sent@example.com"


def test_who_complained_is_told_by_the_returned_message_only_where_it_is_one():
    one = parse_message(ARF.format(type="abuse", rcpt="", to="ann@example.net").encode())
    two = parse_message(ARF.format(type="abuse", rcpt="", to="ann@example.net, bob@example.net").encode())
    hidden = parse_message(
        ARF.format(type="abuse", rcpt="Original-Rcpt-To: [redacted]\n", to="undisclosed").encode()
    )
    assert [recipient.address for recipient in one.recipients] == ["ann@example.net"]
    assert two.recipients == hidden.recipients == ()


MDN = """From: ann@example.net
Subject: {subject}
MIME-Version: 1.0
Content-Type: multipart/report; report-type=disposition-notification; boundary="b"

--b
Content-Type: text/plain

{text}
--b
Content-Type: message/disposition-notification

Reporting-UA: example
Final-Recipient: rfc822; ann@example.net
Original-Message-ID: <sent@example.com>
Disposition: {disposition}
--b--
"""


@pytest.mark.parametrize(
    "disposition, text, kind",
    [
        ("manual-action/MDN-sent-manually; displayed", "I read it.", Kind.DISPOSITION),
        ("automatic-action/MDN-sent-automatically; deleted", "It was deleted unread.", Kind.DISPOSITION),
        ("automatic-action/MDN-sent-automatically; dispatched", "It went on.", Kind.DISPOSITION),
        (
            "automatic-action/MDN-sent-automatically; deleted",
            "Your message was automatically rejected: Quota exceeded",
            Kind.FAILED,
        ),
        ("automatic-action/MDN-sent-automatically; rejected", "No.", Kind.FAILED),
    ],
)
def test_receipts_and_refusals(disposition, text, kind):
    parsed = parse_message(MDN.format(subject="Read: hello", text=text, disposition=disposition).encode())
    (one,) = parsed.recipients
    assert (parsed.kind, one.address) == (kind, "ann@example.net")
    assert one.action is (Action.FAILED if kind is Kind.FAILED else None)
    assert parsed.returned_message.message_id == "sent@example.com"


OWN_FORM = """From: {from_}
Subject: {subject}
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="b"

--b
Content-Type: message/rfc822

X-HmXmrOriginalRecipient: <ann@example.net>
From: {returned_from}
To: list-members:;
Subject: News
Message-ID: <sent@example.com>

x
--b--
"""


@pytest.mark.parametrize(
    "from_, subject, returned_from, kind",
    [
        ("staff@hotmail.com", "complaint about message from 192.0.2.17", "news@example.com", Kind.COMPLAINT),
        ("abuse@example.net", "Spam report", "news@example.com", Kind.COMPLAINT),
        ("ben@example.net", "Spam report", "news@example.com", Kind.NOT_A_REPORT),
        (
            "staff@hotmail.com",
            "Fwd: complaint about message from 192.0.2.17",
            "news@example.com",
            Kind.NOT_A_REPORT,
        ),
        ("abuse@example.net", "Spam report", "MAILER-DAEMON@example.net", Kind.NOT_A_REPORT),
    ],
)
def test_complaints_in_a_form_of_their_own(from_, subject, returned_from, kind):
    raw = OWN_FORM.format(from_=from_, subject=subject, returned_from=returned_from)
    parsed = parse_message(raw.encode())
    assert parsed.kind is kind
    if kind is Kind.COMPLAINT:
        assert [one.address for one in parsed.recipients] == ["ann@example.net"]
        assert parsed.feedback.source_ip == ("192.0.2.17" if "192" in subject else None)


@pytest.mark.parametrize(
    "subject, text, kind",
    [
        ("Gelesen: Hallo", "Ihre Nachricht wurde am Montag gelesen.", Kind.DISPOSITION),
        ("Not read: Hello", "Your message was deleted without being read.", Kind.DISPOSITION),
        ("Read: a new book", "It is good.", Kind.NOT_A_REPORT),
        ("Re: Read: Hello", "It was read on Monday, why?", Kind.NOT_A_REPORT),
        ("A book", "It was read on Monday.", Kind.NOT_A_REPORT),
    ],
)
def test_receipts_in_plain_words(subject, text, kind):
    raw = f"From: ann@example.net\nSubject: {subject}\n\n{text}\n"
    assert parse_message(raw.encode()).kind is kind


def test_a_complaint_that_a_person_sends_on_is_none():
    raw = ARF.format(type="abuse", rcpt="", to="ann@example.net").replace(
        "multipart/report; report-type=feedback-report;", "multipart/mixed;"
    )
    assert parse_message(raw.encode()).kind is Kind.NOT_A_REPORT  # "FW: Your news"
    assert parse_message(raw.replace("FW: ", "").encode()).kind is Kind.COMPLAINT
