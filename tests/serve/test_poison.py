"""A mail that brings down whoever reads it: put aside after two attempts, while others are read."""

import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from serve.client import Session
from serve.harness import Serve, wait
from serve.mails import bounce
from serve.verify import faults

#: No mail is known to do this; so reading is broken for mails that ask for it.
_PATCH = """
import ctypes, os, time
from dsn_processor import reading
read = reading.read
def poisoned(raw, *args, **more):
    if b"X-Poison: hang" in raw:
        while True:
            pass
    if b"X-Poison: sleep" in raw:
        time.sleep(3600)
    if b"X-Poison: crash" in raw:
        ctypes.string_at(0)
    if b"X-Poison: end" in raw:
        os._exit(0)
    if b"X-Poison: memory" in raw:
        bytearray(2**40)
    if b"X-Poison: raise" in raw:
        raise RuntimeError("poison")
    return read(raw, *args, **more)
if not os.path.exists(ANTIDOTE):
    reading.read = poisoned
    reading.read_all = lambda mails, *rest: [poisoned(mail.raw, mail.envelope, *rest) for mail in mails]
from dsn_processor import workers  # takes what it reads with from there
workers._PATIENCE = 3.0  # for a mail that waits without doing anything
"""


@pytest.fixture
def serve(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(_PATCH.replace("ANTIDOTE", repr(str(tmp_path / "antidote"))))
    with Serve(tmp_path, patches=tmp_path, sections="[processing]\ncpu_seconds = 1\nworkers = 2") as running:
        yield running


@pytest.mark.parametrize("poison", ["hang", "sleep", "crash", "end", "memory", "raise"])
def test_poison_is_put_aside_while_others_are_read(serve, poison):
    good = [bounce(f"good-{number}") for number in range(5)]
    with Session(serve.smtp) as session:
        session.greet()
        assert session.deliver(_poisoned(poison)).code == 250
        for mail in good:
            assert session.deliver(mail.raw).code == 250
    wait(
        lambda: _states(serve) == {"processed": len(good), "quarantined": 1},
        "poison is not put aside",
        log=serve.log,
    )
    problems = faults(serve.database, {mail.token: mail for mail in good})
    assert [problem for problem in problems if not problem.startswith("I6: mail 1 is quarantined")] == []
    assert serve.stop() == 0


def test_quarantine_is_listed_shown_and_tried_again(serve, tmp_path):
    with Session(serve.smtp) as session:
        session.greet()
        assert session.deliver(_poisoned("crash")).code == 250
    wait(lambda: _states(serve) == {"quarantined": 1}, "poison is not put aside", log=serve.log)
    assert "1" in _run(serve, "list")
    assert "did not come to an end" in _run(serve, "show", "1")
    _run(serve, "retry", "1")
    wait(lambda: _states(serve) == {"quarantined": 1}, "poison is not put aside again", log=serve.log)
    (tmp_path / "antidote").touch()
    assert serve.stop() == 0
    serve.start()
    _run(serve, "retry", "1")
    wait(lambda: _states(serve) == {"processed": 1}, "the mail is not read", log=serve.log)


def _poisoned(kind):
    return b"X-Poison: " + kind.encode() + b"\r\n" + bounce("poison").raw


def _states(serve):
    with closing(sqlite3.connect(f"file:{serve.database}?mode=ro", uri=True, timeout=30)) as connection:
        return dict(connection.execute("SELECT state, count(*) FROM message GROUP BY state").fetchall())


def _run(serve, *arguments):
    command = [
        sys.executable,
        "-m",
        "dsn_processor",
        "quarantine",
        *arguments,
        "--db",
        f"sqlite:///{serve.database}",
    ]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=serve.folder)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout
