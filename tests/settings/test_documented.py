"""docs/configuration.md and docs/dsn-processor.toml name every key, and nothing else."""

import re
import tomllib
from pathlib import Path

import pytest

from dsn_processor.settings.keys import REQUIRED, account_keys, keys, read_value
from dsn_processor.settings.load import load
from dsn_processor.settings.model import Settings
from dsn_processor.settings.show import toml_value
from dsn_processor.settings.sources import CONFIG_VARIABLE, PLACES, PREFIX, SHORT, Given

DOCS = Path(__file__).parents[2] / "docs"
CONFIGURATION = (DOCS / "configuration.md").read_text("utf-8")
SAMPLE = (DOCS / "dsn-processor.toml").read_text("utf-8")
ROW = re.compile(r"^\| `(\w+)` \| (?:`(.*?)`)? ?\| \S.*\|$")
#: The sample as far as there is one of each section, and the accounts, of which there are many.
SECTIONS, ACCOUNTS = SAMPLE.split("\n# Mailboxes to fetch from")


def documented():
    """(section, key) -> the default as it is written in the table."""
    section, found = "", {}
    for line in CONFIGURATION.partition("## Every key")[2].splitlines():
        if heading := re.match(r"`\[\[?([\w.]+)\]\]?`", line):
            section = heading[1]
        elif row := ROW.match(line):
            found[section, row[1]] = row[2]
    return found


def default(key):
    return None if key.default is REQUIRED else toml_value(key, key.default)


def test_every_key_is_documented_with_its_default():
    found = documented()
    imap = {name: said for (section, name), said in found.items() if section == "imap"}
    shared = dict(list(imap.items())[: list(imap).index("others") + 1])
    found |= {("pop3", name): said for name, said in shared.items()}
    found |= {
        ("pop3.oauth2", name): said for (section, name), said in found.items() if section == "imap.oauth2"
    }
    assert found == {where: default(key) for where, key in (keys() | account_keys()).items()}


def test_names_and_places():
    for word in (CONFIG_VARIABLE, *SHORT, *PLACES, PREFIX, f"{PREFIX}LOG__HASH_KEY_FILE"):
        assert word in CONFIGURATION


def test_the_sample_as_it_is_changes_nothing():
    assert tomllib.loads(SAMPLE) == {key: {} for key, _ in keys() if key}


def taken_in(text):
    """The sample with the # taken off."""
    return re.sub(r"^#(?=[\w\[])", "", text, flags=re.MULTILINE)


def test_the_sample_has_every_key_of_an_account_with_its_default():
    sample = tomllib.loads(taken_in(f"#{ACCOUNTS}"))
    [imap], [pop3], [notify] = (sample[kind] for kind in ("imap", "pop3", "notify"))
    tables = {
        "imap.oauth2": imap.pop("oauth2"),
        "pop3.oauth2": pop3.pop("oauth2"),
        "imap": imap,
        "pop3": pop3,
        "notify": notify,
    }
    assert {(section, name) for section, table in tables.items() for name in table} == account_keys().keys()
    for (section, name), key in account_keys().items():
        if key.default is not REQUIRED:
            assert read_value(key, Given(tables[section][name], "x")) == key.default


@pytest.mark.parametrize("kind", ["imap", "pop3"])
def test_the_sample_of_an_account_is_one_with_a_password(tmp_path, kind):
    blocks = taken_in(f"#{ACCOUNTS}").split("\n\n")
    [block] = [block for block in blocks if block.startswith(f"[[{kind}]]")]
    path = tmp_path / "account.toml"
    path.write_text(block.replace('password = ""', 'password = "x"'))
    assert len(getattr(load(str(path), environ={}).settings, kind)) == 1


def test_the_sample_with_everything_taken_in_is_the_defaults(tmp_path):
    path = tmp_path / "all.toml"
    path.write_text(taken_in(SECTIONS))
    loaded = load(str(path), environ={})
    assert loaded.settings == Settings()
    assert set(loaded.origins) == {key.path for key in keys().values()}


def test_examples_are_configurations(tmp_path):
    [example] = re.findall(r"```toml\n(.*?)```", CONFIGURATION, re.DOTALL)
    path = tmp_path / "example.toml"
    path.write_text(example)
    assert load(str(path), environ={}).settings.smtp.hostname == "bounces.example.com"
