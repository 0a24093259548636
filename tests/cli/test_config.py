"""`config check` and `config show`."""

import json
import re
import subprocess
import sys
import tomllib

import pytest

from dsn_processor.settings.keys import keys
from dsn_processor.settings.load import load

HASH_KEY = "sentinel-0123456789"


@pytest.fixture
def write(tmp_path):
    def put(text, name="c.toml"):
        path = tmp_path / name
        path.write_text(text)
        path.chmod(0o600)
        return path

    return put


def test_all_well_says_what_listens_where(cli, write):
    path = write(
        'database = "sqlite:////srv/b.db"\n[smtp]\nlisten = ["192.0.2.1:25"]\nrecipients = ["b@example.com"]\n[web]\nlisten = "none"\n'
    )
    code, out, err = cli("config", "check", "--config", path)
    assert (code, err) == (0, "")
    lines = [line.split(maxsplit=1) for line in out.splitlines()]
    assert lines[0] == ["ok:", str(path)]
    assert ["smtp", "192.0.2.1:25"] in lines
    assert ["lmtp", "off"] in lines
    assert ["web", "off"] in lines
    assert ["database", "/srv/b.db"] in lines
    assert "b@example.com" in out


def test_without_a_file(cli):
    code, out, _ = cli("config", "check")
    assert code == 0
    assert "127.0.0.1:2525" in out
    assert "anybody" in out


def test_every_mistake_has_its_line_from_top_to_bottom(cli, write):
    path = write('x = 1\n[smtp]\nmax_junk = 0\nlistn = 3\n[log]\n"le\\u001bvel" = "loud"\n')
    code, out, err = cli("config", "check", "--config", path)
    assert (code, out) == (3, "")
    numbers = [int(number) for number in re.findall(r"^dsn-processor: .* line (\d+): ", err, re.MULTILINE)]
    assert numbers == [1, 3, 4]
    assert r"log.le\x1bvel: did you mean log.level?" in err
    assert "\x1b" not in err


def test_serve_tells_the_same(cli, write):
    path = write("x = 1\ny = 2\n")
    code, _, err = cli("serve", "--config", path)
    assert code == 3
    assert len(err.splitlines()) == 2


def test_a_variable_is_named(cli, monkeypatch):
    monkeypatch.setenv("DSN_PROCESSOR__WEB__LISTEN", "x")
    code, _, err = cli("config", "check")
    assert code == 3
    assert "$DSN_PROCESSOR__WEB__LISTEN: web.listen" in err


def test_files_that_it_names_are_looked_at(cli, write, tmp_path):
    rules = write('[[rule]]\nid = "x"\n', "rules.toml")
    path = write(
        f'rules = "{rules}"\n[smtp]\ntls_certificate = "{tmp_path}/none.pem"\ntls_key = "{tmp_path}/none.key"\n'
    )
    code, _, err = cli("config", "check", "--config", path)
    assert code == 3
    assert "rules: " in err
    assert "No such file" in err
    write("no certificate", "none.pem")
    write("no key", "none.key")
    code, _, err = cli("config", "check", "--config", path)
    assert "smtp.tls_certificate" in err
    assert "PEM" in err


def test_a_database_that_cannot_be_used(cli, write):
    code, _, err = cli("config", "check", "--config", write('database = "postgresql://u:hunter2@h/d"'))
    assert code == 3
    assert "database: " in err
    assert "hunter2" not in err


def test_a_certificate_that_fits(cli, write, tmp_path):
    try:
        subprocess.run(
            [
                *(
                    "openssl",
                    "req",
                    "-x509",
                    "-newkey",
                    "ec",
                    "-pkeyopt",
                    "ec_paramgen_curve:P-256",
                    "-nodes",
                ),
                *("-subj", "/CN=mx.example.com", "-keyout", tmp_path / "k.pem", "-out", tmp_path / "c.pem"),
            ],
            check=True,
            capture_output=True,
            timeout=60,
        )
    except FileNotFoundError:
        pytest.skip("openssl makes the certificate")
    path = write(f'[smtp]\ntls_certificate = "{tmp_path}/c.pem"\ntls_key = "{tmp_path}/k.pem"\n')
    assert cli("config", "check", "--config", path)[0] == 0


