"""The one thread that touches the database: it takes what there is to do, a turn at a time, and tells how it went.

A turn is what came while the turn before was synced: many mails, one commit. Nothing in a turn is told as done before
the commit has returned.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple, TypeVar

from dsn_processor import logs, metrics
from dsn_processor.correlate.options import CorrelationOptions
from dsn_processor.errors import MailDamagedError, StoreError, StoreFullError
from dsn_processor.facts import InboundMessage
from dsn_processor.pipeline import (
    ATTEMPTS,
    UNANSWERED,
    Accepted,
    Examined,
    Outcome,
    Work,
    accept_all,
    exhausted,
    finish,
    work_of,
)
from dsn_processor.record.store import Store
from dsn_processor.server.counting import count_processed
from dsn_processor.server.futures import pass_on, resolve, wait_for
from dsn_processor.server.keeper import LOOK_SECONDS, Keeper
from dsn_processor.server.processing import Processing
from dsn_processor.terms import MessageState

log = logs.get_logger(room="writer")

_Answer = TypeVar("_Answer")

_TURN_MAILS = 256
_TURN_BYTES = 16_000_000
_QUEUED_MAILS = 4_096  # mails that wait for their turn, all senders together
_QUEUED_BYTES = 128_000_000
_GATHER_SECONDS = 0.02  # that answers of workers wait for others: nobody waits for them
_CLAIM_MAILS = 64
_TOLD = 10  # recipients of a mail in a line of the log
_CLAIM_BYTES = 8_000_000


class _Take(NamedTuple):
    message: InboundMessage
    future: asyncio.Future[Accepted]


class _Call(NamedTuple):
    function: Callable[[Store], Any]
    future: asyncio.Future[Any]


class Writer:
    """Owns the store. ``start``, ``stop``, ``take`` and ``call`` are for the event loop's thread.
    ``correlation`` says how reports are held against what was sent.
    """

    def __init__(
        self, keeper: Keeper, processing: Processing, correlation: Callable[[], CorrelationOptions | None]
    ) -> None:
        self._keeper = keeper
        self.correlation = correlation
        self._processing = processing
        self._wake = threading.Condition()
        self._takes: list[_Take] = []
        self._calls: list[_Call] = []
        self._done: list[tuple[Work, Examined]] = []
        self._due = 0.0  # when what is done is stored at the latest
        self._queued = 0  # bytes of the mails in _takes
        self._stopping = False
        self._ended = False  # nobody does what is asked from now on
        self._backlog = True  # on disk may be mails that nobody has begun
        self._begun: set[int] = set()
        self._again: set[int] = set()  # of those, mails that came again meanwhile, for others maybe
        self._thread = threading.Thread(target=self._run, name="writer")

    # ---- for the event loop's thread

    def start(self) -> None:
        """Start to write; the keeper has the store open."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def take(self, message: InboundMessage) -> asyncio.Future[Accepted]:
        """Have a mail stored. The future tells when it is on disk, or raises StoreError. Raises the same, too."""
        future: asyncio.Future[Accepted] = self._loop.create_future()
        with self._wake:
            if self._ended:
                raise StoreError("the server has ended")
            if len(self._takes) >= _QUEUED_MAILS or self._queued > _QUEUED_BYTES:
                raise StoreFullError("more mails wait to be stored than there is room for")
            self._takes.append(_Take(message, future))
            self._queued += len(message.raw)
            self._wake.notify()
        return future

    def call(self, function: Callable[[Store], _Answer]) -> asyncio.Future[_Answer]:
        """Have ``function`` called with the store between two turns."""
        future: asyncio.Future[_Answer] = self._loop.create_future()
        with self._wake:
            if self._ended:
                resolve([(future, StoreError("the server has ended: run this again"))])
                return future
            self._calls.append(_Call(function, future))
            self._wake.notify()
        return future

    def ask(self, function: Callable[[Store], _Answer]) -> _Answer:
        """As ``call``, from any other thread than the loop's: returns when it is done. Raises StoreError where nobody is left to
        do it.
        """
        answer: Future[_Answer] = Future()
        try:
            self._loop.call_soon_threadsafe(lambda: pass_on(self.call(function), answer))
        except RuntimeError:  # it is closed
            raise StoreError("the server has ended: run this again") from None
        return wait_for(answer, self._loop)

    def came(self, outcomes: Sequence[Outcome]) -> None:
        """Tell, in a function that is called with the store, what came of mails that it stored."""
        self._again.update(one.message_id for one in outcomes if one.message_id in self._begun)
        self._backlog |= any(one.duplicate or one.waits for one in outcomes)

    def expect_backlog(self) -> None:
        """Tell that mails wait on disk which the writer itself has not put there."""
        with self._wake:
            self._backlog = True
            self._wake.notify()

    async def stop(self) -> None:
        """Write what is still to be written, and close."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        await asyncio.to_thread(self._thread.join)

    # ---- for the threads of processing

    def put(self, done: Sequence[tuple[Work, Examined]]) -> None:
        """Have the answers of a worker stored."""
        with self._wake:
            if not self._done:
                self._due = time.monotonic() + _GATHER_SECONDS
                self._wake.notify()
            self._done.extend(done)

    def poke(self) -> None:
        """A worker is idle: there may be mails on disk for it."""
        if self._backlog:
            with self._wake:
                self._wake.notify()

    # ---- the writer's own thread

    def _run(self) -> None:
        while True:
            with self._wake:
                if patience := self._patience():
                    self._wake.wait(patience)
                takes, calls, done = self._grab()
                if self._stopping and not (takes or calls or done):
                    self._ended = True
                    break
            try:
                self._turn(takes, calls, done)
            except Exception:  # goes on, whatever a turn did; those who wait must not wait for ever
                log.exception("fault of ours")
                lost = StoreError("a fault of ours kept this from being stored")
                self._tell([(one.future, lost) for one in takes] + [(one.future, lost) for one in calls])
            del takes, calls, done  # not to be held until the next turn: mails may be large
        self._guarded(self._give_back)
        self._keeper.close()

    def _patience(self) -> float:
        """How long there is nothing to do, if nothing comes."""
        if self._stopping or self._takes:
            return 0.0
        if self._keeper.state.fault is not None:
            return LOOK_SECONDS
        if self._calls or self._may_claim():
            return 0.0
        return max(0.0, self._due - time.monotonic()) if self._done else LOOK_SECONDS

    def _may_claim(self) -> bool:
        return self._backlog and not self._stopping and self._processing.wants()

    def _grab(self) -> tuple[list[_Take], list[_Call], list[tuple[Work, Examined]]]:
        size = number = 0
        while number < min(len(self._takes), _TURN_MAILS) and size < _TURN_BYTES:
            size += len(self._takes[number].message.raw)
            number += 1
        takes, self._takes = self._takes[:number], self._takes[number:]
        self._queued -= size
        calls, self._calls = self._calls, []
        done: list[tuple[Work, Examined]] = []
        if self._stopping or time.monotonic() >= self._due:
            done, self._done = self._done, []
        return takes, calls, done

    def _turn(
        self, takes: Sequence[_Take], calls: Sequence[_Call], done: Sequence[tuple[Work, Examined]]
    ) -> None:
        faulty = self._keeper.state.fault is not None
        store = self._keeper.sound(at_once=self._stopping)
        if store is None:
            waiting = [one.future for one in takes] + [one.future for one in calls]
            self._tell([(future, self._keeper.state.fault) for future in waiting])
            if self._stopping:
                return  # the answers are lost with us; their mails wait on disk
            with self._wake:
                self._done[:0] = done
            return
        self._backlog |= faulty
        if takes:
            self._accept(store, takes)
        if done:
            self._finish(store, done)
        for call in calls:
            self._answer(store, call)
        if self._keeper.state.fault is None and self._may_claim():
            self._guarded(lambda: self._claim(store))
        self._guarded(self._keeper.look)

    def _accept(self, store: Store, takes: Sequence[_Take]) -> None:
        began = time.monotonic()
        try:
            accepted, works = accept_all(store, [one.message for one in takes], begin=self._processing.room())
        except Exception as error:
            if isinstance(error, StoreError):
                self._keeper.failed(error)
            elif len(takes) > 1:  # a fault of ours in one of them
                for one in takes:
                    self._accept(store, [one])
                return
            else:
                log.exception("fault of ours")
                error = StoreError("a fault of ours kept this mail from being stored")
            self._tell([(one.future, error) for one in takes])
            return
        metrics.COMMIT_SECONDS.observe(time.monotonic() - began)
        metrics.COMMIT_MAILS.observe(len(takes))
        self._tell([(take.future, answer) for take, answer in zip(takes, accepted, strict=True)])
        self._again.update(one.id for one in accepted if one.duplicate and one.id in self._begun)
        self._begun.update(work.id for work in works)
        self._processing.offer(works)
        if sum(not one.duplicate for one in accepted) > len(works) or len(works) < len(takes):
            self._backlog = True  # a duplicate may have been readdressed

    def _finish(self, store: Store, done: Sequence[tuple[Work, Examined]]) -> None:
        try:
            stale = self._stale(store, done)
            done = [(work, examined) for work, examined in done if work.id not in stale]
            outcomes = finish(store, done, self.correlation())
        except StoreError as error:
            self._keeper.failed(error)
            with self._wake:
                self._done[:0] = done
            return
        except Exception:
            log.exception("fault of ours")
            outcomes = []
            self._backlog = True  # they still wait on disk
        self._begun.difference_update(work.id for work, _ in done)
        for (work, _), outcome in zip(done, outcomes, strict=False):
            self._count(work, outcome)
        if any(outcome.error for outcome in outcomes):
            self._backlog = True

    def _stale(self, store: Store, done: Sequence[tuple[Work, Examined]]) -> set[int]:
        """Of mails that were read, those that somebody else got meanwhile: they were read without that recipient, and
        wait to be read again, as if they had not been begun.
        """
        stale = {
            work.id
            for work, examined in done
            if work.id in self._again and examined.parsed is not None and _readdressed(store, work)
        }
        if stale:
            with store.transaction():
                store.unclaim(sorted(stale))
            self._backlog = True
        self._begun -= stale
        self._again.difference_update(work.id for work, _ in done)
        return stale

    def _count(self, work: Work, outcome: Outcome) -> None:
        if outcome.kind is None:
            over = work.attempts >= ATTEMPTS
            log.warning(
                "quarantined" if over else "processing failed",
                mail=work.id,
                source=outcome.source,
                attempts=work.attempts,
                error=outcome.error,
            )
            if over:
                metrics.QUARANTINED.inc()
            return
        count_processed(outcome)
        told = [event.verdict for event in outcome.events if event.verdict is not None][:_TOLD]
        log.info(
            "mail processed",
            mail=work.id,
            kind=outcome.kind.value,
            recipients=[event.recipient.address for event in outcome.events[:_TOLD]],
            types=[verdict.bounce_type.value for verdict in told],
            reasons=[verdict.reason.value for verdict in told],
            repeated=outcome.repeated,
        )

    def _answer(self, store: Store, call: _Call) -> None:
        try:
            answer = call.function(store)
        except Exception as error:  # noqa: BLE001  told to whoever asked
            if isinstance(error, StoreError) and not isinstance(error, MailDamagedError):
                self._keeper.failed(error)
            self._tell([(call.future, error)])
        else:
            self._tell([(call.future, answer)])

    def _claim(self, store: Store) -> None:
        """Begin mails that wait on disk: new ones together; one that was begun before alone, and not before a worker
        is there for it, since it may be the one that ends whoever reads it.
        """
        waiting = store.waiting(_CLAIM_MAILS, self._begun)
        if not waiting:
            self._backlog = False
            return
        suspect = waiting[0].attempts > 0
        works, hopeless, size = [], [], 0
        for message in waiting:
            if (message.attempts > 0) is not suspect or size > _CLAIM_BYTES:
                break
            try:
                error = exhausted(message, UNANSWERED)
                raw = store.raw(message.id) if error is None else None
            except MailDamagedError as damage:
                raw, error = None, str(damage)
            if raw is None:
                hopeless.append((message, error or "its bytes are gone"))
                continue
            works.append(work_of(message, raw, message.attempts + 1))
            size += len(raw)
            if suspect:
                break
        with store.transaction():
            for message, error in hopeless:
                store.set_state(message.id, MessageState.QUARANTINED, error)
            store.claim([work.id for work in works])
        for message, error in hopeless:
            metrics.QUARANTINED.inc()
            log.warning("quarantined", mail=message.id, source=message.source, error=error)
        self._begun.update(work.id for work in works)
        self._processing.offer(works)

    def _give_back(self) -> None:
        """Attempts that were counted and never begun do not count."""
        left = [work.id for work in self._processing.left()]
        store = self._keeper.sound(at_once=True)
        if store is not None and left:
            with store.transaction():
                store.unclaim(left)

    def _guarded(self, step: Callable[[], None]) -> None:
        try:
            step()
        except StoreError as error:
            self._keeper.failed(error)

    # ---- telling

    def _tell(self, answers: list[tuple[asyncio.Future[Any], Any]]) -> None:
        if answers:
            self._loop.call_soon_threadsafe(resolve, answers)


def _readdressed(store: Store, work: Work) -> bool:
    return (mail := store.message(work.id)) is not None and mail.envelope != work.unread.message.envelope
