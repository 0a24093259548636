"""Faults of the store: senders are told, answers wait, and what was taken is processed when it has healed."""

import asyncio
import threading

import pytest
from server.rig import PATIENCE, Rig, held, keeping_fails, path_of, run

from dsn_processor.errors import StoreBusyError, StoreError, StoreFullError, StoreMovedError
from dsn_processor.facts import InboundMessage
from dsn_processor.record.store import Store


def test_a_locked_database_is_told_and_healed(url, mails, monkeypatch):
    monkeypatch.setattr("dsn_processor.record.sqlite._BUSY_SECONDS", 0.1)

    async def steps():
        async with Rig(url) as rig:
            await rig.take(mails[0])
            await rig.processed(1)
            other = held(path_of(url))
            with pytest.raises(StoreBusyError):
                await rig.take(mails[1])
            assert rig.keeper.refusal().code == 451
            other.rollback()
            other.close()
            await healed(rig, mails[1])
            await rig.processed(2)

    run(steps())


async def healed(rig, raw):
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                await rig.take(raw)
            except StoreError:
                await asyncio.sleep(0.05)
            else:
                assert rig.keeper.refusal() is None
                return


def test_a_file_that_is_moved_away_is_not_made_anew(url, mails, tmp_path, monkeypatch):
    path = path_of(url)
    met = []

    async def steps():
        async with Rig(url) as rig:
            failed = rig.keeper.failed
            monkeypatch.setattr(rig.keeper, "failed", lambda error: (met.append(error), failed(error)))
            await rig.take(mails[0])
            path.rename(tmp_path / "elsewhere.db")
            with pytest.raises(StoreError):
                await rig.take(mails[1])
            assert isinstance(met[0], StoreMovedError)  # by now it may have been looked for again
            rig.keeper._tried = 0.0
            with pytest.raises(StoreError):
                await rig.take(mails[1])
            assert not path.exists()
            (tmp_path / "elsewhere.db").rename(path)
            await healed(rig, mails[1])
            await rig.processed(2)

    run(steps())
    with Store.open(url) as store:
        assert store.stats().events == 2


def test_answers_wait_for_the_store_to_heal(url, mails, monkeypatch):
    faults = [StoreFullError("no room"), StoreFullError("no room")]
    keeping_fails(monkeypatch, faults)

    async def steps():
        async with Rig(url) as rig:
            await rig.take(mails[0])
            async with asyncio.timeout(PATIENCE):
                while faults:
                    await asyncio.sleep(0.02)
            await healed(rig, mails[1])
            await rig.processed(2)

    run(steps())
    with Store.open(url) as store:
        assert store.stats().events == 2
        assert store.message(1).attempts == 1


def test_little_room_is_told_before_it_is_gone(url):
    async def steps():
        async with Rig(url, min_free=2**60) as rig:
            assert rig.keeper.refusal().code == 452

    run(steps())


def test_more_than_can_wait_is_refused(url, mails, monkeypatch):
    monkeypatch.setattr("dsn_processor.server.writer._QUEUED_MAILS", 3)

    async def steps():
        async with Rig(url) as rig:
            began, go_on = threading.Event(), threading.Event()

            def hold(_):
                began.set()
                go_on.wait(PATIENCE)

            stopped = rig.writer.call(hold)
            await asyncio.to_thread(began.wait, PATIENCE)
            futures = [rig.writer.take(InboundMessage(raw, "smtp")) for raw in mails[:3]]
            with pytest.raises(StoreFullError):
                rig.writer.take(InboundMessage(mails[3], "smtp"))
            go_on.set()
            await stopped
            await asyncio.gather(*futures)

    run(steps())
