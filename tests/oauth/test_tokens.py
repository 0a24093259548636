"""Access tokens: fetched, refreshed, replaced refresh tokens kept; and nothing secret in what is told."""

import base64
import json
import stat
import threading

import pytest
from oauth.authorization import CLIENT_ID, CLIENT_SECRET, Authorization, drip

from dsn_processor.errors import LoginRefusedError, MailboxError
from dsn_processor.intake.mailbox import endpoint, tokenfile
from dsn_processor.intake.mailbox.oauth import Bearer, TokenSource, choose, oauthbearer, scope, xoauth2
from dsn_processor.intake.mailbox.options import ImapOptions, OAuthOptions, PopOptions


@pytest.fixture
def server():
    with Authorization() as authorization:
        yield authorization


@pytest.fixture
def kept(tmp_path, server):
    """The file of a refresh token that is good."""
    path = tmp_path / "token"
    tokenfile.keep(str(path), server.consent())
    return path


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def account(server, path, kind=ImapOptions, **changed):
    return kind(
        name="bounces",
        host="mail.example.com",
        username="user@example.com",
        oauth2=OAuthOptions(**server.options(path, **changed)),
    )


def test_a_token_is_fetched_once_and_again_before_it_runs_out(server, kept):
    clock = Clock()
    source = TokenSource(account(server, kept), clock=clock)
    first = source.token()
    clock.now += server.lasts - 61
    assert source.token() == first
    assert source.seconds_left() == 1
    clock.now += 2
    second = source.token()
    assert second != first
    assert [form["grant_type"] for _, form in server.requests] == ["refresh_token"] * 2
    assert server.access_tokens.keys() == {first, second}


@pytest.mark.parametrize(
    "lasts, used", [(60, 30), ("3600", 3540), (None, 540), ("x", 540), (1e300, 86340), (0, 0), (-5, 0)]
)
def test_how_long_a_token_is_used(server, kept, lasts, used):
    server.lasts = lasts
    source = TokenSource(account(server, kept), clock=Clock())
    source.token()
    assert source.seconds_left() == used


def test_a_replaced_refresh_token_is_kept(server, kept):
    source = TokenSource(account(server, kept))
    for _ in range(3):
        source.token()
        assert not source.forget()
        assert {kept.read_text().strip()} == server.refresh_tokens.keys()
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert list(kept.parent.iterdir()) == [kept]


def test_a_token_of_before_may_be_refused_where_a_new_one_is_not(server, kept):
    source = TokenSource(account(server, kept))
    first = source.token()
    assert source.token() == first
    assert source.forget()
    assert source.token() != first
    assert not source.forget()
    assert not source.forget()


def test_many_at_once_use_a_refresh_token_one_after_the_other(server, kept):
    """Each another process, as far as the file can tell: the second to use a token would be refused."""
    sources = [TokenSource(account(server, kept)) for _ in range(8)]
    tokens = []
    threads = [threading.Thread(target=lambda one=one: tokens.append(one.token())) for one in sources]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(set(tokens)) == 8
    assert {kept.read_text().strip()} == server.refresh_tokens.keys()


def test_a_refresh_token_that_cannot_be_written_is_used_nevertheless(server, kept, monkeypatch, capsys):
    source = TokenSource(account(server, kept))
    real = tokenfile.keep

    def fails(path, token):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(tokenfile, "keep", fails)
    for _ in range(3):
        source.token()
        source.forget()
    told = capsys.readouterr().err
    assert "refresh token not kept" in told
    assert "Read-only file system" in told
    assert not any(
        token in told
        for _, form in server.requests
        for token in form.values()
        if token.startswith("refresh.")
    )
    monkeypatch.setattr(tokenfile, "keep", real)
    source.token()
    assert {kept.read_text().strip()} == server.refresh_tokens.keys()


def test_who_logs_in_again_meanwhile_is_listened_to(server, kept):
    source = TokenSource(account(server, kept))
    source.token()
    server.refresh_tokens.clear()
    source.forget()
    with pytest.raises(LoginRefusedError, match="log in: dsn-processor oauth login bounces"):
        source.token()
    tokenfile.keep(str(kept), server.consent())
    assert source.token() in server.access_tokens


