"""Sends mails as fast as they are taken, over so many connections at once, and prints the figures as JSON.

A process of its own, so that its work is not the server's: one loop over epoll, each mail made ready before.
It is no pipelining client: each command waits for its answer, as those of many mail servers do.
"""

import json
import select
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import quantiles

_COMMANDS = (b"MAIL FROM:<>\r\n", b"RCPT TO:<bounces@example.com>\r\n", b"DATA\r\n")
_CODES = (b"250", b"250", b"354", b"250")


class _Connection:
    """One connection: sends the next thing when the answer to the last one is there."""

    def __init__(self, address: tuple[str, int], mails: Iterator[bytes], seconds: list[float]) -> None:
        self.socket = socket.create_connection(address, 30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._mails, self._seconds = mails, seconds
        self._got = b""
        self._expect(b"220")
        self.socket.sendall(b"EHLO client.example.com\r\n")
        self._expect(b"250")
        self._at = len(_CODES) - 1

    def _expect(self, code: bytes) -> None:
        while not self._answered(code):
            self._got += self.socket.recv(4096)

    def _answered(self, code: bytes) -> bool:
        """Whether the last line of a reply is there, which then must begin with ``code``."""
        if not self._got.endswith(b"\n"):
            return False
        last = self._got[self._got.rfind(b"\n", 0, -1) + 1 :]
        if last[3:4] == b"-":
            return False
        if not last.startswith(code):
            sys.exit(f"answered {last!r} where {code!r} was expected")
        self._got = b""
        return True

    def begin(self) -> bool:
        """Send the next mail; whether there is one."""
        mail = next(self._mails, None)
        if mail is None:
            return False
        self._mail, self._at, self._began = mail, 0, time.perf_counter()
        self.socket.sendall(_COMMANDS[0])
        return True

    def go_on(self) -> bool:
        """Something came; whether there is more to do."""
        chunk = self.socket.recv(4096)
        if not chunk:
            sys.exit("the server hung up")
        self._got += chunk
        if not self._answered(_CODES[self._at]):
            return True
        self._at += 1
        if self._at == len(_CODES):
            self._seconds.append(time.perf_counter() - self._began)
            return self.begin()
        self.socket.sendall(_COMMANDS[self._at] if self._at < len(_COMMANDS) else self._mail)
        return True


def mails_of(seeds: Sequence[bytes], count: int) -> Iterator[bytes]:
    """So many mails ready for the wire, no two alike. Those with lines that no server has to take are left out."""
    bodies = [
        seed.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n").replace(b"\r\n.", b"\r\n..")
        for seed in seeds
        if max(map(len, seed.split(b"\n"))) < 990
    ]
    for number in range(count):
        body = bodies[number % len(bodies)]
        yield b"X-Copy: %d\r\n%s%s.\r\n" % (number, body, b"" if body.endswith(b"\r\n") else b"\r\n")


def main() -> None:
    port, connections, count = map(int, sys.argv[1:4])
    seeds = [path.read_bytes() for path in map(Path, sys.argv[4:])]
    mails = iter(list(mails_of(seeds, count)))
    seconds: list[float] = []
    poll = select.epoll()
    busy = {}
    for _ in range(connections):
        connection = _Connection(("127.0.0.1", port), mails, seconds)
        busy[connection.socket.fileno()] = connection
        poll.register(connection.socket, select.EPOLLIN)
    began = time.perf_counter()
    for number in [number for number, connection in busy.items() if not connection.begin()]:
        poll.unregister(busy.pop(number).socket)
    while busy:
        for number, _ in poll.poll(60) or sys.exit("no answer for a minute"):
            if not busy[number].go_on():
                poll.unregister(busy.pop(number).socket)
    took = time.perf_counter() - began
    cuts = quantiles(seconds, n=100)
    print(json.dumps({"mails": len(seconds), "seconds": took, "p50": cuts[49], "p99": cuts[98]}))


if __name__ == "__main__":
    main()