def test_what_is_unwise_is_a_warning(cli, write):
    path = write(f'[log]\nhash_key = "{HASH_KEY}"\n')
    path.chmod(0o644)
    code, _, err = cli("config", "check", "--config", path)
    assert code == 0
    assert err.startswith("dsn-processor: warning: ")
    assert "chmod o-r" in err


def test_what_is_shown_is_a_configuration(cli, write, monkeypatch):
    monkeypatch.setenv("DSN_PROCESSOR__SMTP__SIZE_LIMIT", "2MB")
    path = write(
        '[smtp]\nrecipients = ["bounces+*@example.com"]\nhostname = "mx.example.com"\ncommand_timeout = "90s"\n'
    )
    code, out, _ = cli("config", "show", "--config", path)
    assert code == 0
    before = load(str(path)).settings
    monkeypatch.delenv("DSN_PROCESSOR__SMTP__SIZE_LIMIT")
    assert load(str(write(out, "again.toml")), environ={}).settings == before
    assert re.search(r'^size_limit = "2MB" +# \$DSN_PROCESSOR__SMTP__SIZE_LIMIT$', out, re.MULTILINE)
    assert re.search(rf'^hostname = "mx.example.com" +# {path} line 3$', out, re.MULTILINE)
    assert re.search(r"^max_junk = 100 +# default$", out, re.MULTILINE)


def test_json_has_every_key(cli):
    code, out, _ = cli("config", "show", "--json")
    shown = json.loads(out)
    assert code == 0
    assert set(shown) == {key.path for key in keys().values()}
    assert shown["smtp.size_limit"] == {"value": 10_000_000, "origin": "default"}


@pytest.mark.parametrize("style", [(), ("--json",)])
def test_secrets_are_hidden(cli, write, style):
    path = write(f'[log]\nhash_key = "{HASH_KEY}"\n')
    _, out, err = cli("config", "show", "--config", path, *style)
    assert HASH_KEY not in out + err
    assert "***" in out
    if not style:
        assert tomllib.loads(out)["log"]["hash_key"] == "***"


def test_other_commands_take_database_and_rules_from_the_file(cli, write, tmp_path, put, monkeypatch):
    path = write(f'database = "sqlite:///{tmp_path}/of-the-file.db"\n')
    monkeypatch.setenv("DSN_PROCESSOR_CONFIG", str(path))
    assert cli("replay", put())[0] == 0
    assert (tmp_path / "of-the-file.db").exists()
    monkeypatch.setenv("DSN_PROCESSOR_DB", f"sqlite:///{tmp_path}/of-the-variable.db")
    assert cli("replay", put())[0] == 0
    assert (tmp_path / "of-the-variable.db").exists()
    rules = write('[[rule]]\nid = "x"\n', "rules.toml")
    write(f'rules = "{rules}"\n')
    code, _, err = cli("parse", put())
    assert code == 3
    assert str(rules) in err
    write("rules = 3\n")
    code, _, err = cli("parse", put())
    assert code == 3
    assert "line 1: rules has to be text" in err


def test_parse_loads_no_validation(put, write, monkeypatch):
    """A start costs a blink, with a configuration file, too."""
    code = (
        "import sys; from dsn_processor.cli import main; main(sys.argv[1:]);"
        "sys.exit(bool({'pydantic', 'structlog', 'starlette', 'aiosmtpd'} & set(sys.modules)))"
    )
    monkeypatch.setenv("DSN_PROCESSOR_CONFIG", str(write("min_free = 1\n")))
    done = subprocess.run(
        [sys.executable, "-c", code, "parse", str(put())],
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"{")


ACCOUNTS = """[[imap]]
name = "bounces"
host = "imap.example.com"
username = "bounces@example.com"
password = "geheim-1"

[[imap]]
name = "office"
host = "outlook.example.com"
username = "shared@example.com"
[imap.oauth2]
provider = "microsoft"
tenant = "example.com"
grant = "client_credentials"
client_id = "0000"
client_secret = "geheim-2"

[[pop3]]
name = "old"
host = "127.0.0.1"
tls = "none"
username = "old"
password = "geheim-3"
"""


