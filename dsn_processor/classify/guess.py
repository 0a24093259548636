"""What a text probably means that holds no known phrase: things that one of its sentences names together.

Phrases know what servers were seen to say; a guess knows what they talk of. It is asked last, since an unknown wording is
all that it can judge.
"""

import re
from functools import cached_property, lru_cache
from unicodedata import normalize

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
    return text if text.isascii() else _ACCENTS.sub("", normalize("NFKD", text))


def _bare(text: str) -> str:
    """A folded text as it is searched: without URLs, and with "ip address" for each of those."""
    return _IP.sub("ip address", _URL.sub("", plain(text[:LIMIT])))


class Guesses:
    """The guesses made searchable, when the first one is asked for."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self.of = lru_cache(maxsize=KNOWN)(self._of)

    def _of(self, text: str, alone: bool) -> Guess | None:
        """The first guess that holds for any sentence of a text that is folded; None where none does, or where
        ``alone`` is asked for and others hold for other sentences: a list of possible causes.
        """
        sentences = [one for one in _SENTENCE.split(_bare(text)) if one]
        found: Guess | None = None
        for guess, groups, unless in self._asked:
            for sentence in sentences:
                if all(group.search(sentence) for group in groups) and not (
                    unless and unless.search(sentence)
                ):
                    if found and alone:
                        return None
                    found = found or guess
            if found and not alone:
                break
        return found

    @cached_property
    def _asked(self) -> list[tuple[Guess, list[re.Pattern[str]], re.Pattern[str] | None]]:
        return [
            (
                guess,
                [self._any(group) for group in guess.words],
                self._any(guess.unless) if guess.unless else None,
            )
            for guess in self._tables.guesses
        ]

    def _any(self, words: tuple[str, ...]) -> re.Pattern[str]:
        """Any of ``words``, each from the begin of a word on; scripts without spaces have none to ask for."""
        given = [
            one for word in words for one in (self._tables.words[word[1:]] if word[0] == "$" else (word,))
        ]
        return pattern(
            "|".join(
                (r"(?<![a-z0-9])" if _WORD.match(word) else "") + re.escape(plain(word)) for word in given
            )
        )
