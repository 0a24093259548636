"""Every row of the tables is its own test: it wins its samples, loses what it must not win, and is well written."""

from pathlib import Path

import pytest

from dsn_processor.classify import compile as compiler
from dsn_processor.classify import rules
from dsn_processor.classify.match import RuleBook, default_book, fold
from dsn_processor.classify.reading import read_providers, read_rows
from dsn_processor.classify.verdict import judge
from dsn_processor.facts import RecipientReport
from dsn_processor.parse.replies import find_command, parse_reply
from dsn_processor.terms import Action

ROWS = [row for name in rules.RULE_FILES for row in read_rows(Path(rules.FOLDER, name).read_bytes(), name)]
PROVIDERS = {
    one.name: one
    for one in read_providers(Path(rules.FOLDER, "providers.toml").read_bytes(), "providers.toml")
}
SEEN = [
    pytest.param(row.rule, sample, id=f"{row.rule.id}-{n}")
    for row in ROWS
    for n, sample in enumerate(row.seen)
]
NOT_SEEN = [
    pytest.param(row.rule, sample, id=f"{row.rule.id}-{n}")
    for row in ROWS
    for n, sample in enumerate(row.not_seen)
]


def report_of(sample, rule):
    """A sample as a report. A plain reply to a provider's row comes from that provider's own host, where it has one."""
    fields = {"reply": sample} if isinstance(sample, str) else dict(sample)
    text = fields.pop("reply", "")
    reply = parse_reply(text)
    provider = PROVIDERS.get(rule.provider)
    host = f"mx.{provider.hosts[0]}" if provider and provider.hosts else None
    return RecipientReport(
        address=fields.pop("address", "u@example.net"),
        action=Action(fields.pop("action", "failed")),
        status=fields.pop("status", reply.status),
        reply_code=reply.reply_code,
        diagnostic_code=reply.text or None,
        explanation=fields.pop("text", ""),
        remote_mta=fields.pop("remote_mta", host),
        smtp_command=fields.pop("command", find_command(text)),
        **fields,
    )


@pytest.mark.parametrize("rule, sample", SEEN)
def test_a_row_wins_its_own_samples(rule, sample):
    verdict = judge(report_of(sample, rule), trace=True)
    assert verdict.rule_id == rule.id, [candidate.rule_id for candidate in verdict.candidates]
    assert verdict.reason == rule.reason


@pytest.mark.parametrize("rule, sample", NOT_SEEN)
def test_a_row_does_not_win_what_it_must_not(rule, sample):
    assert judge(report_of(sample, rule)).rule_id != rule.id


def test_ids_are_unique_over_all_files():
    ids = [row.rule.id for row in ROWS]
    assert len(ids) == len(set(ids))


def test_fragments_are_written_as_texts_are_folded():
    assert [row.rule.id for row in ROWS if any(fold(text) != text for text in row.rule.text)] == []


def test_no_two_rows_ask_for_the_same():
    asked = [row.rule[2:8] for row in ROWS]
    assert len(asked) == len(set(asked))


def test_every_row_bound_to_a_provider_names_a_known_one():
    assert {row.rule.provider for row in ROWS} - {None} <= PROVIDERS.keys()


def test_no_sample_names_a_real_person_or_network():
    import ipaddress
    import re

    samples = [str(sample) for row in ROWS for sample in (*row.seen, *row.not_seen)]
    documentation = [
        ipaddress.ip_network(net) for net in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")
    ]
    for sample in samples:
        for found in re.findall(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.])", sample):
            assert any(ipaddress.ip_address(found) in net for net in documentation), sample


def test_the_compiled_tables_are_fresh():
    assert Path(rules.COMPILED).read_text(encoding="utf-8") == compiler.render(), "stale: run `make rules`"
    sources = rules.read_files()
    assert rules.read_compiled(rules.digest(sources)) == rules.parse_tables(sources)


@pytest.mark.parametrize("content", [None, "{", '{"digest": "of another time"}'])
def test_missing_broken_or_stale_compiled_tables_are_not_used(content, tmp_path, monkeypatch):
    compiled = tmp_path / "compiled.json"
    monkeypatch.setattr(rules, "COMPILED", str(compiled))
    if content is not None:
        compiled.write_text(content)
    assert rules.load.__wrapped__() == rules.parse_tables(rules.read_files())


def test_the_book_holds_every_row():
    assert sorted(default_book().rules) == sorted(RuleBook(rules.load()).rules)
    assert len(default_book().rules) == len(ROWS)


def test_a_mistake_in_a_row_is_told_in_one_line(tmp_path, monkeypatch, capsys):
    for name in rules.FILES:
        (tmp_path / name).write_bytes(Path(rules.FOLDER, name).read_bytes())
    (tmp_path / "texts.toml").write_text(
        '[[rule]]\nid = "x"\nreason = "no_such"\ntext = ["x"]\nseen = ["x"]\n'
    )
    monkeypatch.setattr(rules, "FOLDER", str(tmp_path))
    assert compiler.main() == 1
    told = capsys.readouterr().err
    assert told.startswith("texts.toml: rule x: reason = 'no_such' is unknown")
    assert told.count("\n") == 1
