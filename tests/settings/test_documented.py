"""docs/configuration.md and docs/dsn-processor.toml name every key, and nothing else."""

import re
import tomllib
from pathlib import Path

from dsn_processor.settings.keys import keys
from dsn_processor.settings.load import load
from dsn_processor.settings.model import Settings
from dsn_processor.settings.show import toml_value
from dsn_processor.settings.sources import CONFIG_VARIABLE, PLACES, PREFIX, SHORT

DOCS = Path(__file__).parents[2] / "docs"
CONFIGURATION = (DOCS / "configuration.md").read_text("utf-8")
SAMPLE = (DOCS / "dsn-processor.toml").read_text("utf-8")
ROW = re.compile(r"^\| `(\w+)` \| `(.*?)` \| \S.*\|$")


def documented():
    """(section, key) -> the default as it is written in the table."""
    section, found = "", {}
    for line in CONFIGURATION.partition("## Every key")[2].splitlines():
        if heading := re.match(r"`\[(\w+)\]`", line):
            section = heading[1]
        elif row := ROW.match(line):
            found[section, row[1]] = row[2]
    return found


def test_every_key_is_documented_with_its_default():
    assert documented() == {where: toml_value(key, key.default) for where, key in keys().items()}


def test_names_and_places():
    for word in (CONFIG_VARIABLE, *SHORT, *PLACES, PREFIX, f"{PREFIX}LOG__HASH_KEY_FILE"):
        assert word in CONFIGURATION


def test_the_sample_as_it_is_changes_nothing():
    assert tomllib.loads(SAMPLE) == {key: {} for key, _ in keys() if key}


def test_the_sample_with_everything_taken_in_is_the_defaults(tmp_path):
    path = tmp_path / "all.toml"
    path.write_text(re.sub(r"^#(?=\w)", "", SAMPLE, flags=re.MULTILINE))
    loaded = load(str(path), environ={})
    assert loaded.settings == Settings()
    assert set(loaded.origins) == {key.path for key in keys().values()}


def test_examples_are_configurations(tmp_path):
    [example] = re.findall(r"```toml\n(.*?)```", CONFIGURATION, re.DOTALL)
    path = tmp_path / "example.toml"
    path.write_text(example)
    assert load(str(path), environ={}).settings.smtp.hostname == "bounces.example.com"
