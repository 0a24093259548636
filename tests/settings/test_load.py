"""Settings: where they come from, in which order, and what is said of mistakes."""

import re
from contextlib import suppress
from typing import Literal, get_origin

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsn_processor.errors import ConfigurationError, SettingsError
from dsn_processor.settings import sources
from dsn_processor.settings.keys import keys, read_value
from dsn_processor.settings.load import load
from dsn_processor.settings.model import Settings
from dsn_processor.settings.sources import Given
from dsn_processor.units import Unit


@pytest.fixture
def write(tmp_path):
    """Write a configuration file: ``write("[smtp]...")`` is its path."""

    def put(text, name="c.toml"):
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return put


def problems(config=None, environ=None, options=None):
    with pytest.raises(SettingsError) as caught:
        load(config, environ=environ or {}, options=options)
    return caught.value.problems


def test_without_anything_it_is_the_defaults():
    loaded = load(environ={})
    assert loaded == (Settings(), {}, None, ())
    assert loaded.settings.smtp.listen == ("127.0.0.1:2525",)
    assert loaded.settings.web.listen == "127.0.0.1:8025"


def test_option_before_variable_before_file_before_default(write):
    path = write('database = "sqlite:///file.db"\nrules = "file.toml"\nmin_free = 7\n[smtp]\nmax_junk = 5\n')
    environ = {
        "DSN_PROCESSOR__DATABASE": "sqlite:///long.db",
        "DSN_PROCESSOR_DB": "sqlite:///short.db",
        "DSN_PROCESSOR__RULES": "variable.toml",
    }
    loaded = load(path, environ=environ, options={"database": Given("sqlite:///option.db", "--db")})
    assert loaded.settings.database == "sqlite:///option.db"
    assert loaded.settings.rules == "variable.toml"
    assert loaded.settings.min_free == 7
    assert loaded.settings.smtp.max_junk == 5
    assert loaded.settings.smtp.max_errors == Settings().smtp.max_errors
    assert loaded.origins == {
        "database": "--db",
        "rules": "$DSN_PROCESSOR__RULES",
        "min_free": f"{path} line 3",
        "smtp.max_junk": f"{path} line 5",
    }
    assert load(path, environ=environ).settings.database == "sqlite:///short.db"
    del environ["DSN_PROCESSOR_DB"]
    assert load(path, environ=environ).settings.database == "sqlite:///long.db"


def test_an_empty_variable_of_rules_is_none(write):
    path = write('rules = "file.toml"')
    assert load(path, environ={"DSN_PROCESSOR_RULES": ""}).settings.rules == ""


def test_units_are_read_in_the_file_and_in_variables(write):
    path = write(
        'min_free = "1GB"\n[smtp]\nsize_limit = "5 MiB"\nsession_timeout = "10m"\ncommand_timeout = 20\n'
    )
    environ = {"DSN_PROCESSOR__LMTP__SOCKET_MODE": "0600", "DSN_PROCESSOR__SMTP__DATA_TIMEOUT": "90s"}
    settings = load(path, environ=environ).settings
    assert settings.min_free == 10**9
    assert settings.smtp.size_limit == 5 * 2**20
    assert (settings.smtp.session_timeout, settings.smtp.command_timeout, settings.smtp.data_timeout) == (
        600,
        20,
        90,
    )
    assert settings.lmtp.socket_mode == 0o600


@pytest.mark.parametrize("text", ["a@example.com, example.org", '["a@example.com", "example.org"]'])
def test_lists_in_variables(text):
    settings = load(environ={"DSN_PROCESSOR__SMTP__RECIPIENTS": text}).settings
    assert settings.smtp.recipients == ("a@example.com", "example.org")
    assert load(environ={"DSN_PROCESSOR__LMTP__LISTEN": ""}).settings.lmtp.listen == ()


@pytest.mark.parametrize("text, value", [("true", True), ("1", True), ("no", False)])
def test_yes_and_no_in_variables(text, value):
    assert load(environ={"DSN_PROCESSOR__LOG__HASH_ADDRESSES": text}).settings.log.hash_addresses is value


def test_a_secret_from_a_file(tmp_path):
    secret = tmp_path / "key"
    secret.write_text("0123456789abcdef\n")
    secret.chmod(0o600)
    environ = {"DSN_PROCESSOR__LOG__HASH_KEY_FILE": str(secret)}
    loaded = load(environ=environ)
    assert loaded.settings.log.hash_key == "0123456789abcdef"
    assert loaded.warnings == ()
    assert "0123456789abcdef" not in repr(loaded)
    secret.chmod(0o604)
    [warning] = load(environ=environ).warnings
    assert f"chmod o-r {secret}" in warning
    secret.unlink()
    assert "cannot be read" in problems(environ=environ)[0]


