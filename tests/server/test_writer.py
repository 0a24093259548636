"""The writer and its workers: what is told as stored is, and comes to its end once."""

import asyncio
import os
import signal
import threading

import pytest
from server.rig import PATIENCE, Rig, keeping_fails, run

from dsn_processor import bulk
from dsn_processor.errors import StoreError
from dsn_processor.facts import InboundMessage
from dsn_processor.pipeline import release
from dsn_processor.record.store import Store
from dsn_processor.server.options import ProcessingOptions
from dsn_processor.terms import MessageState
from dsn_processor.workers import Worker


def test_what_is_taken_is_on_disk_and_is_processed_once(url, mails):
    async def steps():
        async with Rig(url) as rig:
            told = await asyncio.gather(*(rig.take(raw, "bounces@example.com") for raw in mails + mails[:7]))
            assert sorted(one.id for one in told if not one.duplicate) == list(range(1, 61))
            assert sum(one.duplicate for one in told) == 7
            with Store.open(url, readonly=True) as other:
                assert other.stats().mails == 60
            await rig.processed(60)

    run(steps())
    with Store.open(url) as store:
        stats = store.stats()
        assert (stats.mails, stats.events, stats.pending, stats.quarantined) == (60, 60, 0, 0)
        assert stats.duplicates == 7
        assert store.message(1).attempts == 1


def test_the_same_mail_to_somebody_else_is_one_mail_with_two_recipients(url, mails):
    async def steps():
        async with Rig(url) as rig:
            first = await rig.take(mails[0], "token-a@example.com")
            await rig.processed(1)
            again = await rig.take(mails[0], "token-b@example.com")
            assert (again.id, again.duplicate) == (first.id, True)
            await rig.processed(1)
            stored = await rig.writer.call(lambda store: store.report(first.id))
            assert stored.message.envelope.recipients == ("token-a@example.com", "token-b@example.com")
            assert stored.message.state is MessageState.PROCESSED
            assert len(stored.events) == 1

    run(steps())


def test_mails_that_an_earlier_run_left_are_processed(url, mails):
    from dsn_processor.pipeline import accept_all

    with Store.open(url) as store:
        accept_all(store, [InboundMessage(raw, "smtp") for raw in mails], begin=20)

    async def steps():
        async with Rig(url) as rig:
            await rig.processed(60)

    run(steps())
    with Store.open(url) as store:
        assert store.stats().events == 60
        assert {store.message(id_).attempts for id_ in range(1, 21)} == {2}
        assert {store.message(id_).attempts for id_ in range(21, 61)} == {1}


def test_unanswered_attempts_are_forgiven_some_times_but_not_for_ever(url, mails):
    from dsn_processor.pipeline import UNANSWERED, accept_all

    with Store.open(url) as store:
        accept_all(store, [InboundMessage(raw, "smtp") for raw in mails[:2]], begin=2)
        with store.transaction():
            for _ in range(UNANSWERED - 1):
                store.claim([1])
            for _ in range(UNANSWERED - 2):
                store.claim([2])

    async def steps():
        async with Rig(url) as rig:
            await rig.processed(2)

    run(steps())
    with Store.open(url) as store:
        assert store.message(1).state is MessageState.QUARANTINED
        assert "did not come to an end" in store.message(1).last_error
        assert store.message(2).state is MessageState.PROCESSED


@pytest.fixture
def poisoned(monkeypatch, tmp_path):
    """Make workers meet their end at a mail with the word POISON; by ``how`` it says."""

    def poison(how):
        room = tmp_path / "poison"
        room.mkdir()
        words = f"""
import os, signal, dsn_processor.reading as reading
real = reading.read
def read(raw, *rest, **options):
    if b"POISON" in raw:
        {how}
    return real(raw, *rest, **options)
reading.read = read
reading.read_all = lambda mails, *rest: [read(mail.raw, mail.envelope, *rest) for mail in mails]
"""
        (room / "sitecustomize.py").write_text(words)
        monkeypatch.setenv("PYTHONPATH", str(room))

    return poison


@pytest.mark.parametrize(
    "how",
    [
        "os.kill(os.getpid(), signal.SIGSEGV)",
        "while True: pass",
        "held = [b'x' * 10**8 for _ in range(100)]",
        "raise RuntimeError('a fault of ours')",
    ],
    ids=["crash", "endless", "memory", "exception"],
)
def test_a_mail_that_ends_its_reader_is_quarantined_and_costs_nothing_else(url, mails, poisoned, how):
    poisoned(how)
    bad = mails[0].replace(b"Subject: ", b"Subject: POISON ", 1)
    assert b"POISON" in bad

    async def steps():
        options = ProcessingOptions(workers=2, cpu_seconds=1, memory=600_000_000)
        async with Rig(url, options=options) as rig:
            # Few: a reader may use a second of CPU for each mail that it was given.
            await asyncio.gather(*(rig.take(raw) for raw in (mails[1], bad, *mails[2:6])))
            await rig.processed(6)
            assert (await rig.writer.call(lambda store: store.stats())).quarantined == 1
            await rig.take(mails[30])
            await rig.processed(7)

    run(steps())
    with Store.open(url) as store:
        [id_] = store.message_ids(MessageState.QUARANTINED)
        stored = store.message(id_)
        assert stored.attempts == 2
        assert stored.last_error
        assert store.raw(id_) == bad
        assert store.stats().events == 6


