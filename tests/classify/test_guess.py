"""Guesses at wording that no row knows; their samples are tried by tests/test_rules.py."""

import pytest

from dsn_processor.classify.guess import Guesses, plain
from dsn_processor.classify.match import RuleBook
from dsn_processor.classify.reading import read_guesses
from dsn_processor.classify.rules import Guess, Tables, load
from dsn_processor.classify.verdict import judge
from dsn_processor.errors import RulesError
from dsn_processor.facts import RecipientReport
from dsn_processor.terms import Action, Reason

BOOK = RuleBook(
    Tables(
        rules=load().rules,
        providers=(),
        codes=load().codes,
        lists=(),
        guesses=(
            Guess("narrow", Reason.VIRUS, (("$things",), ("glimmers",)), ("harmless",)),
            Guess("wide", Reason.POLICY, (("glimmers",),)),
        ),
        words={"things": ("blorf", "bücher")},
    )
)


def verdict(diagnostic="", text="", **fields):
    given = {"address": "u@example.net", "action": Action.FAILED, "status": None, "reply_code": None}
    report = RecipientReport(
        **{**given, "diagnostic_code": diagnostic or None, "explanation": text, **fields}
    )
    return judge(report, book=BOOK)


@pytest.mark.parametrize(
    ("text", "rule_id"),
    [
        ("The blorf glimmers", "narrow"),
        ("it GLIMMERS, the blorfs", "narrow"),  # in any order, and the word goes on
        ("Die Bucher glimmers", "narrow"),  # accents are left out on both sides
        ("Bu\u0308cher glimmers", "narrow"),
        ("ablorf glimmers", "wide"),  # words are searched from their begin
        ("The blorf is here. It glimmers", "wide"),  # of one sentence
        ("a harmless blorf glimmers", "wide"),
        ("nothing of the kind", "undetermined"),
    ],
)
def test_the_first_guess_of_which_a_sentence_holds_all_groups(text, rule_id):
    assert verdict(text).rule_id == rule_id


def test_a_guess_yields_to_phrases_and_specific_codes_and_beats_generic_ones():
    assert verdict("550 user unknown: the blorf glimmers", reply_code=550).reason == "user_unknown"
    assert verdict("550 5.2.2 the blorf glimmers", status="5.2.2").reason == "mailbox_full"
    assert verdict("550 5.7.1 the blorf glimmers", status="5.7.1", reply_code=550).reason == "virus"


def test_a_vague_phrase_of_the_same_reason_goes_before():
    assert verdict("access denied, it glimmers").rule_id == "access-denied"
    assert verdict("access denied, the blorf glimmers").rule_id == "narrow"


def test_the_text_is_guessed_at_without_a_diagnostic_and_where_one_guess_alone_holds():
    assert verdict(text="it glimmers").rule_id == "wide"
    assert verdict(text="a harmless blorf. It glimmers").rule_id == "wide"
    assert verdict(text="the blorf glimmers").rule_id == "undetermined"
    assert verdict("no idea", text="it glimmers").rule_id == "undetermined"


def test_what_is_about_a_recipient_is_not_guessed_before_one_was_named():
    late = judge(_report("550 there is nobody called so", "RCPT"))
    early = judge(_report("550 there is nobody called so", "MAIL"))
    assert (late.reason, early.reason) == ("user_unknown", "sender_rejected")
    assert late.confidence == 0.6


def _report(diagnostic, command):
    return RecipientReport(
        address="u@example.net",
        action=Action.FAILED,
        status=None,
        reply_code=550,
        diagnostic_code=diagnostic,
        smtp_command=command,
    )


def test_every_list_is_written_as_it_is_searched():
    for guess in load().guesses:
        for word in (*guess.unless, *(word for group in guess.words for word in group)):
            assert word == word.casefold()
    for words in load().words.values():
        assert all(plain(word) == plain(word.casefold()) for word in words)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ('words = [["$nothing"]]\nseen = ["x"]', "'$nothing' names no list of [words]"),
        ("words = []\nseen = ['x']", "needs words"),
        ('words = [["x"]]', "needs words"),
        ('words = [["x"]]\nseen = ["x"]\nmistake = 1', "unknown key 'mistake'"),
    ],
)
def test_a_mistake_is_told(row, told):
    with pytest.raises(RulesError, match=r"^guesses\.toml: guess g: ") as error:
        read_guesses(f'[[guess]]\nid = "g"\nreason = "virus"\n{row}\n'.encode(), "guesses.toml")
    assert told in str(error.value)


def test_a_long_text_is_guessed_at_in_its_begin_only():
    guesses = Guesses(BOOK.tables)
    assert guesses.of("it glimmers", False)
    assert guesses.of("x " * 300 + "it glimmers", False) is None
