"""How far a long run is: a bar on a terminal, else a line every few seconds. On standard error, results are not mixed in."""

import os
import sys
import time
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Self

from dsn_processor.cli.complaints import complain
from dsn_processor.safe import safe

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from dsn_processor.intake.walk import Walk

_PAUSE = 5.0  # seconds between two plain lines
_LOOK = 0.1  # seconds between two looks at the clock of a bar


class Progress:
    """Counts mails and bytes read. ``say`` prints a line about one of them beside it."""

    def __init__(self, paths: list[str], walk: "Walk") -> None:
        self._paths = paths
        self._walk = walk
        self._closing = ExitStack()
        self._bar: Bar | None = None
        self._next = time.monotonic() + _PAUSE

    def __enter__(self) -> Self:
        if sys.stderr is not None and sys.stderr.isatty() and "-" not in self._paths:
            self._bar = self._closing.enter_context(_bar())
            self._bar.add_task("reading", total=size_of(self._paths), mails=0)
            self._next = 0
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.close()

    def advance(self, mails: int) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=self._walk.position, mails=mails)
            self._next = now + _LOOK
        else:
            complain(f"{mails:,} mails so far")
            self._next = now + _PAUSE

    def say(self, text: str) -> None:
        if self._bar is not None:
            line = f"dsn-processor: {safe(text)}"
            self._bar.console.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            complain(text)


def _bar() -> "Bar":
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        BarColumn(),
        DownloadColumn(),
        TextColumn("{task.fields[mails]:,} mails"),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=Console(stderr=True), transient=True)


def size_of(paths: list[str]) -> int:
    """Bytes of all files under ``paths``, links not followed; what cannot be looked at counts nothing."""
    total = 0
    for path in paths:
        if os.path.isdir(path):
            for folder, _, names in os.walk(path):
                total += sum(_size(os.path.join(folder, name)) for name in names)
        else:
            total += _size(path)
    return total


def _size(path: str) -> int:
    try:
        return os.lstat(path).st_size
    except OSError:
        return 0