def test_accounts_are_shown_as_they_could_be_written(cli, write):
    path = write(ACCOUNTS)
    code, out, _ = cli("config", "show", "--config", path)
    assert code == 0
    assert "geheim" not in out
    shown = tomllib.loads(out)
    assert [account["name"] for account in shown["imap"]] == ["bounces", "office"]
    assert shown["imap"][0]["password"] == "***"
    assert shown["imap"][1]["oauth2"]["client_secret"] == "***"
    assert "oauth2" not in shown["imap"][0]
    assert shown["pop3"][0]["poll_interval"] == "5m"
    again = write(out, "again.toml")
    assert [account.name for account in load(str(again), environ={}).settings.accounts] == [
        "bounces",
        "office",
        "old",
    ]
    code, out, _ = cli("config", "show", "--json", "--config", path)
    values = json.loads(out)
    assert values["imap.bounces.host"] == {"value": "imap.example.com", "origin": f"{path} line 3"}
    assert values["imap.office.oauth2.client_id"]["origin"] == f"{path} line 15"
    assert "geheim" not in out


def test_accounts_are_told_by_check(cli, write):
    code, out, _ = cli("config", "check", "--config", write(ACCOUNTS))
    assert code == 0
    lines = [line.split(maxsplit=1) for line in out.splitlines()]
    assert ["imap", "bounces at imap.example.com:993, then flag"] in lines
    assert ["pop3", "old at 127.0.0.1:110, then keep"] in lines


def test_files_of_accounts_are_looked_at(cli, write, tmp_path):
    text = ACCOUNTS.replace('password = "geheim-1"', f'password_file = "{tmp_path}/none"')
    text = text.replace('client_secret = "geheim-2"', f'client_secret_file = "{write("", "empty")}"')
    text = text.replace('password = "geheim-3"', f'password = "geheim-3"\nca_file = "{write("x", "ca.pem")}"')
    code, _, err = cli("config", "check", "--config", write(text))
    assert code == 3
    assert f"imap.bounces: password_file {tmp_path}/none cannot be read: No such file or directory" in err
    assert f"imap.office: client_secret_file {tmp_path}/empty is empty" in err
    assert f"pop3.old: ca_file {tmp_path}/ca.pem cannot be used: it is no PEM file" in err
    code, out, _ = cli("doctor", "--db", f"sqlite:///{tmp_path}/b.db", "--config", tmp_path / "c.toml")
    assert "imap.office: client_secret_file" in out


def test_a_consent_that_is_missing_is_told(cli, write, tmp_path):
    text = ACCOUNTS.replace('grant = "client_credentials"', f'refresh_token_file = "{tmp_path}/token"')
    code, _, err = cli("config", "check", "--config", write(text))
    assert code == 3
    assert "run dsn-processor oauth login office" in err


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # by one of Apprise's plugins
def test_people_that_cannot_be_told_are_told_of(cli, write, tmp_path):
    """Apprise itself says whether it knows a URL; which one it is, not what it holds."""
    text = '[[notify]]\nname = "team"\nurls = ["json://127.0.0.1/x", "nosuch://user:hunter2@host"]\n'
    code, out, err = cli("config", "check", "--config", write(text))
    assert code == 3
    assert "URL 2 of notify.team is no URL that Apprise understands" in err
    assert "hunter2" not in out + err
    text = f'[[notify]]\nname = "team"\nurls_file = "{tmp_path}/none"\n'
    code, _, err = cli("config", "check", "--config", write(text))
    assert (code, f"{tmp_path}/none of notify.team cannot be read" in err) == (3, True)
    text = '[[notify]]\nname = "team"\nurls = ["json://127.0.0.1/x"]\ndigest = "daily"\n'
    code, out, _ = cli("config", "check", "--config", write(text))
    assert code == 0
    assert "notify    team: hard_bounce, block, sender_blocked, complaint, held, quarantine, daily" in out
