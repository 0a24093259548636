"""Mails read in other processes: the same answers, whatever becomes of a worker."""

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dsn_processor import workers
from dsn_processor.bulk import prepare, prepare_together
from dsn_processor.errors import DsnProcessorError
from dsn_processor.facts import InboundMessage
from dsn_processor.pipeline import Unread
from dsn_processor.reading import rules_version
from dsn_processor.record.store import Store
from dsn_processor.replaying import Tally, _shared, replay, supplied
from dsn_processor.teach.own import load_rules
from dsn_processor.terms import MessageState

# Loaded by a worker as it starts: mails that hold such a word do it harm.
HARMFUL = """
import os, time
import dsn_processor.pipeline as pipeline
read = pipeline.read

def harmed(raw, *rest):
    if b"KILL" in raw or (b"ONCE" in raw and not os.path.exists(FLAG)):
        open(FLAG, "w").close()
        os.kill(os.getpid(), 9)
    if b"HANG" in raw:
        time.sleep(60)
    if b"HUGE" in raw:
        bytearray(2**40)
    return read(raw, *rest)

pipeline.read = harmed
pipeline.read_all = lambda mails, *rest: [harmed(mail.raw, mail.envelope, *rest) for mail in mails]
"""


@pytest.fixture
def harmful(tmp_path, monkeypatch):
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(f"FLAG = {str(tmp_path / 'flag')!r}\n{HARMFUL}")
    here = Path(workers.__file__).parents[1]
    monkeypatch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{here}")


@pytest.fixture
def mails(write_dsn, monkeypatch):
    """Enough mails for many batches, each of a sent mail and a recipient of its own."""
    monkeypatch.setattr("dsn_processor.replaying.BATCH_MAILS", 8)
    return [
        InboundMessage(
            raw=write_dsn(number=n, returned_id=f"<sent-{n}@example.com>", recipient=f"user-{n}@example.net"),
            source=f"{n}.eml",
        )
        for n in range(60)
    ]


def replayed(url, mails, count):
    """(outcomes, tally, events) of a replay with so many workers."""
    outcomes, tally = [], Tally()
    with supplied(mails, tally, skipped=print, workers=count) as supply, Store.open(url) as store:
        replay(store, supply, tally, seen=outcomes.append)
        return outcomes, tally, list(store.events())


def without_times(events):
    return [
        (event.message_id, event.identity, event.kind, event.recipient, event.verdict) for event in events
    ]


@pytest.mark.parametrize("count", [2, 3])
def test_many_processes_say_what_one_says(tmp_path, mails, count):
    mails += [mails[3], mails[40]]
    one = replayed(f"sqlite:///{tmp_path}/one.db", mails, 1)
    many = replayed(f"sqlite:///{tmp_path}/many.db", mails, count)
    assert (many[1].mails, many[1].duplicates) == (62, 2)
    assert many[1] == one[1]
    assert without_times(many[2]) == without_times(one[2])
    assert [(o.source, o.message_id, o.duplicate) for o in many[0]] == [
        (o.source, o.message_id, o.duplicate) for o in one[0]
    ]


@pytest.mark.parametrize(
    ("batches", "workers", "shares"),
    [
        (4, 2, ["abcd", "efgh"]),
        (3, 2, ["abcd", "ef"]),
        (2, 4, ["ab", "cd"]),
        (4, 3, ["abcd", "efgh"]),
        (4, 0, []),
    ],
)
def test_what_workers_begin_with_is_all_of_the_first_batches_in_order(batches, workers, shares):
    assert _shared(["ab", "cd", "ef", "gh"][:batches], workers) == list(map(list, shares))


def test_what_is_known_is_not_read_again(url, mails):
    replayed(url, mails, 2)
    _, tally, events = replayed(url, mails, 2)
    assert (tally.duplicates, len(events)) == (60, 60)


def spoilt(mails, number, word):
    return [
        InboundMessage(raw=mail.raw + word if n == number else mail.raw, source=mail.source)
        for n, mail in enumerate(mails)
    ]


