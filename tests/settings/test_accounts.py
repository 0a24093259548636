"""Accounts: any number of tables, completed by variables; every mistake told with the account and the line."""

import pytest

from dsn_processor.errors import SettingsError
from dsn_processor.intake.mailbox.options import ImapOptions, OAuthOptions, PopOptions
from dsn_processor.settings.load import load

TWO = """[log]
level = "debug"

[[imap]]
name = "bounces"
host = "imap.example.com"
username = "bounces@example.com"
password_file = "/run/secrets/bounces"
folders = ["INBOX", "Junk"]
poll_interval = "2m"

[[imap]]
name = "office"
host = "outlook.example.com"
username = "shared@example.com"
[imap.oauth2]
provider = "microsoft"
tenant = "example.com"
grant = "client_credentials"
client_id = "0000"
client_secret_file = "/run/secrets/office"

[[pop3]]
name = "old"
host = "pop.example.org"
username = "old"
password_command = ["pass", "show", "old"]
after = "delete"
"""


@pytest.fixture
def write(tmp_path):
    def put(text):
        path = tmp_path / "c.toml"
        path.write_text(text)
        return str(path)

    return put


def problems(path=None, environ=None):
    with pytest.raises(SettingsError) as caught:
        load(path, environ=environ or {})
    return [problem.removeprefix(f"{path} ") for problem in caught.value.problems]


def test_accounts_are_read_in_order(write):
    path = write(TWO)
    loaded = load(path, environ={})
    bounces, office = loaded.settings.imap
    assert bounces == ImapOptions(
        name="bounces",
        host="imap.example.com",
        username="bounces@example.com",
        password_file="/run/secrets/bounces",
        folders=("INBOX", "Junk"),
        poll_interval=120.0,
    )
    assert office.oauth2 == OAuthOptions(
        provider="microsoft",
        tenant="example.com",
        grant="client_credentials",
        client_id="0000",
        client_secret_file="/run/secrets/office",
    )
    [old] = loaded.settings.pop3
    assert old == PopOptions(
        name="old",
        host="pop.example.org",
        username="old",
        password_command=("pass", "show", "old"),
        after="delete",
    )
    assert [account.name for account in loaded.settings.accounts] == ["bounces", "office", "old"]
    assert loaded.origins["imap.bounces.poll_interval"] == f"{path} line 10"
    assert loaded.origins["imap.office.oauth2.client_id"] == f"{path} line 20"
    assert loaded.origins["pop3.old.after"] == f"{path} line 28"
    assert loaded.origins["log.level"] == f"{path} line 2"


