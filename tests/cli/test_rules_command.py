"""`rules list|lint|test`, and `--rules` of the commands that read mail."""

import json
import re
import shlex
from pathlib import Path

import pytest

from dsn_processor.classify import rules
from dsn_processor.reading import rules_version
from dsn_processor.record.store import Store
from dsn_processor.teach import catalogue
from dsn_processor.teach.lint import packaged_rows
from dsn_processor.teach.own import load_rules

ROOT = Path(__file__).parents[2]
ROW = """[[rule]]
id = "own"
reason = "mailbox_full"
text = ["user unknown"]
seen = ["550 user unknown"]
"""
BROKEN = ROW.replace("mailbox_full", "mailbox_ful")
NEW = ROW.replace("user unknown", "purple walrus")


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text(ROW)
    return path


@pytest.fixture
def mail(tmp_path, write_dsn):
    path = tmp_path / "a.eml"
    path.write_bytes(write_dsn())
    return path


def listed(cli, *args):
    code, out, err = cli("rules", "list", "--json", *args)
    assert (code, err) == (0, "")
    return [json.loads(line) for line in out.splitlines()]


def test_all_rules_are_listed(cli, own):
    rows = listed(cli)
    assert [row["id"] for row in rows] == [row.rule.id for row in packaged_rows()]
    assert all(row["seen"] and row["bounce_type"] and row["strength"] for row in rows)
    assert [row["id"] for row in listed(cli, "--rules", own)[:2]] == ["own", rows[0]["id"]]


@pytest.mark.parametrize(
    "args, key, value",
    [
        (["--reason", "virus"], "reason", "virus"),
        (["--provider", "google"], "provider", "google"),
        (["--provider", "-"], "provider", None),
        (["--lang", "de"], "lang", "de"),
        (["--lang", "en"], "lang", "en"),
    ],
)
def test_some_are_listed(cli, args, key, value):
    rows = listed(cli, *args)
    assert len(rows) > 2
    assert {row[key] for row in rows} == {value}
    assert len(rows) == sum(row[key] == value for row in listed(cli))


def test_a_search_finds_ids_words_and_samples(cli):
    for words in (["over-disk-quota"], ["over disk quota"], ["Disk", "RECIPIENT is over"]):
        assert "over-disk-quota" in [row["id"] for row in listed(cli, *words, "--lang", "en")]
    code, out, err = cli("rules", "list", "over disk quota")
    assert (code, err) == (0, "")
    assert re.search(r"^over-disk-quota +mailbox_full +en +over disk quota$", out, re.MULTILINE)


def test_nothing_found(cli):
    assert cli("rules", "list", "purple walrus") == (0, "", "dsn-processor: no rule is so\n")
    code, out, err = cli("rules", "list", "--reason", "mailbox_ful")
    assert (code, out) == (2, "")
    assert "did you mean 'mailbox_full'?" in err


def test_lint(cli, own):
    own.write_text(NEW)
    assert cli("rules", "lint", own) == (0, f"{own}: 1 rule, no mistake\n", "")
    own.write_text(BROKEN)
    code, out, err = cli("rules", "lint", own)
    assert (code, err) == (1, "")
    assert out == (
        f"{own}:1: rule own: reason = 'mailbox_ful' is unknown; did you mean 'mailbox_full'?\n"
        f"{own}: 0 rules, 1 mistake\n"
    )


def test_hints_do_not_fail(cli, own):
    own.write_text(NEW.replace('"own"', '"user-unknown"'))
    code, out, _ = cli("rules", "lint", own)
    assert (code, out.splitlines()[-1]) == (0, f"{own}: 1 rule, no mistake and 1 hint")
    assert out.startswith(f"hint: {own}:1: rule user-unknown: the package has a rule of this id")


def test_a_row_that_takes_the_package_s_samples(cli, own):
    code, out, _ = cli("rules", "lint", own)
    assert (code, out.splitlines()[-1]) == (0, f"{own}: 1 rule, no mistake and 1 hint")
    assert re.match(rf"hint: {own}:1: rule own: takes \d+ samples of the package that mean", out)


