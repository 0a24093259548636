"""The bytes of an IMAP connection: imaplib takes what it is sent, here it is bounded.

A hostile server, or one gone mad, may announce a literal of gigabytes, send lines without end, or send untagged responses
for ever. What a command may bring is known before it is sent; more than that ends the connection.
"""

import imaplib
import socket
import ssl
import time
from contextlib import suppress
from typing import Any

_PIECE = 2**16
_GREETING_OCTETS, _GREETING_LINES = 100_000, 1_000
_KEEPALIVE = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 20), ("TCP_KEEPCNT", 4))


def connect(host: str, port: int, timeout: float | None, context: ssl.SSLContext | None) -> socket.socket:
    """A connection that notices when the other side has gone; in private where there is a ``context``. Raises OSError."""
    plain = socket.create_connection((host, port), timeout)
    try:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEPALIVE:
            if option := getattr(socket, name, None):
                plain.setsockopt(socket.IPPROTO_TCP, option, value)
        if context is None:
            return plain
        return context.wrap_socket(plain, server_hostname=host)
    except BaseException:
        plain.close()
        raise


class Wire(imaplib.IMAP4):
    """imaplib's protocol over a buffer of our own. Raises ``abort`` where a response is more than was allowed."""

    def __init__(self, host: str, port: int, timeout: float, context: ssl.SSLContext | None) -> None:
        self._context = context
        self._buffer = bytearray()
        self._searched = 0
        self.allow(_GREETING_OCTETS, _GREETING_LINES, 2 * timeout)
        super().__init__(host, port, timeout)

    def allow(self, octets: int, lines: int, seconds: float) -> None:
        """Say how much the responses to come may take."""
        self._octets, self._lines = octets, lines
        self._deadline = time.monotonic() + seconds

    @property
    def unread(self) -> bool:
        """Whether a response has come that nobody has read."""
        pending = getattr(self.sock, "pending", None)
        return bool(self._buffer) or bool(pending is not None and pending())

    # ---- what imaplib asks for

    def _create_socket(self, timeout: float | None) -> socket.socket:
        return connect(self.host, self.port, timeout, self._context)

    def read(self, size: int) -> bytes:
        if size > self._octets + len(self._buffer):
            raise self.abort(f"it announced {size:,} octets at once")
        while len(self._buffer) < size:
            self._receive()
        return self._take(size)

    def readline(self) -> bytes:
        while (end := self._buffer.find(b"\n", self._searched)) < 0:
            self._searched = len(self._buffer)
            self._receive()
        if self._lines <= 0:
            raise self.abort("it sent more responses than were asked for")
        self._lines -= 1
        return self._take(end + 1)

    def _take(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        self._searched = 0
        return taken

    def _receive(self) -> None:
        if time.monotonic() > self._deadline:
            raise self.abort("its response did not come to an end in time")
        data = self.sock.recv(_PIECE)
        if not data:
            raise self.abort("it closed the connection")
        self._octets -= len(data)
        if self._octets < 0:
            raise self.abort("its response was longer than it may be")
        self._buffer += data

    def _simple_command(self, name: str, *args: Any) -> Any:
        answer = super()._simple_command(name, *args)  # type: ignore[misc]  # typeshed leaves it out
        if name == "STARTTLS" and self._buffer:
            # What came in plain text behind the answer would be believed to have come in private.
            raise self.abort("it sent more than the answer to STARTTLS")
        return answer

    def _log(self, line: object) -> None:
        """The last lines are not kept in words, as imaplib does: there are passwords in them, and it takes long."""

    def hang_up(self) -> None:
        """Close at once, whatever is going on: another thread may be reading. Safe to call from any thread."""
        with suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)

    def shutdown(self) -> None:
        with suppress(OSError):
            super().shutdown()
