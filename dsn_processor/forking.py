"""A copy of this process, to work in: what it would load anew, the rules and a hundred modules, it has already."""

import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from subprocess import TimeoutExpired
from traceback import print_exc

_LOOK = 0.005  # seconds between two looks whether it has ended


def can_fork() -> bool:
    """Whether a copy would be sound: of other threads it has the locks and not the threads, and on macOS the system's
    libraries forbid it.
    """
    return sys.platform == "linux" and threading.active_count() == 1


class Forked:
    """A copy of this process that does ``work`` and ends. Of what was open it has ``descriptor`` alone, and where to write
    errors. To be asked as a ``subprocess.Popen`` is.
    """

    def __init__(self, work: Callable[[], None], descriptor: int) -> None:
        self._code: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            _be(work, descriptor)

    def wait(self, timeout: float = float("inf")) -> int:
        """The exit code, negative the signal that ended it. Raises TimeoutExpired after so many seconds."""
        deadline = time.monotonic() + timeout
        while self._code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._code = os.waitstatus_to_exitcode(status)
            elif time.monotonic() >= deadline:
                raise TimeoutExpired("fork", timeout)
            else:
                time.sleep(_LOOK)
        return self._code

    def kill(self) -> None:
        """End it, where it still runs."""
        if self._code is None:
            os.kill(self.pid, 9)


def _be(work: Callable[[], None], descriptor: int) -> None:
    """Nothing of the caller is returned to, or run at the end: that is the original's."""
    code = 1
    try:
        os.setpgid(0, 0)  # Ctrl-C is the original's to answer
        _close_all_but(descriptor)
        work()
        code = 0
    except Exception:  # noqa: BLE001  as an interpreter does at the end
        print_exc()
    finally:
        os._exit(code)


def _close_all_but(descriptor: int) -> None:
    """Pipes of other workers among them: one that had the end of another's would keep it from seeing that the parent left."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    for number in [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]:
        if number > 2 and number != descriptor:  # beyond input, output and errors
            with suppress(OSError):  # the one that listed them is gone already
                os.close(number)