def test_variables_complete_and_come_before_the_file(write, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("geheim\n")
    environ = {
        "DSN_PROCESSOR__IMAP__BOUNCES__PASSWORD": "geheim",
        "DSN_PROCESSOR__IMAP__BOUNCES__FOLDERS": "INBOX, Reports",
        "DSN_PROCESSOR__IMAP__OFFICE__OAUTH2__CLIENT_SECRET": "geheim",
        "DSN_PROCESSOR__POP3__OLD__HOST_FILE": str(secret),
    }
    loaded = load(write(TWO), environ=environ)
    bounces, office = loaded.settings.imap
    assert (bounces.password, bounces.password_file) == ("geheim", "")
    assert bounces.folders == ("INBOX", "Reports")
    assert (office.oauth2.client_secret, office.oauth2.client_secret_file) == ("geheim", "")
    assert loaded.settings.pop3[0].host == "geheim"
    assert loaded.origins["imap.bounces.password"] == "$DSN_PROCESSOR__IMAP__BOUNCES__PASSWORD"
    assert "imap.bounces.password_file" not in loaded.origins
    assert "geheim" not in repr(loaded.settings.imap)


def test_a_variable_names_the_file_of_a_password(write):
    environ = {"DSN_PROCESSOR__POP3__OLD__PASSWORD_FILE": "/run/secrets/old"}
    [old] = load(write(TWO), environ=environ).settings.pop3
    assert (old.password_file, old.password_command, old.password) == ("/run/secrets/old", (), "")


def test_an_account_of_variables_alone():
    environ = {
        "DSN_PROCESSOR__IMAP__MAIN__HOST": "imap.example.com",
        "DSN_PROCESSOR__IMAP__MAIN__USERNAME": "u",
        "DSN_PROCESSOR__IMAP__MAIN__PASSWORD": "p",
    }
    [main] = load(environ=environ).settings.imap
    assert (main.name, main.host, main.password) == ("main", "imap.example.com", "p")
    del environ["DSN_PROCESSOR__IMAP__MAIN__USERNAME"]
    [problem] = problems(environ=environ)
    assert problem.startswith("$DSN_PROCESSOR__IMAP__MAIN__HOST: imap.main has no username")


def test_names_with_signs_that_variables_cannot_have(write):
    path = write(TWO.replace('"old"\nhost', '"old-pop.1"\nhost'))
    [old] = load(path, environ={"DSN_PROCESSOR__POP3__OLD_POP_1__USERNAME": "new"}).settings.pop3
    assert (old.name, old.username) == ("old-pop.1", "new")


@pytest.mark.parametrize(
    "change, line, words",
    [
        (('host = "imap.example.com"', ""), 4, "imap.bounces has no host"),
        (('host = "imap.example.com"', "host = 3"), 6, "imap.bounces.host has to be text in quotes"),
        (('host = "imap.example.com"', 'host = "a b"'), 6, "imap.bounces.host is 'a b'"),
        (('name = "bounces"', ""), 4, "imap[0] has no name"),
        (('name = "bounces"', 'name = "a b"'), 5, "imap.a b.name is"),
        (('name = "office"', 'name = "Bounces"'), 13, "imap.Bounces has the name of imap.bounces"),
        (('name = "old"', 'name = "office"'), 24, "pop3.office has the name of imap.office"),
        (('poll_interval = "2m"', 'poll_interval = "6m"'), 10, "imap.bounces.poll_interval has to be from 1 to 300"),
        (('poll_interval = "2m"', 'pol_interval = "2m"'), 10, "did you mean imap.bounces.poll_interval?"),
        (('poll_interval = "2m"', 'client_id = "x"'), 10, "did you mean imap.bounces.oauth2.client_id?"),
        (('poll_interval = "2m"', 'oauth2 = "x"'), 10, "write [imap.oauth2]"),
        (('poll_interval = "2m"', 'tls = "none"'), 10, 'imap.bounces.tls is "none"'),
        (('poll_interval = "2m"', 'after = "move"'), 4, "imap.bounces.processed_folder is missing"),
        (('poll_interval = "2m"', 'password = "x"'), 10, "imap.bounces.password and password_file are both set"),
        (('poll_interval = "2m"', 'flag = "a b"'), 10, "imap.bounces.flag is"),
        (('poll_interval = "2m"', 'since = "soon"'), 10, "imap.bounces.since is 'soon'"),
        (('poll_interval = "2m"', "since = 2026-01-31"), 10, "imap.bounces.since has to be text in quotes"),
        (('client_id = "0000"', ""), 12, "imap.office.oauth2 has no client_id"),
        (('client_id = "0000"', 'client_id = "0000"\ntoken_url = "http://example.com/"'), 21, "token_url has to begin with https://"),
        (('tenant = "example.com"', ""), 12, "imap.office.oauth2.tenant is missing"),
        (('after = "delete"', 'after = "flag"'), 28, "'keep' or 'delete'"),
        (('after = "delete"', 'folders = ["x"]'), 28, "there is no key pop3.old.folders"),
        (('after = "delete"', "[imap2]"), 28, "did you mean [[imap]]?"),
    ],
)  # fmt: skip
def test_mistakes_are_told_with_account_and_line(write, change, line, words):
    assert change[0] in TWO
    found = problems(write(TWO.replace(*change)))
    assert any(problem.startswith(f"line {line}: ") and words in problem for problem in found), found


def test_all_mistakes_of_an_account_are_told_at_once(write):
    text = TWO.replace('host = "imap.example.com"', 'host = ""\nport = 99999\ntimeout = "x"').replace(
        'grant = "client_credentials"', 'grant = "password"'
    )
    found = problems(write(text))
    assert [problem.partition(" ")[2].partition(":")[0] for problem in found] == ["6", "7", "8", "21"]


@pytest.mark.parametrize("text", ['[imap]\nname = "x"', "imap = 3", "imap = [3]"])
def test_one_account_is_a_list_of_accounts_too(write, text):
    assert any("write [[imap]]" in problem for problem in problems(write(text)))


def test_inline_tables_are_told_by_the_line_they_begin(write):
    text = '[[imap]]\nname = "a"\nhost = "h"\nusername = "u"\noauth2 = { client_id = 3 }'
    assert any(problem.startswith("line 5: imap.a.oauth2.client_id") for problem in problems(write(text)))


@pytest.mark.parametrize(
    "name",
    [
        "DSN_PROCESSOR__IMAP",
        "DSN_PROCESSOR__IMAP__PASSWORD",
        "DSN_PROCESSOR__IMAP__BOUNCES__PASWORD",
        "DSN_PROCESSOR__IMAP__BOUNCES__NAME",
        "DSN_PROCESSOR__IMAP__BOUNCES__OAUTH2__SECRET",
        "DSN_PROCESSOR__IMAP____PASSWORD",
    ],
)
def test_variables_that_set_nothing(write, name):
    found = problems(write(TWO), {name: "x"})
    assert any(problem.startswith(f"${name} sets nothing") for problem in found), found


def test_a_variable_with_one_underscore_is_told(write):
    [warning] = load(write(TWO), environ={"DSN_PROCESSOR_IMAP_BOUNCES_PASSWORD": "x"}).warnings
    assert "did you mean $DSN_PROCESSOR__IMAP__BOUNCES__PASSWORD?" in warning


def test_secrets_that_all_can_read(write, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("geheim")
    secret.chmod(0o644)
    path = write(TWO.replace("/run/secrets/bounces", str(secret)))
    [warning] = load(path, environ={}).warnings
    assert f"chmod o-r {secret}" in warning
    secret.chmod(0o600)
    assert load(path, environ={}).warnings == ()
    path = write(TWO.replace('password_file = "/run/secrets/bounces"', 'password = "geheim"'))
    (tmp_path / "c.toml").chmod(0o644)
    [warning] = load(path, environ={}).warnings
    assert "holds the secret imap.bounces.password" in warning
    assert "geheim" not in warning


def test_an_account_without_tls_is_told(write):
    path = write(TWO.replace('poll_interval = "2m"', 'tls = "none"\nallow_unencrypted = true'))
    [warning] = load(path, environ={}).warnings
    assert warning.startswith("bounces shows its mails and its password to the network")
