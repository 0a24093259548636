"""TOML in, rules out. Every mistake in a row becomes a RulesError that names file, line and row."""

import re
import tomllib
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from dsn_processor.classify.rules import (
    ANYBODY,
    COMMANDS,
    CONFIDENCE,
    OPERATOR,
    PROVIDER,
    STRENGTHS,
    BlockList,
    CodeMeaning,
    Guess,
    GuessRow,
    Provider,
    Row,
    Rule,
)
from dsn_processor.errors import RulesError
from dsn_processor.patterns import pattern
from dsn_processor.terms import Action, BounceType, Reason

_T = TypeVar("_T")
_TOP = frozenset({"rule", "provider", "status", "reply", "exit", "category", "list", "guess", "words"})


#: What an operator's own file may hold: codes and lists are the package's.
OWN = frozenset({"rule", "provider"})
#: Fields of a report that a sample may state beside its reply.
SAMPLE = frozenset(
    {"reply", "address", "action", "status", "text", "remote_mta", "command", "diagnostic_type"}
)

_HEADER = pattern(rb"^[ \t]*\[\[[ \t]*rule[ \t]*\]\]", re.MULTILINE)


def read_rows(data: bytes, name: str, origin: int | None = None) -> tuple[Row, ...]:
    """The ``[[rule]]`` rows of one file. Rows bound to a provider rank before rows for anybody; ``origin`` ranks all
    rows of an operator's file before both.
    """
    rows, mistakes = gather_rows(data, name, origin)
    for mistake in mistakes:
        raise mistake
    return tuple(rows)


def gather_rows(data: bytes, name: str, origin: int | None = None) -> tuple[list[Row], list[RulesError]]:
    """The rows that can be read, and what is wrong with the others."""
    rows: list[Row] = []
    mistakes: list[RulesError] = []
    ids: set[str] = set()
    tables = _tables(data, name, "rule", OWN if origin == OPERATOR else _TOP)
    for number, (table, line) in enumerate(zip(tables, _lines(data, len(tables)), strict=True), 1):
        row = _Row(table, f"{name}{line}: rule {table.get('id', f'number {number}')}")
        try:
            found = row.rule(origin)
            if found.rule.id in ids:
                row.fail("another row has this id: give each its own")
        except RulesError as mistake:
            mistakes.append(mistake)
        else:
            ids.add(found.rule.id)
            rows.append(found)
    return rows, mistakes


def _lines(data: bytes, count: int) -> list[str]:
    """Where each row begins: ":7" for line 7. TOML's reader tells no lines; where a text holds what looks like the
    begin of a row, none is told.
    """
    starts = [found.start() for found in _HEADER.finditer(data)]
    if len(starts) != count:
        return [""] * count
    lines, line, at = [], 1, 0
    for start in starts:
        line, at = line + data.count(b"\n", at, start), start
        lines.append(f":{line}")
    return lines


def read_providers(data: bytes, name: str) -> tuple[Provider, ...]:
    found = []
    for table in _tables(data, name, "provider"):
        row = _Row(table, f"{name}: provider {table.get('name')}")
        found.append(
            Provider(row.string("name"), row.strings("hosts"), row.strings("domains"), row.fragments("words"))
        )
        row.done()
    return tuple(found)


def read_lists(data: bytes, name: str) -> tuple[BlockList, ...]:
    found = []
    for table in _tables(data, name, "list"):
        row = _Row(table, f"{name}: list {table.get('name')}")
        found.append(
            BlockList(
                row.string("name"),
                row.strings("zones"),
                row.choice("lists", {"ip": "ip", "url": "url"}, "ip"),
            )
        )
        row.done()
    return tuple(found)


def read_guesses(data: bytes, name: str) -> tuple[tuple[GuessRow, ...], dict[str, tuple[str, ...]]]:
    """The ``[[guess]]`` rows in their order, and the lists of words that they name."""
    tables = _tables(data, name, "guess")
    lists = _Row(tomllib.loads(data.decode()).get("words", {}), f"{name}: words")
    words = {key: lists.strings(key) for key in lists.names()}
    found = []
    for table in tables:
        row = _Row(table, f"{name}: guess {table.get('id')}")
        groups = tuple(row.words(one, words) for one in row.take("words", list, []))
        guess = Guess(
            row.string("id"),
            row.reason(),
            groups,
            row.words(row.take("unless", list, []), words),
            row.number("confidence", 0.6),
        )
        found.append(GuessRow(guess, row.samples("seen"), row.samples("not_seen"), row.place))
        row.done()
        if not groups or not found[-1].seen:
            row.fail("needs words = [[...], ...] and a sample in seen = [...]")
    return tuple(found), words


