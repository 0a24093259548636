"""Properties of reading mail: whatever the bytes, no exception; the returned message never has a say."""

import random
from pathlib import Path

import pytest
from fuzz.evidence import answer
from fuzz.mutate import TOKENS, mutate
from fuzz.reshape import SAME
from hypothesis import given, settings
from hypothesis import strategies as st

from dsn_processor.contract import describe_mail
from dsn_processor.facts import InboundMessage
from dsn_processor.parse.addresses import is_address
from dsn_processor.parse.dsn import read_status, read_tidy_status
from dsn_processor.parse.identity import identity
from dsn_processor.parse.mail import Mail
from dsn_processor.parse.message import parse_message
from dsn_processor.parse.mime import lf_lines
from dsn_processor.reading import read, read_all
from dsn_processor.terms import Action

FIXTURES = sorted((Path(__file__).parent.parent / "fixtures_eml").rglob("*.eml"))
MAILS = [path.read_bytes() for path in FIXTURES]

calm = settings(max_examples=150, deadline=None)


def everything(raw: bytes) -> None:
    described = describe_mail(InboundMessage(raw=raw, source="-"), read(raw))
    str(described).encode("utf-8", "surrogatepass")


@calm
@given(st.binary(max_size=3000))
def test_any_bytes_are_read(raw):
    everything(raw)


@calm
@given(st.lists(st.sampled_from(TOKENS) | st.binary(max_size=20), max_size=60))
def test_any_pile_of_tokens_is_read(pieces):
    everything(b"".join(pieces))


@calm
@given(st.randoms(use_true_random=False))
def test_any_mutation_of_a_fixture_is_read(rng):
    everything(mutate(MAILS, rng, limit=60_000))


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_truncations_of_every_fixture_are_read(path):
    raw = path.read_bytes()
    for end in range(0, len(raw), max(1, len(raw) // 25)):
        everything(raw[:end])


@calm
@given(st.sampled_from(MAILS))
def test_line_ends_do_not_matter(raw):
    lf = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    assert (
        parse_message(lf)
        == parse_message(lf.replace(b"\n", b"\r\n"))
        == parse_message(lf.replace(b"\n", b"\r"))
    )
    assert identity(lf) == identity(lf.replace(b"\n", b"\r\n"))


def test_mails_read_together_say_what_each_says_alone():
    messages = [InboundMessage(raw=raw, source="-") for raw in MAILS]
    random.Random(1).shuffle(messages)
    assert read_all(messages) == [read(message.raw) for message in messages]


@calm
@given(
    st.sampled_from(MAILS),
    st.lists(
        st.tuples(st.integers(0, 6000), st.sampled_from([b"\r", b"\n", b"\r\n", b"\r\r\n"])), max_size=6
    ),
)
def test_a_mail_with_several_line_ends_reads_as_with_one(raw, inserted):
    """Clean CRLF is read as it is; whatever else stands between is met."""
    raw = lf_lines(raw).replace(b"\n", b"\r\n")
    for at, line_end in inserted:
        raw = raw[:at] + line_end + raw[at:]
    assert parse_message(raw) == parse_message(lf_lines(raw))


@calm
@given(st.sampled_from(MAILS), st.randoms(use_true_random=False))
def test_tidy_status_fields_read_as_any(raw, rng):
    """The quick reader of delivery-status fields leaves what it does not know to the general one, and else says the same."""
    for part in Mail(mutate([lf_lines(raw)], rng, limit=60_000)).status_parts:
        text = part.body(100_000).decode("latin-1")
        tidy = read_tidy_status(text)
        assert tidy is None or tidy == read_status(text, [])


@pytest.mark.parametrize("shape", SAME)
def test_copies_give_the_same_answers(shape):
    """CR-only, mbox-quoted, dot-stuffed copies and the like: of every fixture."""
    rng = random.Random(1)
    differing = []
    for path in FIXTURES:
        raw = lf_lines(path.read_bytes())
        before, after = read(raw), read(SAME[shape](raw, rng))
        rules = [[verdict and verdict.rule_id for verdict in one.verdicts] for one in (before, after)]
        if answer(after) != answer(before) or rules[0] != rules[1]:
            differing.append(path.stem)
    assert differing == []


@calm
@given(st.sampled_from(MAILS), st.integers(0, 400), st.integers(0, 2000))
def test_nul_bytes_change_nothing(raw, every, first):
    """No mail may hold NUL (RFC 5322 section 4); what a relay put in is taken out, wherever it stands."""
    step = every + 50
    sprinkled = raw[:first] + b"".join(raw[at : at + step] + b"\0" for at in range(first, len(raw), step))
    if b"\r" not in raw:  # a NUL between CR and LF parts them
        assert parse_message(sprinkled.removesuffix(b"\0")) == parse_message(raw)


local_part = st.from_regex(r"[a-z][a-z0-9._=-]{0,20}[a-z0-9]", fullmatch=True)
domain = st.from_regex(r"[a-z]{2,10}(\.[a-z]{2,8}){0,2}\.example", fullmatch=True)
address = st.builds("{}@{}".format, local_part, domain)
status = st.builds("{}.{}.{}".format, st.sampled_from("45"), st.integers(0, 7), st.integers(1, 30))
recipient = st.tuples(address, st.sampled_from(list(Action)), status)


@calm
@given(st.lists(recipient, min_size=1, max_size=12, unique_by=lambda one: one[0]))
def test_a_composed_report_reads_back_equal(recipients):
    blocks = "".join(
        f"\nFinal-Recipient: rfc822; {a}\nAction: {action}\nStatus: {code}\n"
        for a, action, code in recipients
    )
    raw = f'From: MAILER-DAEMON@mx.example\nContent-Type: multipart/report; boundary="="\n\n--=\n\nSorry.\n--=\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example\n{blocks}\n--=--\n'
    parsed = parse_message(raw.encode())
    assert [(one.address, one.action, one.status) for one in parsed.recipients] == recipients
    assert all(is_address(one.address) for one in parsed.recipients)


@calm
@given(st.text(st.characters(codec="utf-8", exclude_characters="\n\r"), max_size=300))
def test_the_returned_message_has_no_say(words):
    raw = 'From: MAILER-DAEMON@mx.example\nContent-Type: multipart/report; boundary="="\n\n--=\n\nSorry.\n--=\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example\n\nFinal-Recipient: rfc822; a@example.net\nAction: failed\nStatus: 5.0.0\n\n--=\nContent-Type: message/rfc822\n\nSubject: hello\n\n{}\n--=--\n'
    plain, told = (read(raw.format(text).encode()) for text in ("", words.replace("--=", "")))
    assert plain.verdicts == told.verdicts
    assert plain.parsed.recipients == told.parsed.recipients
