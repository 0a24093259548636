"""Literal words, found in one pass of an Aho-Corasick automaton for all of them."""

from collections.abc import Iterable
from functools import cached_property

import ahocorasick


class Words:
    """Words to be searched for. An automaton looks through the letters that may come next one by one, so ASCII texts are
    spared those of other scripts: these words have one of their own, made when a text asks for it.
    """

    def __init__(self, words: Iterable[str]) -> None:
        self._words = tuple(words)
        self._plain = _automaton([word for word in self._words if word.isascii()])

    def found(self, text: str) -> list[tuple[int, str]]:
        """The words that stand in ``text``, each with the place of its last character."""
        found = list(self._plain.iter(text)) if self._plain else []
        if not text.isascii() and self._other:
            found += self._other.iter(text)
        return found

    @cached_property
    def _other(self) -> ahocorasick.Automaton:
        return _automaton([word for word in self._words if not word.isascii()])


def _automaton(words: list[str]) -> ahocorasick.Automaton:
    automaton = ahocorasick.Automaton()
    for word in sorted(words):  # in their order it is made a fifth sooner
        automaton.add_word(word, word)
    automaton.make_automaton()
    return automaton
