"""Many clients that mean no good, each from an address of this machine (127.0.0.0/8).

A process of its own, so that an honest client beside them waits for the server alone. Run as a program it attacks until
its standard input is closed: ``floods.py PORT COUNT SOURCES FIRST DRIP``.
"""

import selectors
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import Self


class Flood:
    """``count`` connections from ``sources`` addresses, in turn, that come back when they are sent away: so many a second.
    Each sends ``drip`` byte by byte, one a second, or nothing.
    """

    def __init__(self, port: int, count: int, *, sources: int, first: int, drip: bytes = b"") -> None:
        self._arguments = [str(port), str(count), str(sources), str(first), drip.decode()]
        self.opened = self.held = self.sent_away = 0

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, __file__, *self._arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._reading = threading.Thread(target=self._read)
        self._reading.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=60)
        self._reading.join()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with suppress(ValueError):  # closed while reading
            for line in self._process.stdout:
                self.opened, self.held, self.sent_away = map(int, line.split())


_COMING_BACK = 200  # a second, all together


class _Attackers:
    def __init__(self, port: int, count: int, sources: int, first: int, drip: bytes) -> None:
        self._address = ("127.0.0.1", port)
        self._count, self._drip = count, drip
        self._sources = [f"127.0.{first + number // 200}.{1 + number % 200}" for number in range(sources)]
        self._selector = selectors.DefaultSelector()
        self._dripped: dict[socket.socket, int] = {}
        self._opened = self._sent_away = 0

    def run(self) -> None:
        self._selector.register(sys.stdin, selectors.EVENT_READ)
        second = time.monotonic()
        came_back = 0
        while True:
            while len(self._dripped) < self._count and (
                self._opened < self._count or came_back < _COMING_BACK
            ):
                came_back += self._opened >= self._count
                self._open()
                if self._opened % 100 == 0:
                    break
            for key, _ in self._selector.select(0.05):
                if key.fileobj is sys.stdin:
                    return
                self._hear(key.fileobj)
            if time.monotonic() - second >= 1:
                second, came_back = time.monotonic(), 0
                self._drip_all()
            print(self._opened, len(self._dripped), self._sent_away, flush=True)

    def _open(self) -> None:
        one = socket.socket()
        one.setblocking(False)
        self._opened += 1
        try:
            one.bind((self._sources[self._opened % len(self._sources)], 0))
            with suppress(BlockingIOError):
                one.connect(self._address)
        except OSError:
            one.close()
            return
        self._dripped[one] = 0
        self._selector.register(one, selectors.EVENT_READ)

    def _hear(self, one: socket.socket) -> None:
        try:
            said = one.recv(4096)
        except OSError:
            said = b""
        if not said or b"421" in said:
            self._sent_away += 1
            self._forget(one)

    def _drip_all(self) -> None:
        for one, at in list(self._dripped.items()) if self._drip else ():
            try:
                one.send(self._drip[at : at + 1])
                self._dripped[one] = (at + 1) % len(self._drip)
            except BlockingIOError:
                pass
            except OSError:
                self._forget(one)

    def _forget(self, one: socket.socket) -> None:
        self._selector.unregister(one)
        del self._dripped[one]
        one.close()


if __name__ == "__main__":
    _Attackers(*map(int, sys.argv[1:5]), sys.argv[5].encode()).run()
