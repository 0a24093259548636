"""The control socket: commands that write have the server write."""

import asyncio
import json
import os
import signal

import pytest
from server.rig import PATIENCE, Rig, held, path_of

from dsn_processor import bulk, metrics
from dsn_processor.errors import StoreBusyError, StoreError
from dsn_processor.facts import Envelope, InboundMessage
from dsn_processor.notify.options import WebhookOptions
from dsn_processor.record.store import Store
from dsn_processor.server.control import Control
from dsn_processor.server.handover import Handover, control_path, facts_of


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
