"""Column types. Here, and nowhere else, text is made safe for SQLite and PostgreSQL: each of them refuses lone
surrogates, PostgreSQL refuses NUL as well, and hostile mail has both.
"""

import json
import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy import JSON, DateTime, Dialect, Text
from sqlalchemy.types import TypeDecorator

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def storable(text: str) -> str:
    """``text`` with NUL and lone surrogates replaced by U+FFFD."""
    return text if text.isascii() and "\0" not in text else _UNSTORABLE.sub("\ufffd", text)


def storable_json(value: Any) -> Any:
    """``value`` with every string in it made storable, tuples as lists: what JSON gives back later."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict):
        return {storable(key): storable_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [storable_json(item) for item in value]
    return value


JSON_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False)


def stored_json(value: Any) -> str:
    """``value`` as the JSON that is stored. It is looked at item by item only where something in it may not be storable."""
    try:
        words = orjson.dumps(value)
    except TypeError:  # a lone surrogate, or what only the other one knows
        words = b""
    if not words or b"\\u0000" in words:
        return JSON_ENCODER.encode(storable_json(value))
    return words.decode()


@lru_cache(maxsize=64)  # mails of a batch came at the same time
def stored_time(at: datetime) -> str:
    """A time as SQLite keeps it: UTC, without a zone."""
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")


def time_of(stored: str) -> datetime:
    """The time that ``stored_time`` gave."""
    return datetime.fromisoformat(stored).replace(tzinfo=UTC)


class SafeText(TypeDecorator[str]):
    """Text of a mail, whatever it holds."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002  (SQLAlchemy's signature)
        return None if value is None else storable(value)


class SafeJSON(TypeDecorator[Any]):
    """Facts of a mail as JSON; None is NULL."""

    impl = JSON(none_as_null=True)
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:  # noqa: ARG002  (SQLAlchemy's signature)
        return None if value is None else storable_json(value)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime, kept in UTC; SQLite itself knows no time zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002  (SQLAlchemy's signature)
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
