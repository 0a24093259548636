"""Where a mail waits while it comes in: in memory while it is short, else in a file without a name."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from tempfile import TemporaryFile
from typing import IO

_IN_MEMORY = 256_000  # octets of one mail
_IN_MEMORY_CROWDED = 16_000  # octets of one mail while all together hold _ALL_IN_MEMORY
_ALL_IN_MEMORY = 16_000_000
_ALL_LOADED = 16_000_000


class Memory:
    """What the mails of all sessions may hold until they are stored: ``held`` octets of those that came in memory, and
    as much again of those that went to a file and are read back for the store, one after another where they are large.
    """

    def __init__(self, limit: int = _ALL_IN_MEMORY, loaded: int = _ALL_LOADED) -> None:
        self.held = 0
        self._limit = limit
        self._loadable = loaded
        self._loaded = 0
        self._freed = asyncio.Condition()

    def allows(self, size: int) -> bool:
        """Whether a mail of ``size`` octets may go on in memory."""
        return size <= _IN_MEMORY and (size <= _IN_MEMORY_CROWDED or self.held <= self._limit)

    @asynccontextmanager
    async def loading(self, size: int) -> AsyncIterator[None]:
        """Wait until there is room for ``size`` octets; one that is larger than all of it comes alone."""
        async with self._freed:
            await self._freed.wait_for(lambda: not self._loaded or self._loaded + size <= self._loadable)
            self._loaded += size
        try:
            yield
        finally:
            self._loaded -= size
            async with self._freed:
                self._freed.notify_all()


class Spool:
    """The first ``limit`` octets of one mail, ``kept`` of ``size`` that came. ``failure`` is what kept it from keeping
    them: what comes after is only counted. Close it, whatever happened.
    """

    __slots__ = ("_buffer", "_file", "_held", "_limit", "_memory", "failure", "kept", "size")

    def __init__(self, memory: Memory, limit: int) -> None:
        self._memory = memory
        self._limit = limit
        self._buffer = bytearray()
        self._held = 0
        self._file: IO[bytes] | None = None
        self.kept = 0
        self.size = 0
        self.failure: OSError | None = None

    @property
    def truncated(self) -> bool:
        return self.size > self._limit

    @property
    def in_file(self) -> bool:
        return self._file is not None

    def add(self, piece: bytes) -> None:
        self.size += len(piece)
        if self.kept + len(piece) > self._limit:
            piece = piece[: self._limit - self.kept]
        if not piece or self.failure is not None:
            return
        self.kept += len(piece)
        try:
            self._write(piece)
        except OSError as error:
            self.failure = error
            self._buffer.clear()
            self._hold(0)

    def _write(self, piece: bytes) -> None:
        if self._file is None:
            self._buffer += piece
            self._hold(len(self._buffer))
            if self._memory.allows(len(self._buffer)):
                return
            self._file = TemporaryFile()  # noqa: SIM115 - closed by close()
            self._file.write(self._buffer)
            self._buffer = bytearray()
            self._hold(0)
        else:
            self._file.write(piece)

    def read(self) -> bytes:
        """All that was kept, once. A mail that went to a file needs room: Memory.loading(); one that did not counts as
        held until close(). Raises OSError where it could not be kept.
        """
        if self.failure is not None:
            raise self.failure
        if self._file is None:
            content, self._buffer = bytes(self._buffer), bytearray()
            return content
        self._file.seek(0)
        return self._file.read(self.kept)

    def close(self) -> None:
        self._buffer = bytearray()
        self._hold(0)
        if self._file is not None:
            with suppress(OSError):  # what could not be written was told by read(), or is not wanted
                self._file.close()

    def _hold(self, size: int) -> None:
        self._memory.held += size - self._held
        self._held = size
