"""A deliverer over a real store and real sockets, whose clock leaps to when there is something to do."""

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from dsn_processor import webhooks
from dsn_processor.notify.delivering import Deliverer
from dsn_processor.notify.notification import EventType, Notification
from dsn_processor.notify.options import WebhookOptions
from dsn_processor.notify.sending import Sender
from dsn_processor.notify.transport import client
from dsn_processor.record.deliveries import DeliveryFilter

START = 1_800_000_000.0


def options(*sinks, **more):
    """An attempt ends by the real clock: not while these tests run, however slow the machine is."""
    ports = tuple(str(sink.port) for sink in sinks)
    local = {"allow_http": True, "allow_networks": ("127.0.0.0/8",), "timeout": 120.0}
    return WebhookOptions(**{**local, "ports": ports, **more})


def add(store, sink, name="app", **more):
    deed = {"do": "add", "url": sink.url, "name": name, "format": "own", "key": "", "events": [], **more}
    return webhooks.do(store, deed, options(sink))["secret"]


def tell(store, *addresses, first=0):
    """One notification about each of these, in order."""
    with store.transaction():
        store.outbox.tell(
            [
                Notification(
                    id=f"msg_{number:06}",
                    type=EventType.BOUNCE_FAILED,
                    at=datetime(2026, 11, 21, tzinfo=UTC),
                    address=address,
                    data={"number": number},
                )
                for number, address in enumerate(addresses, first)
            ]
        )


def do(store, what, **words):
    return webhooks.do(store, {"do": what, **words}, WebhookOptions())


def rows(store, **wanted):
    return list(store.outbox.deliveries(DeliveryFilter(**wanted)))[::-1]


def ids(sink):
    return [request.id for request in sink.got]


class Delivery:
    """``now`` is the deliverer's time. ``outcomes`` are those that are on disk."""

    def __init__(self, store, options, chance=lambda: 0.0, **more):
        self.store, self.options = store, options
        self.now = START
        self.outcomes = []
        self.chance = chance
        self.more = more  # for the deliverer
        self.faults = []  # raised by the store, one an exchange
        self.broken = None  # raised by the store, and nobody asked for it
        self.vain = 0  # waits in a row with nothing to deliver

    async def exchange(self, outcomes, wanted, now):
        if self.faults:
            raise self.faults.pop(0)
        try:
            with self.store.transaction():
                return self.store.outbox.turn(outcomes, wanted, now)
        except Exception as error:
            self.broken = error  # the deliverer goes on, and tries again for a year
            raise

    async def wait(self, event, seconds):
        """The clock stands still while an attempt goes on, whichever event is waited for."""
        if attempts := self.deliverer._tasks:
            woken = asyncio.create_task(event.wait())
            await asyncio.wait([woken, *attempts], return_when=asyncio.FIRST_COMPLETED)
            woken.cancel()
            return
        following = self.store.outbox.next_at()
        self.vain = 0 if following else self.vain + 1
        self.now = max(self.now + seconds, following or 0.0)
        await asyncio.sleep(0 if following else 0.01)

    @asynccontextmanager
    async def running(self):
        """The deliverer, with nothing under way yet."""
        async with client(lambda: self.options) as http:
            self.deliverer = Deliverer(
                self.exchange,
                Sender(http, lambda: self.options, lambda: self.now).send,
                concurrency=lambda: self.options.concurrency,
                told=lambda _, outcome: self.outcomes.append(outcome),
                clock=lambda: self.now,
                wait=self.wait,
                chance=self.chance,
                **self.more,
            )
            yield self.deliverer
            await self.deliverer.stop()

    async def until(self, done):
        """Deliver until ``done()``; at most a year by its own clock."""
        async with self.running() as deliverer:
            task = asyncio.create_task(deliverer.run())
            while not done() and not task.done():
                await asyncio.sleep(0.002)
                assert self.now < START + 31_536_000, "a year has gone by"
                assert self.vain < 1_000, "there is nothing to deliver"  # ten seconds
                if self.broken:
                    raise self.broken
            if task.done():
                task.result()
            await deliverer.stop()
            await task

    async def end_when(self, done):
        """Deliver until ``done()``, and then write nothing down any more: what is under way is lost, as by kill -9."""
        async with self.running() as deliverer:
            task = asyncio.create_task(deliverer.run())
            looks = 0
            while not done() and looks < 30 and not task.done():
                await asyncio.sleep(0.001)
                looks = looks + 1 if deliverer.idle else 0
            under_way = [task, *deliverer._tasks]
            for one in under_way:
                one.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)
            deliverer._done.clear()

    async def all(self):
        """Deliver until nothing waits."""
        await self.until(lambda: self.store.outbox.figures().pending == 0)
