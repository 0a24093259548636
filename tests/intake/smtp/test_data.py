"""DATA as it comes, in pieces of any size."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsn_processor.intake.smtp.data import DataDecoder

# Everything that means something, and something that does not.
_TEXT = st.lists(st.sampled_from([b"\r", b"\n", b".", b"\r\n", b"\r\n.", b"a", b"\0", b"\xff"]), max_size=40)


def decode(pieces):
    decoder = DataDecoder()
    text = b""
    for at, piece in enumerate(pieces):
        text += decoder.feed(piece)
        if decoder.rest is not None:
            return text, decoder.rest + b"".join(pieces[at + 1 :])
    return text, None


def by_lines(octets):
    """RFC 5321 section 4.5.2, word by word: a line ends with CR LF; one of a dot alone ends the mail."""
    text = b""
    while b"\r\n" in octets:
        line, octets = octets.split(b"\r\n", 1)
        if line == b".":
            return text, octets
        text += line.removeprefix(b".") + b"\r\n"
    return None


def cut(octets, places):
    marks = [0, *sorted(place % (len(octets) + 1) for place in places), len(octets)]
    return [octets[one:other] for one, other in pairwise(marks)]


@given(_TEXT, _TEXT, st.lists(st.integers(0, 500), max_size=20))
def test_any_pieces_read_as_the_lines_do(text, after, places):
    octets = b"".join([*text, b"\r\n.\r\n", *after])
    assert decode(cut(octets, places)) == by_lines(octets)


@given(_TEXT, st.lists(st.integers(0, 500), max_size=20))
def test_what_a_client_stuffs_comes_out_as_it_went_in(text, places):
    text = b"".join(text) + b"\r\n"
    stuffed = (b"\r\n" + text).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n"
    assert decode(cut(stuffed, places)) == (text, b"")


def test_octet_by_octet():
    octets = b"..first\r\n.\r\r\n..\r\n.x\r\n\r\n.\r\nQUIT\r\n"
    assert decode([bytes([octet]) for octet in octets]) == (b".first\r\n\r\r\n.\r\nx\r\n\r\n", b"QUIT\r\n")


def test_an_empty_mail():
    assert decode([b".\r\n"]) == (b"", b"")
    assert decode([b".", b"\r", b"\nQUIT"]) == (b"", b"QUIT")


@pytest.mark.parametrize(
    "likeness",
    [
        b"\n.\n",
        b"\n.\r\n",
        b"\r\n.\n",
        b"\r.\r",
        b"\r\n.\r",
        b"\r.\r\n",
        b"\n.\r",
        b"\r.\n",
        b"\r\n\0.\r\n",
        b"\r\n.\0\r\n",
        b"\r\n. \r\n",
        b"\r\n .\r\n",
        b"\r\n..\r\n",
        b"\r\n.\r\r\n",
        b"\r\n\x2e\x0b\r\n",
        b"\r\n.\x85\r\n",
        b"\r\n\xe3\x80\x82\r\n",
    ],
)
def test_no_likeness_ends_a_mail(likeness):
    hidden = b"MAIL FROM:<evil@example.org>\r\n"
    octets = b"text" + likeness + hidden
    text, rest = decode([octets, b"\r\n.\r\n"])
    assert rest == b""
    assert hidden in text
    assert decode([octets]) == (decode([octets])[0], None)


def test_little_is_held_back():
    decoder = DataDecoder()
    assert decoder.feed(b"a\r\n.") == b"a"
    assert decoder.feed(b"\r") == b""
    assert decoder.feed(b"b") == b"\r\n\rb"
