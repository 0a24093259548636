"""A stream of octets that looks at what came already, and can be told to forget it."""

import asyncio
from typing import Any

LIMIT = 32_768  # octets read ahead, twice as many at most, and the longest line that is waited for


class Reader(asyncio.StreamReader):
    """The one place that knows the inside of asyncio's StreamReader."""

    _buffer: bytearray

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(limit=LIMIT, loop=loop)

    @property
    def waiting(self) -> bool:
        """Whether the peer said more than was read."""
        return bool(self._buffer)

    @property
    def has_line(self) -> bool:
        """Whether a line can be read without waiting."""
        return b"\n" in self._buffer

    def forget(self) -> None:
        """Drop what was not read yet."""
        self._buffer.clear()

    def put_back(self, octets: bytes) -> None:
        """Read these again, first."""
        self._buffer[:0] = octets

    def move(self, transport: Any) -> None:
        """Hold up and let go another transport from now on."""
        self._transport = transport
