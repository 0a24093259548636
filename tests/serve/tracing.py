"""strace on a running server: what it asks of the kernel, and faults put into the answers."""

import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from serve import needs
from serve.harness import PATIENCE, wait


class Call(NamedTuple):
    """One system call that has ended: ``began`` and ``ended`` are line numbers of the trace, so they tell order."""

    name: str
    file: str
    text: str
    began: int
    ended: int


@contextmanager
def traced(pid: int, output: Path, *expressions: str) -> Iterator[None]:
    """Trace all threads of a process while the block runs; ``expressions`` are strace's -e."""
    chosen = [word for expression in expressions for word in ("-e", expression)]
    command = [needs.program("strace"), "-f", "-y", "-s", "9000", "-o", str(output), *chosen, "-p", str(pid)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as strace:
        assert strace.stderr is not None
        first = strace.stderr.readline()
        assert "attached" in first, first
        wait(lambda: _all_traced(pid), "strace does not attach")
        try:
            yield
        finally:
            strace.send_signal(signal.SIGINT)  # it lets go of the process, which runs on
            strace.stderr.read()
            strace.wait(PATIENCE)


def _all_traced(pid: int) -> bool:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return all("TracerPid:\t0\n" not in (task / "status").read_text() for task in tasks)


_LINE = re.compile(r"(\d+) +(?:(\w+)\((.*)|<\.\.\. (\w+) resumed>(.*))$")
_FILE = re.compile(r"\d+<([^>]*)>")


def calls(output: Path) -> Iterator[Call]:
    """The system calls of a trace, as they ended."""
    open_calls: dict[str, tuple[str, str, int]] = {}
    for number, line in enumerate(output.read_text(errors="replace").splitlines()):
        if not (match := _LINE.match(line)):
            continue
        thread, name, text, resumed, rest = match.groups()
        if name and text.endswith("<unfinished ...>"):
            open_calls[thread] = name, text, number
        elif name:
            yield _call(name, text, number, number)
        elif resumed and thread in open_calls:
            name, text, began = open_calls.pop(thread)
            yield _call(name, text + rest, began, number)


def _call(name: str, text: str, began: int, ended: int) -> Call:
    file = _FILE.match(text)
    return Call(name, file[1] if file else "", text, began, ended)
