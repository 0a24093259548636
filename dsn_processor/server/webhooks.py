"""Delivers what lies in the outbox: the deliverer of notify/, by the thread that holds the database."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Protocol, TypeVar

from dsn_processor import logs, metrics
from dsn_processor.errors import StoreError
from dsn_processor.notify.attempts import Answer, Due, Outcome, State, Turn, Wanted, date_of
from dsn_processor.notify.delivering import Deliverer
from dsn_processor.notify.endpoints import Endpoint, EndpointKind
from dsn_processor.notify.options import WebhookOptions
from dsn_processor.notify.people.options import NotifyOptions, endpoint_name
from dsn_processor.notify.people.sending import PeopleSender
from dsn_processor.notify.sending import Sender
from dsn_processor.notify.transport import client
from dsn_processor.record.deliveries import Figures
from dsn_processor.record.store import Store
from dsn_processor.server.pacing import rest_seconds

log = logs.get_logger(room="webhooks")

_Answer = TypeVar("_Answer")

_FIGURES_SECONDS = 5.0
_CLEAN_SECONDS = 30.0


class Calling(Protocol):
    """Has something done with the store, where that is."""

    def __call__(self, function: Callable[[Store], _Answer], /) -> Awaitable[_Answer]: ...


class Webhooks:
    """``start`` and ``stop`` are for the event loop's thread, ``wake`` for any."""

    def __init__(
        self,
        call: Calling,
        options: Callable[[], WebhookOptions],
        people: Callable[[], Sequence[NotifyOptions]],
        rush: Callable[[], bool] = lambda: False,
    ) -> None:
        self._rush = rush
        self._call = call
        self._options = options
        self._people = people
        self._any = True  # there may be endpoints
        self._looked = self._cleaned = 0.0
        self.figures = Figures()

    def start(self) -> None:
        """Deliver from now on."""
        self._begin()
        self._task = asyncio.create_task(self._deliverer.run())

    async def know_people(self) -> None:
        """Have the outbox keep what today's settings say that people want to hear, and nothing for others."""
        people = {endpoint_name(one.name): one.filters for one in self._people()}
        try:
            taken = await self._call(lambda store: _know(store, people))
        except StoreError as error:  # the outbox keeps what it knew before
            log.error("people not told", notify=", ".join(people), error=str(error))  # noqa: TRY400  the words say it
            return
        for name in taken:
            log.error(
                "people not told",
                notify=name,
                error="a webhook has this name: remove it, or rename the other",
            )

    def reload(self) -> None:
        """Others may be told from now on. For the event loop's thread."""
        if self._people() or self._any:
            self._reloading = asyncio.create_task(self.know_people())

    async def stop(self) -> None:
        """Let what is on its way arrive, and keep what came of it."""
        await self._deliverer.stop()
        await self._task
        await self._client.aclose()

    async def once(self) -> None:
        """Deliver what is due now, and end. Raises StoreError where what came of it cannot be kept: it is delivered again."""
        self._begin()
        async with self._client:
            try:
                await self._deliverer.run(once=True)
            finally:
                await self._deliverer.stop()

    def wake(self) -> None:
        """There is something new in the outbox, or about endpoints."""
        with suppress(RuntimeError):  # the loop has ended: the next start looks by itself
            self._loop.call_soon_threadsafe(self._woken)

    def oldest_seconds(self) -> float:
        oldest = self.figures.oldest
        return 0.0 if oldest is None else max(0.0, time.time() - oldest)

    def watch(self) -> None:
        """Have the metrics ask here."""
        metrics.observe(metrics.WEBHOOK_PENDING, lambda: self.figures.pending)
        metrics.observe(metrics.WEBHOOK_OLDEST_SECONDS, self.oldest_seconds)
        metrics.observe(metrics.WEBHOOK_DEAD, lambda: self.figures.dead)

    def _begin(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._client = client(self._options)
        self._sender = Sender(self._client, self._options)
        self._people_sender = PeopleSender(lambda: {endpoint_name(one.name): one for one in self._people()})
        self._deliverer = Deliverer(
            self._exchange,
            self._send,
            concurrency=lambda: self._options().concurrency,
            told=count,
            pace=self._pace,
        )

    async def _send(self, endpoint: Endpoint, due: Due) -> Answer:
        to_people = endpoint.kind is EndpointKind.PEOPLE
        return await (self._people_sender if to_people else self._sender).send(endpoint, due)

    def _pace(self) -> float:
        return rest_seconds(rush=self._rush(), oldest_seconds=self.oldest_seconds())

    def _woken(self) -> None:
        self._any = True
        self._deliverer.wake()

    async def _exchange(self, outcomes: Sequence[Outcome], wanted: Mapping[int, Wanted], now: float) -> Turn:
        """Nobody is asked where there are no endpoints."""
        if not self._any and not outcomes:
            return Turn({}, ())
        turn = await self._call(lambda store: self._turn(store, outcomes, wanted, now))
        self._any = bool(turn.endpoints)
        return turn

    def _turn(
        self, store: Store, outcomes: Sequence[Outcome], wanted: Mapping[int, Wanted], now: float
    ) -> Turn:
        options = self._options()
        with store.transaction():
            turn = store.outbox.turn(outcomes, wanted, now)
            if now - self._cleaned >= _CLEAN_SECONDS:
                store.outbox.clean(now, options.keep, options.keep_dead)
                self._cleaned = now
        if now - self._looked >= _FIGURES_SECONDS:
            self.figures = store.outbox.figures()
            self._looked = now
        return turn


def _know(store: Store, people: Mapping[str, Mapping[str, object]]) -> list[str]:
    with store.transaction():
        return store.outbox.know_people(people, time.time())


def count(endpoint: Endpoint, outcome: Outcome) -> None:
    """What came of an attempt, for metrics and the log. Of the URL, which may hold secrets, nothing is told."""
    due, answer = outcome.due, outcome.answer
    if outcome.state is State.DELIVERED:
        metrics.WEBHOOK_ATTEMPTS.labels(endpoint.name, "delivered").inc()
        return
    result = "gone" if outcome.gone else "dead" if outcome.state is State.DEAD else "failed"
    metrics.WEBHOOK_ATTEMPTS.labels(endpoint.name, result).inc()
    told = {
        "endpoint": endpoint.name,
        "webhook": due.message_id,
        "type": due.type,
        "attempts": due.attempts + 1,
        "status": answer.status,
        "error": answer.error,
    }
    if outcome.gone:
        log.error("endpoint disabled", **told, advice=f"dsn-processor webhooks enable {endpoint.name}")
    elif outcome.state is State.DEAD:
        log.error("webhook given up", **told, advice=f"dsn-processor webhooks replay {due.message_id}")
    elif endpoint.kind is EndpointKind.WEBHOOK:  # of a message, which is about many, is told where it is sent
        again = None if outcome.next_at is None else date_of(outcome.next_at).isoformat(timespec="seconds")
        log.warning("webhook failed", **told, again=again)
