"""An operator's own rules: first in order, looked through when loaded, loaded anew when the file changed."""

import os
from pathlib import Path

import pytest

from dsn_processor.classify import rules
from dsn_processor.classify.match import RuleBook
from dsn_processor.classify.rules import FILES, RULE_FILES
from dsn_processor.classify.verdict import judge
from dsn_processor.errors import RulesError
from dsn_processor.facts import RecipientReport
from dsn_processor.reading import Rules, read, rules_version
from dsn_processor.teach.own import RulesFile, load_rules

ROW = """
[[rule]]
id = "{id}"
reason = "{reason}"
text = ["{text}"]
seen = ["550 5.1.1 {text}"]
"""


def row(name="own", reason="policy", text="user unknown"):
    return ROW.format(id=name, reason=reason, text=text)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text(row())
    return path


def test_own_rules_come_first(file):
    """Even where others' words are longer, and stronger."""
    file.write_text(row().replace('policy"', 'policy"\nstrength = "vague"'))
    recipient = RecipientReport(address="x@example.net", diagnostic_code="550 5.1.1 user unknown")
    book = load_rules(str(file)).book
    assert (judge(recipient, book=book).rule_id, judge(recipient).rule_id) == ("own", "user-unknown")


def test_a_byte_order_mark(file):
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert load_rules(str(file)).book.rules[0].id == "own"


def test_a_mail_is_read_by_them(file, write_dsn):
    [verdict] = read(write_dsn(), None, load_rules(str(file))).verdicts
    assert (verdict.rule_id, verdict.bounce_type) == ("own", "block")


def test_the_version_tells_files_apart(file):
    first = load_rules(str(file)).version
    assert first.startswith(f"{rules_version()}+")
    file.write_text(row(reason="mailbox_full"))
    assert len({first, load_rules(str(file)).version, rules_version()}) == 3


def test_own_providers(file):
    """A new one, and further hosts of a known one."""
    file.write_text(
        """
[[provider]]
name = "widgets"
hosts = ["mx.widgets.example"]

[[provider]]
name = "google"
hosts = ["relay.google.example"]

[[rule]]
id = "own-full"
reason = "mailbox_full"
provider = "widgets"
text = ["no"]
seen = ["550 no"]

[[rule]]
id = "own-google"
reason = "mailbox_disabled"
provider = "google"
text = ["no"]
seen = [{ reply = "550 no", remote_mta = "a.relay.google.example" }]
"""
    )
    book = load_rules(str(file)).book

    def winner(host):
        report = RecipientReport(address="x@example.net", diagnostic_code="550 no", remote_mta=host)
        return judge(report, book=book).rule_id

    assert winner("b.mx.widgets.example") == "own-full"
    assert winner("x.relay.google.example") == winner("mx.google.com") == "own-google"
    assert winner("mx.example.net") not in {"own-full", "own-google"}


