"""The program as a process of its own: the console script, and ``python -m dsn_processor``."""

import os
import sys
from typing import NoReturn

from dsn_processor.cli import main

#: Commands that leave nothing to be put away: no database, no thread, no other process.
_READERS = frozenset({"parse", "explain"})


def start() -> NoReturn:
    """Run the command, and end with its exit code. One that only reads ends at once: Python would take down all that was
    loaded, object by object, and a short command spends a tenth of its time on that.
    """
    code = main()
    if _READERS.intersection(sys.argv[1:2]) and _is_written():
        os._exit(code)
    sys.exit(code)


def _is_written() -> bool:
    """Nothing waits to be written; where that fails, the interpreter tells it at its end."""
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:  # closed from the start
                stream.flush()
    except (OSError, ValueError):
        return False
    return True


if __name__ == "__main__":
    start()
