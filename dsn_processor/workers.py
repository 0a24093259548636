"""Reading mails in other processes: all cores work, and a mail that ends a process ends a worker and nothing else.

The parent walks and commits, workers parse and judge. Each has one batch at a time, and answers come back in the order
of the batches. A worker that dies or does not answer is replaced, and its mails are tried again one by one: one that
ends a worker alone, too, is put aside.
"""

import os
import pickle
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from itertools import chain, islice
from multiprocessing.connection import Connection, Pipe
from types import TracebackType
from typing import NamedTuple, Self

from dsn_processor.bulk import Prepared, prepare, put_aside
from dsn_processor.errors import DsnProcessorError
from dsn_processor.pipeline import Unread
from dsn_processor.reading import Rules, expect_many

_MEMORY = 4 * 2**30  # bytes of address space of a worker
_FEW = 4  # batches that are read sooner than two processes start
_START_SECONDS = 60.0
_PATIENCE = 60.0  # seconds for an answer, and so many more for each mail of the batch
_PATIENCE_PER_MAIL = 0.5


class Batch(NamedTuple):
    """Mails to be read by ``rules``, and among them those that need no reading."""

    mails: Sequence[Unread | Prepared]
    rules: Rules | None = None

    def unread(self) -> list[Unread]:
        return [one for one in self.mails if not isinstance(one, Prepared)]

    def with_read(self, prepared: Iterable[Prepared]) -> list[Prepared]:
        """All mails of the batch, those that were unread as ``prepared``."""
        read = iter(prepared)
        return [one if isinstance(one, Prepared) else next(read) for one in self.mails]


def all_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def prepare_all(batches: Iterable[Batch], count: int) -> Iterator[list[Prepared]]:
    """Prepare batch after batch, in order, on ``count`` cores. A few batches are not worth a process: they and, with
    ``count`` 1, all others are read here.
    """
    waiting = iter(batches)
    ahead = list(islice(waiting, _FEW + 1)) if count > 1 else []
    if len(ahead) <= _FEW:
        for batch in chain(ahead, waiting):
            yield batch.with_read(prepare(one, batch.rules) for one in batch.unread())
        return
    with ExitStack() as closing:
        workers = [closing.enter_context(Worker()) for _ in range(count)]
        yield from _in_order(workers, chain(ahead, waiting))


def _in_order(workers: Sequence["Worker"], batches: Iterable[Batch]) -> Iterator[list[Prepared]]:
    idle = list(workers)
    busy: deque[tuple[Worker, Batch]] = deque()
    for batch in batches:
        if idle:
            worker, answer = idle.pop(), None
        else:
            worker, before = busy.popleft()
            answer = _answer(worker, before)
        worker.send(batch.unread(), batch.rules)
        busy.append((worker, batch))
        if answer is not None:
            yield answer
    while busy:
        yield _answer(*busy.popleft())


def _answer(worker: "Worker", batch: Batch) -> list[Prepared]:
    """What the worker made of the batch that it has."""
    unread = batch.unread()
    try:
        return batch.with_read(worker.receive(len(unread)))
    except _WorkerDiedError:
        worker.start()
        return batch.with_read([_alone(worker, one, batch.rules) for one in unread])


def _alone(worker: "Worker", unread: Unread, rules: Rules | None) -> Prepared:
    try:
        worker.send([unread], rules)
        return worker.receive(1)[0]
    except _WorkerDiedError as error:
        worker.start()
        return put_aside(unread, f"twice reading it did not come to an end: {error}")


class _WorkerDiedError(Exception):
    """The worker ended, or had to be ended; says how."""


class Worker:
    """One process that prepares mails. Use as a context manager; raises DsnProcessorError where none can be started."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Start a process, in place of one that ended."""
        self._pipe, theirs = Pipe()
        with theirs:
            # Not multiprocessing's own start: that would import the caller's main module again.
            program = f"import sys; sys.path[:] = {sys.path!r}; from dsn_processor.workers import work; work({theirs.fileno()})"
            self._process = subprocess.Popen(  # noqa: S603  our own interpreter and our own words
                [sys.executable, "-P", "-c", program],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                process_group=0,  # Ctrl-C is the parent's to answer
            )
        self._ready = False
        self._rules: Rules | None = None

    def send(self, unread: Sequence[Unread], rules: Rules | None) -> None:
        """Hand over mails, and the rules where they changed. Where the worker is gone, ``receive`` will tell."""
        self._await_ready()
        changed = rules is not self._rules
        self._rules = rules
        words = pickle.dumps((changed, rules if changed else None, unread), pickle.HIGHEST_PROTOCOL)
        with suppress(OSError):
            self._pipe.send_bytes(words)

    def _await_ready(self) -> None:
        """A worker that cannot even start is no mail's fault."""
        if self._ready:
            return
        try:
            self._ready = self._pipe.poll(_START_SECONDS) and self._pipe.recv_bytes() == b"ready"
        except (EOFError, OSError):
            self._ready = False
        if not self._ready:
            raise DsnProcessorError(f"a worker process did not start ({self._end()}): try --workers 1")

    def receive(self, mails: int) -> list[Prepared]:
        """The answer to the batch of so many ``mails``. Raises _WorkerDiedError."""
        try:
            if self._pipe.poll(_PATIENCE + _PATIENCE_PER_MAIL * mails):
                answer: list[Prepared] = pickle.loads(self._pipe.recv_bytes())  # noqa: S301  our own process wrote it
                return answer
        except (EOFError, OSError):
            pass
        raise _WorkerDiedError(self._end())

    def _end(self) -> str:
        """End the process where it still runs, and say how it ended."""
        self._pipe.close()
        try:
            code = self._process.wait(1)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return "no answer in time"
        return f"signal {-code}" if code < 0 else f"exit code {code}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pipe.close()
        self._process.kill()
        self._process.wait()


def work(descriptor: int) -> None:
    """What a worker does: answer batches until the parent is gone."""
    import resource  # noqa: PLC0415

    most = resource.getrlimit(resource.RLIMIT_AS)[1]  # nobody may raise it
    memory = _MEMORY if most == resource.RLIM_INFINITY else min(_MEMORY, most)
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    expect_many()
    with (
        Connection(descriptor) as pipe,
        suppress(EOFError, OSError),
    ):  # the parent left: nobody waits for an answer
        pipe.send_bytes(b"ready")
        rules: Rules | None = None
        while True:
            changed, given, unread = pickle.loads(pipe.recv_bytes())  # noqa: S301  our own parent wrote it
            rules = given if changed else rules
            answer = [prepare(one, rules) for one in unread]
            pipe.send_bytes(pickle.dumps(answer, pickle.HIGHEST_PROTOCOL))
