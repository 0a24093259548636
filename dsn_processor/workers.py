"""Reading mails in other processes: all cores work, and a mail that ends a process ends a worker and nothing else.

The parent walks and commits, workers parse and judge. Each has one batch at a time, and answers come back in the order
of the batches. A worker that dies or does not answer is replaced, and its mails are tried again one by one: one that
ends a worker alone, too, is put aside. Where nothing forbids it a worker begins as a copy of the parent (forking.py).
"""

import os
import pickle
import resource
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from itertools import compress
from multiprocessing.connection import Connection, Pipe
from time import process_time
from types import TracebackType
from typing import Any, NamedTuple, Self, cast

from dsn_processor.bulk import Prepared, prepare_together, put_aside
from dsn_processor.errors import DsnProcessorError
from dsn_processor.forking import Forked
from dsn_processor.pipeline import Examined, Unread, examine_all
from dsn_processor.reading import Rules, expect_many

_MEMORY = 4 * 2**30  # bytes of address space of a worker that reads files: they may hold mails of 100 MB
_START_SECONDS = 60.0
_PATIENCE = 60.0  # seconds for an answer, and so many more for each mail of the batch
_PATIENCE_PER_MAIL = 0.5
_LARGE = 1_000_000  # bytes of a mail that goes by itself: pickled it would be there twice
_NO_ANSWER = "no answer in time"


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


def prepare_all(
    batches: Iterable[Batch], workers: Sequence["Worker"], begun: Sequence[Batch] = ()
) -> Iterator[list[Prepared]]:
    """Prepare batch after batch, in order, in these processes; without any, in this one. The first of the workers have those
    that are ``begun``.
    """
    if workers:
        yield from _in_order(workers, batches, begun)
        return
    for batch in batches:
        yield batch.with_read(prepare_together(batch.unread(), batch.rules))


def _in_order(
    workers: Sequence["Worker"], batches: Iterable[Batch], begun: Sequence[Batch]
) -> Iterator[list[Prepared]]:
    idle = list(workers[len(begun) :])
    busy = deque(zip(workers, begun, strict=False))
    for batch in batches:
        if idle:
            worker, answer = idle.pop(), None
        else:
            worker, before = busy.popleft()
            answer = _answer(worker, before)
        worker.begin(batch)
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
    except WorkerDiedError:
        worker.start()
        return batch.with_read([_alone(worker, one, batch.rules) for one in unread])


def _alone(worker: "Worker", unread: Unread, rules: Rules | None) -> Prepared:
    try:
        worker.send(prepare_together, [unread], rules)
        [prepared] = worker.receive(1)
        return cast("Prepared", prepared)
    except WorkerDiedError as error:
        worker.start()
        return put_aside(unread, f"twice reading it did not come to an end: {error}")


class Readers:
    """Worker processes for whoever has mails now and then, from any thread: started when they are first needed, ended
    by ``close``. What is to be read waits in line.
    """

    def __init__(self, count: int, *, memory: int = _MEMORY, cpu_seconds: int | None = None) -> None:
        self.count = count
        self._bounds: dict[str, Any] = {"memory": memory, "cpu_seconds": cpu_seconds}
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="reader")
        self._own = threading.local()
        self._closed = False
        self._workers: list[Worker] = []

    def read(self, batch: Batch) -> Future[list[Prepared]]:
        """Have a batch read. A mail that ends a worker twice is put aside; the others are read all the same."""
        unread = batch.unread()
        if not unread:
            done: Future[list[Prepared]] = Future()
            done.set_result(batch.with_read([]))
            return done
        return self._threads.submit(self._read, batch)

    def examine(self, unread: Sequence[Unread], rules: Rules | None) -> Future[list[Examined]]:
        """Have mails read whose attempt is counted. Of one that ends the worker, alone too, that is told."""
        return self._threads.submit(self._examine, unread, rules)

    def warm_up(self) -> None:
        """Start a worker now: what is read first waits for it no more."""
        self._threads.submit(self._worker)

    def _worker(self) -> "Worker":
        worker: Worker | None = getattr(self._own, "worker", None)
        if worker is None:
            worker = self._own.worker = Worker(**self._bounds)
            self._workers.append(worker)
        return worker

    def _read(self, batch: Batch) -> list[Prepared]:
        worker = self._worker()
        worker.begin(batch)
        return _answer(worker, batch)

    def _examine(self, unread: Sequence[Unread], rules: Rules | None) -> list[Examined]:
        worker = self._worker()
        try:
            worker.send(examine_all, unread, rules)
            return worker.receive(len(unread))
        except WorkerDiedError as error:
            if self._closed:
                raise
            worker.start()
            if len(unread) == 1:
                return [Examined(None, error=f"reading it did not come to an end: {error}")]
        return [examined for one in unread for examined in self._examine([one], rules)]

    def close(self) -> None:
        """End the workers; what was not read is not read any more."""
        self._closed = True
        self._threads.shutdown(wait=False, cancel_futures=True)
        for worker in self._workers:
            worker.kill()
        self._threads.shutdown()


class WorkerDiedError(Exception):
    """The worker ended, or had to be ended; says how. ``late``: it had used up its time."""

    def __init__(self, how: str, *, late: bool = False) -> None:
        super().__init__(how)
        self.late = late


