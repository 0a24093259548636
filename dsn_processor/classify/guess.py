"""What a text probably means that holds no known phrase: things that one of its sentences names together.

Phrases know what servers were seen to say; a guess knows what they talk of. It is asked last, since an unknown wording is
all that it can judge.
"""

from collections import defaultdict
from functools import cached_property, lru_cache
from typing import NamedTuple

import ahocorasick

from dsn_processor.classify.rules import Guess, Tables
from dsn_processor.patterns import pattern

#: Longest text that is guessed at, in characters: a longer one names too many things.
LIMIT = 600
KNOWN = 1024  # texts whose guess is kept

_SENTENCE = pattern(r"(?<=[.;!?])\s|[\u3002\uff01\uff1f]|(?<=\bsaid: )")
_URL = pattern(r"\b(?:https?://|www\.)\S+")  # it may hold any word
_IP = pattern(r"\b(?:\d{1,3}\.){3}\d{1,3}\b")
_ACCENTS = pattern(r"[\u0300-\u036f]+")
_WORD = pattern(r"(?!n't)[a-z0-9]")  # "n't" ends a word


def plain(text: str) -> str:
    """``text`` without accents: senders and servers leave them out as they please."""
    if text.isascii():
        return text
    from unicodedata import normalize  # noqa: PLC0415  most mails need none of it

    return _ACCENTS.sub("", normalize("NFKD", text))


def _bare(text: str) -> str:
    """A folded text as it is searched: without URLs, and with "ip address" for each of those."""
    return _IP.sub("ip address", _URL.sub("", plain(text[:LIMIT])))


class _Asked(NamedTuple):
    """A guess with the numbers of its groups, and of the group that must not stand there."""

    guess: Guess
    groups: frozenset[int]
    unless: int


class Guesses:
    """The guesses made searchable, when the first one is asked for: one pass of an automaton for all their words."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self.of = lru_cache(maxsize=KNOWN)(self._of)

    def _of(self, text: str, alone: bool) -> Guess | None:
        """The first guess that holds for any sentence of a text that is folded; None where none does, or where
        ``alone`` is asked for and others hold, too: a list of possible causes.
        """
        if not self._tables.guesses:
            return None
        named = [self._named(sentence) for sentence in _SENTENCE.split(_bare(text)) if sentence]
        found: Guess | None = None
        for guess, groups, unless in self._searched[1]:
            if any(groups <= one and unless not in one for one in named):
                if found:
                    return None
                found = guess
                if not alone:
                    break
        return found

    def _named(self, sentence: str) -> set[int]:
        """The groups of which a word stands in ``sentence``, each from the begin of a word on; scripts without spaces
        have none to ask for.
        """
        found: set[int] = set()
        for last, (length, begins_word, groups) in self._searched[0].iter(sentence):
            start = last - length + 1
            if not (begins_word and start and _WORD.match(sentence[start - 1])):
                found |= groups
        return found

    @cached_property
    def _searched(self) -> tuple[ahocorasick.Automaton, list[_Asked]]:
        numbers: dict[tuple[str, ...], int] = {}
        asked = []
        for guess in self._tables.guesses:
            *groups, unless = [
                numbers.setdefault(group, len(numbers)) for group in (*guess.words, guess.unless)
            ]
            asked.append(_Asked(guess, frozenset(groups), unless))
        words: dict[str, set[int]] = defaultdict(set)
        for group, number in numbers.items():
            for word in group:
                for one in self._tables.words[word[1:]] if word[0] == "$" else (word,):
                    words[plain(one)].add(number)
        automaton = ahocorasick.Automaton()
        for word, known in words.items():
            automaton.add_word(word, (len(word), bool(_WORD.match(word)), known))
        automaton.make_automaton()
        return automaton, asked
