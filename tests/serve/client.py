"""A mail client that does as it is told, well-behaved or not: plain sockets, every byte in the test's hand."""

import socket
from contextlib import suppress
from http.client import HTTPConnection
from typing import NamedTuple, Self

Address = tuple[str, int] | str


class Reply(NamedTuple):
    """What a server said: the code, and all lines."""

    code: int
    lines: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join(self.lines)


class HungUpError(OSError):
    """The server closed the connection; ``rest`` is what it said of a reply before."""

    def __init__(self, rest: bytes) -> None:
        super().__init__(f"hung up after {rest!r}")
        self.rest = rest


class Session:
    """One connection, SMTP (RFC 5321) or LMTP (RFC 2033) as its user speaks. ``address`` is (host, port) or a path."""

    def __init__(self, address: Address, *, source: str | None = None, timeout: float = 30) -> None:
        if isinstance(address, str):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout)
            self.socket.connect(address)
        else:
            bound = (source, 0) if source else None
            self.socket = socket.create_connection(address, timeout, source_address=bound)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._got = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        with suppress(OSError):
            self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def line(self) -> str:
        """The next line without its end. Raises HungUpError where there is none."""
        while b"\n" not in self._got:
            chunk = self.socket.recv(65536)
            if not chunk:
                raise HungUpError(self._got)
            self._got += chunk
        line, self._got = self._got.split(b"\n", 1)
        assert line.endswith(b"\r"), line
        return line[:-1].decode()

    def reply(self) -> Reply:
        lines = [self.line()]
        while lines[-1][3:4] == "-":
            lines.append(self.line())
        return Reply(int(lines[0][:3]), tuple(lines))

    def command(self, line: str) -> Reply:
        self.send(line.encode() + b"\r\n")
        return self.reply()

    def greet(self, verb: str = "EHLO") -> Reply:
        """Read the banner, say who we are. Returns the last reply, which is not of 2xx where we are not wanted."""
        banner = self.reply()
        return self.command(f"{verb} client.example.com") if banner.code == 220 else banner

    def deliver(
        self, raw: bytes, *, sender: str = "", recipients: tuple[str, ...] = ("news@example.com",)
    ) -> Reply:
        """Hand over one mail by SMTP; the reply that decided."""
        reply = self.command(f"MAIL FROM:<{sender}>")
        for recipient in recipients if reply.code == 250 else ():
            reply = self.command(f"RCPT TO:<{recipient}>")
            if reply.code != 250:
                break
        if reply.code == 250:
            reply = self.command("DATA")
        if reply.code == 354:
            self.send(stuffed(raw))
            return self.reply()
        if reply.code != 421:
            self.command("RSET")
        return reply

    def deliver_to_each(self, raw: bytes, recipients: tuple[str, ...], *, sender: str = "") -> list[Reply]:
        """Hand over one mail by LMTP; a reply for each recipient, in order."""
        assert self.command(f"MAIL FROM:<{sender}>").code == 250
        replies = [self.command(f"RCPT TO:<{recipient}>") for recipient in recipients]
        assert self.command("DATA").code == 354
        self.send(stuffed(raw))
        return [self.reply() if reply.code == 250 else reply for reply in replies]

    def quit(self) -> Reply:
        reply = self.command("QUIT")
        self.close()
        return reply


def stuffed(raw: bytes) -> bytes:
    """Mail as it goes over the wire after DATA (RFC 5321 section 4.5.2). Its lines end in CRLF, the last one too."""
    body = raw.replace(b"\r\n.", b"\r\n..")
    return (b"." if raw.startswith(b".") else b"") + body + b".\r\n"


def web(address: tuple[str, int], path: str) -> tuple[int, str]:
    """GET over HTTP: status and body."""
    connection = HTTPConnection(*address, timeout=30)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()
