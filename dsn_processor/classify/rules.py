"""Rules are data: what a row of the tables is, and how the tables are read (docs/rules.md).

``load()`` gives the tables as one immutable ``Tables``: from the compiled file while that is fresh, else from TOML.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, overload
from zlib import crc32

from dsn_processor.terms import BounceType, Reason

FOLDER = __file__.rpartition("/")[0] + "/tables"  # without pathlib, which would be a tenth of the start
#: Rules for the wording of one provider, then of any server: English first, then other languages.
RULE_FILES = ("providers.toml", "texts.toml", "languages.toml")
CODE_FILE = "status.toml"
LIST_FILE = "lists.toml"
GUESS_FILE = "guesses.toml"
FILES = (*RULE_FILES, CODE_FILE, LIST_FILE, GUESS_FILE)
COMPILED = f"{FOLDER}/compiled.jsonl"

OPERATOR, PROVIDER, ANYBODY = range(3)
#: What a rule's words tell: the cause; what happened; hardly anything; or only the frame around a cause
#: ("Recipient address rejected: ").
SPECIFIC, PLAIN, VAGUE, FRAME = range(4)
STRENGTHS = {"specific": SPECIFIC, "plain": PLAIN, "vague": VAGUE, "frame": FRAME}
#: How sure a rule is that does not say it itself, by its strength.
CONFIDENCE = {SPECIFIC: 0.92, PLAIN: 0.8, VAGUE: 0.5, FRAME: 0.5}
COMMANDS = frozenset({"CONNECT", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "EOD"})


class Rule(NamedTuple):
    """One row. All conditions must hold: ``text`` fragments in this order, any one of ``status``, of ``reply_code``
    and of ``command``. ``origin`` is OPERATOR, PROVIDER or ANYBODY, ``strength`` SPECIFIC, PLAIN, VAGUE or FRAME.
    """

    id: str
    reason: Reason
    text: tuple[str, ...] = ()
    provider: str | None = None
    status: tuple[str, ...] = ()
    reply_code: tuple[int, ...] = ()
    command: tuple[str, ...] = ()
    action: str | None = None
    bounce_type: BounceType | None = None
    confidence: float = CONFIDENCE[SPECIFIC]
    strength: int = SPECIFIC
    origin: int = ANYBODY


#: What a rule asks for beyond its words, and what stands there where it asks for nothing.
CONDITIONS = slice(3, 8)
UNCONDITIONAL: tuple[object, ...] = (None, (), (), (), None)


class Row(NamedTuple):
    """A rule with what only its tests and its readers need: samples (a reply, or a table of report fields), where it
    is from, and its ``place``: file, line and id.
    """

    rule: Rule
    seen: tuple[str | dict[str, Any], ...]
    not_seen: tuple[str | dict[str, Any], ...]
    source: str | None
    place: str


class Provider(NamedTuple):
    """A mail provider, recognised by suffixes of its MX hosts and mail domains and by words only it writes."""

    name: str
    hosts: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    words: tuple[str, ...] = ()


class CodeMeaning(NamedTuple):
    """What a code alone says, whatever its kind: enhanced status code, reply code, exit code, bounce category."""

    reason: Reason
    confidence: float
    bounce_type: BounceType | None = None


class BlockList(NamedTuple):
    """A public blocklist: its name, the suffixes of its zones and pages, and what it lists: ``ip`` or ``url``."""

    name: str
    zones: tuple[str, ...]
    lists: str = "ip"


class Guess(NamedTuple):
    """What a sentence probably means that holds a word of each group of ``words`` and none of ``unless``. "$name" stands
    for the words of that list in ``Tables.words``.
    """

    id: str
    reason: Reason
    words: tuple[tuple[str, ...], ...]
    unless: tuple[str, ...] = ()
    confidence: float = 0.6


class GuessRow(NamedTuple):
    """A guess with its samples, and its ``place``."""

    guess: Guess
    seen: tuple[str | dict[str, Any], ...]
    not_seen: tuple[str | dict[str, Any], ...]
    place: str


class Index(NamedTuple):
    """The ranks of rules, which is where they stand among all in order of their weight, by what they are looked for with:
    the longest of their fragments, and status codes where they have none. ``others`` holds by rank the next longest, which
    mostly does not stand beside the longest: "" where there is none.
    """

    words: dict[str, list[int]]
    status: dict[str, list[int]]
    others: list[str]


class Tables(NamedTuple):
    """Everything the classifier knows. ``codes`` is keyed "status:5.1.1", "reply:550", "exit:67", "category:x"."""

    rules: Sequence[Rule]
    providers: tuple[Provider, ...]
    codes: Mapping[str, CodeMeaning]
    lists: tuple[BlockList, ...]
    guesses: tuple[Guess, ...] = ()
    words: Mapping[str, tuple[str, ...]] = {}
    found_by: Index | None = None  #: tells where rules are, which then stand in the order of their weight


_decode = json.JSONDecoder().raw_decode  # what json.loads does besides takes longer than a rule


class Rows(Sequence[Rule]):
    """The compiled rules: lines of JSON, since a start that made all of them would take longer than to read a mail."""

    def __init__(self, lines: Sequence[bytes]) -> None:
        self._lines = lines

    def __len__(self) -> int:
        return len(self._lines)

    @overload
    def __getitem__(self, at: int) -> Rule: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Rule]: ...
    def __getitem__(self, at: int | slice) -> Rule | Sequence[Rule]:
        return Rows(self._lines[at]) if isinstance(at, slice) else _rule(_decode(self._lines[at].decode())[0])

    def __iter__(self) -> Iterator[Rule]:
        return map(_rule, json.loads(b"[%b]" % b",".join(self._lines)))


def weight(rule: Rule) -> tuple[int, int, int]:
    """Of two rules the one of the lower weight wins: whose it is, what its words tell, how many they are."""
    return rule.origin, rule.strength, -sum(map(len, rule.text))


@lru_cache(maxsize=1)
def load() -> Tables:
    """The tables of this package."""
    sources = read_files()
    return read_compiled(digest(sources)) or parse_tables(sources)


def read_compiled(fresh: str) -> Tables | None:
    """What compile.py wrote; None if it is missing, broken or older than the TOML files, whose digest is ``fresh``."""
    try:
        head, *rows = _read(COMPILED).splitlines()
        found = json.loads(head)
    except (OSError, ValueError):
        return None
    if found["digest"] != fresh:
        return None
    return Tables(
        rules=Rows(rows),
        providers=tuple([Provider(name, *map(tuple, rest)) for name, *rest in found["providers"]]),
        codes={
            code: CodeMeaning(_REASONS[reason], sure, _TYPES[kind])
            for code, (reason, sure, kind) in found["codes"].items()
        },
        lists=tuple([BlockList(name, tuple(zones), lists) for name, zones, lists in found["lists"]]),
        guesses=tuple(
            [
                Guess(name, _REASONS[reason], tuple(map(tuple, words)), tuple(unless), sure)
                for name, reason, words, unless, sure in found["guesses"]
            ]
        ),
        words={name: tuple(words) for name, words in found["words"].items()},
        found_by=Index(*found["found_by"]),
    )


def _rule(row: list[Any]) -> Rule:
    id_, reason, text, provider, status, replies, commands, action, kind, sure, strength, origin = row
    return Rule(
        id_,
        _REASONS[reason],
        tuple(text),
        provider,
        tuple(status),
        tuple(replies),
        tuple(commands),
        action,
        _TYPES[kind],
        sure,
        strength,
        origin,
    )


_REASONS = {one.value: one for one in Reason}
_TYPES: dict[str | None, BounceType | None] = {None: None, **{one.value: one for one in BounceType}}


def index_of(rules: Iterable[Rule]) -> Index:
    """What rules in order of their weight are looked for with."""
    index = Index({}, {}, [])
    for rank, rule in enumerate(rules):
        longest, *others = sorted(rule.text, key=len, reverse=True) or [""]
        index.others.append(others[0] if others else "")
        if longest:
            index.words.setdefault(longest, []).append(rank)
        else:
            for code in rule.status:
                index.status.setdefault(code, []).append(rank)
    # Each start sorts the words, which is quick where they stand so.
    return index._replace(words=dict(sorted(index.words.items())))


def read_files() -> tuple[bytes, ...]:
    return tuple(_read(f"{FOLDER}/{name}") for name in FILES)


def _read(path: str) -> bytes:
    with open(path, "rb") as file:  # noqa: PTH123  see FOLDER
        return file.read()


def digest(sources: Iterable[bytes]) -> str:
    """Tells fresh from stale. Nobody forges it, and hashlib would cost several times what all else here does."""
    return crc32(b"\0".join(sources)).to_bytes(4).hex()


def parse_tables(sources: Iterable[bytes]) -> Tables:
    """Parse the package's TOML files, given in the order of ``FILES``. Raises RulesError (errors.py)."""
    # Only a reader of TOML needs these; the compiled tables do not.
    from dsn_processor.classify.reading import (  # noqa: PLC0415
        read_codes,
        read_guesses,
        read_lists,
        read_providers,
        read_rows,
    )

    files = dict(zip(FILES, sources, strict=True))
    rules = [row.rule for name in RULE_FILES for row in read_rows(files[name], name)]
    guesses, words = read_guesses(files[GUESS_FILE], GUESS_FILE)
    rules.sort(key=weight)
    return Tables(
        rules=tuple(rules),
        providers=read_providers(files[RULE_FILES[0]], RULE_FILES[0]),
        codes=read_codes(files[CODE_FILE], CODE_FILE),
        lists=read_lists(files[LIST_FILE], LIST_FILE),
        guesses=tuple(row.guess for row in guesses),
        words=words,
        found_by=index_of(rules),
    )
