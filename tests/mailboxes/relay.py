"""What stands between a poller and its server: it passes everything on, until so much has been said."""

import select
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Self


class Relay:
    """A port of this machine that leads to another one. After ``stop_after`` so many octets go to and fro; then ``full`` is
    set, and whoever is connected waits for an answer that does not come: all have come so far, however fast they are.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.full = threading.Event()
        self._left = 0
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = [self._listener]

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        for one in self._open:
            _shut(one)
        for thread in self._threads:
            thread.join()
        for one in self._open:
            one.close()

    def stop_after(self, octets: int) -> None:
        with self._lock:
            self._left = octets
            self.full.clear()

    def _start(self, work: Callable[..., None], *given: socket.socket) -> None:
        thread = threading.Thread(target=work, args=given)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._open.append(client)
                server = socket.create_connection(("127.0.0.1", self._target), 20)
                self._open.append(server)
                self._start(self._between, client, server)

    def _between(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while not self.full.is_set():
                readable, _, _ = select.select([client, server], [], [])
                for one in readable:
                    data = self._share(one)
                    if not data:
                        break
                    (server if one is client else client).sendall(data)
                else:
                    continue
                break
            while self.full.is_set() and client.recv(2**16):
                pass  # until who is there was killed
        _shut(client)
        _shut(server)

    def _share(self, one: socket.socket) -> bytes:
        """What has come, as much of it as may go on."""
        with self._lock:
            data = one.recv(min(self._left, 2**12)) if self._left else b""
            self._left -= len(data)
            if not self._left:
                self.full.set()
            return data


def _shut(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
