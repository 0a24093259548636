"""What `rules lint` sees in the package's tables and in an operator's file, and why a row does not win its sample."""

from pathlib import Path

import pytest

from dsn_processor.classify import rules
from dsn_processor.teach.lint import lint_own, lint_packaged, too_wide

SOURCES = {name: Path(rules.FOLDER, name).read_bytes() for name in rules.FILES}
BEFORE = lint_packaged(SOURCES.values()).findings


def packaged(name, more):
    """What is found besides where ``more`` stands at the end of a table."""
    sources = {**SOURCES, name: SOURCES[name] + b"\n" + more.encode()}
    return [finding.text for finding in lint_packaged(sources.values()).findings if finding not in BEFORE]


def row(name="x-new", reason="policy", text='"purple walrus"', seen='"550 purple walrus"', more=""):
    return f'[[rule]]\nid = "{name}"\nreason = "{reason}"\ntext = [{text}]\nseen = [{seen}]\n{more}\n'


def own(text):
    return lint_own(text.encode(), "own.toml").findings


@pytest.mark.parametrize(
    "name, more, told",
    [
        ("texts.toml", row(seen='"550 user unknown"'), "rule x-new: does not win its sample seen[1]: 'purple walrus' does not stand in it"),
        ("texts.toml", row("user-unknown"), "rule user-unknown: another row has this id"),
        ("languages.toml", row("user-unknown"), "rule user-unknown: texts.toml:"),
        ("texts.toml", row(text='"user unknown"', seen='"550 user unknown"'), "asks for the same as 'user-unknown'"),
        ("texts.toml", row(reason="polici"), "rule x-new: reason = 'polici' is unknown; did you mean 'policy'?"),
        ("texts.toml", row(more='provider = "goggle"'), "rule x-new: unknown provider 'goggle'; did you mean 'google'?"),
        ("texts.toml", row(more='not_seen = ["554 a purple walrus at the door"]'), "rule x-new: wins not_seen[1]"),
        ("texts.toml", row(text='"550-5.7.1 purple walrus"'), "write 'purple walrus'"),
        ("texts.toml", row(seen='"550 purple walrus at 8.8.8.8"'), "names the real address 8.8.8.8"),
        ("texts.toml", row(seen='"550 purple walrus at 300.8.8.8"'), "names the real address 300.8.8.8"),
        ("texts.toml", "[[rule", "texts.toml: not a TOML file"),
        ("texts.toml", "[[phrase]]", "texts.toml: unknown table 'phrase'"),
        ("status.toml", '[[reply]]\ncode = 550\nmeaning = "x"\nreason = "policy"', "status.toml: reply 550: another row has this code"),
        ("status.toml", '[[status]]\ncode = "x.1.1"\nmeaning = "x"', "status.toml: status x.1.1: another row has this code"),
        ("lists.toml", '[[list]]\nname = "x"\nzone = "y"', "lists.toml: list x: unknown key 'zone'"),
    ],
)  # fmt: skip
def test_mistakes_in_the_tables(name, more, told):
    findings = packaged(name, more)
    assert any(told in finding for finding in findings), findings[:3]
    if "[[rule]]" in more:
        assert {finding.partition(":")[0] for finding in findings} == {name}


@pytest.mark.parametrize(
    "written, why",
    [
        (row(seen='"550 green walrus"'), "'purple walrus' does not stand in it; as it is searched, it reads '550 green walrus'"),
        (row(text='"walrus", "purple"'), "its words stand there in another order, or more than 120 characters apart"),
        (row(text='"urple"'), "'urple' stands there only inside a word"),
        (row(more='provider = "exchange"'), "nothing in it is exchange's: state its host"),
        (row(more='status = "5.1.1"'), "its status is not told, and the row asks for 5.1.1"),
        (row(more='status = "5.7.606-649"'), "the row asks for 5.7.606, ... or 5.7.649"),
        (row(more="reply_code = [552, 553]"), "its reply code is 550, and the row asks for 552 or 553"),
        (row(more='command = "MAIL"'), "its command is not told, and the row asks for MAIL"),
        (row(more='action = "delayed"'), "its action is failed, and the row asks for delayed"),
        (row(reason="user_unknown", seen='{ reply = "550 purple walrus", command = "MAIL" }'), "'command-MAIL' wins it: block, sender_rejected"),
        (row() + row("x-2", text='"walrus"'), "'x-new' wins it by 'purple walrus': block, policy"),
    ],
)  # fmt: skip
def test_why_a_row_does_not_win_its_sample(written, why):
    [finding] = own(written)
    assert finding.fatal
    assert why in finding.text
    assert finding.text.startswith("own.toml:")


@pytest.mark.parametrize(
    "more",
    [
        'provider = "google"',
        "reply_code = 550",
        'seen = [{ text = "The purple walrus has left", status = "5.0.0" }]',
        'provider = "microsoft"\nseen = [{ reply = "550 purple walrus", address = "u@hotmail.com" }]',
    ],
)
def test_samples_that_hold(more):
    seen = "" if "seen" in more else 'seen = ["550 purple walrus"]\n'
    written = f'[[rule]]\nid = "x"\nreason = "policy"\ntext = ["purple walrus"]\n{seen}{more}\n'
    assert own(written) == ()


def test_what_the_package_knows_is_advice_only():
    """A new version of the package must not stop a file that worked before."""
    findings = own(row("user-unknown", "user_unknown", '"user unknown"', '"550 user unknown"'))
    assert [finding.fatal for finding in findings] == [False, False]
    assert "call it own-user-unknown" in findings[0].text
    assert "says the same as the package's 'user-unknown'" in findings[1].text


@pytest.mark.parametrize(
    ("text", "short"),
    [('"a"', True), ('"no"', True), ('"5", "x"', True), ('"滿"', True), ('"満杯"', False), ('"oob"', False)],
)
def test_words_that_stand_everywhere(text, short):
    seen = '"550 ' + text.replace('"', "").replace(", ", " ") + '"'
    findings = own(row(text=text, seen=seen))
    assert [("stands nearly everywhere" in finding.text, finding.fatal) for finding in findings] == [
        (True, True)
    ] * short


def test_a_row_that_takes_what_means_something_else_is_told_of():
    wide = row("own-wide", "mailbox_full", '"unavailable"', '"550 unavailable"')
    [finding] = too_wide(lint_own((row() + wide).encode(), "own.toml"))
    assert not finding.fatal
    assert finding.text.startswith("own.toml:7: rule own-wide: takes ")
    assert "samples of the package that mean something else" in finding.text


def test_a_blank_text():
    [finding] = own(row(text='" "'))
    assert "text = [' '] must be text" in finding.text


def test_a_file_in_another_encoding():
    [finding] = lint_own(row(text='"postfächer"').encode("latin-1"), "own.toml").findings
    assert finding.text.startswith("own.toml:4: not UTF-8")


def test_all_mistakes_are_told_at_once():
    linted = lint_own((row(reason="x") + row("b", seen='"no"') + row("c", text='"X"')).encode(), "own.toml")
    assert [finding.text.split(": ")[:2] for finding in linted.findings] == [
        ["own.toml:1", "rule x-new"],
        ["own.toml:13", "rule c"],
        ["own.toml:7", "rule b"],
    ]
    assert (len(linted.rows), linted.samples) == (1, 1)