@pytest.mark.parametrize(
    "content, complaint",
    [
        ("[[rule]]\nid = 'a'\nreason = 'policy'\ntext = ['x']\nseen = ['x']\ntxet = 'y'", ":1: rule a: unknown key 'txet'"),
        ("\n\n[[rule]]\nid = 'a'\nreason = 'polcy'\ntext = ['x']\nseen = ['x']", ":3: rule a: reason = 'polcy' is unknown; did you mean 'policy'?"),
        ("[[rule]]\nid = 'a'\nreason = '-'\ntext = ['x']\nseen = ['x']", "known are: user_unknown, mailbox_disabled,"),
        ("[[rule]]\nid = 'a'\nreason = 'policy'\ntext = ['X ']\nseen = ['x']", "rule a: text: 'X ' is never found, since texts are folded; write 'x'"),
        ("[[rule]]\nid = 'a'\nreason = 'policy'\ntext = ['x']", "rule a: needs a sample"),
        ("[[rule]]\nid = 'a'\nreason = 'policy'\nseen = ['x']", "rule a: needs text or status"),
        ("[[rule]]\nreason = 'policy'\ntext = ['x']\nseen = ['x']", "rule number 1: needs id"),
        ("[[rule]]\nid = 'a'\nreason = 'policy'\nstatus = '5.x'\nseen = ['x']", "rule a: status = '5.x' is not a code"),
        ("[[rule]]\nid = 'a'\nreason = 'policy'\ntext = ['x']\nseen = ['x']\nconfidence = 7", "between 0 and 1"),
        ("[[rule]]\nid = 'a'\nreason = 'policy'\ntext = ['x']\nseen = ['x']\nprovider = 'gogle'", "unknown provider 'gogle'; did you mean 'google'?"),
        ("[[rule]]\nid = 'a'\nreason = 'policy'\ntext = ['x']\nseen = ['x']\ncommand = 'RCTP'", "command 'RCTP' is unknown"),
        ("[[rule]]\nid = 'a'\nreason = 'policy'\ntext = ['x']\nseen = [{ replay = 'x' }]", "seen: unknown field 'replay'"),
        ("[[rule]]\nid = 'a'\nreason = 'policy'\ntext = ['x']\nseen = [7]", "seen: 7 must be a reply"),
        ("[[rule]]\nid = 'a'\nreason = 'policy'\ntext = ['x']\nseen = [{ reply = 'x', action = 'lost' }]", "action = 'lost' is unknown"),
        ("[[rule]]\nid = 1", "rule 1: id = 1 is of the wrong type"),
        ("[[rules]]\nid = 'a'", "unknown table 'rules'; known here are: [[rule]], [[provider]]"),
        ("[[status]]\ncode = 'x.1.1'", "unknown table 'status'"),
        ("rule = 1", "must be written as [[rule]]"),
        ("[[rule", "not a TOML file"),
        ("[[provider]]\nname = 'a'\nhots = ['x']", "provider a: unknown key 'hots'"),
        (row(text="u@example.net is full"), "is never found, since texts are folded; write '@ is full'"),
        (row() + row("other"), "asks for the same as 'own'"),
        (row() + row(text="no such user"), ":8: rule own: another row has this id"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_file_line_and_row(tmp_path, content, complaint):
    file = tmp_path / "own.toml"
    file.write_text(content)
    with pytest.raises(RulesError) as caught:
        load_rules(str(file))
    told = str(caught.value)
    assert told.startswith(str(file))
    assert complaint in told
    assert "\n" not in told


def test_of_many_mistakes_the_first_is_told_and_the_others_counted(file):
    file.write_text(row(reason="polcy") + row("b", text="x").replace("550 5.1.1 x", "550 y"))
    with pytest.raises(RulesError, match=r"rule own.*and 1 more: dsn-processor rules lint .*own\.toml"):
        load_rules(str(file))


@pytest.mark.parametrize("name", ["none.toml", ".", "a\0b"])
def test_what_cannot_be_read_is_named(tmp_path, name):
    with pytest.raises(RulesError, match="cannot read the rules file"):
        load_rules(str(tmp_path / name))


def test_the_lines_of_rows_are_not_told_where_they_could_be_wrong(file):
    file.write_text("# x\n[[rule]]\nid = 'a'\nsource = '''\n[[rule]]\n'''\n")
    with pytest.raises(RulesError, match=r"own\.toml: rule a: needs reason"):
        load_rules(str(file))


class Listener(list):
    __call__ = list.append


def test_a_change_is_followed(file):
    said = Listener()
    followed = RulesFile(str(file), said)
    first = followed.current()
    assert followed.current() is first
    before = file.stat()
    file.write_text(row("new"))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert before.st_size == file.stat().st_size
    assert followed.current().version != first.version
    assert followed.current().book.rules[0].id == "new"
    assert said == []


@pytest.mark.parametrize(
    "broken", ["[[rule", row(reason="polcy"), row().replace("550 5.1.1", "x").replace('["user', '["no user')]
)
def test_a_broken_file_changes_nothing_and_is_told_once(file, broken):
    said = Listener()
    followed = RulesFile(str(file), said)
    first = followed.current()
    for _ in range(3):
        file.write_text(broken)
        assert followed.current() is first
    [told] = said
    assert told.startswith(str(file))
    assert told.endswith("; the rules loaded before stay in use")
    file.write_text(row("mended"))
    assert followed.current().book.rules[0].id == "mended"
    file.write_text(broken)
    assert followed.current().book.rules[0].id == "mended"
    assert len(said) == 2


def test_a_file_that_goes_and_comes_again(file):
    said = Listener()
    followed = RulesFile(str(file), said)
    first = followed.current()
    file.unlink()
    assert [followed.current(), followed.current()] == [first, first]
    assert len(said) == 1
    file.touch()  # an editor that writes in place has come so far
    assert followed.current() is first
    file.write_text(row("back"))
    assert followed.current().book.rules[0].id == "back"
    file.unlink()
    followed.current()
    assert len(said) == 2


def test_a_pipe_is_read_once():
    reading, writing = os.pipe()
    os.write(writing, row().encode())
    os.close(writing)
    said = Listener()
    followed = RulesFile(f"/dev/fd/{reading}", said)
    assert followed.current() is followed.current()
    assert said == []
    os.close(reading)


def test_there_is_nothing_to_stay_with_at_the_start(file):
    file.write_text("[[rule")
    with pytest.raises(RulesError):
        RulesFile(str(file), print)


@pytest.mark.parametrize("table", RULE_FILES)
def test_one_row_in_a_table_teaches_a_new_bounce(tmp_path, monkeypatch, write_dsn, table):
    for name in FILES:
        (tmp_path / name).write_bytes(Path(rules.FOLDER, name).read_bytes())
    with (tmp_path / table).open("a") as file:
        file.write(row("taught", "mailbox_full", "purple walrus"))
    monkeypatch.setattr(rules, "FOLDER", str(tmp_path))
    book = RuleBook(rules.load.__wrapped__())
    mail = write_dsn(diagnostic="550 5.1.1 the purple walrus is here")
    [verdict] = read(mail, None, Rules(book, "taught")).verdicts
    assert (verdict.rule_id, verdict.reason) == ("taught", "mailbox_full")
    assert read(mail).verdicts[0].reason == "user_unknown"
