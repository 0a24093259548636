"""Drains the outbox: for each endpoint a queue of its own, one delivery at a time for each address, outcomes written down in
groups.

What is due is asked for when the outcomes before are on disk, so that the second delivery about an address starts after the
first is known to be done: who is killed in between sends the first again, never the second before it.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from dsn_processor import logs
from dsn_processor.errors import StoreError
from dsn_processor.notify.attempts import (
    LONGEST_WAIT,
    Answer,
    Due,
    Outcome,
    State,
    Turn,
    Wanted,
    outcome_of,
    pause_of,
)
from dsn_processor.notify.endpoints import Endpoint, EndpointKind

log = logs.get_logger(room="webhooks")

_WINDOW = 256  # deliveries of an endpoint in memory
_LOW = 128  # with fewer, more are asked for
_LOOK_SECONDS = 1.0
_GATHER_SECONDS = 0.02  # that an outcome waits for others, so that one commit keeps them all
_MANY_FAILURES = 5  # in a row, after which an endpoint is tried with one delivery at a time
_STOP_SECONDS = 5.0


#: Keeps outcomes, and tells what is to be done next. Raises StoreError where that cannot be.
Exchange = Callable[[Sequence[Outcome], Mapping[int, Wanted], float], Awaitable[Turn]]
#: Makes one attempt. Raises nothing.
Send = Callable[[Endpoint, Due], Awaitable[Answer]]


@dataclass(slots=True)
class _Lane:
    """One endpoint. ``held`` are the deliveries in memory until their outcome is on disk; ``busy`` their addresses."""

    endpoint: Endpoint
    queue: deque[Due] = field(default_factory=deque)
    held: dict[int, str] = field(default_factory=dict)
    flying: int = 0
    failures: int = 0
    paused_until: float = 0.0

    @property
    def busy(self) -> set[str]:
        return {address for address in self.held.values() if address}

    def drop(self) -> None:
        """Forget what has not begun."""
        for due in self.queue:
            del self.held[due.id]
        self.queue.clear()


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


def _this_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None
    return task


class Deliverer:
    """For one event loop; ``wake`` from any thread. ``concurrency`` is the bound for each endpoint. ``told`` hears of each
    outcome that is on disk. ``pace`` are seconds to rest after each attempt, one at a time for each endpoint, while something
    else is more urgent; 0 where nothing is.
    """

    def __init__(
        self,
        exchange: Exchange,
        send: Send,
        *,
        concurrency: Callable[[], int],
        told: Callable[[Endpoint, Outcome], None],
        clock: Callable[[], float] = time.time,
        wait: Callable[[asyncio.Event, float], Awaitable[None]] = _wait,
        chance: Callable[[], float] = random.random,
        pace: Callable[[], float] = lambda: 0.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._exchange = exchange
        self._send = send
        self._concurrency = concurrency
        self._told = told
        self._clock = clock
        self._wait = wait
        self._chance = chance
        self._pace = pace
        self._sleep = sleep
        self._event = asyncio.Event()
        self._lanes: dict[int, _Lane] = {}
        self._done: list[Outcome] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._fresh = True
        self._looked = 0.0
        self._stopping = self._once = False

    def wake(self) -> None:
        """There may be something new: looked at now, or with the next look. For the loop's own thread."""
        if not self._pace():
            self._fresh = True
            self._event.set()

    @property
    def idle(self) -> bool:
        """Whether nothing is being sent, or waits in memory to be."""
        return not (
            self._tasks
            or self._done
            or self._fresh
            or any(self._startable(lane) for lane in self._lanes.values())
        )

    async def run(self, *, once: bool = False) -> None:
        """Deliver until told to stop; or, ``once``, until nothing is due. Only then raises what the exchange does: who is run
        now and then is run again.
        """
        self._once = once
        while not self._stopping:
            looked = self._fresh or bool(self._done) or self._clock() - self._looked >= _LOOK_SECONDS
            if looked:
                await self._turn()
            self._launch()
            if once and looked and self.idle:
                return
            await self._rest()

    async def stop(self) -> None:
        """Start nothing more, give what is being sent a few seconds, and keep what came of it."""
        self._stopping = True
        self._event.set()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_STOP_SECONDS)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        for lane in self._lanes.values():
            lane.drop()
        if self._done:
            await self._turn()

    async def _rest(self) -> None:
        """Until there is something to do. Outcomes wait a little for others to be written down with."""
        self._event.clear()
        if not (self._fresh or self._done):
            await self._wait(self._event, _LOOK_SECONDS)
        if self._done and self._tasks:
            await self._sleep(max(_GATHER_SECONDS, 2 * self._pace()))

    # ---- one attempt

    def _startable(self, lane: _Lane) -> bool:
        return bool(lane.queue) and lane.flying < self._limit(lane) and not self._paused(lane)

    def _paused(self, lane: _Lane) -> bool:
        """Nobody may ask for more than the longest wait: where it seems so, the clock was set back."""
        return 0.0 < lane.paused_until - self._clock() <= LONGEST_WAIT

    def _limit(self, lane: _Lane) -> int:
        """People are told all at once of what is due: that is one message (notify/people/sending.py)."""
        if lane.endpoint.kind is EndpointKind.PEOPLE:
            return _WINDOW
        return 1 if lane.failures >= _MANY_FAILURES or self._pace() else self._concurrency()

    def _launch(self) -> None:
        for lane in self._lanes.values():
            while not self._stopping and self._startable(lane):
                lane.flying += 1
                task = asyncio.create_task(self._attempt(lane, lane.queue.popleft()))
                self._tasks.add(task)

    async def _attempt(self, lane: _Lane, due: Due) -> None:
        """Attempts follow each other in one task as long as there are any: a task each costs as much again."""
        following: Due | None = due
        try:
            while following is not None:
                due, following = following, None
                self._count(lane, due, await self._answer(lane.endpoint, due))
                if rest := self._pace():
                    await self._sleep(rest)
                goes_on = lane.failures == 0 and (not rest or lane.flying == 1)
                if goes_on and not self._stopping and lane.queue:
                    following = lane.queue.popleft()
        finally:
            lane.flying -= 1
            # Not when the loop gets to it: until then, who writes outcomes down would wait for more of this one.
            self._tasks.remove(_this_task())
            self._event.set()

    async def _answer(self, endpoint: Endpoint, due: Due) -> Answer:
        try:
            return await self._send(endpoint, due)
        except Exception as error:
            log.exception("fault of ours")
            return Answer(None, f"fault of ours: {error!r}")

    def _count(self, lane: _Lane, due: Due, answer: Answer) -> None:
        now = self._clock()
        # What people were to be told at once is tried again at once: scattered, it would be as many messages.
        together = lane.endpoint.kind is EndpointKind.PEOPLE
        outcome = outcome_of(due, answer, now, 0.0 if together else self._chance())
        self._done.append(outcome)
        self._event.set()
        if outcome.state is State.DELIVERED:
            lane.failures = 0
            return
        lane.failures += 1
        lane.paused_until = max(lane.paused_until, now + pause_of(answer))
        if outcome.gone:
            lane.drop()

    # ---- the outbox

    async def _turn(self) -> None:
        self._fresh, self._looked = False, self._clock()
        done, self._done = self._done, []
        wanted = {
            number: Wanted(_WINDOW - len(lane.held), frozenset(lane.held))
            for number, lane in self._lanes.items()
            if len(lane.queue) < _LOW and len(lane.held) < _WINDOW and not self._stopping
        }
        try:
            turn = await self._exchange(done, wanted, self._clock())
        except Exception as error:  # goes on, whatever a turn met: nobody else would start it again
            self._done[:0] = done
            if self._once:
                raise
            if isinstance(error, StoreError):
                log.warning("webhook outcomes not kept", error=str(error), number=len(done))
            else:
                log.exception("fault of ours")
            if not self._stopping:
                await self._wait(asyncio.Event(), _LOOK_SECONDS)
            return
        for outcome in done:
            lane = self._lanes[outcome.due.endpoint]
            lane.held.pop(outcome.due.id, None)
            self._told(lane.endpoint, outcome)
        self._take(turn)

    def _take(self, turn: Turn) -> None:
        for number, endpoint in turn.endpoints.items():
            lane = self._lanes.get(number)
            if lane is None:
                lane = self._lanes[number] = _Lane(endpoint, paused_until=endpoint.paused_until)
                self._fresh = True  # what it has waiting was not asked for yet
            elif endpoint.enabled and (
                not lane.endpoint.enabled or endpoint.paused_until < lane.endpoint.paused_until
            ):  # by a person
                lane.failures, lane.paused_until = 0, endpoint.paused_until
            lane.endpoint = endpoint
        for number, lane in list(self._lanes.items()):
            gone = number not in turn.endpoints
            if gone or not lane.endpoint.enabled:
                lane.drop()
            if gone and not lane.held:
                del self._lanes[number]
        busy = {number: lane.busy for number, lane in self._lanes.items()}
        for due in turn.due:
            lane = self._lanes.get(due.endpoint)
            if lane is not None and due.id not in lane.held and due.address not in busy[due.endpoint]:
                lane.queue.append(due)
                lane.held[due.id] = due.address
                if due.address:
                    busy[due.endpoint].add(due.address)
