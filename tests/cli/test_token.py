import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from dsn_processor.correlate.token import Key, verify
from dsn_processor.tokens import mint, return_path

OLD, NEW = "1:correct-horse-battery-staple", "2:another-secret-of-enough-length"
RECIPIENT = "user@example.net"


@pytest.fixture
def keys(monkeypatch):
    monkeypatch.setenv("DSN_PROCESSOR__CORRELATION__KEYS", f"{NEW},{OLD}")
    monkeypatch.setenv("DSN_PROCESSOR__CORRELATION__STREAMS", "news")


def test_a_new_key_can_be_used(cli, monkeypatch):
    code, first, _ = cli("token", "keygen")
    _, second, _ = cli("token", "keygen", "--id", "7")
    assert code == 0
    assert first != second
    assert (Key.parse(first).id, Key.parse(second).id) == (1, 7)
    assert len(Key.parse(first).secret) == 56
    monkeypatch.setenv("DSN_PROCESSOR__CORRELATION__KEYS", first.strip())
    _, token, _ = cli("token", "mint", "--recipient", RECIPIENT)
    assert cli("token", "verify", token.strip(), "--recipient", RECIPIENT)[0] == 0


def test_the_first_key_signs_and_the_others_verify(cli, keys):
    token = cli("token", "mint", "--recipient", RECIPIENT)[1].strip()
    assert verify({2: Key.parse(NEW)}, token).names(RECIPIENT)
    assert cli("token", "verify", mint(Key.parse(OLD), RECIPIENT), "--recipient", RECIPIENT)[0] == 0


def test_mint_makes_an_address(cli, keys):
    words = ("token", "mint", "--recipient", RECIPIENT, "--message-id", "<a@example.com>", "--stream", "news")
    code, out, _ = cli(*words, "--domain", "bounces.example.com", "--prefix", "bounces+", "--json")
    told = json.loads(out)
    assert code == 0
    assert re.fullmatch(r"bounces\+t1[a-z2-7]{48}@bounces\.example\.com", told["address"])
    assert told["key"] == 2
    assert told["expires"] == (datetime.now(UTC).date() + timedelta(days=30)).isoformat()
    code, out, _ = cli("token", "verify", told["address"].upper(), "--message-id", "a@example.com", "--json")
    verified = json.loads(out)
    assert code == 0
    assert (verified["message_id"], verified["stream"], verified["recipient"]) == (True, "news", None)


@pytest.mark.parametrize(
    "asked", [("--recipient", "another@example.net"), ("--message-id", "another@example.com")]
)
def test_a_token_of_another_mail_is_told(cli, keys, asked):
    path = return_path(Key.parse(NEW), RECIPIENT, domain="example.com", message_id="a@example.com")
    code, out, _ = cli("token", "verify", path, *asked)
    assert code == 1
    assert re.search(rf"{asked[0][2:].replace('-', '_')} +no", out)


def test_a_late_token_is_told(cli, keys):
    day = datetime.now(UTC).date() - timedelta(days=31)
    code, out, _ = cli("token", "verify", mint(Key.parse(NEW), RECIPIENT, today=day))
    assert code == 1
    assert re.search("late +yes", out)


@pytest.mark.parametrize(
    "text, why", [("bounces@example.com", "there is no token"), ("t1" + "a" * 48, "none of our keys")]
)
def test_what_is_no_token_of_ours(cli, keys, text, why):
    code, out, err = cli("token", "verify", text)
    assert (code, out) == (1, "")
    assert why in err


def test_without_a_key_it_says_how_to_get_one(cli):
    code, _, err = cli("token", "mint", "--recipient", RECIPIENT)
    assert code == 3
    assert "token keygen" in err


def test_what_cannot_be_minted(cli, keys):
    code, _, err = cli("token", "mint", "--recipient", "user")
    assert code == 2
    assert "'user' is no address" in err


def test_secrets_are_not_shown(cli, keys):
    for words in (("config", "show"), ("config", "show", "--json"), ("config", "check")):
        code, out, err = cli(*words)
        assert code == 0
        assert "secret" not in out + err
        assert "staple" not in out + err


@pytest.mark.parametrize(
    "keys, why",
    [
        (f"{NEW},2:yet-another-secret-of-enough-length", "two keys with the number 2"),
        ("1:short", "16 characters or more"),
        ("secret-of-enough-length", "a colon and a secret"),
    ],
)
def test_keys_that_cannot_be_used_are_told_without_their_secret(cli, monkeypatch, keys, why):
    monkeypatch.setenv("DSN_PROCESSOR__CORRELATION__KEYS", keys)
    code, out, err = cli("config", "check")
    assert code == 3
    assert why in err
    assert "enough-length" not in out + err
