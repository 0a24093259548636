"""Whom a mail was for: its own header says it, what it returns does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsn_processor.intake.mailbox.heads import envelope_of, head_of
from dsn_processor.intake.mailbox.options import TRACE_HEADERS


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


@given(st.binary(max_size=300))
def test_any_bytes_do_no_harm(raw):
    assert envelope_of(head_of(raw), TRACE_HEADERS).sender is None