class Worker:
    """One process that reads mails: it may use ``memory`` bytes of address space, and ``cpu_seconds`` for a mail (None:
    any number). Use as a context manager, or end it by ``kill``. Raises DsnProcessorError where none can be started.

    ``fork`` makes it a copy of this process, where ``can_fork``: ready at once. One that ended is always replaced by a new
    process: by then much may be open that a copy must not have.
    """

    def __init__(self, *, memory: int = _MEMORY, cpu_seconds: int | None = None, fork: bool = False) -> None:
        self._bounds = memory, cpu_seconds
        self.start(fork=fork)

    def start(self, *, fork: bool = False) -> None:
        """Start a process, in place of one that ended."""
        self._pipe, theirs = Pipe()
        with theirs:
            self._process = (_forked if fork else _spawned)(theirs.fileno(), self._bounds)
        self._ready = False
        self._rules: Rules | None = None

    def begin(self, batch: Batch) -> None:
        """Have the unread mails of a batch prepared."""
        self.send(prepare_together, batch.unread(), batch.rules)

    def send(
        self,
        task: Callable[[Sequence[Unread], Rules | None], list[Any]],
        unread: Sequence[Unread],
        rules: Rules | None,
    ) -> None:
        """Have ``task``, a function of a module, done for the mails; the rules go along where they changed. Where the
        worker is gone, ``receive`` will tell.
        """
        self.await_ready()
        changed = rules is not self._rules
        self._rules = rules
        large = [len(one.message.raw) > _LARGE for one in unread]
        slim = [_with_raw(one, b"") if apart else one for one, apart in zip(unread, large, strict=True)]
        words = pickle.dumps(
            (task, changed, rules if changed else None, slim, large), pickle.HIGHEST_PROTOCOL
        )
        with suppress(OSError):
            self._pipe.send_bytes(words)
            for one in compress(unread, large):
                self._pipe.send_bytes(one.message.raw)

    def await_ready(self) -> None:
        """A worker that cannot even start is no mail's fault."""
        if self._ready:
            return
        try:
            self._ready = self._pipe.poll(_START_SECONDS) and self._pipe.recv_bytes() == b"ready"
        except (EOFError, OSError):
            self._ready = False
        if not self._ready:
            raise DsnProcessorError(f"a worker process did not start ({self._end()}): try --workers 1")

    def receive(self, mails: int) -> list[Any]:
        """What the task gave for each of so many ``mails``. Raises WorkerDiedError."""
        try:
            if self._pipe.poll(_PATIENCE + _PATIENCE_PER_MAIL * mails):
                answer: list[Any] = pickle.loads(self._pipe.recv_bytes())  # noqa: S301  our own process wrote it
                return answer
        except (EOFError, OSError):
            pass
        how = self._end()
        raise WorkerDiedError(how, late=how in {_NO_ANSWER, f"signal {signal.SIGXCPU:d}"})

    def _end(self) -> str:
        """End the process where it still runs, and say how it ended."""
        self._pipe.close()
        try:
            code = self._process.wait(1)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return _NO_ANSWER
        return f"signal {-code}" if code < 0 else f"exit code {code}"

    def kill(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self._process.wait()
        with suppress(OSError):
            self._pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()


def _forked(descriptor: int, bounds: tuple[int, int | None]) -> Forked:
    return Forked(partial(work, descriptor, *bounds), descriptor)


def _spawned(descriptor: int, bounds: tuple[int, int | None]) -> subprocess.Popen[bytes]:
    # Not multiprocessing's own start: that would import the caller's main module again.
    call = f"work({descriptor}, *{bounds!r})"
    program = f"import sys; sys.path[:] = {sys.path!r}; from dsn_processor.workers import work; {call}"
    return subprocess.Popen(  # noqa: S603  our own interpreter and our own words
        [sys.executable, "-P", "-c", program],
        stdin=subprocess.DEVNULL,
        pass_fds=[descriptor],
        process_group=0,  # Ctrl-C is the parent's to answer
    )


def work(descriptor: int, memory: int, cpu_seconds: int | None) -> None:
    """What a worker does: answer batches until the parent is gone."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(
            number, signal.SIG_IGN
        )  # sent to all processes of a service: the parent says when to end
    _bound(resource.RLIMIT_AS, memory)
    _bound(resource.RLIMIT_CORE, 0)  # of a mail that ends us: its words are on disk already
    expect_many()
    with (
        Connection(descriptor) as pipe,
        suppress(EOFError, OSError),
    ):  # the parent left: nobody waits for an answer
        pipe.send_bytes(b"ready")
        rules: Rules | None = None
        while True:
            task, changed, given, slim, large = pickle.loads(pipe.recv_bytes())  # noqa: S301  our own parent wrote it
            unread = [
                _with_raw(one, pipe.recv_bytes()) if apart else one
                for one, apart in zip(slim, large, strict=True)
            ]
            rules = given if changed else rules
            if cpu_seconds is not None:
                _bound(resource.RLIMIT_CPU, int(process_time()) + cpu_seconds + len(unread))
            answer = task(unread, rules)
            pipe.send_bytes(pickle.dumps(answer, pickle.HIGHEST_PROTOCOL))


def _with_raw(unread: Unread, raw: bytes) -> Unread:
    return unread._replace(message=unread.message._replace(raw=raw))


def _bound(what: int, soft: int) -> None:
    """Lower a limit; what is beyond the hard one nobody may have."""
    most = resource.getrlimit(what)[1]
    resource.setrlimit(what, (soft if most == resource.RLIM_INFINITY else min(soft, most), most))
