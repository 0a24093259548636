"""Find the rules whose words stand in a text: one pass of an Aho-Corasick automaton for all rows together."""

from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from typing import NamedTuple

from dsn_processor.classify.block import BlockLists
from dsn_processor.classify.guess import Guesses
from dsn_processor.classify.rules import (
    ANYBODY,
    CONDITIONS,
    UNCONDITIONAL,
    Guess,
    Provider,
    Rule,
    Tables,
    index_of,
    load,
    weight,
)
from dsn_processor.classify.words import Words
from dsn_processor.patterns import pattern

#: Longest text that is looked at, in characters. Replies are short; what is longer quotes something.
LIMIT = 4096
#: Farthest that two fragments of one rule may lie apart, in characters: farther words belong to another sentence.
GAP = 120

SCANS = 2048  # texts whose scan is kept ...
SCANNED = 600  # ... of so many characters at most
FEW_HITS = 16  # hits whose rules are kept, too

_PUNCTUATION = {"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u00ad": "", "\u200b": ""}
# The characters of a local part, and a domain. An address may hold any word (user-unknown@...), so none is left.
_LOCAL = "abcdefghijklmnopqrstuvwxyz0123456789_.+=%!/-"
_LOCAL_END = pattern(r"(?<![\w.+=%!/-])[\w.+=%!/-]++\Z")  # as _LOCAL, with the letters of all scripts
_DOMAIN = pattern(r"[\w-]++(?:\.[\w-]++)*")
# Codes that each line of a long reply repeats: "550-5.7.1 " and "550 5.7.1 " anywhere, "550-" before a word.
_REPEATED = pattern(
    r"[245]\d\d[ -](?<![\w.-]....)(?:(?<=-)(?! )|(?=[245]\.\d))(?:[245]\.\d{1,3}\.\d{1,3} ?)?"
)


def spaced(text: str) -> str:
    """As much of ``text`` as is looked at, on one line with single spaces."""
    # As nearly all are, their lines being joined.
    if text.isascii() and text.isprintable() and "  " not in text and text == text.strip():
        return text if len(text) <= LIMIT else text[:LIMIT].rstrip()
    return " ".join(text[:LIMIT].split())


def fold(text: str) -> str:
    """``text`` as fragments are written: no case, single spaces, plain quotes, every address as "@"."""
    return _fold_line(spaced(text))


def _fold_line(text: str) -> str:
    text = text.casefold()
    if not text.isascii():
        for mark, plain in _PUNCTUATION.items():  # translate() would look at each character
            text = text.replace(mark, plain)
    if "@" in text:
        text = _without_addresses(text)
    return _REPEATED.sub("", text) if "-" in text else text


def _without_addresses(text: str) -> str:
    """``text`` with "@" for each address. Cut at each "@", since a search would try every word as a local part."""
    before, *pieces = text.split("@")
    folded: list[str] = []
    for piece in pieces:
        local = before.rstrip(_LOCAL) if before.isascii() else _LOCAL_END.sub("", before)
        domain = _DOMAIN.match(piece) if len(local) < len(before) else None
        folded.append(local if domain else before)
        before = piece[domain.end() :] if domain else piece
    return "@".join([*folded, before])


class Hit(NamedTuple):
    """A rule whose words stand in a text, and where its longest fragment does. ``rank`` indexes ``RuleBook.rules``."""

    rank: int
    start: int
    end: int


class Scan(NamedTuple):
    """What one pass over a text found. ``asking`` are the ranks of hits that ask for more than their words; where there are
    none, ``rules`` are those of all hits, the strongest first.
    """

    hits: tuple[Hit, ...]
    providers: frozenset[str]
    asking: frozenset[int]
    rules: tuple[Rule, ...]


NOTHING = Scan((), frozenset(), frozenset(), ())


