"""The writer, its keeper and its workers, without a listener: what is told as stored is, and comes to its end once."""

import asyncio
import json
import os
import signal
import sqlite3
import threading
import time
from pathlib import Path

import pytest

from dsn_processor import bulk, metrics
from dsn_processor.errors import StoreBusyError, StoreError, StoreFullError, StoreMovedError
from dsn_processor.facts import Envelope, InboundMessage
from dsn_processor.notify.options import WebhookOptions
from dsn_processor.pipeline import release
from dsn_processor.record.store import Store
from dsn_processor.server.control import Control
from dsn_processor.server.handover import Handover, control_path, facts_of
from dsn_processor.server.keeper import Keeper
from dsn_processor.server.options import ProcessingOptions
from dsn_processor.server.processing import Processing
from dsn_processor.server.writer import Writer
from dsn_processor.terms import MessageState
from dsn_processor.workers import Worker

PATIENCE = 60


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


@pytest.fixture
def mails(write_dsn):
    return [
        write_dsn(number=n, returned_id=f"<m{n}@example.com>", recipient=f"user{n}@example.net")
        for n in range(60)
    ]


def run(steps):
    asyncio.run(asyncio.wait_for(steps, 2 * PATIENCE))


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
            await asyncio.gather(
                *(rig.take(raw) for raw in (mails[1], bad, *mails[2:6]))
            )  # a second of CPU is allowed for each
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


# ---- faults of the store


