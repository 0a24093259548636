import base64
import doctest
import random
import subprocess
import sys
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsn_processor import tokens
from dsn_processor.canonical import reference
from dsn_processor.correlate.token import (
    LENGTH,
    LOCAL_PART_LIMIT,
    MARK,
    Key,
    mint,
    shaped,
    verify,
)

DAY = date(2026, 11, 21)
KEY = Key.parse("1:correct-horse-battery-staple")
OTHER = Key.parse("2:another-secret-of-enough-length")
KEYS = {KEY.id: KEY, OTHER.id: OTHER}
RECIPIENT = "user@example.net"


def made(recipient=RECIPIENT, key=KEY, **kwargs):
    return mint(key, recipient, expires=DAY + timedelta(days=30), **kwargs)


def test_a_token_names_its_recipient_and_no_other():
    token = verify(KEYS, made())
    assert token.names(RECIPIENT)
    assert not token.names("another@example.net")


@pytest.mark.parametrize("spelling", ["User@Example.NET", "user@example.net.", ' "user"@example.net '])
def test_spellings_of_one_address_have_one_token(spelling):
    assert made(spelling) == made()


@pytest.mark.parametrize("other", ["user+tag@example.net", "u.ser@example.net", "user@mail.example.net"])
def test_another_address_has_another_token(other):
    assert not verify(KEYS, made(other)).names(RECIPIENT)


@pytest.mark.parametrize("spell", [str.upper, str.lower, str.swapcase, str.title])
def test_letter_case_does_not_matter(spell):
    assert verify(KEYS, spell(made())) == verify(KEYS, made())


def test_what_else_it_says():
    token = verify(KEYS, made(message_id="<a@example.com>", stream="news"))
    assert token.message == reference("a@example.com") == reference(" <a@example.com> ")
    assert token.message != reference("A@example.com")
    assert token.names_stream("news")
    assert not token.names_stream("receipts")
    nothing = verify(KEYS, made())
    assert (nothing.message, nothing.stream) == (0, 0)
    assert reference(None) == reference("<>") == 0


def test_late_is_after_thirty_whole_days():
    token = verify(KEYS, made())
    assert token.expires == date(2026, 12, 21)
    assert not token.late(date(2026, 12, 21))
    assert token.late(date(2026, 12, 22))


def test_keys_rotate():
    old, new = made(), made(key=OTHER)
    assert verify({1: KEY}, old)
    assert not verify({1: KEY}, new)
    assert verify(KEYS, old).key == KEY
    assert verify(KEYS, new).key == OTHER
    assert not verify({2: OTHER}, old)
    assert not verify({1: Key(1, OTHER.secret)}, old)
    assert not verify({}, old)


def test_every_flipped_bit_is_refused():
    content = base64.b32decode(made()[2:], casefold=True)
    for bit in range(8 * len(content)):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        assert verify(KEYS, MARK + base64.b32encode(flipped).decode().lower()) is None


def test_every_other_letter_is_refused():
    token = made(message_id="a@example.com")
    for at in range(len(token)):
        for letter in "abcdefghijklmnopqrstuvwxyz0123456789-=é":
            if letter != token[at]:
                assert verify(KEYS, token[:at] + letter + token[at + 1 :]) is None


def test_random_tokens_are_refused():
    rng = random.Random(1)
    for number in range(20_000):
        content = bytes([number % 256]) + rng.randbytes(29)
        assert verify(KEYS, MARK + base64.b32encode(content).decode().lower()) is None


@given(
    st.text(max_size=80)
    | st.text("abcdefghijklmnopqrstuvwxyz234567", min_size=48, max_size=48).map(MARK.__add__)
)
def test_any_text_is_refused_and_none_raises(text):
    assert verify(KEYS, text) is None


@pytest.mark.parametrize(
    "around",
    [
        "%s",
        "b-%s@example.com",
        "BOUNCES+%s@example.com",
        "prvs=190694bd6d=b-%s@example.com",
        "SRS0=HHHH=TT=example.com=b-%s@forwarder.example",
        "Return-Path: <b-%s@example.com>\r\nTo: x",
        "=%s=",
    ],
)
def test_tokens_are_found(around):
    assert shaped([(around % made()).encode()]) == [made()]
    assert shaped([(around % made()).upper().encode()]) == [made()]


@pytest.mark.parametrize("around", ["x%s", "%sx", "%s8", "9%s"])
def test_other_words_are_not_tokens(around):
    assert shaped([(around % made()).encode()]) == []


def test_each_is_found_once_and_no_more_than_a_hundred():
    many = [made(f"{number}@example.net") for number in range(150)]
    assert shaped([f"{many[0]} {many[1]}".encode(), many[0].encode()]) == many[:2]
    assert shaped([" ".join(many).encode()]) == many[:100]


@pytest.mark.parametrize(
    "text, why",
    [
        ("correct-horse-battery-staple", "a colon and a secret"),
        ("256:correct-horse-battery-staple", "from 0 to 255"),
        ("-1:correct-horse-battery-staple", "from 0 to 255"),
        ("1:short", "16 characters or more"),
    ],
)
def test_keys_that_cannot_be_used(text, why):
    with pytest.raises(ValueError, match=why):
        Key.parse(text)


def test_a_secret_is_not_shown():
    assert "staple" not in f"{KEY!r} {KEY} {[KEY]} {verify(KEYS, made())}"


# ---- what senders call


def test_the_example_of_the_library():
    assert doctest.testmod(tokens).attempted == 4
    assert doctest.testmod(tokens).failed == 0


@given(st.from_regex(r"[a-z0-9.+-]{1,60}@[a-z]{1,20}\.example", fullmatch=True), st.text(max_size=300))
def test_a_return_path_is_an_address_of_legal_length(recipient, message_id):
    path = tokens.return_path(
        KEY, recipient, domain="example.com", prefix="bounces-news+", message_id=message_id
    )
    local = path.rpartition("@")[0]
    assert len(local) <= LOCAL_PART_LIMIT
    [token] = shaped([path.encode()])
    assert verify(KEYS, token).names(recipient.lower())


@pytest.mark.parametrize(
    "kwargs, why",
    [
        ({"recipient": "user"}, "no address"),
        ({"prefix": "b" * 14 + "-"}, "14 characters are left"),
        ({"prefix": "bounces"}, "no prefix"),
        ({"prefix": "b @-"}, "no prefix"),
        ({"prefix": "bücher-"}, "no prefix"),
        ({"days": 0}, "days has to be"),
    ],
)
def test_what_makes_no_return_path(kwargs, why):
    with pytest.raises(ValueError, match=why):
        tokens.return_path(KEY, **{"recipient": RECIPIENT, "domain": "example.com", **kwargs})


def test_the_longest_prefix_fits():
    path = tokens.return_path(KEY, RECIPIENT, domain="example.com", prefix="b" * 13 + "-")
    assert len(path.partition("@")[0]) == LOCAL_PART_LIMIT == LENGTH + 14


def test_senders_import_next_to_nothing():
    program = (
        "import sys; import dsn_processor.tokens\n"
        "print(sorted(name for name in sys.modules if name.startswith('dsn_processor')))\n"
        "print([name for name in ('sqlalchemy', 'pydantic', 'asyncio', 'email') if name in sys.modules])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    ours, heavy = ran.stdout.splitlines()
    assert len(ours.split(",")) == 6
    assert heavy == "[]"
