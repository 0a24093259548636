"""Lines of what was sent, as CSV or JSON, to facts. What cannot be used is told line by line; the rest goes on."""

import csv
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any, TextIO

from dsn_processor.canonical import bare_id, canonical_address
from dsn_processor.errors import UsageError
from dsn_processor.facts import Send

FIELDS = ("message_id", "recipient", "time", "stream", "campaign", "tags", "mailing_list")
_SYNONYMS = {"message-id": "message_id", "messageid": "message_id", "email": "recipient", "to": "recipient"}
_TAG = "tag:"  # and a name: a column of its own
_LONGEST = 1_000  # characters of a value
_AHEAD = timedelta(days=1)  # that another clock may be
_TRUE, _FALSE = {"true", "yes", "1"}, {"false", "no", "0", ""}

Wrong = Callable[[int, str], None]


class Lines:
    """Iterate to get the sends of a file. ``wrong`` is told of lines that cannot be used."""

    def __init__(self, file: TextIO, wrong: Wrong, *, delivered: bool, now: datetime | None = None) -> None:
        self._file = file
        self._wrong = wrong
        self._delivered = delivered
        self._now = now or datetime.now(UTC)

    @classmethod
    @contextmanager
    def open(cls, name: str, wrong: Wrong, *, delivered: bool) -> Iterator["Lines"]:
        """The lines of a file; ``-`` is standard input. Raises UsageError where it cannot be read."""
        try:
            file = open(  # noqa: SIM115  closed below
                sys.stdin.fileno() if name == "-" else name,
                encoding="utf-8-sig",
                errors="surrogateescape",
                newline="",
                closefd=name != "-",
            )
        except OSError as error:
            raise UsageError(f"{name} cannot be read: {error.strerror}") from None
        with file:
            yield cls(file, wrong, delivered=delivered)

    def __iter__(self) -> Iterator[Send]:
        first = next((line for line in self._file if line.strip()), "")
        rest = chain([first], self._file)
        rows = self._json(rest) if first.lstrip().startswith("{") else self._csv(rest)
        for number, row in rows:
            try:
                yield self._send(row)
            except (ValueError, OverflowError) as error:
                self._wrong(number, str(error))

    def _json(self, lines: Iterator[str]) -> Iterator[tuple[int, dict[str, Any]]]:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                self._wrong(number, "this is no JSON")
                continue
            if isinstance(row, dict):
                yield number, row
            else:
                self._wrong(number, "this is no JSON object")

    def _csv(self, lines: Iterator[str]) -> Iterator[tuple[int, dict[str, Any]]]:
        reader = csv.reader(lines)
        try:
            header = [name.strip() for name in next(reader, [])]
        except csv.Error as error:
            raise UsageError(f"the header cannot be read: {error}") from None
        known = [_name(name) for name in header]
        if "recipient" not in known:
            raise UsageError(
                f"the first line has to name the columns, recipient among them: {', '.join(FIELDS)}; it is {','.join(header)[:100]!r}"
            )
        if unknown := [name for name in known if name not in FIELDS and not name.startswith(_TAG)]:
            raise UsageError(
                f"there is no column {unknown[0]!r}: there are {', '.join(FIELDS)}, and tag:NAME for a tag of its own"
            )
        while True:
            try:
                values = next(reader, None)
            except csv.Error as error:
                self._wrong(reader.line_num, str(error))
                continue
            if values is None:
                return
            if not values:
                continue
            if len(values) != len(known):
                self._wrong(reader.line_num, f"{len(values)} values for {len(known)} columns")
                continue
            yield reader.line_num, dict(zip(known, values, strict=True))

    def _send(self, row: dict[str, Any]) -> Send:
        named = {_name(name): value for name, value in row.items()}
        own = {name.removeprefix(_TAG): value for name, value in named.items() if name.startswith(_TAG)}
        if unknown := [name for name in named if name not in FIELDS and not name.startswith(_TAG)]:
            raise ValueError(f"there is no field {unknown[0]!r}: there are {', '.join(FIELDS)}")
        recipient = canonical_address(_text(named, "recipient"))
        local, at, domain = recipient.rpartition("@")
        if not (local and at and domain) or " " in recipient:
            raise ValueError(f"{recipient!r} is no address" if recipient else "recipient is missing")
        message_id = bare_id(_text(named, "message_id"))
        if not message_id and not self._delivered:
            raise ValueError("message_id is missing")
        time = self._time(named.get("time"))
        return Send(
            message_id,
            recipient,
            time,
            _text(named, "stream") or None,
            _text(named, "campaign") or None,
            tuple(sorted({**dict(_tags(named.get("tags"))), **dict(_tags(own))}.items())),
            _flag(named.get("mailing_list")),
            time if self._delivered else None,
        )

    def _time(self, value: Any) -> datetime:
        """ISO 8601, UTC unless it says, or seconds since 1970; now where there is none."""
        if value is None or value == "":
            return self._now
        try:
            time = (
                datetime.fromtimestamp(float(value), UTC)
                if _is_number(value)
                else datetime.fromisoformat(value)
            )
        except (ValueError, TypeError, OverflowError, OSError):
            raise ValueError(
                f"time is {value!r}: write ISO 8601, as in 2026-11-20T08:00:00Z, or seconds since 1970"
            ) from None
        time = (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
        if time > self._now + _AHEAD or time.year < 1990:
            raise ValueError(f"time is {value!r}, which is not a time in the past")
        return min(time, self._now)


def _name(name: str) -> str:
    small = name.strip().lower()
    return small if small in FIELDS else _SYNONYMS.get(small, name.strip())


def _text(row: dict[str, Any], name: str) -> str:
    value = row.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(f"{name} has to be text")  # noqa: TRY004  of a line, as all other mistakes
    if len(value) > _LONGEST:
        raise ValueError(f"{name} has more than {_LONGEST} characters")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{name} is no UTF-8 text") from None
    return value.strip()


def _tags(value: Any) -> tuple[tuple[str, str], ...]:
    """An object of JSON, or ``name=value;name=value``; sorted, so that the same tags are kept once."""
    if value is None or value == "":
        return ()
    if isinstance(value, str):
        parted = [part.partition("=") for part in value.split(";") if part.strip()]
        if not all(equals and name.strip() for name, equals, _ in parted):
            raise ValueError(f"tags is {value[:100]!r}: write name=value;name=value")
        value = {name.strip(): text.strip() for name, _, text in parted}
    if not isinstance(value, dict):
        raise ValueError("tags has to be an object of names and values")  # noqa: TRY004
    told = {name: text if isinstance(text, str) else json.dumps(text) for name, text in value.items()}
    pairs = ((_text({"tag": name}, "tag"), _text(told, name)) for name in told)
    return tuple(sorted((name, text) for name, text in pairs if text))


def _flag(value: Any) -> bool:
    if value is None or isinstance(value, bool):
        return bool(value)
    word = str(value).strip().lower()
    if word not in _TRUE | _FALSE:
        raise ValueError(f"mailing_list is {value!r}: write true or false")
    return word in _TRUE


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) or (
        isinstance(value, str) and value.replace(".", "", 1).isdecimal()
    )