def held(path):
    """Another program's transaction."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    return other


def path_of(url):
    return Path(url.removeprefix("sqlite:///"))


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


def test_a_file_that_is_moved_away_is_not_made_anew(url, mails, tmp_path):
    path = path_of(url)

    async def steps():
        async with Rig(url) as rig:
            await rig.take(mails[0])
            path.rename(tmp_path / "elsewhere.db")
            with pytest.raises(StoreError):
                await rig.take(mails[1])
            assert isinstance(rig.keeper.state.fault, StoreMovedError)
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
    from dsn_processor import pipeline

    real, faults = pipeline.finish, [StoreFullError("no room"), StoreFullError("no room")]

    def finish(store, done, correlation):
        if faults:
            raise faults.pop()
        return real(store, done, correlation)

    monkeypatch.setattr("dsn_processor.server.writer.finish", finish)

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
            stopped = rig.writer.call(lambda _: time.sleep(0.5))
            await asyncio.sleep(0.1)
            futures = [rig.writer.take(InboundMessage(raw, "smtp")) for raw in mails[:3]]
            with pytest.raises(StoreFullError):
                rig.writer.take(InboundMessage(mails[3], "smtp"))
            await stopped
            await asyncio.gather(*futures)

    run(steps())


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


# ---- the control socket


class Taking:
    def __init__(self, writer):
        self._writer = writer

    async def take(self, message):
        return await self._writer.take(message)

    def refusal(self):
        return None


def with_control(url, ask, **options):
    """What ``ask`` gives when it is called, in a thread, with a connection to a running server."""

    async def steps():
        async with Rig(url, **options) as rig:
            control = Control(rig.keeper, rig.writer, Taking(rig.writer), WebhookOptions)
            await control.start()
            mode = control_path(path_of(url)).stat().st_mode & 0o777
            assert mode == 0o600
            try:
                return await asyncio.to_thread(ask)
            finally:
                await control.stop()
                assert not control_path(path_of(url)).exists()

    return asyncio.run(asyncio.wait_for(steps(), PATIENCE))


def test_commands_hand_over(url, mails):
    def ask():
        with Handover.connect(path_of(url)) as server:
            assert server.state()["pid"] == os.getpid()
            accepted = server.take(InboundMessage(mails[0], "ingest", Envelope("", ("b@example.com",))))
            assert (accepted.id, accepted.duplicate) == (1, False)
            sifted = bulk.sift(server, [InboundMessage(raw, "file") for raw in mails[:3]])
            batch = [one if isinstance(one, bulk.Prepared) else bulk.prepare(one) for one in sifted]
            outcomes = server.commit(batch)
            assert [one.duplicate for one in outcomes] == [True, False, False]
            assert [len(one.events) for one in outcomes] == [0, 1, 1]
            assert outcomes[1].kind == "failed"
            assert server.retry(None) == []

    with_control(url, ask)
    with Store.open(url) as store:
        assert store.stats().mails == 3


def test_what_commands_hand_over_is_counted(url, mails):
    def counted():
        samples = (
            metrics.ACCEPTED.labels("control"),
            metrics.ACCEPTED_BYTES.labels("control"),
            metrics.DUPLICATES.labels("control"),
            metrics.EVENTS.labels("failed", "hard", "user_unknown"),
        )
        return [sample._value.get() for sample in samples]

    def ask():
        with Handover.connect(path_of(url)) as server:
            mine = [InboundMessage(raw, "file") for raw in (*mails[:3], mails[0])]
            server.commit([bulk.prepare(one) for one in bulk.sift(server, mine)])
            server.take(InboundMessage(mails[1], "ingest"))

    before = counted()
    with_control(url, ask)
    size = sum(map(len, (*mails[:3], mails[0], mails[1])))
    assert [after - was for after, was in zip(counted(), before, strict=True)] == [5, size, 2, 3]


def test_replay_and_retry_run_beside_a_server(url, mails, tmp_path, capsys):
    from dsn_processor.cli import main

    folder = tmp_path / "mails"
    folder.mkdir()
    for at, raw in enumerate(mails[:9]):
        (folder / f"{at}.eml").write_bytes(raw)

    def ask():
        assert main(["replay", str(folder), "--db", url, "--json"]) == 0
        first = json.loads(capsys.readouterr().out)
        assert (first["new"], first["duplicates"], first["events"]["total"]) == (9, 0, 9)
        assert main(["replay", str(folder), "--db", url, "--json"]) == 0
        second = json.loads(capsys.readouterr().out)
        assert (second["new"], second["duplicates"], second["events"]["total"]) == (0, 9, 0)
        assert main(["quarantine", "retry", "--all", "--db", url]) == 0
        assert capsys.readouterr().out == "0 handed to the running server\n"

    with_control(url, ask)


def test_reclassify_runs_beside_a_server(url, mails, monkeypatch, capsys):
    from dsn_processor import pipeline
    from dsn_processor.cli import main
    from dsn_processor.reading import read

    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "read", lambda raw, *rest: read(raw.replace(b"5.1.1", b"5.2.2"), *rest))
        with Store.open(url) as store:
            bulk.take(store, [InboundMessage(raw, "file") for raw in mails])

    def ask():
        assert main(["reclassify", "--db", url, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    told = with_control(url, ask)
    assert told["mails_changed"] == 60
    assert with_control(url, ask)["mails_changed"] == 0
    with Store.open(url) as store:
        assert {event.recipient.status for event in store.events()} == {"5.1.1"}


def test_what_the_store_cannot_do_is_told_to_the_command(url, mails, monkeypatch):
    monkeypatch.setattr("dsn_processor.record.sqlite._BUSY_SECONDS", 0.1)

    def ask():
        with Handover.connect(path_of(url)) as server:
            other = held(path_of(url))
            with pytest.raises(StoreBusyError):
                server.take(InboundMessage(mails[0], "ingest"))
            other.close()

    with_control(url, ask)


def test_nobody_at_the_socket(url, tmp_path):
    assert Handover.connect(path_of(url)) is None
    deep = tmp_path / ("x" * 90) / ("y" * 90)
    deep.mkdir(parents=True)
    assert Handover.connect(deep / "bounces.db") is None


def test_a_long_path_has_a_socket_too(tmp_path, mails):
    deep = tmp_path / ("x" * 90) / ("y" * 90)
    deep.mkdir(parents=True)
    path = deep / "bounces.db"

    def ask():
        with Handover.connect(path) as server:
            assert server.take(InboundMessage(mails[0], "ingest")).id == 1

    with_control(f"sqlite:///{path}", ask)


def test_another_version_is_told(url, monkeypatch):
    def ask():
        monkeypatch.setattr("dsn_processor.server.handover.__version__", "9")
        with pytest.raises(StoreError, match="restart it"):
            Handover.connect(path_of(url))

    with_control(url, ask)


@pytest.mark.parametrize(
    "value",
    [os.system, {"a": 1}, [os.getcwd], [signal.SIGTERM], ["no fact"]],
    ids=["call", "dict", "list", "other", "text"],
)
def test_nothing_but_facts_is_unpickled(value):
    import pickle

    with pytest.raises(ValueError, match="no fact"):
        facts_of(bulk.Prepared, pickle.dumps(value))
    with pytest.raises(ValueError, match="no fact"):
        facts_of(bulk.Prepared, b"cos\nsystem\n(S'true'\ntR.")


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
    from dsn_processor import pipeline

    real, faults = pipeline.finish, [ValueError("a fault of ours")]

    def finish(store, done, correlation):
        if faults:
            raise faults.pop()
        return real(store, done, correlation)

    monkeypatch.setattr("dsn_processor.server.writer.finish", finish)

    async def steps():
        async with Rig(url) as rig:
            await rig.take(mails[0])
            await rig.processed(1)

    run(steps())
