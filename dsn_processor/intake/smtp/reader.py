"""A stream of octets that looks at what came already, and can be told to forget it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

LIMIT = 32_768  # octets read ahead, twice as many at most, and the longest line that is waited for


class Reader(asyncio.StreamReader):
    """The one place that knows the inside of asyncio's StreamReader."""

    _buffer: bytearray
    _eof: bool
    _exception: BaseException | None
    _maybe_resume_transport: Callable[[], None]
    _wait_for_data: Callable[[str], Awaitable[None]]

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(limit=LIMIT, loop=loop)

    @property
    def waiting(self) -> bool:
        """Whether the peer said more than was read."""
        return bool(self._buffer)

    def line(self) -> bytes | None:
        """The next line with its end; None where it is still to come: more(). Raises LimitOverrunError where it has
        grown too long to wait for.
        """
        end = self._buffer.find(b"\n") + 1
        if end:
            line = bytes(self._buffer[:end])
            del self._buffer[:end]
            self._maybe_resume_transport()
            return line
        if len(self._buffer) > LIMIT:
            raise asyncio.LimitOverrunError("a line without an end", len(self._buffer))
        return None

    def all(self) -> bytes:
        """What came up to now, maybe nothing: more()."""
        octets = bytes(self._buffer)
        self._buffer.clear()
        self._maybe_resume_transport()
        return octets

    async def more(self) -> None:
        """Wait until something comes. Raises EOFError at the end, OSError where the connection broke."""
        if self._exception is not None:
            raise self._exception
        if self._eof:
            raise EOFError
        await self._wait_for_data("more")

    def forget(self) -> None:
        """Drop what was not read yet."""
        self._buffer.clear()

    def put_back(self, octets: bytes) -> None:
        """Read these again, first."""
        self._buffer[:0] = octets

    def move(self, transport: Any) -> None:
        """Hold up and let go another transport from now on."""
        self._transport = transport
