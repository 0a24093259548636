"""Reads accepted mails in worker processes: a thread for each, that hands over mails and waits for the answer.

A mail that takes its worker down costs that worker and nothing else: the mails of the batch failed once, and are tried
alone when their turn comes again.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from dsn_processor import logs, metrics
from dsn_processor.errors import DsnProcessorError
from dsn_processor.pipeline import Examined, Work, examine_all, without_raw
from dsn_processor.reading import Rules
from dsn_processor.server.options import ProcessingOptions
from dsn_processor.workers import Worker, WorkerDiedError, all_cores

log = logs.get_logger(room="processing")

_BATCH_MAILS = 32
_BATCH_BYTES = 2_000_000
_BEGUN_MAILS = 256  # mails begun and not yet with a worker
_BEGUN_BYTES = 2_000_000  # and how much they may hold of memory: what is over it waits on disk
_START_AGAIN_SECONDS = 5.0


class Answers(Protocol):
    """Who keeps what the workers say."""

    def put(self, done: Sequence[tuple[Work, Examined]]) -> None:
        """Store answers."""

    def poke(self) -> None:
        """Look for more to do."""


class Processing:
    """Worker processes and the mails that are theirs to read. Safe to call from any thread."""

    def __init__(self, options: ProcessingOptions, rules: Callable[[], Rules | None]) -> None:
        self._options = options
        self._rules = rules
        self._count = options.workers or max(2, all_cores() - 1)
        self._ready = threading.Condition()
        self._works: deque[Work] = deque()
        self._held = 0  # bytes of the mails in _works
        self._idle = 0
        self._stopping = False
        self._workers: dict[int, Worker] = {}
        self._up: set[int] = set()  # those that are ready
        self._threads: list[threading.Thread] = []

    def start(self, answers: Answers) -> None:
        self._answers = answers
        self._threads = [
            threading.Thread(target=self._run, args=(number,), name=f"processing-{number}")
            for number in range(self._count)
        ]
        for thread in self._threads:
            thread.start()

    def room(self) -> int:
        """How many more mails may be begun: none while no worker has come up."""
        if not self._up or self._stopping or self._held > _BEGUN_BYTES:
            return 0
        return _BEGUN_MAILS - len(self._works)

    def wants(self) -> bool:
        """Whether a worker has nothing to do."""
        return self._idle > 0 and not self._works

    def offer(self, works: Sequence[Work]) -> None:
        """Have mails read whose attempt is counted."""
        if works:
            with self._ready:
                self._works.extend(works)
                self._held += sum(map(_size, works))
                self._ready.notify(len(works))

    def left(self) -> list[Work]:
        """Mails that were begun and that no worker saw, after ``stop``."""
        return list(self._works)

    def stop(self, patience: float) -> None:
        """End the workers; what they have in hand is waited for, up to ``patience`` seconds."""
        with self._ready:
            self._stopping = True
            self._ready.notify_all()
        deadline = time.monotonic() + patience
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        for worker in list(self._workers.values()):
            worker.kill()
        for thread in self._threads:
            thread.join()

    # ---- a worker's thread

    def _run(self, number: int) -> None:
        worker = self._started(number)
        while worker is not None and (works := self._next()):
            done, worker = self._answered(number, worker, works)
            self._answers.put(done)
        if worker is not None:
            self._forget(number)
            worker.kill()

    def _next(self) -> list[Work]:
        """The next mails for a worker, waited for; none when all is to end. One that was begun before comes alone."""
        with self._ready:
            self._idle += 1
            while not self._works and not self._stopping:
                self._answers.poke()
                self._ready.wait()
            self._idle -= 1
            if self._stopping:
                return []
            works = [self._works.popleft()]
            size = _size(works[0])
            while self._may_join(works, size):
                works.append(self._works.popleft())
                size += _size(works[-1])
            self._held -= size
            return works

    def _may_join(self, works: Sequence[Work], size: int) -> bool:
        return (
            bool(self._works)
            and len(works) < min(_BATCH_MAILS, 1 + len(self._works) // self._count)
            and size < _BATCH_BYTES
            and works[0].attempts == self._works[0].attempts == 1
        )

    def _answered(
        self, number: int, worker: Worker, works: list[Work]
    ) -> tuple[list[tuple[Work, Examined]], Worker | None]:
        began = time.monotonic()
        try:
            worker.send(examine_all, [work.unread for work in works], self._rules())
            works[:] = map(without_raw, works)  # the worker has them, and so has the disk
            answers = worker.receive(len(works))
        except Exception as error:  # noqa: BLE001  whatever it was: without this thread they would wait for ever
            self._forget(number)
            worker.kill()
            if self._stopping:
                return [], None
            metrics.WORKER_RESTARTS.labels(_cause(error)).inc()
            log.warning("worker died", why=str(error), mails=[work.id for work in works])
            why = f"reading it did not come to an end: {error}"
            return [(work, Examined(None, error=why)) for work in works], self._started(number)
        seconds = (time.monotonic() - began) / len(works)
        for _ in works:
            metrics.PROCESSING_SECONDS.observe(seconds)
        return list(zip(works, answers, strict=True)), worker

    def _started(self, number: int) -> Worker | None:
        """A worker that is ready, however long that takes; None when all is to end."""
        while not self._stopping:
            worker = None
            try:
                worker = Worker(memory=self._options.memory, cpu_seconds=self._options.cpu_seconds)
                self._workers[number] = worker
                worker.await_ready()
            except (DsnProcessorError, OSError) as error:
                log.warning("worker not started", error=str(error))
                if worker is not None:
                    worker.kill()
                with self._ready:
                    self._ready.wait_for(lambda: self._stopping, _START_AGAIN_SECONDS)
                continue
            self._up.add(number)
            metrics.WORKERS.set(len(self._up))
            return worker
        return None

    def _forget(self, number: int) -> None:
        self._workers.pop(number, None)
        self._up.discard(number)
        metrics.WORKERS.set(len(self._up))


def _size(work: Work) -> int:
    return len(work.unread.message.raw)


def _cause(error: Exception) -> str:
    if isinstance(error, WorkerDiedError) and error.late:
        return metrics.Restart.TIME.value
    return metrics.Restart.CRASH.value
