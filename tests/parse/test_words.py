import pytest

from dsn_processor.parse import words
from dsn_processor.parse.words import (
    CHALLENGES,
    DELAYS,
    SAYS_CHALLENGE,
    SAYS_DELAYED,
    SAYS_FAILED,
    SAYS_RECEIPT,
    SAYS_RETURNED,
    contains,
    said,
    titled,
)

TABLES = {name: table for name, table in vars(words).items() if name.isupper() and isinstance(table, tuple)}


@pytest.mark.parametrize("name", TABLES)
def test_every_word_is_found_in_any_text(name):
    """Texts of ASCII are searched by other means than those with letters of other scripts."""
    table = TABLES[name]
    for word in table:
        assert word == word.casefold()  # as the texts are
        for around in ("{}", "so: {}.", "über: {} …", "so: {}." + " " * 300):
            assert contains(around.format(word), table), word
    assert not contains("0 1 2", table)
    assert not contains("0 ü 2", table)


def test_a_text_says_all_that_its_words_say():
    text = "delivery has failed for this mail. we {} try again; your message requires confirmation"
    for told in (text.format("will"), "ü " + text.format("will")):
        assert said(told) & SAYS_FAILED
        assert said(told) & SAYS_DELAYED
        assert said(told) & SAYS_CHALLENGE
    assert not said(text.format("shall")) & SAYS_DELAYED
    assert said("") == 0


def test_a_word_of_two_tables_counts_for_both():
    for word in DELAYS:
        assert said(word) & titled(word) & SAYS_DELAYED
    for word in CHALLENGES:
        assert said(word) & titled(word) & SAYS_CHALLENGE


def test_a_long_subject_is_searched_whole():
    subject = "x" * 300 + " undeliverable: gelesen: y"
    assert titled(subject) & SAYS_RETURNED
    assert titled(subject) & SAYS_RECEIPT
