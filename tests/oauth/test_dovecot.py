"""A real server that asks ours whether a token is good: Dovecot, by introspection (RFC 7662)."""

import subprocess
import sys
import time

import pytest
from mailboxes.dovecot import Dovecot
from oauth.authorization import CLIENT_ID, CLIENT_SECRET, Authorization
from serve.mails import bounce

from dsn_processor.errors import LoginRefusedError
from dsn_processor.intake.mailbox.credentials import Credentials
from dsn_processor.intake.mailbox.options import ImapOptions, OAuthOptions, PopOptions
from dsn_processor.intake.mailbox.popsession import PopSession
from dsn_processor.intake.mailbox.session import Session
from dsn_processor.record.store import Store

pytestmark = pytest.mark.server

_PASSDB = """\
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {folder}/oauth2.conf"""
_INTROSPECTION = """\
introspection_mode = post
introspection_url = {url}/introspect
username_attribute = username
active_attribute = active
active_value = true
"""
# Who fails to log in is answered at once, however often.
_AT_ONCE = """\
auth_failure_delay = 0 secs
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
"""


@pytest.fixture(scope="module")
def servers():
    with Authorization() as authorization:
        dovecot = Dovecot(mechanisms="xoauth2 oauthbearer", more=_AT_ONCE)
        dovecot.configure(passdb=_PASSDB.format(folder=dovecot.folder))
        (dovecot.folder / "oauth2.conf").write_text(_INTROSPECTION.format(url=authorization.url))
        with dovecot:
            yield authorization, dovecot


@pytest.fixture
def authorization(servers):
    server = servers[0]
    server.lasts = 3600
    return server


@pytest.fixture
def dovecot(servers):
    return servers[1]


@pytest.fixture
def options(authorization, dovecot, tmp_path):
    def make(kind, **changed):
        (tmp_path / "token").write_text(authorization.consent())
        return kind(
            name="bounces",
            host="127.0.0.1",
            port=dovecot.imaps if kind is ImapOptions else dovecot.pop3s,
            ca_file=str(dovecot.certificate),
            username=authorization.user,
            oauth2=OAuthOptions(**authorization.options(tmp_path / "token", **changed)),
        )

    return make


SESSIONS = [(ImapOptions, Session), (PopOptions, PopSession)]


@pytest.mark.parametrize("kind, session", SESSIONS)
@pytest.mark.parametrize("mechanism", ["xoauth2", "oauthbearer", "auto"])
@pytest.mark.parametrize("grant", ["refresh_token", "client_credentials"])
def test_a_token_gets_in(options, kind, session, mechanism, grant):
    made = options(kind, mechanism=mechanism, grant=grant)
    connection = session(made)
    connection.log_in(Credentials(made))
    connection.close()


@pytest.mark.parametrize("kind, session", SESSIONS)
@pytest.mark.parametrize("mechanism", ["xoauth2", "oauthbearer"])
def test_a_token_that_was_taken_back_does_not(authorization, options, kind, session, mechanism):
    made = options(kind, mechanism=mechanism)
    credentials = Credentials(made)
    first = session(made)
    first.log_in(credentials)
    first.close()
    tokens = dict(authorization.access_tokens)
    authorization.access_tokens.clear()
    second = session(made)
    with pytest.raises(
        LoginRefusedError, match=r"127\.0\.0\.1:[0-9]+ refuses the login of user@example\.com"
    ) as caught:
        second.log_in(credentials)
    second.close()
    assert not any(token in str(caught.value) for token in tokens)
    assert credentials.forget()  # and a new one does
    third = session(made)
    third.log_in(credentials)
    third.close()


@pytest.mark.parametrize("kind, session", SESSIONS)
def test_a_token_of_somebody_else_does_not(authorization, options, kind, session):
    made = options(kind)
    authorization.refresh_tokens = dict.fromkeys(authorization.refresh_tokens, "other@example.com")
    authorization.user = "other@example.com"
    connection = session(made)
    try:
        with pytest.raises(LoginRefusedError):
            connection.log_in(Credentials(made))
    finally:
        authorization.user = "user@example.com"
        connection.close()


