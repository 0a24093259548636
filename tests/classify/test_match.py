"""How texts are folded, and when the words of a rule count as found."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsn_processor.classify.match import LIMIT, RuleBook, default_book, fold, without_parts
from dsn_processor.classify.rules import ANYBODY, Provider, Rule, Tables
from dsn_processor.terms import Reason


def book(*rules, providers=()):
    return RuleBook(Tables(rules, providers, {}, ()))


def found(rules, text):
    made = book(*rules)
    return [made.rules[hit.rank].id for hit in made.scan(text).hits]


@pytest.mark.parametrize(
    "text, folded",
    [
        ("User  UNKNOWN\r\n\there", "user unknown here"),
        ("550-5.7.1 This is 550-5.7.1 one 550 5.7.1 text", "this is one text"),
        ("550-REJECTED 550 why", "rejected 550 why"),
        ("<no-such-user@example.net>: x", "<@>: x"),
        ("a@example.net...User unknown", "@...user unknown"),
        ("couldn\u2019t \u201cdo\u201d", 'couldn\'t "do"'),
        ("STRASSE straße", "strasse strasse"),
        ("from 192.0.2.1-550 5 4.7.1", "from 192.0.2.1-550 5 4.7.1"),
    ],
)
def test_fold(text, folded):
    assert fold(text) == folded


@given(st.text(max_size=400))
def test_fold_gives_single_spaces_and_no_case(text):
    folded = fold(text)
    assert "  " not in folded
    assert len(folded) <= 3 * LIMIT


@pytest.mark.parametrize(
    "piece", ["a@", "a.", "550-", "@a.", "spam ", "x" * 64 + "@", "[192.0.2.1]", "user unknown "]
)
def test_a_text_without_end_is_looked_at_as_far_as_the_limit(piece):
    text = piece * (2_000_000 // len(piece))
    assert default_book().scan(text) == default_book().scan(text[:LIMIT])


def test_fragments_must_stand_in_their_order_and_near_each_other():
    rule = Rule("r", Reason.POLICY, ("sender", "was refused"))
    assert found([rule], "the sender was refused")
    assert not found([rule], "was refused: the sender")
    assert not found([rule], "sender " + "x" * 500 + " was refused")


def test_a_fragment_begins_at_the_begin_of_a_word():
    rule = Rule("r", Reason.SPAM_CONTENT, ("spam",))
    assert found([rule], "this is spammy")
    assert not found([rule], "antispam")


def test_scripts_without_spaces_have_no_begin_of_a_word():
    assert found([Rule("r", Reason.USER_UNKNOWN, ("用户不存在",))], "收件人用户不存在")


def test_rules_come_in_order_of_origin_strength_and_length():
    rules = [
        Rule("vague", Reason.POLICY, ("access",), strength=2),
        Rule("short", Reason.POLICY, ("denied",)),
        Rule("long", Reason.POLICY, ("access denied",)),
        Rule("provider", Reason.POLICY, ("denied by",), origin=ANYBODY - 1),
    ]
    assert found(rules, "access denied by us") == ["provider", "long", "short", "vague"]


def test_a_provider_is_known_by_the_suffix_of_a_name_and_by_its_words():
    made = book(providers=(Provider("p", ("example.net",), ("example.org",), ("only we say this",)),))
    assert made.provider_of("MX.Example.NET.") == "p"
    assert made.provider_of("example.org") == "p"
    assert made.provider_of("notexample.net") is None
    assert made.provider_of("[192.0.2.1]") is None
    assert made.scan("Only we say this").providers == {"p"}


def test_a_phrase_over_and_over_is_looked_at_in_one_sweep():
    """Within a longer phrase or beside it, the answer is the same, however many there are."""
    made = book(Rule("short", Reason.POLICY, ("blocked",)), Rule("long", Reason.POLICY, ("ip blocked",)))
    for text, told in {"": ["long"], "blocked": ["long", "short"]}.items():
        hits = without_parts(list(made.scan("ip blocked " * 300 + text).hits), made.rules)
        assert [rule.id for rule in made.strongest(tuple(hits))] == told
