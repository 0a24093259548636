"""Every way in which programs write mboxes."""

import io
import re
import subprocess
import sys
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsn_processor.intake import mbox
from dsn_processor.intake.items import Limits

FROM = b"From MAILER-DAEMON Fri Nov 20 02:40:30 2026\n"
ONE = b"Subject: one\n\nfirst\n"
TWO = b"Subject: two\n\nsecond\n"


def split(text, *, limit=10**6, piece=2**20):
    """``piece`` is the most that one read gives."""
    file = io.BytesIO(text)
    return list(mbox.split(lambda count: file.read(min(count, piece)), limit))


def raws(text, **kwargs):
    return [raw for raw, _ in split(text, **kwargs)]


@pytest.mark.parametrize("piece", [47, 50, 64, 2**20])
@pytest.mark.parametrize(
    "text",
    [
        FROM + ONE + b"\n" + FROM + TWO + b"\n",
        FROM + ONE + b"\n" + FROM + TWO,
        b"\n\n" + FROM + ONE + b"\n" + FROM + TWO + b"\n",
        FROM + ONE + FROM + TWO,  # no blank line, but a field follows
        FROM + FROM + ONE + b"\n" + FROM + FROM + TWO,
    ],
)
def test_splits_however_it_is_read(text, piece):
    assert raws(text, piece=piece) == [ONE, TWO]


def test_crlf():
    text = (FROM + ONE + b"\n" + FROM + TWO + b"\n").replace(b"\n", b"\r\n")
    assert raws(text) == [ONE.replace(b"\n", b"\r\n"), TWO.replace(b"\n", b"\r\n")]


def test_no_newline_at_the_end():
    assert raws(FROM + ONE + b"\n" + FROM + b"Subject: two\n\nsecond") == [ONE, b"Subject: two\n\nsecond"]


@pytest.mark.parametrize("text", [b"", b"\n", FROM, FROM + b"\n", FROM + FROM, FROM * 3 + b"\r\n"])
def test_no_mail(text):
    assert raws(text) == []


def test_quoting():
    """mboxo and mboxrd read alike: one ">" comes off."""
    quoted = b"Subject: q\n\n>From me\n>>From you\nFrom us\n> From them\n>Fromage\n"
    plain = b"Subject: q\n\nFrom me\n>From you\nFrom us\n> From them\n>Fromage\n"
    assert raws(FROM + quoted + b"\n") == [plain]


@pytest.mark.parametrize(
    "prose",
    [
        b"\nFrom here on it is about you.\nx: y\n",
        b"\nFrom 10:30 on we are closed.\nPlease write again.\n",
        b"\nFrom 2026 on we are closed.\n\n",
        b"words\nFrom a@example.net Fri Nov 20 02:40:30 2026\nmore words\n",
        b"\nFrom " + b"1:00 2026 " * 200 + b"\n\n",
    ],
)
def test_prose_is_no_from_line(prose):
    mail = b"Subject: p\n\nHello.\n" + prose
    [found] = raws(FROM + mail + b"\n" + FROM + ONE)[:-1]
    assert found.rstrip() == mail.rstrip()


@pytest.mark.parametrize(
    "line",
    [
        b"From a@example.net Fri Nov 20 02:40:30 2026\n",
        b"From a@example.net  Fri Nov 20 02:40:30 2026 +0100\n",
        b"From - Fri Nov 20 02:40:30 2026\n",
        b"From a@example.net Fri, 20 Nov 2026 2:40:30 GMT\n",
        b'From "a b"@example.net Fri Nov 20 02:40 2026 remote from host\n',
    ],
)
def test_from_lines(line):
    assert raws(line + ONE + b"\n" + line + TWO) == [ONE, TWO]


def test_a_mail_over_the_limit_keeps_its_head():
    long = b"Subject: long\n\n" + b"x" * 5000 + b"\n"
    text = FROM + long + b"\n" + FROM + ONE
    for piece in (100, 3000, 2**20):
        assert split(text, limit=100, piece=piece) == [(long[:100], True), (ONE, False)]
    assert split(text, limit=len(long)) == [(long, False), (ONE, False)]
    assert split(text, limit=len(long) - 1) == [(long[:-1], True), (ONE, False)]


