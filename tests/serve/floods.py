"""Many clients that mean no good, held by one thread: each comes from an address of this machine (127.0.0.0/8)."""

import selectors
import socket
import threading
import time
from contextlib import suppress
from typing import Self

from serve.client import Address


class Flood:
    """``count`` connections that come back when they are sent away, from ``sources`` addresses in turn. Each sends
    ``drip`` byte by byte, one a second, or nothing.
    """

    def __init__(
        self, address: Address, count: int, *, sources: int, first: int = 10, drip: bytes = b""
    ) -> None:
        self.sent_away = 0
        self.opened = 0
        self._address = address
        self._count, self._drip = count, drip
        self._sources = [f"127.0.{first + number // 200}.{1 + number % 200}" for number in range(sources)]
        self._selector = selectors.DefaultSelector()
        self._dripped: dict[socket.socket, int] = {}
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join(60)
        for one in list(self._dripped):
            one.close()
        self._selector.close()

    @property
    def held(self) -> int:
        """How many connections are open."""
        return len(self._dripped)

    def _run(self) -> None:
        dripped = time.monotonic()
        while not self._ending.is_set():
            # All at first, and then some at a time: those who were sent away come back.
            at_once = 200 if self.opened < self._count else 20
            for _ in range(min(at_once, self._count - len(self._dripped))):
                self._open()
            for key, _ in self._selector.select(0.05):
                self._hear(key.fileobj)
            if self._drip and time.monotonic() - dripped >= 1:
                dripped = time.monotonic()
                self._drip_all()

    def _open(self) -> None:
        one = socket.socket()
        one.setblocking(False)
        try:
            one.bind((self._sources[self.opened % len(self._sources)], 0))
            self.opened += 1
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
        if not said or said.startswith(b"421"):
            self.sent_away += 1
            self._forget(one)

    def _drip_all(self) -> None:
        for one, at in list(self._dripped.items()):
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
