"""Mails that are stored and wait to be read: read by workers, many at a time, beside whatever else goes on.

    claim: an attempt is counted on disk -> examine: read by a worker -> finish: COMMIT

Several batches are on their way at once. A mail that ends a worker has failed once; it is tried again when all others are done.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from threading import Event, Lock, Thread
from typing import NamedTuple, Protocol, TypeVar

from dsn_processor import logs
from dsn_processor.correlate.options import CorrelationOptions
from dsn_processor.errors import DsnProcessorError, MailDamagedError, StoreError
from dsn_processor.pipeline import (
    UNANSWERED,
    Examined,
    Outcome,
    Work,
    exhausted,
    finish,
    without_raw,
    work_of,
)
from dsn_processor.reading import Rules
from dsn_processor.record.entries import StoredMessage
from dsn_processor.record.store import Store
from dsn_processor.terms import MessageState
from dsn_processor.workers import Readers

log = logs.get_logger(room="processing")

_MAILS = 100
_OCTETS = 8_000_000
_PAUSE = 5.0  # seconds after the store failed

_Answer = TypeVar("_Answer")


class Calling(Protocol):
    """Has a function called with the store, and returns its answer when what it wrote is on disk."""

    def __call__(self, function: Callable[[Store], _Answer]) -> _Answer: ...


def one_at_a_time(store: Store) -> Calling:
    """To use a store by, from any thread."""
    lock = Lock()

    def call(function: Callable[[Store], _Answer]) -> _Answer:
        with lock:
            return function(store)

    return call


class _Begun(NamedTuple):
    works: list[Work]
    reading: Future[list[Examined]]


def process_waiting(
    call: Calling,
    readers: Readers,
    rules: Callable[[], Rules | None],
    correlation: CorrelationOptions | None = None,
    *,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[list[Outcome]]:
    """Process all mails that wait, until none does; ends early where it is ``stopped``, and gives back what it had begun. Each is tried until it is
    processed or quarantined. Raises StoreError.
    """
    begun: deque[_Begun] = deque()
    ours: set[int] = set()
    try:
        while not stopped():
            while len(begun) <= readers.count:
                hopeless, works = call(lambda store: _claim(store, ours))
                if hopeless:
                    yield hopeless
                if not works:
                    break
                ours.update(work.id for work in works)
                reading = readers.examine([work.unread for work in works], rules())
                begun.append(_Begun([without_raw(work) for work in works], reading))
            if not begun:
                return
            works, reading = begun.popleft()
            done = list(zip(works, reading.result(), strict=True))
            outcomes = call(lambda store, done=done: _finish(store, done, correlation))  # type: ignore[misc]
            ours.difference_update(work.id for work in works)
            yield outcomes
    finally:
        if left := [work.id for one in begun for work in one.works]:
            with suppress(StoreError):
                call(lambda store: _give_back(store, left))


def _claim(store: Store, besides: set[int]) -> tuple[list[Outcome], list[Work]]:
    """Mails to begin, their attempt counted: new ones together, one that was begun before alone. And what became of those
    that are not tried again.
    """
    waiting = _together(store.waiting(_MAILS, besides))
    errors = {mail.id: error for mail in waiting if (error := exhausted(mail, UNANSWERED))}
    raws = _raws(store, [mail.id for mail in waiting if mail.id not in errors], errors)
    works = [work_of(mail, raws[mail.id], mail.attempts + 1) for mail in waiting if mail.id in raws]
    if waiting:
        with store.transaction():
            for id_, error in errors.items():
                store.set_state(id_, MessageState.QUARANTINED, error)
            store.claim([work.id for work in works])
    sources = {mail.id: mail.source for mail in waiting}
    return [Outcome(source=sources[id_], message_id=id_, error=error) for id_, error in errors.items()], works


def _together(waiting: Sequence[StoredMessage]) -> list[StoredMessage]:
    if waiting and waiting[0].attempts:
        return list(waiting[:1])
    chosen: list[StoredMessage] = []
    octets = 0
    for mail in waiting:
        if chosen and octets + mail.size > _OCTETS:
            break
        chosen.append(mail)
        octets += mail.size
    return chosen


def _raws(store: Store, ids: Sequence[int], errors: dict[int, str]) -> dict[int, bytes]:
    """The bytes of mails; of those that cannot be had back, ``errors`` are told."""
    try:
        return store.raws(ids)
    except MailDamagedError as error:
        if len(ids) == 1:
            errors[ids[0]] = str(error)
            return {}
    return {id_: raw for one in ids for id_, raw in _raws(store, [one], errors).items()}


def _finish(
    store: Store, done: Sequence[tuple[Work, Examined]], correlation: CorrelationOptions | None
) -> list[Outcome]:
    """Mails that came meanwhile for somebody else, too, were read without that, and are to be read again."""
    envelopes = store.envelopes([work.id for work, _ in done])
    stale = {work.id for work, _ in done if envelopes.get(work.id) != work.unread.message.envelope}
    if stale:
        _give_back(store, sorted(stale))
    return finish(store, [(work, examined) for work, examined in done if work.id not in stale], correlation)


def _give_back(store: Store, ids: Sequence[int]) -> None:
    """Attempts that did not come to their end for no fault of the mails."""
    with store.transaction():
        store.unclaim(ids)


class CatchingUp:
    """Processes what waits, in a thread of its own. ``told`` is told the outcomes."""

    def __init__(
        self,
        call: Calling,
        readers: Readers,
        rules: Callable[[], Rules | None],
        correlation: CorrelationOptions | None,
        told: Callable[[list[Outcome]], None],
    ) -> None:
        self._told = told
        self._end = Event()
        self._wake = Event()
        self._process = partial(process_waiting, call, readers, rules, correlation, stopped=self._end.is_set)
        self._thread: Thread | None = None
        self._error: Exception | None = None

    def wake(self) -> None:
        """Tell that mails wait."""
        self._wake.set()

    def go_on(self) -> None:
        """Process what waits now and, whenever ``wake`` is called, from then on."""
        self._wake.set()
        self._start(self._always)

    def once(self) -> None:
        """Process what waits, and return when nothing does. Raises what kept it from being processed."""
        self._start(self._look)
        assert self._thread is not None
        self._thread.join()
        if self._error is not None:
            raise self._error

    def stop(self, patience: float) -> None:
        """End; what is being read is waited for, so many seconds."""
        self._end.set()
        self._wake.set()
        self.join(patience)

    def join(self, patience: float | None = None) -> None:
        """Wait until it has ended."""
        if self._thread is not None:
            self._thread.join(patience)

    def _start(self, work: Callable[[], None]) -> None:
        self._thread = Thread(target=work, name="catching-up")
        self._thread.start()

    def _look(self) -> None:
        try:
            for outcomes in self._process():
                self._told(outcomes)
            self._error = None
        except DsnProcessorError as error:
            self._error = error
        except Exception as error:
            if not self._end.is_set():  # those who read were ended
                log.exception("fault of ours")
            self._error = error

    def _always(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            if self._end.is_set():  # set before the bell rang: asked after it was silenced
                return
            self._look()
            if self._error is not None:
                log.warning("catching up failed", error=str(self._error))
                self._end.wait(_PAUSE)
                self._wake.set()