def test_lint_without_a_file_looks_at_what_is_in_use(cli, own, monkeypatch):
    count = len(packaged_rows())
    tables = f"the package's tables: {count:,} rules, no mistake\n"
    assert cli("rules", "lint") == (0, tables, "")
    own.write_text(NEW)
    monkeypatch.setenv("DSN_PROCESSOR_RULES", str(own))
    assert cli("rules", "lint") == (0, f"{own}: 1 rule, no mistake\n{tables}", "")


def test_one_of_the_package_s_tables_is_known(cli):
    code, out, _ = cli("rules", "lint", Path(rules.FOLDER, "texts.toml"))
    assert (code, out.partition(":")[0]) == (0, "the package's tables")


def test_test(cli, own):
    assert cli("rules", "test", own) == (0, f"{own}: 1 sample of 1 rule, all hold\n", "")
    own.write_text(ROW.replace("550 user unknown", "550 no user"))
    code, out, _ = cli("rules", "test", own)
    assert code == 1
    assert "'user unknown' does not stand in it" in out
    assert out.endswith(f"{own}: 1 sample of 1 rule, see above\n")


def test_test_a_reply(cli, own):
    code, out, _ = cli("rules", "test", own, "--reply", "550 user unknown", "--remote-mta", "mx.example.net")
    assert code == 0
    assert "\nwon   operator    own " in out
    assert "  remote MTA: mx.example.net\n" in out
    assert "operator" not in cli("rules", "test", "--reply", "550 user unknown")[1]


@pytest.mark.parametrize(
    "args, code",
    [
        (["rules"], 2),
        (["rules", "test", "--remote-mta", "x"], 2),
        (["rules", "test", "a.toml", "b.toml", "--reply", "x"], 2),
        (["rules", "lint", "none.toml"], 3),
        (["rules", "test", "none.toml"], 3),
        (["rules", "list", "--rules", "none.toml"], 3),
        (["parse", "--rules", "", "a.eml"], 3),
    ],
)
def test_usage(cli, args, code):
    got, out, err = cli(*args)
    assert (got, out) == (code, "")
    assert err


def reasons(out):
    return [recipient["reason"] for line in out.splitlines() for recipient in json.loads(line)["recipients"]]


@pytest.mark.parametrize("command", [["parse"], ["explain", "--json"]])
def test_mail_is_read_by_own_rules(cli, command, own, mail, monkeypatch):
    assert reasons(cli(*command, mail)[1]) == ["user_unknown"]
    assert reasons(cli(*command, "--rules", own, mail)[1]) == ["mailbox_full"]
    monkeypatch.setenv("DSN_PROCESSOR_RULES", str(own))
    assert reasons(cli(*command, mail)[1]) == ["mailbox_full"]
    monkeypatch.setenv("DSN_PROCESSOR_RULES", "")
    assert reasons(cli(*command, mail)[1]) == ["user_unknown"]


def test_replay_stores_what_they_say(cli, own, mail, url):
    assert cli("replay", mail, "--db", url, "--rules", own)[0] == 0
    with Store.open(url, readonly=True) as store:
        report = store.report(1)
    assert report.rules == load_rules(str(own)).version != rules_version()
    assert report.events[0].verdict.rule_id == "own"


def test_replay_follows_the_file(cli, own, tmp_path, url, write_dsn, monkeypatch):
    """Rules change after the first batch, and break after the second."""
    for number in range(3):
        (tmp_path / f"{number}.eml").write_bytes(
            write_dsn(number=number, returned_id=f"<{number}@example.com>")
        )
    monkeypatch.setattr("dsn_processor.replaying.BATCH_MAILS", 1)
    coming = iter([ROW.replace("mailbox_full", "policy"), BROKEN, BROKEN])
    real = Store.add_reports

    def add_and_change(self, reports):
        own.write_text(next(coming))
        return real(self, reports)

    monkeypatch.setattr(Store, "add_reports", add_and_change)
    code, _, err = cli(
        "replay", *(tmp_path / f"{n}.eml" for n in range(3)), "--db", url, "--rules", own, "--workers", 1
    )
    assert code == 0
    assert err.count("the rules loaded before stay in use") == 1
    with Store.open(url, readonly=True) as store:
        told = [store.report(n).events[0].verdict.reason for n in (1, 2, 3)]
    assert told == ["mailbox_full", "policy", "policy"]