def test_a_cut_that_falls_on_a_blank_line_is_still_told():
    long = b"Subject: s\n\n" + b"\n" * 9000 + b"end\n"
    assert [cut for _, cut in split(FROM + long, limit=300, piece=1000)] == [True]


def test_a_long_mail_then_many(mail):
    text = b"".join(FROM + mail(n, b"y" * 3000 + b"\n") + b"\n" for n in range(50))
    assert raws(text, piece=500) == [mail(n, b"y" * 3000 + b"\n") for n in range(50)]


LINES = st.lists(
    st.one_of(
        st.binary(max_size=40),
        st.sampled_from(
            [b"", b"From a@example.net Fri Nov 20 02:40:30 2026", b">From x", b">>From 1:00", b"a: b", b"\r"]
        ),
    ),
    max_size=12,
)


@given(bodies=st.lists(LINES, max_size=4), piece=st.sampled_from([50, 100, 4096]))
def test_what_was_quoted_comes_out_as_it_was(bodies, piece):
    """mboxrd is reversible."""
    mails = [b"Subject: x\n\n" + b"".join(line + b"\n" for line in lines) for lines in bodies]
    quoted = [re.sub(rb"^(>*From )", rb">\1", mail, flags=re.MULTILINE) for mail in mails]
    assert raws(b"".join(FROM + mail + b"\n" for mail in quoted), piece=piece) == mails


def test_files_and_names(walk, tmp_path):
    both = FROM + ONE + b"\n" + FROM + TWO
    (tmp_path / "a.mbox").write_bytes(both)
    (tmp_path / "inbox").write_bytes(both)
    (tmp_path / "z.mbox").write_bytes(b"")
    (tmp_path / "one.eml").write_bytes(FROM + ONE)
    found = walk()
    assert [mail.source for mail in found.mails] == ["a.mbox#1", "a.mbox#2", "inbox#1", "inbox#2", "one.eml"]
    assert found.raws == [ONE, TWO, ONE, TWO, FROM + ONE]
    assert (found.skipped, found.passed_over) == ([], [])


def test_an_eml_that_begins_with_a_from_line_is_one_mail(walk, tmp_path):
    (tmp_path / "a.eml").write_bytes(FROM + ONE + b"\n" + FROM + TWO)
    assert walk(tmp_path / "a.eml").raws == [FROM + ONE + b"\n" + FROM + TWO]


def test_limit_of_a_mail_in_a_file(walk, tmp_path):
    (tmp_path / "a.mbox").write_bytes(FROM + ONE + b"x" * 9000 + b"\n\n" + FROM + TWO)
    found = walk(limits=Limits(mail=50))
    assert [(len(mail.raw), mail.truncated) for mail in found.mails] == [(50, True), (len(TWO), False)]


def test_a_mail_without_end_is_not_held_in_memory():
    pieces = iter([FROM + b"Subject: x\n\n", *[b"x" * 999 + b"\n"] * 40_000, b"\n" + FROM + ONE])
    tracemalloc.start()
    found = list(mbox.split(lambda _: next(pieces, b""), 1000))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [(len(raw), cut) for raw, cut in found] == [(1000, True), (len(ONE), False)]
    assert peak < 5 * 2**20


STREAM = """
import sys
from dsn_processor.intake.walk import Walk
before = peak()
number = sum(1 for _ in Walk(sys.argv[1:]))
print(number, peak() - before)
"""


def test_a_huge_mbox_is_streamed(tmp_path, write_dsn, peak):
    path = tmp_path / "huge.mbox"
    with path.open("wb") as file:
        for number in range(20_000):
            file.write(FROM + write_dsn(number=number, diagnostic="550 5.1.1 " + "x" * 2000) + b"\n")
    assert path.stat().st_size > 50 * 2**20
    ran = subprocess.run(
        [sys.executable, "-c", peak + STREAM, path], capture_output=True, check=True, text=True
    )
    number, grown = map(int, ran.stdout.split())
    assert number == 20_000
    assert grown < 25