def test_client_credentials(server, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text(f"{CLIENT_SECRET}\n")
    changed = {"grant": "client_credentials", "client_secret": "", "client_secret_file": str(secret)}
    source = TokenSource(account(server, "", **changed))
    assert source.token() in server.access_tokens
    [(_, form)] = server.requests
    assert form == {
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "grant_type": "client_credentials",
        "scope": "mail offline_access",
    }


@pytest.mark.parametrize(
    "answer, kind, words",
    [
        ((400, {"error": "invalid_grant", "error_description": "AADSTS70008: expired"}), LoginRefusedError, "AADSTS70008: expired; .*oauth login bounces"),
        ((401, {"error": "invalid_client"}), LoginRefusedError, "client's secret"),
        ((400, {"error": "invalid_scope"}), LoginRefusedError, "look at scope"),
        ((400, {"error": "odd", "error_description": 3}), LoginRefusedError, "odd; docs/oauth.md"),
        ((400, {"error": "a\r\nb"}), MailboxError, "answers 400"),
        ((503, {"error": "temporarily_unavailable"}), MailboxError, "answers 503"),
        ((429, {"error": "slow_down"}), MailboxError, "answers 429"),
        ((200, b"<html>"), MailboxError, "answers 200, and nothing"),
        ((200, b"[" * 50_000), MailboxError, "answers 200, and nothing"),
        ((200, {"token_type": "Bearer"}), MailboxError, "without an access token"),
        ((200, {"access_token": 3}), MailboxError, "without an access token"),
        ((200, {"access_token": "a\r\nA1 LOGOUT"}), MailboxError, "that is none"),
        ((200, {"access_token": "a\x01auth=b"}), MailboxError, "that is none"),
        ((200, {"access_token": "é"}), MailboxError, "that is none"),
        ((200, {"access_token": "a" * 20_000}), MailboxError, "without an access token"),
        ((200, b" " * 70_000), MailboxError, "does not end"),
        ((302, {}, [("Location", "http://127.0.0.1:1/")]), MailboxError, "sends us elsewhere"),
    ],
)  # fmt: skip
def test_what_is_no_answer_is_told(server, kept, answer, kind, words):
    server.answers = [answer]
    with pytest.raises(MailboxError, match=words) as caught:
        TokenSource(account(server, kept)).token()
    assert type(caught.value) is kind


def test_an_answer_that_drips_is_not_waited_for(server, monkeypatch):
    server.answers = [(200, lambda: drip(20))]
    with pytest.raises(MailboxError, match="does not answer in time"):
        endpoint.ask(f"{server.url}/token", {"a": "b"}, seconds=0.2)


def test_nobody_there():
    with pytest.raises(MailboxError, match=r"http://127.0.0.1:1/token cannot be asked: .*refused"):
        endpoint.ask("http://127.0.0.1:1/token?key=geheim", {"client_secret": "geheim"})


def test_what_was_sent_in_confidence_is_not_told(server, kept):
    """The server repeats the secret and the token in its errors, as they are and as they were sent."""
    token = kept.read_text().strip()
    said = f"wrong {CLIENT_SECRET} a%2Fsecret%2Bof%3Dours {token}\r\n\x1b[31m" + "x" * 1000
    server.answers = [(400, {"error": "invalid_client", "error_description": said})]
    with pytest.raises(LoginRefusedError) as caught:
        TokenSource(account(server, kept)).token()
    told = str(caught.value)
    assert "wrong *** *** ***" in told
    assert "\x1b" not in told
    assert len(told) < 700
    options = account(server, kept)
    assert CLIENT_SECRET not in repr(options)


@pytest.mark.parametrize(
    "content, words",
    [(None, "cannot be read"), ("", "is empty"), ("a\nb\n", "one line"), ("x" * 20_000, "one line")],
)
def test_a_file_without_a_token(server, tmp_path, content, words):
    path = tmp_path / "token"
    if content is not None:
        path.write_text(content)
    with pytest.raises(LoginRefusedError, match=f"{words}.*oauth login bounces"):
        TokenSource(account(server, path)).token()
    assert not server.requests


def test_a_link_is_followed_and_stays(tmp_path):
    real = tmp_path / "real"
    link = tmp_path / "link"
    real.write_text("old")
    link.symlink_to(real)
    tokenfile.keep(str(link), "new")
    assert link.is_symlink()
    assert real.read_text() == "new\n"


def test_scopes(server, tmp_path):
    common = {"client_id": "x", "refresh_token_file": str(tmp_path / "t")}

    def asked(kind=ImapOptions, **options):
        return scope(kind(name="n", host="h", username="u", oauth2=OAuthOptions(**common, **options)))

    assert asked(provider="google") == "https://mail.google.com/"
    assert asked(provider="microsoft") == "https://outlook.office.com/IMAP.AccessAsUser.All offline_access"
    assert (
        asked(PopOptions, provider="microsoft")
        == "https://outlook.office.com/POP.AccessAsUser.All offline_access"
    )
    app = {"grant": "client_credentials", "client_secret": "x", "tenant": "example.com"}
    assert asked(provider="microsoft", **app) == "https://outlook.office365.com/.default"
    assert asked(provider="microsoft", scope="mine") == "mine"


def test_strings_of_the_mechanisms():
    assert xoauth2("u@example.com", "tok") == b"user=u@example.com\x01auth=Bearer tok\x01\x01"
    assert (
        oauthbearer("u=1,2@example.com", "tok", "mail.example.com", 993)
        == b"n,a=u=3D1=2C2@example.com,\x01host=mail.example.com\x01port=993\x01auth=Bearer tok\x01\x01"
    )


@pytest.mark.parametrize("mechanism, end", [("XOAUTH2", b""), ("OAUTHBEARER", b"\x01")])
def test_an_exchange_that_fails_is_ended_and_told(mechanism, end):
    refused = json.dumps({"status": "invalid_token", "schemes": "bearer", "scope": "mail"}).encode()
    for challenge in (refused, base64.b64encode(refused)):
        bearer = Bearer(mechanism, "u", "geheim", "h", 1)
        assert b"geheim" in bearer(b"")
        assert bearer(challenge) == end
        assert bearer.said == "status invalid_token, schemes bearer, scope mail"
    odd = Bearer(mechanism, "u", "geheim", "h", 1)
    odd(b"")
    odd(b"\xff\x1b[" * 5000)
    assert len(odd.said) < 5000
    assert "\x1b" not in odd.said


def test_the_mechanism_is_one_that_is_offered():
    assert choose("auto", ["PLAIN", "xoauth2", "OAuthBearer"]) == "OAUTHBEARER"
    assert choose("auto", ["PLAIN", "XOAUTH2"]) == "XOAUTH2"
    assert choose("xoauth2", ["OAUTHBEARER", "XOAUTH2"]) == "XOAUTH2"
    with pytest.raises(LoginRefusedError, match="no OAUTHBEARER; its mechanisms: PLAIN, XOAUTH2"):
        choose("oauthbearer", ["XOAUTH2", "PLAIN"])
