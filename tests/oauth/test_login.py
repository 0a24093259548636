"""Consent: by browser and by device code, as functions and as commands."""

import http.client
import json
import re
import signal
import socket
import stat
import subprocess
import sys
import urllib.request
from urllib.parse import parse_qs, urlsplit

import pytest
from oauth.authorization import CLIENT_ID, CLIENT_SECRET, Authorization

from dsn_processor.cli import main
from dsn_processor.errors import ConfigurationError, LoginRefusedError, MailboxError
from dsn_processor.intake.mailbox import consent
from dsn_processor.intake.mailbox.options import ImapOptions, OAuthOptions


@pytest.fixture
def server():
    with Authorization() as authorization:
        yield authorization


@pytest.fixture
def account(server, tmp_path):
    return make(server, tmp_path)


def make(server, tmp_path, **changed):
    options = OAuthOptions(**server.options(tmp_path / "token", **changed))
    return ImapOptions(name="bounces", host="h", username="user@example.com", oauth2=options)


def get(url):
    """What a browser gets: status and text."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_a_browser_consents(server, account):
    seen = []

    def prompt(asked):
        seen.append(asked)
        seen.append(get(server.browse(asked.url)))

    token = consent.by_browser(account, prompt, seconds=30)
    assert token in server.refresh_tokens
    asked, (status, page) = seen
    assert status == 200
    assert "close this window" in page
    query = {name: values[0] for name, values in parse_qs(urlsplit(asked.url).query).items()}
    assert query["scope"] == "mail offline_access"
    assert query["redirect_uri"].startswith("http://127.0.0.1:")
    assert CLIENT_SECRET not in asked.url
    [(_, form)] = server.requests
    assert len(form["code_verifier"]) >= 43
    assert form["code_verifier"] not in asked.url


def test_who_does_not_know_the_state_is_not_listened_to(server, account):
    def prompt(asked):
        right = server.browse(asked.url)
        for wrong in (
            re.sub(r"state=[^&]*", "state=guessed", right),
            re.sub(r"&state=[^&]*", "", right),
            right.replace("/?", "/other?").replace("?code", "/other?code", 1),
            "http://" + urlsplit(right).netloc + "/favicon.ico",
        ):
            assert get(wrong)[0] == 404
        host = urlsplit(right).netloc
        with socket.create_connection(host.split(":"), 10) as garbage:
            garbage.sendall(b"\x16\x03\x01 no HTTP\r\n\r\n")
        connection = http.client.HTTPConnection(host, timeout=10)
        connection.request("GET", "/?" + "&".join(f"a{n}=1" for n in range(100)))
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            connection.getresponse()
        connection.close()
        assert get(right)[0] == 200

    assert consent.by_browser(account, prompt, seconds=30) in server.refresh_tokens


def test_a_refusal_is_told(server, account):
    def prompt(asked):
        query = {name: values[0] for name, values in parse_qs(urlsplit(asked.url).query).items()}
        get(f"{query['redirect_uri']}?error=access_denied&error_description=no%1b[31m&state={query['state']}")

    with pytest.raises(LoginRefusedError, match=r"access_denied: no\\x1b\[31m; .*administrator"):
        consent.by_browser(account, prompt, seconds=30)


def test_a_code_that_another_got_is_of_no_use(server, account):
    """PKCE: the code alone gets nothing without the verifier, which never left this process."""

    def prompt(asked):
        back = server.browse(asked.url)
        code = parse_qs(urlsplit(back).query)["code"][0]
        server.codes[code]["code_challenge"] = "another"
        get(back)

    with pytest.raises(LoginRefusedError, match="invalid_grant"):
        consent.by_browser(account, prompt, seconds=30)


def test_nobody_comes(account):
    with pytest.raises(LoginRefusedError, match="no browser came back"):
        consent.by_browser(account, lambda _: None, seconds=0.05)


def test_a_port_that_is_taken(account):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(MailboxError, match=f"port {port} cannot be listened on.*--port"):
            consent.by_browser(account, lambda _: None, port=port)


def test_without_a_refresh_token_it_is_no_login(server, account):
    def prompt(asked):
        back = server.browse(asked.url)
        server.answers = [(200, {"access_token": "x", "expires_in": 3600})]
        get(back)

    with pytest.raises(LoginRefusedError, match="offline_access"):
        consent.by_browser(account, prompt, seconds=30)


@pytest.mark.parametrize(
    "provider, words, back",
    [
        ("google", {"access_type": "offline", "prompt": "consent", "login_hint": "user@example.com"}, "http://127.0.0.1:"),
        ("microsoft", {"prompt": "select_account"}, "http://localhost:"),
    ],
)  # fmt: skip
def test_addresses_of_providers(server, tmp_path, provider, words, back):
    asked = []
    account = make(server, tmp_path, provider=provider, authorization_url="", scope="")
    with pytest.raises(LoginRefusedError):
        consent.by_browser(account, asked.append, seconds=0.01)
    url = urlsplit(asked[0].url)
    assert (url.scheme, url.netloc) == (
        "https",
        {"google": "accounts.google.com", "microsoft": "login.microsoftonline.com"}[provider],
    )
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    assert words.items() <= query.items()
    assert query["redirect_uri"].startswith(back)


class Wait:
    """A clock that goes by sleeping, at ``at`` seconds of which something happens."""

    def __init__(self, **at):
        self.now, self.slept, self.at = 0.0, [], {}

    def __call__(self, seconds):
        self.slept.append(seconds)
        self.now += seconds
        for when in [when for when in self.at if when <= self.now]:
            self.at.pop(when)()

    def clock(self):
        return self.now


def by_device(server, account, wait, prompt=lambda _: None):
    return consent.by_device(account, prompt, sleep=wait, clock=wait.clock)


def typed_in(server, state="yes"):
    server.device = dict.fromkeys(server.device, state)


def test_a_code_is_typed_in_elsewhere(server, account):
    wait, asked = Wait(), []
    wait.at = {17: lambda: typed_in(server)}
    assert by_device(server, account, wait, asked.append) in server.refresh_tokens
    assert asked == [consent.Prompt(f"{server.url}/activate", "ABCD-EFGH", 900)]
    assert wait.slept == [5] * 4
    path, form = server.requests[0]
    assert (path, form) == ("/device", {"client_id": CLIENT_ID, "scope": "mail offline_access"})


def test_who_is_told_to_slow_down_slows_down(server, account):
    """RFC 8628 section 3.5: by five seconds, for all that follow; and where nobody answers, twice as slow."""
    wait = Wait()
    wait.at = {
        5: lambda: server.answers.append((400, {"error": "slow_down"})),
        15: lambda: server.answers.append((503, b"")),
    }
    wait.at[40] = lambda: typed_in(server)
    by_device(server, account, wait)
    assert wait.slept == [5, 10, 20, 20]


@pytest.mark.parametrize(
    "state, words", [("access_denied", "said no"), ("expired_token", "begin again"), ("odd", "docs/oauth.md")]
)
def test_codes_that_end(server, account, state, words):
    wait = Wait()
    wait.at = {5: lambda: typed_in(server, state)}
    with pytest.raises(LoginRefusedError, match=words):
        by_device(server, account, wait)


def test_a_code_nobody_types_in(server, account):
    wait = Wait()
    with pytest.raises(LoginRefusedError, match="nobody typed in the code in time"):
        by_device(server, account, wait)
    assert wait.now == 900


def test_a_server_that_answers_anything(server, account):
    for answer in ({}, {"device_code": 3}, {"device_code": "x", "user_code": "y"}):
        server.answers = [(200, answer)]
        with pytest.raises(MailboxError, match="without a code"):
            by_device(server, account, Wait())
    shown = []
    server.answers = [
        (200, {"device_code": "x", "user_code": "\x1b[31m", "verification_uri": "http://a\r\n", "expires_in": "99999999999", "interval": -3})
    ]  # fmt: skip
    with pytest.raises(LoginRefusedError):
        by_device(server, account, Wait(), shown.append)
    assert shown == [consent.Prompt("http://a\\x0d\\x0a", "\\x1b[31m", 1800)]


def test_accounts_that_need_no_consent(server, tmp_path):
    for account in (
        ImapOptions(name="n", host="h", username="u", password="p"),
        make(server, tmp_path, grant="client_credentials"),
        make(server, tmp_path, provider="google", device_authorization_url=""),
    ):
        with pytest.raises(ConfigurationError):
            consent.by_device(account, lambda _: None)


# ---- the commands


@pytest.fixture
def config(server, tmp_path):
    path = tmp_path / "c.toml"
    path.write_text(
        f"""[[imap]]
