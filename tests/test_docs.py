"""What the docs say is so."""

import argparse
import re
import shlex
from pathlib import Path

import pytest

from dsn_processor import cli
from dsn_processor.cli import build_parser
from dsn_processor.cli.ingest import EX_TEMPFAIL, PATIENCE
from dsn_processor.intake import formats
from dsn_processor.intake.items import Limits
from dsn_processor.settings import DATABASE_VARIABLE, DEFAULT_DATABASE, RULES_VARIABLE

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
USAGE = (ROOT / "docs/usage.md").read_text("utf-8")
DOCS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "fixtures_eml/README.md"])
OURS = ("dsn_processor", "tests", "docs", "fixtures_eml", "requirements", ".ci")
SUFFIXES = {".py", ".md", ".toml", ".json", ".txt", ".eml", ".mako", ".cfg", ""}

COMMAND = re.compile(r"(?:[\w./]*/)?dsn-processor((?: +(?:'[^']*'|[^\s'\"`|<>#)]+))+)")


def command_lines(text):
    """Arguments of every `dsn-processor ...` in code; up to a pipe, a redirection or a comment."""
    code = re.findall(r"^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL) + re.findall(r"`([^`\n]+)`", text)
    return [shlex.split(found[1]) for block in code for found in COMMAND.finditer(block)]


def name(path):
    return path.relative_to(ROOT).as_posix()


class Strict(argparse.ArgumentParser):
    def error(self, message):
        pytest.fail(f"{self.prog}: {message}")


def parsers(parser=None, prefix=""):
    """Every command, and "rules lint" for what it can do; by its name."""
    found = {}
    for action in (parser or build_parser())._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, command in action.choices.items():
                found |= {prefix + name: command, **parsers(command, f"{prefix}{name} ")}
    return found


def shown(command):
    """The examples of ``command``."""
    words = command.split()
    return [arguments for arguments in command_lines(USAGE) if arguments[: len(words)] == words]


def test_command_lines_are_found():
    found = command_lines(
        "```\ndsn-processor parse a --x 'b c' | jq\n/x/dsn-processor show 1 > y # z\n```\n`dsn-processor stats`\n"
    )
    assert found == [["parse", "a", "--x", "b c"], ["show", "1"], ["stats"]]
    assert len(command_lines(README)) >= 8
    assert len(command_lines(USAGE)) >= 18


@pytest.mark.parametrize("path", DOCS, ids=name)
def test_every_command_line_is_one(path):
    for arguments in command_lines(path.read_text("utf-8")):
        if len(arguments) > 1 and "PATH" not in arguments:  # else a command is only named
            build_parser(Strict).parse_args(arguments)


@pytest.mark.parametrize("command", parsers())
def test_every_command_has_its_example(command):
    assert f"`{command} " in USAGE or f"`{command}`" in USAGE
    assert shown(command)


@pytest.mark.parametrize("command", parsers())
def test_every_option_is_shown(command):
    """--help and --db, which all have, stand in the text."""
    words = {word for arguments in shown(command) for word in arguments}
    options = {option for action in parsers()[command]._actions for option in action.option_strings}
    assert {option for option in options if option.startswith("--")} - {"--help", "--db"} <= words


def test_exit_codes():
    codes = re.findall(r"^\| (\d+) \|", USAGE, re.MULTILINE)
    ours = [cli.OK, cli.SOME_FAILED, cli.USAGE, cli.CONFIGURATION, cli.STORE, EX_TEMPFAIL, cli.INTERRUPTED]
    assert list(map(int, codes)) == ours


def test_limits_and_names():
    limits = Limits()
    assert limits.mail == 100 * 10**6
    assert limits.archive == 16 * 2**30
    for said in (
        "over 100 MB",
        "16 GiB",
        f"{limits.archive_mails:,} files",
        f"{limits.ratio} times",
        f"be {limits.depth} deep",
    ):
        assert said in USAGE
    assert f"up to {PATIENCE:.0f} seconds" in USAGE
    assert DATABASE_VARIABLE in USAGE
    assert RULES_VARIABLE in USAGE
    assert DEFAULT_DATABASE in USAGE
    for suffix in (".eml", ".mbox", ".tar", ".zip", ".tgz", ".gz", ".xz"):
        assert formats.by_name(f"x{suffix}")
        assert f"{suffix}`" in USAGE


def test_the_first_screen_says_how_to_begin():
    screen = "\n".join(README.splitlines()[:25])
    assert "\nmake demo " in screen
    assert "\nmake test " in screen
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    for path in DOCS:
        assert set(re.findall(r"(?:`|^)make ([a-z]+)", path.read_text("utf-8"), re.MULTILINE)) <= targets


@pytest.mark.parametrize("path", DOCS, ids=name)
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text("utf-8")):
        if "://" not in target:
            assert (path.parent / target.partition("#")[0]).exists(), target


def test_no_file_knows_a_machine():
    """Paths of the one who wrote it help nobody else."""
    machine = re.compile(r"(?<![\w.~-])/(?:home|Users|root|work|tmp)/\w|[A-Z]:\\Users")
    paths = [path for folder in OURS for path in (ROOT / folder).rglob("*") if path.is_file()]
    paths += [path for path in ROOT.iterdir() if path.is_file()]
    read = 0
    for path in paths:
        if path == Path(__file__) or "__pycache__" in path.parts or path.suffix not in SUFFIXES:
            continue
        read += 1
        found = machine.search(path.read_text("utf-8", "replace"))
        assert found is None, f"{name(path)}: {found[0]}"
    assert read > 100
