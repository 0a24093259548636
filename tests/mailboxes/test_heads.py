"""What the head of a mail tells: whom it was for, and whether it is a report. What it returns does not."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsn_processor.intake.mailbox.heads import envelope_of, head_of, says_report
from dsn_processor.intake.mailbox.options import TRACE_HEADERS
from dsn_processor.reading import read
from dsn_processor.terms import Kind


@pytest.mark.parametrize(
    "head, recipients",
    [
        ("Delivered-To: b+1@example.com", ("b+1@example.com",)),
        ("delivered-to:  <b+1@example.com> ", ("b+1@example.com",)),
        (
            "Delivered-To: box@example.com\nDelivered-To: b+1@example.com",
            ("box@example.com", "b+1@example.com"),
        ),
        (
            "Envelope-To: c@example.com\nX-Original-To: b@example.com\nDelivered-To: a@example.com",
            ("a@example.com", "b@example.com", "c@example.com"),
        ),
        ("X-Original-To: a@example.com\nDelivered-To: a@example.com", ("a@example.com",)),
        ("Delivered-To:\n b+1@example.com", ("b+1@example.com",)),
        ("Delivered-To: box", ()),
        ("Delivered-To: two words@example.com", ()),
        ("Delivered-To: evil\x00@example.com", ()),
        ("To: b+1@example.com", ()),
        ("Subject: x\n\nDelivered-To: victim@example.com", ()),
    ],
)
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_the_headers_of_the_mail_itself_count(head, recipients, line_end):
    raw = f"{head}\nSubject: s\n\nDelivered-To: victim@example.com\n".replace("\n", line_end)
    assert envelope_of(head_of(raw.encode()), TRACE_HEADERS).recipients == recipients


def test_other_headers_may_be_named():
    raw = b"X-Mailbox-For: a@example.com\nDelivered-To: b@example.com\n\n"
    assert envelope_of(head_of(raw), ("X-Mailbox-For",)).recipients == ("a@example.com",)


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
@pytest.mark.parametrize(
    "head, says",
    [
        (b"Content-Type: multipart/report; report-type=delivery-status; boundary=x", True),
        (b'content-type:\n\tMultipart/Report; boundary=x;\n\tReport-Type="disposition-notification"', True),
        (b'Content-Type: multipart/report; report-type="tlsrpt"; boundary=x', False),
        (b"Content-Type: multipart/report; boundary=x\nX: report-type=delivery-status", False),
        (b"Subject: Content-Type: multipart/report", False),
        (b"Content-Type: multipart/reporter", False),
        (b"Content-Type: text/plain\n\nContent-Type: multipart/report", False),
    ],
)
def test_what_says_that_it_is_a_report(head, says, line_end):
    raw = b"From: a@example.com\n" + head + b"\nSubject: s\n\ntext\n"
    assert says_report(head_of(raw.replace(b"\n", line_end))) is says


def test_what_says_that_it_is_a_report_is_one():
    """It is committed before it is read: nobody's letter may be."""
    fixtures = Path(__file__).parents[2] / "fixtures_eml"
    mails = [path.read_bytes() for path in fixtures.rglob("*.eml")]
    saying = [raw for raw in mails if says_report(head_of(raw))]
    assert len(saying) > 50
    assert Kind.NOT_A_REPORT not in {read(raw).parsed.kind for raw in saying}


@given(st.binary(max_size=300))
def test_any_bytes_do_no_harm(raw):
    assert envelope_of(head_of(raw), TRACE_HEADERS).sender is None