def test_a_secret_in_a_file_that_all_can_read(write, tmp_path):
    path = write('[log]\nhash_key = "0123456789abcdef"')
    (tmp_path / "c.toml").chmod(0o644)
    assert "can be read by everybody" in load(path, environ={}).warnings[0]
    (tmp_path / "c.toml").chmod(0o640)
    assert load(path, environ={}).warnings == ()


def test_a_key_file_where_its_path_is_wanted(write):
    pem = write("-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQ\n", "key.pem")
    [problem] = problems(environ={"DSN_PROCESSOR__SMTP__TLS_KEY_FILE": pem})
    assert "$DSN_PROCESSOR__SMTP__TLS_KEY" in problem


def test_all_mistakes_are_told_at_once_with_their_place(write):
    path = write(
        """databse = "x"
min_free = "2XB"
[smtp]
listen = ["0.0.0.0:25"]
max_errors = -1
max_junk = "7"
listn = 3
[smpt]
listen = 3
[log]
level = "loud"
[processing]
workers = 900
cpu_seconds = 9000
"""
    )
    found = problems(path, {"DSN_PROCESSOR__LOG__FORMT": "json", "DSN_PROCESSOR__WEB__LISTEN": "everywhere"})
    told = {problem.removeprefix(f"{path} ").partition(":")[0]: problem for problem in found}
    assert len(found) == 12
    assert set(told) == {
        *(f"line {number}" for number in (1, 2, 4, 5, 6, 7, 8, 11, 13, 14)),
        "$DSN_PROCESSOR__LOG__FORMT sets nothing",
        "$DSN_PROCESSOR__WEB__LISTEN",
    }
    assert "did you mean database?" in told["line 1"]
    assert "smtp.listen: " in told["line 4"]
    assert "smtp.max_errors has to be from 1" in told["line 5"]
    assert "did you mean smtp.listen?" in told["line 7"]
    assert "did you mean [smtp]?" in told["line 8"]
    assert "'debug', 'info', 'warning' or 'error'" in told["line 11"]
    assert "$DSN_PROCESSOR__LOG__FORMAT?" in told["$DSN_PROCESSOR__LOG__FORMT sets nothing"]


@pytest.mark.parametrize(
    "text, words",
    [
        ("smtp = 3", "write [smtp] on a line of its own"),
        ("max_junk = 3", "did you mean smtp.max_junk?"),
        ("zzz = 3", "there is no key zzz"),
        ("[smtp]\nmax_junk = true", "has to be a whole number"),
        ("[smtp]\nlisten = '127.0.0.1:25'", "has to be a list"),
        ("[smtp]\nlisten = [25]", "text in quotes"),
        ("[log]\nhash_addresses = 'yes'", "true or false"),
        ("[log]\nhash_key = 'short'", "16 characters"),
        ("database = 'x.db'", "sqlite:///path/to/file.db"),
        ("[lmtp]\nlisten = ['192.0.2.1:24']", "recipients"),
        ("[lmtp]\nsocket_mode = '999'", "octal"),
        ("[smtp]\ntls_key = 'x'", "tls_certificate"),
        ("[smtp]\nsize_limit = '1GB'\nmax_errors = 0", "size_limit"),
        ("[web]\nlisten = '::1:80'", "brackets"),
        ("x = [", "no TOML"),
        ("a = 1\na = 2", "no TOML"),
    ],
)
def test_mistakes_say_what_to_do(write, text, words):
    path = write(text)
    assert any(words in problem for problem in problems(path))


def test_variables_that_are_of_no_use():
    environ = {
        "DSN_PROCESSOR__SMTP__MAX_JUNK": "many",
        "DSN_PROCESSOR__LOG__HASH_ADDRESSES": "perhaps",
        "DSN_PROCESSOR__SMTP__LISTEN": "[127.0.0.1:25",
        "DSN_PROCESSOR__LOG__LEVEL": "loud",
    }
    assert [problem.rpartition(" has to be ")[2] for problem in problems(environ=environ)] == [
        'a list, as in ["..."], or words with commas between',
        "a whole number",
        "'debug', 'info', 'warning' or 'error'",
        "true or false",
    ]