# ---- the commands


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "dsn_processor", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def configured(authorization, dovecot, tmp_path):
    path = tmp_path / "c.toml"
    oauth = f"""client_id = "{CLIENT_ID}"
client_secret = "{CLIENT_SECRET}"
refresh_token_file = "{tmp_path}/token"
scope = "mail offline_access"
token_url = "{authorization.url}/token"
authorization_url = "{authorization.url}/authorize"
device_authorization_url = "{authorization.url}/device"
"""
    common = f"""host = "127.0.0.1"
ca_file = "{dovecot.certificate}"
username = "{authorization.user}"
"""
    path.write_text(f"""database = "sqlite:///{tmp_path}/b.db"
[[imap]]
name = "by-imap"
port = {dovecot.imaps}
poll_interval = "1s"
{common}[imap.oauth2]
{oauth}
[[pop3]]
name = "by-pop3"
port = {dovecot.pop3s}
after = "delete"
{common}[pop3.oauth2]
{oauth}""")
    path.chmod(0o600)
    return str(path)


def mails(dovecot):
    return list((dovecot.folder / "mail" / "user" / "Maildir").glob("[cn]*/*.mail.example.com*"))


def recipients(tmp_path):
    with Store.open(f"sqlite:///{tmp_path}/b.db", readonly=True) as store:
        return sorted(event.recipient.address for event in store.events())


def test_from_login_to_events(authorization, dovecot, tmp_path):
    """Nobody is logged in; somebody consents by device code; mail comes in over both protocols; the consent is taken back."""
    config = configured(authorization, dovecot, tmp_path)
    dovecot.put("user", [bounce(f"o{n}").raw for n in range(20)])
    assert len(mails(dovecot)) == 20
    refused = run("poll", "--once", "--account", "by-imap", "--config", config)
    assert refused.returncode == 1
    assert "oauth login by-imap" in refused.stderr
    login = subprocess.Popen(
        [sys.executable, "-m", "dsn_processor", "oauth", "login", "by-imap", "--device", "--config", config],
        stdout=subprocess.PIPE,
        text=True,
    )
    with login:
        while "Waiting" not in login.stdout.readline():
            assert login.poll() is None
        authorization.device = dict.fromkeys(authorization.device, "yes")
        login.communicate(timeout=60)
    assert login.returncode == 0
    polled = run("poll", "--once", "--config", config)
    assert polled.returncode == 0, polled.stderr
    assert recipients(tmp_path) == sorted(f"o{n}@example.net" for n in range(20))
    assert mails(dovecot) == []  # by POP3 they are deleted
    authorization.refresh_tokens.clear()
    ended = run("poll", "--once", "--account", "by-pop3", "--config", config)
    assert ended.returncode == 1
    assert "invalid_grant" in ended.stderr
    assert "oauth login by-pop3" in ended.stderr
    told = "".join(one.stdout + one.stderr for one in (refused, polled, ended))
    secrets = [CLIENT_SECRET, *authorization.access_tokens]
    secrets += [form["refresh_token"] for _, form in authorization.requests if "refresh_token" in form]
    assert len(secrets) > 3
    assert not any(secret in told for secret in secrets)


def test_a_token_that_runs_out_is_replaced_before(authorization, dovecot, options, tmp_path):
    """Tokens of two seconds: logging in again and again for six gets a new one in time, always."""
    authorization.lasts = 2
    made = options(ImapOptions)
    credentials = Credentials(made)
    used = set()
    until = time.monotonic() + 6
    while time.monotonic() < until:
        session = Session(made)
        session.log_in(credentials)
        session.close()
        used |= authorization.access_tokens.keys()
        time.sleep(0.2)
    assert len(used) >= 4
    assert (tmp_path / "token").read_text().strip() in authorization.refresh_tokens
