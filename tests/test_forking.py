"""Workers that are copies of the process that replays: in a process of its own, since a test's has threads."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import dsn_processor
from dsn_processor.record.store import Store
from dsn_processor.terms import MessageState

# Run in place of the command: mails that hold such a word end the worker that reads them.
REPLAY = """
import os, sys
from dsn_processor import forking, pipeline, replaying, workers
from dsn_processor.cli import main

started, spawned, read_all = [], [], pipeline.read_all

def harmed(mails, *rest):
    if any(b"KILL" in mail.raw for mail in mails) and os.getpid() != parent:
        os.kill(os.getpid(), 9)
    return read_all(mails, *rest)

class Forked(workers.Forked):
    def __init__(self, *given):
        super().__init__(*given)
        started.append(self.pid)

def spawn(*given):
    spawned.append(given)
    return before(*given)

parent = os.getpid()
pipeline.read_all = harmed
workers.Forked, before, workers._spawned = Forked, workers._spawned, spawn
replaying.BATCH_MAILS = 8
try:
    main()
finally:
    print(len(started), len(spawned), file=sys.stderr)
"""


@pytest.fixture
def folder(tmp_path, write_dsn):
    """Mails for many batches."""
    mails = tmp_path / "mails"
    mails.mkdir()
    for n in range(60):
        raw = write_dsn(number=n, returned_id=f"<sent-{n}@example.com>", recipient=f"user-{n}@example.net")
        (mails / f"{n:02}.eml").write_bytes(raw)
    return mails


def replayed(folder, url, *, path=()):
    """(summary, workers forked, workers spawned)."""
    here = Path(dsn_processor.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", REPLAY, "replay", folder, "--db", url, "--workers", "2", "--json"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [*path, here]))},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    counts = done.stderr.splitlines()[-1].split()
    return json.loads(done.stdout), *map(int, counts)


needs_fork = pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux alone")


@needs_fork
def test_forked_workers_read_all(folder, url):
    summary, forked, spawned = replayed(folder, url)
    assert (summary["new"], summary["quarantined"], summary["events"]["total"]) == (60, 0, 60)
    assert (forked, spawned) == (2, 0)


@needs_fork
def test_a_forked_worker_that_ends_is_replaced_by_a_process_of_its_own(folder, url):
    mail = folder / "21.eml"
    mail.write_bytes(mail.read_bytes() + b"KILL")
    summary, forked, spawned = replayed(folder, url)
    assert (summary["new"], summary["quarantined"]) == (60, 0)  # the harm is the copies' alone
    assert (forked, spawned) == (2, 1)


@needs_fork
def test_a_mail_that_ends_every_worker_is_put_aside(folder, url, tmp_path):
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(
        "import os\nfrom dsn_processor import pipeline\nread_all, read = pipeline.read_all, pipeline.read\n"
        "def harmed(raw, *rest):\n    if b'KILL' in raw: os.kill(os.getpid(), 9)\n    return read(raw, *rest)\n"
        "pipeline.read = harmed\n"
    )
    mail = folder / "21.eml"
    mail.write_bytes(mail.read_bytes() + b"KILL")
    summary, _, spawned = replayed(folder, url, path=[site])
    assert (summary["new"], summary["quarantined"], summary["events"]["total"]) == (60, 1, 59)
    assert spawned == 2  # one to try again, and one after that
    with Store.open(url) as store:
        assert list(store.message_ids(MessageState.QUARANTINED)) == [22]


PARENT = """
import os, time
from dsn_processor.workers import Worker
held = os.open(os.devnull, os.O_RDONLY)
workers = [Worker(fork=True) for _ in range(2)]
for worker in workers:
    worker.await_ready()
print(*(worker._process.pid for worker in workers), flush=True)
time.sleep(60)
"""


@needs_fork
def test_forked_workers_have_nothing_open_and_end_with_their_parent():
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        pids = list(map(int, parent.stdout.readline().split()))
        try:
            held = [len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in pids]
            groups = [os.getpgid(pid) for pid in pids]
        finally:
            parent.kill()
    assert held == [4, 4]  # input, output, errors, and the pipe
    assert groups == pids
    deadline = time.monotonic() + 60
    while left := [pid for pid in pids if _runs(pid)]:
        if time.monotonic() > deadline:
            for pid in left:
                os.kill(pid, signal.SIGKILL)
            pytest.fail("a worker outlived its parent")
        time.sleep(0.05)


def _runs(pid):
    state = Path(f"/proc/{pid}/stat")  # one that ended may wait for somebody to ask how
    try:
        return state.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