@pytest.mark.parametrize("word, told", [(b"KILL", "signal 9"), (b"HANG", "no answer in time")])
def test_a_mail_that_ends_its_worker_is_put_aside_alone(url, mails, harmful, monkeypatch, word, told):
    monkeypatch.setattr(workers, "_PATIENCE", 3.0)
    outcomes, tally, events = replayed(url, spoilt(mails, 21, word), 2)
    assert (tally.mails, tally.quarantined, len(events)) == (60, 1, 59)
    [bad] = [outcome for outcome in outcomes if outcome.error]
    assert (bad.source, bad.message_id) == ("21.eml", 22)
    assert told in bad.error
    with Store.open(url) as store:
        assert store.message(22).state is MessageState.QUARANTINED
        assert store.raw(22).endswith(word)


def test_a_worker_killed_from_outside_costs_nothing(url, mails, harmful):
    _, tally, events = replayed(url, spoilt(mails, 21, b"ONCE"), 2)
    assert (tally.mails, tally.quarantined, len(events)) == (60, 0, 60)


def test_a_mail_that_wants_more_memory_than_a_worker_may_have(url, mails, harmful):
    outcomes, tally, events = replayed(url, spoilt(mails, 21, b"HUGE"), 2)
    assert (tally.quarantined, len(events)) == (1, 59)
    assert "MemoryError" in outcomes[21].error


# As for a user who may not raise a limit.
LIMITED = """
import resource

set_limit = resource.setrlimit
limits = (2**31, 2**31)

def refused(which, limits):
    if limits[1] > 2**31:
        raise ValueError("not allowed to raise maximum limit")
    set_limit(which, limits)

set_limit(resource.RLIMIT_AS, limits)
resource.setrlimit = refused
"""


def test_workers_under_a_lower_limit_of_memory(url, mails, harmful, tmp_path):
    (tmp_path / "site/sitecustomize.py").write_text(LIMITED)
    assert replayed(url, mails, 2)[1].mails == 60


def test_workers_that_cannot_start_are_no_mails_fault(url, mails, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(DsnProcessorError, match=r"did not start \(exit code 1\): try --workers 1"):
        replayed(url, mails, 2)
    with Store.open(url) as store:
        assert store.stats().mails == 0


PARENT = """
import time
from dsn_processor.workers import Worker
worker = Worker()
worker.await_ready()
print(worker._process.pid, flush=True)
time.sleep(60)
"""


def test_workers_end_with_their_parent():
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        worker = int(parent.stdout.readline())
        parent.kill()
    for _ in range(600):
        if not _runs(worker):
            return
        time.sleep(0.05)
    os.kill(worker, signal.SIGKILL)
    pytest.fail("the worker outlived its parent")


def _runs(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")  # one that ended may wait for somebody to ask how
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"


def test_workers_judge_by_the_rules_of_the_moment(url, mails, tmp_path):
    own = tmp_path / "own.toml"
    row = '[[rule]]\nid = "mine"\nreason = "mailbox_moved"\ntext = ["user unknown"]\nseen = ["550 user unknown"]\n'
    own.write_text(row)
    first = load_rules(str(own))
    own.write_text(row.replace("mailbox_moved", "policy"))
    second = load_rules(str(own))
    # asked once before the first batch
    given = iter([first] * 4 + [second] * 3 + [None] * 10)
    tally = Tally()
    with supplied(mails, tally, skipped=print, workers=2) as supply, Store.open(url) as store:
        replay(store, supply, tally, seen=lambda _: None, rules=lambda: next(given))
        reasons = [event.verdict.reason.value for event in store.events()][::-1]
        rules = [store.report(n).rules for n in (1, 25, 49)]
    assert reasons == ["mailbox_moved"] * 24 + ["policy"] * 24 + ["user_unknown"] * 12
    assert rules == [first.version, second.version, rules_version()]


def test_a_few_batches_need_no_process(url, mails, monkeypatch):
    monkeypatch.setattr("dsn_processor.replaying.Worker", None)
    assert replayed(url, mails[:32], 4)[1].mails == 32
    with pytest.raises(TypeError):
        replayed(url, mails, 4)


def test_large_mails_go_by_themselves_and_in_their_place(mails, monkeypatch):
    monkeypatch.setattr(workers, "_LARGE", 3_000)
    now = datetime.now(UTC)
    unread = [
        Unread(mail._replace(raw=mail.raw + b"x" * 4_000 * (at % 3 == 0)), str(at), now)
        for at, mail in enumerate(mails)
    ]
    with workers.Worker() as worker:
        worker.send(prepare_together, unread, None)
        assert worker.receive(len(unread)) == [prepare(one) for one in unread]