name = "bounces"
host = "127.0.0.1"
username = "user@example.com"
[imap.oauth2]
client_id = "{CLIENT_ID}"
client_secret = "{CLIENT_SECRET}"
refresh_token_file = "{tmp_path}/token"
scope = "mail offline_access"
token_url = "{server.url}/token"
authorization_url = "{server.url}/authorize"
device_authorization_url = "{server.url}/device"

[[pop3]]
name = "other"
host = "127.0.0.1"
username = "u"
password = "geheim"
"""
    )
    path.chmod(0o600)
    return str(path)


def started(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "dsn_processor", "oauth", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def shown(process, start):
    for line in process.stdout:
        if line.startswith(start):
            return line.strip()
    raise AssertionError(process.stderr.read())


def test_the_command_logs_in_by_browser(server, config, tmp_path, capsys):
    with started("login", "bounces", "--config", config) as process:
        url = shown(process, "http")
        assert get(server.browse(url))[0] == 200
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    token = (tmp_path / "token").read_text().strip()
    assert token in server.refresh_tokens
    assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o600
    assert token not in out
    assert main(["oauth", "status", "--config", config, "--json"]) == 0
    state = json.loads(capsys.readouterr().out)
    assert (state["account"], state["ok"]) == ("bounces", True)
    assert state["says"] == "good: gets an access token, for 59 minutes"


def test_the_command_logs_in_by_device_code(server, config, tmp_path):
    with started("login", "bounces", "--device", "--config", config) as process:
        assert shown(process, "Open").endswith("/activate")
        assert shown(process, "and type in").endswith("ABCD-EFGH")
        typed_in(server)
        process.communicate(timeout=60)
    assert process.returncode == 0
    assert (tmp_path / "token").read_text().strip() in server.refresh_tokens


def test_ctrl_c_gives_up(config, tmp_path):
    with started("login", "bounces", "--config", config) as process:
        shown(process, "Waiting")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in err
    assert not (tmp_path / "token").exists()


def test_status_tells_what_is_missing(server, config, tmp_path, capsys):
    assert main(["oauth", "status", "--config", config]) == 1
    assert "oauth login bounces" in capsys.readouterr().out.replace("\n", " ")
    (tmp_path / "token").write_text("taken-back")
    assert main(["oauth", "status", "--config", config, "--json"]) == 1
    says = json.loads(capsys.readouterr().out)["says"]
    assert "invalid_grant" in says
    assert "taken-back" not in says
    asked = len(server.requests)
    assert main(["oauth", "status", "bounces", "--offline", "--config", config, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["says"] == "not asked"
    assert len(server.requests) == asked


@pytest.mark.parametrize(
    "arguments, code, words",
    [
        (["login", "nobody"], 2, "there are bounces, other"),
        (["login", "other"], 3, "logs in with a password"),
        (["status", "other"], 3, "logs in with a password"),
    ],
)
def test_accounts_that_cannot_log_in(config, capsys, arguments, code, words):
    assert main(["oauth", *arguments, "--config", config]) == code
    assert words in capsys.readouterr().err


def test_nobody_is_asked_where_the_token_could_not_be_kept(server, config, tmp_path, capsys):
    text = (tmp_path / "c.toml").read_text().replace(f"{tmp_path}/token", f"{tmp_path}/none/token")
    (tmp_path / "c.toml").write_text(text)
    assert main(["oauth", "login", "bounces", "--config", config]) == 1
    assert "there is no folder" in capsys.readouterr().err
    assert not server.requests
