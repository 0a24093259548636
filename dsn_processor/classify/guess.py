"""What a text probably means that holds no known phrase: things that one of its sentences names together.

Phrases know what servers were seen to say; a guess knows what they talk of. It is asked last, since an unknown wording is
all that it can judge.
"""

from collections import defaultdict
from functools import cached_property, lru_cache
from typing import NamedTuple

from dsn_processor.classify.rules import Guess, Tables
from dsn_processor.classify.words import Words
from dsn_processor.patterns import pattern

#: Longest text that is guessed at, in characters: a longer one names too many things.
LIMIT = 600
KNOWN = 1024  # texts whose guess is kept

# A space behind such a mark; "\n" stands for an ideographic full stop.
_SENTENCE = pattern(r"[ \n](?:(?<=[.;!?].)|(?<=\n)|(?<=\bsaid: ))")
_URL = pattern(r"\b(?:https?://|www\.)\S+")  # it may hold any word
_IP = pattern(r"\b(?:\d{1,3}\.){3}\d{1,3}\b")
_ACCENTS = pattern(r"[\u0300-\u036f]+")
# What a word begins and goes on with that has a begin; scripts without spaces have none to ask for.
_IN_WORD = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")


def plain(text: str) -> str:
    """``text`` without accents: senders and servers leave them out as they please."""
    if text.isascii():
        return text
    from unicodedata import normalize  # noqa: PLC0415  most mails need none of it

    return _ACCENTS.sub("", normalize("NFKD", text))


def _sentences(text: str) -> list[str]:
    """Those of a folded text as they are searched: without URLs, and with "ip address" for each of those."""
    text = plain(text[:LIMIT])
    if "://" in text or "www." in text:
        text = _URL.sub("", text)
    return _SENTENCE.split(_IP.sub("ip address", text).replace("\u3002", "\n"))


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
        named = [self._named(sentence) for sentence in _sentences(text) if sentence]
        found: Guess | None = None
        for guess, groups, unless in self._searched[0]:
            for one in named:
                if groups <= one and unless not in one:
                    break
            else:
                continue
            if found:
                return None
            found = guess
            if not alone:
                break
        return found

    def _named(self, sentence: str) -> set[int]:
        """The groups of which a word stands in ``sentence``, each from the begin of a word on."""
        _, words, groups = self._searched
        found: set[int] = set()
        for last, word in words.found(sentence):
            start = last - len(word) + 1
            # "n't" ends a word.
            if start and sentence[start - 1] in _IN_WORD and word[0] in _IN_WORD and word[:3] != "n't":
                continue
            found |= groups[word]
        return found

    @cached_property
    def _searched(self) -> tuple[list[_Asked], Words, dict[str, set[int]]]:
        """What is asked, and the words of all groups with the numbers of those that each belongs to."""
        numbers: dict[tuple[str, ...], int] = {}
        asked = []
        for guess in self._tables.guesses:
            *groups, unless = [
                numbers.setdefault(group, len(numbers)) for group in (*guess.words, guess.unless)
            ]
            asked.append(_Asked(guess, frozenset(groups), unless))
        groups_of: dict[str, set[int]] = defaultdict(set)
        for group, number in numbers.items():
            for word in group:
                for one in self._tables.words[word[1:]] if word[0] == "$" else (word,):
                    groups_of[one].add(number)
        accented = [word for word in groups_of if not word.isascii()]
        # All at once: for a word alone it takes longer than to search a text for it.
        for word, bare in zip(accented, plain("\n".join(accented)).splitlines(), strict=True):
            groups_of[bare] |= groups_of.pop(word)
        return asked, Words(groups_of), groups_of
