"""How far a long run is: a bar on a terminal, else a line every few seconds. On standard error, results are not mixed in."""

import os
import sys
import time
from contextlib import ExitStack
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Self

from dsn_processor.cli.complaints import complain
from dsn_processor.safe import safe

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from dsn_processor.intake.walk import Walk

_PAUSE = 5.0  # seconds between two plain lines
_LOOK = 0.1  # seconds between two looks at the clock of a bar


class Telling:
    """A bar on a terminal, where there is to be one. ``say`` prints a line beside it."""

    def __init__(self) -> None:
        self._closing = ExitStack()
        self._bar: Bar | None = None
        self._next = time.monotonic() + _PAUSE

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.close()

    def say(self, text: str) -> None:
        if self._bar is not None:
            line = f"dsn-processor: {safe(text)}"
            self._bar.console.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            complain(text)

    def _tell(self, mails: int, completed: float, total: float | None = None) -> None:
        """Show how far it is, unless that was shown just now."""
        now = time.monotonic()
        if now < self._next:
            return
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=completed, total=total, mails=mails)
            self._next = now + _LOOK
        else:
            complain(f"{mails:,} mails so far")
            self._next = now + _PAUSE


class Progress(Telling):
    """Counts mails and bytes read of files."""

    def __init__(self, paths: list[str], walk: "Walk") -> None:
        super().__init__()
        self._paths = paths
        self._walk = walk

    def __enter__(self) -> Self:
        if _on_terminal() and "-" not in self._paths:
            self._bar = self._closing.enter_context(_bar(of_bytes=True))
            self._bar.add_task("reading", total=size_of(self._paths), mails=0)
            self._next = 0
        return self

    def advance(self, mails: int) -> None:
        self._tell(mails, self._walk.position)


class MailProgress(Telling):
    """Counts mails of how many are to come: more may be found on the way. Safe to call from any thread."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = Lock()
        self._done = self._total = 0

    def __enter__(self) -> Self:
        if _on_terminal():
            self._bar = self._closing.enter_context(_bar(of_bytes=False))
            self._bar.add_task("fetching", total=None, mails=0)
            self._next = 0
        return self

    def found(self, mails: int) -> None:
        with self._lock:
            self._total += mails

    def advance(self, mails: int) -> None:
        with self._lock:
            self._done += mails
            self._tell(self._done, self._done, self._total)


def _on_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


def _bar(*, of_bytes: bool) -> "Bar":
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    far = (DownloadColumn(), TextColumn("{task.fields[mails]:,}")) if of_bytes else (MofNCompleteColumn(),)
    columns = (BarColumn(), *far, TextColumn("mails"), TimeRemainingColumn())
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
