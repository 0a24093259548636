"""Find the rules whose words stand in a text: one pass of an Aho-Corasick automaton for all rows together."""

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import ahocorasick

from dsn_processor.classify.block import BlockLists
from dsn_processor.classify.guess import Guesses
from dsn_processor.classify.rules import ANYBODY, Guess, Provider, Rule, Tables, load, weight
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
_REPEATED = pattern(r"[245](?<![\w.-].)\d\d(?:-(?! )|[ -](?=[245]\.\d))(?:[245]\.\d{1,3}\.\d{1,3} ?)?")


def spaced(text: str) -> str:
    """As much of ``text`` as is looked at, on one line with single spaces."""
    if text.isascii() and text.isprintable() and "  " not in text and text == text.strip():
        return text[:LIMIT].rstrip()  # as nearly all are, their lines being joined
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
        domain = _DOMAIN.match(piece)
        local = before.rstrip(_LOCAL) if before.isascii() else _LOCAL_END.sub("", before)
        folded.append(local if domain and len(local) < len(before) else before)
        before = piece[domain.end() :] if domain and len(local) < len(before) else piece
    return "@".join([*folded, before])


def _asks_more(rule: Rule) -> bool:
    """A rule asks for more than its words."""
    return bool(rule.provider or rule.status or rule.reply_code or rule.command or rule.action)


class Hit(NamedTuple):
    """A rule whose words stand in a text, and where its longest fragment does. ``rank`` indexes ``RuleBook.rules``."""

    rank: int
    start: int
    end: int


class Scan(NamedTuple):
    """What one pass over a text found. ``rules`` are those of all hits, the strongest first, where none of them asks
    for more than its words; else None.
    """

    hits: tuple[Hit, ...]
    providers: frozenset[str]
    rules: tuple[Rule, ...] | None


NOTHING = Scan((), frozenset(), ())


#: What the automaton yields for a word: its length, whether it begins as words do, the ranks of the rules that it may
#: decide, and the providers that it names. A plain tuple, since a start makes thousands.
_Word = tuple[int, bool, list[int], list[str]]


class RuleBook:
    """The tables made searchable. ``rules`` are in order of strength, so that a lower rank wins."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.rules = tables.rules if tables.in_order else tuple(sorted(tables.rules, key=weight))
        #: Of each rule, whether it asks for more than its words.
        self.asks_more = [_asks_more(rule) for rule in self.rules]
        self.by_status: dict[str, list[int]] = defaultdict(list)
        self._suffixes = _suffixes(tables.providers)
        self._automaton = self._build()
        # Servers say the same to thousands; without addresses it is the same to the letter.
        self._scanned = lru_cache(maxsize=SCANS)(self._scan)
        self._strongest_known = lru_cache(maxsize=SCANS)(self._strongest)
        self.provider_of = lru_cache(maxsize=1024)(self._provider_of)
        self._block_lists: BlockLists | None = None
        self._guesses = Guesses(tables)

    def __reduce__(self) -> tuple[type["RuleBook"], tuple[Tables]]:
        return RuleBook, (self.tables,)  # another process builds its own automaton

    def _build(self) -> ahocorasick.Automaton:
        words: dict[str, _Word] = {}
        for rank, rule in enumerate(self.rules):
            if fragments := rule.text:
                text = fragments[0] if len(fragments) == 1 else _anchor(fragments)
                if (word := words.get(text)) is None:
                    words[text] = (len(text), text[0] in _IN_WORD, [rank], [])
                else:
                    word[2].append(rank)
            else:
                for code in rule.status:
                    self.by_status[code].append(rank)
        for provider in self.tables.providers:
            for text in provider.words:
                words.setdefault(text, (len(text), text[0] in _IN_WORD, [], []))[3].append(provider.name)
        automaton = ahocorasick.Automaton()
        for text, word in words.items():
            automaton.add_word(text, word)
        automaton.make_automaton()
        return automaton

    @property
    def block_lists(self) -> BlockLists:
        """The public blocklists, made searchable when first asked for."""
        if self._block_lists is None:
            self._block_lists = BlockLists(self.tables.lists)
        return self._block_lists

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
        rules, hit = self.rules, tuple.__new__
        for last, (length, begins_word, ranks, names) in self._automaton.iter(text):
            start = last - length + 1
            if begins_word and start and text[start - 1] in _IN_WORD:
                continue
            named += names
            for rank in ranks:
                fragments = rules[rank].text
                if len(fragments) == 1 or _around(text, fragments, start, last + 1):
                    hits.append(hit(Hit, (rank, start, last + 1)))
        if not hits and not named:
            return NOTHING
        hits.sort()
        found = tuple(hits)
        asks = self.asks_more
        plain = True not in [asks[rank] for rank, _, _ in found]
        return Scan(found, frozenset(named), self._strongest(found) if plain else None)

    def strongest(self, hits: tuple[Hit, ...]) -> tuple[Rule, ...]:
        """The rules of ``hits`` that no longer phrase explains, each once, the strongest first."""
        return self._strongest_known(hits) if len(hits) <= FEW_HITS else self._strongest(hits)

    def _strongest(self, hits: tuple[Hit, ...]) -> tuple[Rule, ...]:
        kept = without_parts(hits, self.rules)
        return tuple([self.rules[rank] for rank in dict.fromkeys([hit.rank for hit in kept])])

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


def without_parts(hits: Sequence[Hit], rules: tuple[Rule, ...]) -> Sequence[Hit]:
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


def _anchor(fragments: tuple[str, ...]) -> str:
    return fragments[0] if len(fragments) == 1 else max(fragments, key=len)


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
    anchor = fragments.index(_anchor(fragments))
    return fragments[:anchor][::-1], fragments[anchor + 1 :]


# Letters and digits of a word that has a begin; scripts without spaces between words have none to ask for.
_IN_WORD = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")


def _suffixes(providers: tuple[Provider, ...]) -> dict[str, str]:
    return {
        suffix: provider.name for provider in providers for suffix in (*provider.hosts, *provider.domains)
    }