def read_codes(data: bytes, name: str) -> dict[str, CodeMeaning]:
    """The code tables. A ``[[status]]`` row says what its code means in class 4 and in class 5."""
    codes: dict[str, CodeMeaning] = {}
    for table in _tables(data, name, "status"):
        row = _Row(table, f"{name}: status {table.get('code')}")
        code = row.string("code").removeprefix("x.")
        row.string("meaning")
        row.strings("rfc")
        if not codes.keys().isdisjoint((f"status:4.{code}", f"status:5.{code}")):
            row.fail("another row has this code")
        for digit, field in (("4", "temporary"), ("5", "permanent")):
            if field in table:
                codes[f"status:{digit}.{code}"] = _meaning(row.take(field, dict), f"{row.place} {field}")
        row.done()
    for kind in ("reply", "exit", "category"):
        for table in _tables(data, name, kind):
            row = _Row(table, f"{name}: {kind} {table.get('code')}")
            code = str(row.take("code", (int, str)))
            row.string("meaning")
            if f"{kind}:{code}" in codes:
                row.fail("another row has this code")
            codes[f"{kind}:{code}"] = row.meaning()
            row.done()
    return codes


def _meaning(table: dict[str, Any], place: str) -> CodeMeaning:
    row = _Row(table, place)
    found = row.meaning()
    row.done()
    return found


def _tables(data: bytes, name: str, kind: str, known: frozenset[str] = _TOP) -> list[dict[str, Any]]:
    try:
        parsed = tomllib.loads(data.decode())
    except tomllib.TOMLDecodeError as error:
        raise RulesError(f"{name}: not a TOML file: {error}") from error
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise RulesError(f"{name}:{line}: not UTF-8, as TOML has to be: save the file so") from error
    if unknown := parsed.keys() - known:
        here = ", ".join(f"[[{one}]]" for one in sorted(known, reverse=True))
        raise RulesError(f"{name}: unknown table {min(unknown)!r}; known here are: {here}")
    found = parsed.get(kind, [])
    if not isinstance(found, list) or not all(isinstance(table, dict) for table in found):
        raise RulesError(f"{name}: {kind!r} must be written as [[{kind}]]")
    return found


