"""Every row of the tables is its own test: it wins its samples, loses what it must not win, and is well written."""

from pathlib import Path

import pytest

from dsn_processor.classify import compile as compiler
from dsn_processor.classify import rules
from dsn_processor.classify.match import RuleBook, default_book
from dsn_processor.teach.lint import lint_packaged

LINTED = lint_packaged(rules.read_files())


def test_nothing_is_wrong_with_any_row():
    """What `dsn-processor rules lint` tells; tests/teach/test_lint.py shows that it sees what is wrong."""
    assert [finding.text for finding in LINTED.findings] == []
    assert LINTED.samples > len(LINTED.rows) > 2000


def test_the_compiled_tables_are_fresh():
    assert Path(rules.COMPILED).read_text(encoding="utf-8") == compiler.render(), "stale: run `make rules`"
    sources = rules.read_files()
    assert in_full(rules.read_compiled(rules.digest(sources))) == rules.parse_tables(sources)


def test_compiled_rules_are_a_sequence():
    made = rules.load().rules
    every = tuple(made)
    assert len(made) == len(every) > 2000
    assert (made[7], made[-1], tuple(made[5:9])) == (every[7], every[-1], every[5:9])


def in_full(tables):
    return tables._replace(rules=tuple(tables.rules))


@pytest.mark.parametrize("content", [None, "{", '{"digest": "of another time"}'])
def test_missing_broken_or_stale_compiled_tables_are_not_used(content, tmp_path, monkeypatch):
    compiled = tmp_path / "compiled.jsonl"
    monkeypatch.setattr(rules, "COMPILED", str(compiled))
    if content is not None:
        compiled.write_text(content)
    assert rules.load.__wrapped__() == rules.parse_tables(rules.read_files())


def test_the_book_holds_every_row():
    assert sorted(default_book().rules) == sorted(RuleBook(rules.load()).rules)
    assert len(default_book().rules) == len(LINTED.rows)


def test_a_mistake_in_a_row_is_told_in_one_line(tmp_path, monkeypatch, capsys):
    for name in rules.FILES:
        (tmp_path / name).write_bytes(Path(rules.FOLDER, name).read_bytes())
    (tmp_path / "texts.toml").write_text(
        '[[rule]]\nid = "x"\nreason = "no_such"\ntext = ["x"]\nseen = ["x"]\n'
    )
    monkeypatch.setattr(rules, "FOLDER", str(tmp_path))
    assert compiler.main() == 1
    told = capsys.readouterr().err
    assert told.startswith("texts.toml:1: rule x: reason = 'no_such' is unknown")
    assert told.count("\n") == 1