@pytest.mark.parametrize(
    "command", [["parse"], ["explain"], ["replay"], ["explain", "--reply", "550 no"], ["reclassify"]]
)
@pytest.mark.parametrize("how", ["option", "environment"])
def test_a_broken_file_stops_a_command_at_its_start(cli, own, mail, tmp_path, command, how, monkeypatch):
    own.write_text(BROKEN)
    paths = [mail] if command in (["parse"], ["explain"], ["replay"]) else []
    monkeypatch.chdir(tmp_path)
    if how == "environment":
        monkeypatch.setenv("DSN_PROCESSOR_RULES", str(own))
    option = ["--rules", own] if how == "option" else []
    code, out, err = cli(*command, *option, *paths)
    assert (code, out) == (3, "")
    assert (
        err
        == f"dsn-processor: {own}:1: rule own: reason = 'mailbox_ful' is unknown; did you mean 'mailbox_full'?\n"
    )
    assert list(tmp_path.glob("*.db")) == []


def test_ingest_leaves_the_mail_with_the_mta(program, own, url, write_dsn):
    own.write_text(BROKEN)
    ran = program("ingest", "-", "--db", url, "--rules", own, stdin=write_dsn())
    assert (ran.returncode, ran.stdout) == (75, b"")
    assert ran.stderr.startswith(b"dsn-processor: ")
    assert ran.stderr.count(b"\n") == 1
    own.write_text(ROW)
    assert program("ingest", "-", "--db", url, "--rules", own, stdin=write_dsn()).returncode == 0
    with Store.open(url, readonly=True) as store:
        assert store.report(1).events[0].verdict.rule_id == "own"
        assert store.report(2) is None


def test_the_list_in_the_docs_is_fresh():
    pages = catalogue.render(packaged_rows(), rules.load())
    written = {path.name: path.read_text("utf-8") for path in (ROOT / "docs/rules").glob("*")}
    assert written.keys() == pages.keys(), "stale: run `make rules`"
    assert [name for name in pages if written[name] != pages[name]] == [], "stale: run `make rules`"
    everything = "".join(pages.values())
    assert [row.rule.id for row in packaged_rows() if f"\n| {row.rule.id} |" not in everything] == []


def test_pages_that_are_no_more_are_taken_away(tmp_path):
    (tmp_path / "old.md").touch()
    catalogue.main(str(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == set(catalogue.render(packaged_rows(), rules.load()))


def test_a_sample_does_not_break_a_table():
    assert catalogue._code("a|b `c`  [d](e)") == "`a\\|b 'c' [d] (e)`"


RULES_MD = (ROOT / "docs/rules.md").read_text("utf-8")
TEACH = RULES_MD[RULES_MD.index("## Teach it a new bounce") : RULES_MD.index("## Give everybody")]


def test_what_the_docs_say_to_do(tmp_path, monkeypatch, cli, write_dsn):
    """Row, lint, test, explain, and what would change in stored mail: as docs/rules.md has it."""
    monkeypatch.chdir(tmp_path)
    example, commands = re.findall(r"^```(?:toml)?\n(.*?)^```", TEACH, re.MULTILINE | re.DOTALL)
    Path("own.toml").write_text(example)
    Path("bounce.eml").write_bytes(
        write_dsn(diagnostic="550 5.1.1 <bob@example.net>: the Widget store is brimming")
    )
    assert cli("replay", "bounce.eml")[0] == 0
    said = []
    for line in commands.splitlines():
        program, *arguments = shlex.split(line, comments=True)
        assert program == "dsn-processor"
        code, out, err = cli(*arguments)
        assert (code, err) == (0, "")
        said.append(out)
    lint, test, explain, dry, changed = said
    assert lint == "own.toml: 1 rule, no mistake\n"
    assert "soft, mailbox_full" in test.splitlines()[0]
    assert "\nwon   operator    own-widgets-full " in explain
    for told in (dry, changed):
        assert "failed 5.1.1 hard user_unknown" in told
        assert "failed 5.1.1 soft mailbox_full" in told
    assert "1 answers would change in 1 mails" in dry
    assert json.loads(cli("show", "1", "--json")[1])["rules"] == load_rules("own.toml").version
    assert "0 answers would change" in cli("reclassify", "--dry-run", "--rules", "own.toml")[1]