class _Row:
    """One table while it is read: takes key by key, and complains of what is left over."""

    def __init__(self, table: dict[str, Any], place: str) -> None:
        self._left = dict(table)
        self.place = place

    def fail(self, what: str) -> None:
        raise RulesError(f"{self.place}: {what}")

    def take(self, key: str, kind: type | tuple[type, ...], default: Any = None) -> Any:
        value = self._left.pop(key, default)
        if value is not default and (not isinstance(value, kind) or isinstance(value, bool)):
            self.fail(f"{key} = {value!r} is of the wrong type")
        return value

    def string(self, key: str) -> str:
        value: str | None = self.take(key, str)
        if not value:
            self.fail(f"needs {key}")
        return str(value)

    def strings(self, key: str) -> tuple[str, ...]:
        value = self.take(key, (str, list), [])
        values = [value] if isinstance(value, str) else value
        if not all(isinstance(one, str) and one.strip() for one in values):
            self.fail(f"{key} = {value!r} must be text, or a list of texts")
        return tuple(values)

    def names(self) -> tuple[str, ...]:
        """The keys not taken yet."""
        return tuple(self._left)

    def words(self, given: list[str], lists: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
        """One group of a guess's words, which may name ``lists``."""
        for word in given:
            if word.startswith("$") and word[1:] not in lists:
                self.fail(f"{word!r} names no list of [words]; {did_you_mean(word[1:], lists)}")
        return tuple(given)

    def fragments(self, key: str) -> tuple[str, ...]:
        values = self.strings(key)
        for value in values:
            folded = " ".join(value.split()).casefold()
            if value != folded:
                self.fail(f"{key}: {value!r} is never found, since texts are folded; write {folded!r}")
        return values

    def choice(self, key: str, known: dict[str, Any], default: Any = None) -> Any:
        value = self.take(key, str)
        if value is None:
            return default
        if value not in known:
            self.fail(f"{key} = {value!r} is unknown; {did_you_mean(value, known)}")
        return known[value]

    def number(self, key: str, default: float) -> float:
        value = float(self.take(key, (int, float), default))
        if not 0 <= value <= 1:
            self.fail(f"{key} = {value} must lie between 0 and 1")
        return value

    def reason(self) -> Reason:
        return Reason(self.choice("reason", {one.value: one for one in Reason}) or self.string("reason"))

    def bounce_type(self) -> BounceType | None:
        found: BounceType | None = self.choice("bounce_type", {one.value: one for one in BounceType})
        return found

    def meaning(self) -> CodeMeaning:
        return CodeMeaning(self.reason(), self.number("confidence", 0.85), self.bounce_type())

    def rule(self, origin: int | None) -> Row:
        provider = self.take("provider", str)
        strength = self.choice("strength", STRENGTHS, STRENGTHS["specific"])
        rule = Rule(
            id=self.string("id"),
            reason=self.reason(),
            text=self.fragments("text"),
            provider=provider,
            status=self._list("status", expand_status),
            reply_code=self._list("reply_code", lambda code: (int(code),)),
            command=self.strings("command"),
            action=self.choice("action", {one.value: one.value for one in Action}),
            bounce_type=self.bounce_type(),
            confidence=self.number("confidence", CONFIDENCE[strength]),
            strength=strength,
            origin=origin if origin is not None else PROVIDER if provider else ANYBODY,
        )
        if not rule.text and not rule.status:
            self.fail("needs text or status")
        if unknown := set(rule.command) - COMMANDS:
            self.fail(f"command {min(unknown)!r} is unknown; known are: {', '.join(sorted(COMMANDS))}")
        found = Row(
            rule, self.samples("seen"), self.samples("not_seen"), self.take("source", str), self.place
        )
        self.done()
        if not found.seen:
            self.fail("needs a sample in seen = [...]: a reply as such a server gives it")
        return found

    def done(self) -> None:
        if self._left:
            self.fail(f"unknown key {min(self._left)!r}")

    def _list(self, key: str, read: Callable[[str], tuple[_T, ...]]) -> tuple[_T, ...]:
        value = self.take(key, (str, int, list), [])
        try:
            return tuple(
                one for item in (value if isinstance(value, list) else [value]) for one in read(str(item))
            )
        except ValueError:
            self.fail(f"{key} = {value!r} is not a code")
            raise

    def samples(self, key: str) -> tuple[str | dict[str, Any], ...]:
        samples = self.take(key, list, [])
        for sample in samples:
            fields = sample if isinstance(sample, dict) else {"reply": sample}
            if unknown := fields.keys() - SAMPLE:
                self.fail(f"{key}: unknown field {min(unknown)!r}; known are: {', '.join(sorted(SAMPLE))}")
            if not fields or not all(isinstance(value, str) and value for value in fields.values()):
                self.fail(f"{key}: {sample!r} must be a reply, or a table of texts")
            if fields.get("action", "failed") not in {action.value for action in Action}:
                self.fail(f"{key}: action = {fields['action']!r} is unknown")
        return tuple(samples)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The one of ``known`` that was meant, as far as can be told, else all."""
    from difflib import get_close_matches  # noqa: PLC0415  only mistakes need it

    known = list(known)
    near = get_close_matches(word, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(known)}"


def expand_status(code: str) -> tuple[str, ...]:
    """Every code that "5.7.1", "x.7.1" (both classes) or "5.7.606-649" means. Raises ValueError."""
    class_, subject, detail = code.split(".")
    if class_ not in {"4", "5", "x"}:
        raise ValueError(code)
    first, _, last = detail.partition("-")
    details = range(int(first), int(last or first) + 1)
    return tuple(
        f"{digit}.{int(subject)}.{number}"
        for digit in ("45" if class_ == "x" else class_)
        for number in details
    )
