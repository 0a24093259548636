"""Wakes a thread that waits for a server or for time to pass."""

import os
import select
import threading
import time
from contextlib import suppress


class Bell:
    """Rings until it is heard; ``stop`` makes it ring for good. ``fileno`` can be read while it rings."""

    def __init__(self) -> None:
        self._reads, self._writes = os.pipe()
        os.set_blocking(self._reads, False)
        os.set_blocking(self._writes, False)
        self._lock = threading.Lock()
        self._stopped = False

    def fileno(self) -> int:
        return self._reads

    def ring(self) -> None:
        with self._lock, suppress(BlockingIOError, OSError):
            if self._writes >= 0:
                os.write(self._writes, b".")

    def stop(self) -> None:
        self._stopped = True
        self.ring()

    def stopped(self) -> bool:
        return self._stopped

    def hear(self) -> None:
        """Silence it, unless it is to ring for good."""
        if not self._stopped:
            with suppress(BlockingIOError):
                os.read(self._reads, 100)

    def wait(self, seconds: float) -> None:
        """Wait until it rings, or for so many seconds."""
        poll = select.poll()
        poll.register(self._reads, select.POLLIN)
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and not poll.poll(left * 1000):
            pass

    def close(self) -> None:
        with self._lock:
            os.close(self._reads)
            os.close(self._writes)
            self._reads = self._writes = -1
