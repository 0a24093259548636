"""The store fails while mail comes in: only 4xx, nothing lost, and all well by itself once the trouble is over."""

import signal
import time

import pytest
from serve import needs
from serve.client import Session, web
from serve.disks import of_memory
from serve.harness import Serve, wait
from serve.load import Load
from serve.mails import bounce
from serve.surviving import survive, survive_one_by_one, taken
from serve.tracing import traced
from serve.troubles import FAILING, deleted, failing, full, locked, moved_away, no_descriptors
from serve.verify import faults, wait_processed

pytestmark = pytest.mark.server


@pytest.mark.parametrize("name", FAILING)
def test_the_kernel_refuses(tmp_path, name):
    needs.tracing()
    assert survive(tmp_path, failing(*FAILING[name])).faults == []


def test_one_system_call_fails_whichever_it_is(tmp_path):
    needs.tracing()
    outcome = survive_one_by_one(tmp_path, ("pwrite64", "fdatasync"), 3)
    assert outcome.faults == []
    assert outcome.refused


@pytest.mark.parametrize("trouble", [locked, moved_away, deleted])
def test_somebody_meddles_with_the_database(tmp_path, trouble):
    assert survive(tmp_path, trouble).faults == []


def test_the_disk_is_full(tmp_path):
    needs.root()
    with of_memory(tmp_path / "small", 16) as disk:
        outcome = survive(tmp_path, full, database=disk / "bounces.db", settings="min_free = 0")
        assert outcome.faults == []


def test_no_descriptor_is_free(serve):
    with Session(serve.smtp) as early:
        early.greet()
        before, spent = serve.descriptors(), serve.cpu()
        with no_descriptors(serve):
            assert early.deliver(bounce("early").raw).code in {250, 451, 452}
            time.sleep(1)
            assert serve.cpu() - spent < 0.7  # it does not try without pause
        assert early.deliver(bounce("early").raw).code == 250
    with Session(serve.smtp) as late:
        assert late.greet().code == 250
        assert late.deliver(bounce("late").raw).code == 250
    wait(lambda: serve.descriptors() <= before, "descriptors are not given back", log=serve.log)
    wait_processed(serve.database)
    assert faults(serve.database, {token: bounce(token) for token in ("early", "late")}) == []


def test_a_slow_disk_only_takes_longer(serve):
    needs.tracing()
    with (
        Load(serve.smtp, clients=4) as load,
        traced(serve.pid, serve.folder / "trace", "trace=fdatasync", "inject=fdatasync:delay_enter=300000"),
    ):
        taken(serve, load, 20)
    assert set(load.codes) == {250}
    wait_processed(serve.database)
    assert faults(serve.database, load.acknowledged) == []


def test_little_room_is_told_before_the_mail_is_sent(tmp_path):
    with Serve(tmp_path, settings='min_free = "1TB"') as serve, Session(serve.smtp) as session:
        session.greet()
        reply = session.command("MAIL FROM:<>")
        assert (reply.code, reply.lines[0][4:9]) == (452, "4.3.1")
        assert web(serve.web, "/readyz")[0] == 503
        serve.configure(settings="min_free = 0")
        serve.signal(signal.SIGHUP)
        wait(lambda: session.command("MAIL FROM:<>").code == 250, "no room is seen", log=serve.log)


def test_a_second_server_does_not_start(serve, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    second = Serve(other, database=serve.database)
    with pytest.raises(AssertionError, match=r"in use|holds"):
        second.start()
    with Session(serve.smtp) as session:
        session.greet()
        assert session.deliver(bounce("first").raw).code == 250