def test_a_signal_to_all_processes_of_a_service_is_the_servers_to_answer(url, mails):
    async def steps():
        async with Rig(url) as rig:
            await rig.take(mails[0])
            await rig.processed(1)
            before = [worker._process.pid for worker in rig.processing._workers.values()]
            for pid in before:
                os.kill(pid, signal.SIGTERM)
            await asyncio.gather(*(rig.take(raw) for raw in mails))
            await rig.processed(60)
            assert [worker._process.pid for worker in rig.processing._workers.values()] == before

    run(steps())


def test_a_quarantined_mail_can_be_tried_again(url, mails):
    with Store.open(url) as store:
        [outcome] = bulk.take(store, [InboundMessage(mails[0], "smtp")])
        with store.transaction():
            store.set_state(outcome.message_id, MessageState.QUARANTINED, "a fault")
        assert release(store, [99]) == []
        assert release(store, None) == [1]
        assert store.message(1).state is MessageState.RECEIVED


def test_attempts_that_did_not_begin_are_given_back(url, mails):
    async def steps():
        async with Rig(url) as rig:
            await rig.take(mails[0])
            await rig.processed(1)
            rig.processing.stop(PATIENCE)
            with rig.processing._ready:
                rig.processing._stopping = False  # as if it stopped between a mail's commit and its turn
            rig.processing._up = {0}
            await rig.take(mails[1])
            rig.processing._up = set()
            assert (await rig.writer.call(lambda store: store.message(2))).attempts == 1

    run(steps())
    with Store.open(url) as store:
        assert store.message(2).attempts == 0
        assert store.message(2).state is MessageState.RECEIVED


def test_a_mail_that_comes_for_another_while_it_is_read_is_read_for_both(url, mails, monkeypatch):
    reading, go_on = threading.Event(), threading.Event()
    real = Worker.receive
    seen = []

    def receive(worker, number):
        answers = real(worker, number)
        if not reading.is_set():
            reading.set()
            go_on.wait(PATIENCE)
        return answers

    from dsn_processor import pipeline

    finish = pipeline.finish

    def finished(store, done, correlation):
        seen.extend(work.unread.message.envelope.recipients for work, _ in done)
        return finish(store, done, correlation)

    monkeypatch.setattr(Worker, "receive", receive)
    monkeypatch.setattr("dsn_processor.server.writer.finish", finished)

    async def steps():
        async with Rig(url) as rig:
            await rig.take(mails[0], "token-a@example.com")
            await asyncio.to_thread(reading.wait, PATIENCE)
            again = await rig.take(mails[0], "token-b@example.com")
            go_on.set()
            assert again.duplicate
            await rig.processed(1)
            assert seen == [("token-a@example.com", "token-b@example.com")]
            stored = await rig.writer.call(lambda store: store.report(1))
            assert (len(stored.events), stored.message.attempts) == (1, 1)

    run(steps())


def test_after_the_end_nobody_waits_for_an_answer(url, mails):
    async def steps():
        async with Rig(url) as rig:
            pass
        with pytest.raises(StoreError, match="has ended"):
            await rig.take(mails[0])
        with pytest.raises(StoreError, match="has ended"):
            await rig.writer.call(lambda store: store.stats())
        with pytest.raises(StoreError, match="has ended"):
            await asyncio.to_thread(rig.writer.ask, lambda store: store.stats())

    run(steps())


def test_a_fault_of_ours_with_an_answer_is_another_attempt(url, mails, monkeypatch):
    real, faults = Worker.receive, [ValueError("no answer as it should be")]

    def receive(worker, number):
        if faults:
            raise faults.pop()
        return real(worker, number)

    monkeypatch.setattr(Worker, "receive", receive)

    async def steps():
        async with Rig(url, options=ProcessingOptions(workers=1)) as rig:
            await rig.take(mails[0])
            await rig.processed(1)
            await rig.take(mails[1])
            await rig.processed(2)

    run(steps())
    with Store.open(url) as store:
        assert (store.message(1).attempts, store.message(2).attempts) == (2, 1)


def test_answers_that_cannot_be_kept_for_a_fault_of_ours_are_asked_for_again(url, mails, monkeypatch):
    keeping_fails(monkeypatch, [ValueError("a fault of ours")])

    async def steps():
        async with Rig(url) as rig:
            await rig.take(mails[0])
            await rig.processed(1)

    run(steps())