def test_what_is_right_is_not_blamed(write):
    """``listen`` needs ``recipients``, which are there: only the budget is wrong."""
    path = write('[smtp]\nlisten = ["192.0.2.1:25"]\nmax_errors = 0\nrecipients = ["bounces@example.com"]')
    [problem] = problems(path)
    assert problem.startswith(f"{path} line 3: smtp.max_errors ")


@pytest.mark.parametrize(
    "text, line",
    [
        ("[smtp]\n\n  max_junk=0", 3),
        ("smtp.max_junk = 0", 1),
        ("[ smtp ] # here\n'max_junk' = 0", 2),
        ("[lmtp]\nsocket_mode=384\n[smtp]\nmax_junk=0 # max_junk=1", 4),
        ("smtp = {max_junk = 0}", None),
        ('[smtp]\nhostname = """\nmax_junk=1\n"""\nmax_junk=0', None),
    ],
)
def test_the_line_is_told_where_it_is_plain(write, text, line):
    path = write(text)
    assert any(
        problem.startswith(f"{path} line {line}: smtp.max_junk" if line else f"{path}: smtp.max_junk")
        for problem in problems(path)
    )


def test_a_variable_with_one_underscore_is_told():
    [warning] = load(environ={"DSN_PROCESSOR_SMTP_LISTEN": "x"}).warnings
    assert "did you mean $DSN_PROCESSOR__SMTP__LISTEN?" in warning


def test_nothing_that_listens_is_told():
    [warning] = load(environ={"DSN_PROCESSOR__SMTP__LISTEN": ""}).warnings
    assert "no mail comes in" in warning
    environ = {"DSN_PROCESSOR__SMTP__LISTEN": "", "DSN_PROCESSOR__LMTP__LISTEN": "unix:/run/lmtp"}
    assert load(environ=environ).warnings == ()


def test_both_the_value_and_its_file():
    environ = {"DSN_PROCESSOR__LOG__HASH_KEY": "x", "DSN_PROCESSOR__LOG__HASH_KEY_FILE": "y"}
    assert "both set" in problems(environ=environ)[0]


def test_where_the_file_is_looked_for(write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DSN_PROCESSOR_CONFIG")
    monkeypatch.setattr(sources, "PLACES", ("dsn-processor.toml", str(tmp_path / "etc.toml")))
    assert load(environ={}).file is None
    write("min_free = 1", "etc.toml")
    assert load(environ={}).settings.min_free == 1
    write("min_free = 2", "dsn-processor.toml")
    assert load(environ={}).settings.min_free == 2
    monkeypatch.setenv("DSN_PROCESSOR_CONFIG", write("min_free = 3", "named.toml"))
    assert load(environ={}).settings.min_free == 3
    assert load(write("min_free = 4", "option.toml"), environ={}).settings.min_free == 4
    monkeypatch.setenv("DSN_PROCESSOR_CONFIG", "")
    assert load(environ={}).file is None


def test_the_system_place_is_the_documented_one():
    assert sources.PLACES == ("dsn-processor.toml", "/etc/dsn-processor/dsn-processor.toml")


@pytest.mark.parametrize("name", ["missing.toml", "."])
def test_a_file_that_cannot_be_read_is_a_mistake(tmp_path, name):
    assert "cannot be read" in problems(str(tmp_path / name))[0]


def test_an_empty_option_is_a_mistake():
    assert "--config is empty" in problems("")[0]


def test_every_key_has_a_type_that_variables_can_give():
    plain = {bool: "yes", int: "7", float: "7.5", str: "text"}
    for key in keys().values():
        text = {Unit.SIZE: "1MB", Unit.SECONDS: "1s", Unit.MODE: "0600"}.get(key.unit)
        text = text or plain.get(type(key.default), str(key.default))
        if isinstance(key.default, str) and get_origin(key.type) is Literal:
            text = key.default
        value = read_value(key, Given(text, "x", text=True))
        assert type(value) is type(key.default)


@given(text=st.text(max_size=200))
def test_any_text_is_a_file_or_told(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_text(text, encoding="utf-8", errors="replace", newline="")
    with suppress(ConfigurationError):
        load(str(path), environ={})


@given(values=st.dictionaries(st.sampled_from([key.path for key in keys().values()]), st.text(max_size=20)))
def test_any_text_is_a_value_or_told(values):
    environ = {
        sources.variable(*path.rpartition(".")[::2]): text
        for path, text in values.items()
        if "\0" not in text
    }
    try:
        load(environ=environ)
    except SettingsError as error:
        for problem in error.problems:
            assert re.search(r"\$DSN_PROCESSOR__", problem)