class _Made(dict[int, Rule]):
    """Rules by their rank, each made when first asked for."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = rules

    def __missing__(self, rank: int) -> Rule:
        rule = self[rank] = self._rules[rank]
        return rule


class RuleBook:
    """The tables made searchable. ``rules`` are in order of strength, so that a lower rank wins; ``rule`` has them by rank."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.rules = tables.rules if tables.found_by else tuple(sorted(tables.rules, key=weight))
        self.rule: Mapping[int, Rule] = _Made(self.rules)
        index = tables.found_by or index_of(self.rules)
        self.by_status = index.status
        self._ranks, self._others = index.words, index.others
        self._names: dict[str, list[str]] = {}
        for provider in tables.providers:
            for word in provider.words:
                self._names.setdefault(word, []).append(provider.name)
        self._words = Words([*self._ranks, *self._names])
        self._suffixes = _suffixes(tables.providers)
        # Servers say the same to thousands; without addresses it is the same to the letter.
        self._scanned = lru_cache(maxsize=SCANS)(self._scan)
        self._strongest_known = lru_cache(maxsize=SCANS)(self._strongest)
        self.provider_of = lru_cache(maxsize=1024)(self._provider_of)
        self._guesses = Guesses(tables)

    def __reduce__(self) -> tuple[type["RuleBook"], tuple[Tables]]:
        return RuleBook, (self.tables,)  # another process builds its own automaton

    @cached_property
    def block_lists(self) -> BlockLists:
        """The public blocklists, made searchable when first asked for."""
        return BlockLists(self.tables.lists)

    def guess(self, line: str, *, alone: bool = False) -> Guess | None:
        """What a text that is ``spaced`` probably means; None where nothing tells, or where ``alone`` is asked for and
        it may mean several things.
        """
        return self._guesses.of(_fold_line(line), alone)

    def scan(self, text: str) -> Scan:
        """All rules whose words stand in ``text``, which is folded first. A fragment begins at the begin of a word."""
        return self.scan_line(spaced(text))

    def scan_line(self, line: str) -> Scan:
        """``scan`` of a text that is ``spaced`` already."""
        text = _fold_line(line)
        return self._scanned(text) if len(text) <= SCANNED else self._scan(text)

    def _scan(self, text: str) -> Scan:
        hits: list[Hit] = []
        named: list[str] = []
        rules, others, names, hit = self.rule, self._others, self._names, tuple.__new__
        for last, word in self._words.found(text):
            start = last - len(word) + 1
            if start and text[start - 1] in _IN_WORD and word[0] in _IN_WORD:
                continue
            if word in names:
                named += names[word]
            for rank in self._ranks.get(word, ()):
                other = others[rank]
                if not other or (other in text and _around(text, rules[rank].text, start, last + 1)):
                    hits.append(hit(Hit, (rank, start, last + 1)))
        if not hits and not named:
            return NOTHING
        hits.sort()
        found = tuple(hits)
        asking = frozenset([rank for rank, _, _ in found if rules[rank][CONDITIONS] != UNCONDITIONAL])
        return Scan(found, frozenset(named), asking, () if asking else self._strongest(found))

    def strongest(self, hits: tuple[Hit, ...]) -> tuple[Rule, ...]:
        """The rules of ``hits`` that no longer phrase explains, each once, the strongest first."""
        return self._strongest_known(hits) if len(hits) <= FEW_HITS else self._strongest(hits)

    def _strongest(self, hits: tuple[Hit, ...]) -> tuple[Rule, ...]:
        kept = without_parts(hits, self.rule)
        return tuple([self.rule[rank] for rank in dict.fromkeys([hit.rank for hit in kept])])

    def _provider_of(self, name: str) -> str | None:
        """The provider that a host or a mail domain belongs to."""
        labels = name.strip(" .[]").casefold().split(".")[-8:]
        for first in range(len(labels)):
            if found := self._suffixes.get(".".join(labels[first:])):
                return found
        return None


@lru_cache(maxsize=1)
def default_book() -> RuleBook:
    return RuleBook(load())


def without_parts(hits: Sequence[Hit], rules: Mapping[int, Rule] | Sequence[Rule]) -> Sequence[Hit]:
    """A longer phrase explains the words inside it: "unknown address error" says less than "unknown address" would.
    A provider's and an operator's rules stand whatever others say.
    """
    if len(hits) < 2:
        return hits
    inside = set()
    reached = -1  # how far the spans before reach; the first to reach there is the longest
    for start, end in sorted({(start, -end) for _, start, end in hits}):
        if -end > reached:
            reached = -end
        else:
            inside.add((start, -end))
    if not inside:
        return hits
    return [hit for hit in hits if hit[1:] not in inside or rules[hit.rank].origin != ANYBODY]


def _around(text: str, fragments: tuple[str, ...], start: int, end: int) -> bool:
    """Whether the other fragments stand in their order before and after the longest, found at ``start``."""
    before, after = _beside(fragments)
    for fragment in after:
        found = text.find(fragment, end, end + GAP + len(fragment))
        if found < 0:
            return False
        end = found + len(fragment)
    for fragment in before:
        start = text.rfind(fragment, max(0, start - GAP - len(fragment)), start)
        if start < 0:
            return False
    return True


@lru_cache(maxsize=4096)
def _beside(fragments: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The fragments before the longest, from it backwards, and those after it."""
    anchor = fragments.index(max(fragments, key=len))
    return fragments[:anchor][::-1], fragments[anchor + 1 :]


# Letters and digits of a word that has a begin; scripts without spaces between words have none to ask for.
_IN_WORD = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")


def _suffixes(providers: tuple[Provider, ...]) -> dict[str, str]:
    return {
        suffix: provider.name for provider in providers for suffix in (*provider.hosts, *provider.domains)
    }
