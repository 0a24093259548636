"""JSON lines to standard output, whatever the mails hold."""

import re
import sys
from typing import Any, BinaryIO

import msgspec

_CHUNK = 2**16
_encode = msgspec.json.Encoder().encode
_SURROGATE = re.compile("[\ud800-\udfff]")


class JsonLines:
    """Writes one JSON object a line as UTF-8, a chunk at a time; line by line where a person is watching."""

    def __init__(self, out: BinaryIO | None = None) -> None:
        self._out = sys.stdout.buffer if out is None else out
        self._size = 0 if self._out.isatty() else _CHUNK
        self._pending: list[bytes] = []
        self._have = 0

    def write(self, value: dict[str, Any]) -> None:
        line = json_line(value)
        self._pending.append(line)
        self._have += len(line)
        if self._have >= self._size:
            self.flush()

    def flush(self) -> None:
        pending, self._pending, self._have = self._pending, [], 0
        self._out.write(b"".join(pending))
        self._out.flush()


def json_line(value: dict[str, Any]) -> bytes:
    try:
        return _encode(value) + b"\n"
    except UnicodeEncodeError:  # a lone surrogate is no text: nothing that reads UTF-8 takes it
        return _encode(_whole(value)) + b"\n"


def _whole(value: Any) -> Any:
    """``value`` with U+FFFD for every lone surrogate."""
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in value.items()}
    return [_whole(item) for item in value] if isinstance(value, list) else value
