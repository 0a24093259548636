"""A server without a listener: the writer, its keeper and its workers."""

import asyncio
import sqlite3
from pathlib import Path

from dsn_processor import pipeline
from dsn_processor.facts import Envelope, InboundMessage
from dsn_processor.server.keeper import Keeper
from dsn_processor.server.options import ProcessingOptions
from dsn_processor.server.processing import Processing
from dsn_processor.server.writer import Writer

PATIENCE = 240  # seconds: beside others, a second of CPU takes many


def keeping_fails(monkeypatch, faults):
    """What was read cannot be kept, for each of these in turn."""

    def finish(store, done, correlation):
        if faults:
            raise faults.pop()
        return pipeline.finish(store, done, correlation)

    monkeypatch.setattr("dsn_processor.server.writer.finish", finish)


class Rig:
    """A server without listeners."""

    def __init__(self, url, min_free=0, options=None):
        self.url = url
        self.keeper = Keeper(url, min_free=min_free)
        self.processing = Processing(options or ProcessingOptions(workers=2), lambda: None)
        self.writer = Writer(self.keeper, self.processing, lambda: None)

    async def __aenter__(self):
        self.keeper.open(0)
        self.writer.start()
        self.processing.start(self.writer)
        return self

    async def __aexit__(self, *_):
        await asyncio.to_thread(self.processing.stop, PATIENCE)
        await self.writer.stop()

    async def take(self, raw, *recipients):
        return await self.writer.take(InboundMessage(raw, "smtp", Envelope("", recipients)))

    async def until(self, true):
        async with asyncio.timeout(PATIENCE):
            while not await self.writer.call(true):
                await asyncio.sleep(0.02)

    async def processed(self, number):
        await self.until(lambda store: store.stats().mails == number and not store.backlog()[0])


def run(steps):
    asyncio.run(asyncio.wait_for(steps, 2 * PATIENCE))


def held(path):
    """Another program's transaction."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    return other


def path_of(url):
    return Path(url.removeprefix("sqlite:///"))
