"""What a format makes of a notification."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

import orjson

_JSON = "application/json"


class Rendered(NamedTuple):
    """A body with its type, and headers that the format wants besides."""

    body: bytes
    content_type: str
    headers: Mapping[str, str]


def as_json(value: Any, *, content_type: str = _JSON, headers: Mapping[str, str] | None = None) -> Rendered:
    return Rendered(dump(value), content_type, headers or {})


def dump(value: Any) -> bytes:
    """As JSON, times as RFC 3339 has them. Bytes of a mail that were no text are escaped, not refused."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:  # a lone surrogate
        return json.dumps(value, separators=(",", ":"), default=datetime.isoformat).encode()
