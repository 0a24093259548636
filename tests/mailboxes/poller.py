"""`dsn-processor poll` as users run it, and what the database says of its work."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Self

from conftest import dsn
from mailboxes.dovecot import PASSWORD, Dovecot
from serve.harness import PATIENCE, wait

COMMAND = (sys.executable, "-m", "dsn_processor")


def report(number: int) -> bytes:
    """The delivery report about the ``number``-th recipient, as a Maildir has it: with the traces of its way."""
    traces = f"Return-Path: <>\nDelivered-To: bounces+{number}@example.com\nReceived: from mx.example.net; {number}\n"
    about = {"recipient": f"user-{number}@example.net", "returned_id": f"<sent-{number}@example.com>"}
    return traces.encode() + dsn(number=number, **about)


def letter(number: int = 0) -> bytes:
    """Mail from a person."""
    return f"From: ann@example.org\nTo: bounces@example.com\nSubject: Lunch {number}\nMessage-ID: <lunch-{number}@example.org>\n\nShall we?\n".encode()


def account(dovecot: Dovecot, name: str = "bounces", **options: Any) -> str:
    """The section of an account on a Dovecot, its TLS verified; ``options`` add to it or replace."""
    given = {
        "name": name,
        "host": "localhost",
        "port": dovecot.imaps,
        "ca_file": str(dovecot.certificate),
        "username": name,
        "password": PASSWORD,
        **options,
    }
    return "[[imap]]\n" + "".join(f"{key} = {_toml(value)}\n" for key, value in given.items())


def _toml(value: object) -> str:
    """Of these kinds of values JSON and TOML have the same form."""
    return json.dumps(value, ensure_ascii=False)


class Poller:
    """Runs ``poll`` on a folder of its own."""

    def __init__(self, folder: Path, *accounts: str) -> None:
        self.folder = folder
        self.database = folder / "bounces.db"
        self.log_file = folder / "poll.log"
        self.configure(*accounts)
        self._process: subprocess.Popen[bytes] | None = None

    def configure(self, *accounts: str) -> None:
        path = self.folder / "dsn-processor.toml"
        path.touch(0o600)
        path.write_text(f'database = "sqlite:///{self.database}"\n' + "\n".join(accounts))

    def __enter__(self) -> Self:
        return self if self.running else self.start()

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self.kill()

    def once(self, *options: str, patience: float = 120) -> subprocess.CompletedProcess[str]:
        """Look once. Where it does not end, its output is told."""
        return self.run("poll", "--once", *options, patience=patience)

    def run(self, *words: str, patience: float = 120) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *words],
            cwd=self.folder,
            env=_environment(),
            capture_output=True,
            text=True,
            timeout=patience,
            check=False,
        )

    def start(self, *options: str) -> Self:
        """Poll until it is ended."""
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [*COMMAND, "poll", *options],
                cwd=self.folder,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """kill -9; its workers end by themselves."""
        assert self._process is not None
        with suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait(PATIENCE)
        self._process = None

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it in good order; its exit code."""
        assert self._process is not None
        self._process.send_signal(number)
        code = self._process.wait(PATIENCE + 20)
        self._process = None
        return code

    def log(self) -> str:
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def wait_processed(self, number: int, patience: float = 60) -> None:
        wait(
            lambda: processed(self.database) >= number, f"not {number} are processed", patience, log=self.log
        )

    def wait_said(self, words: str, times: int = 1, patience: float = 60) -> None:
        wait(lambda: self.log().count(words) >= times, f"{words!r} is not said", patience, log=self.log)


def _environment() -> Mapping[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("DSN_PROCESSOR")}


def ask(database: Path, statement: str) -> list[tuple[Any, ...]]:
    """What the database says; nothing while there is none, or none with tables."""
    if not database.exists() or not database.stat().st_size:
        return []
    reading = closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10))
    with reading as connection, suppress(sqlite3.OperationalError):
        return connection.execute(statement).fetchall()
    return []


def stored(database: Path) -> int:
    """How many mails are stored."""
    return next(iter(ask(database, "SELECT count(*) FROM message")), (0,))[0]


def processed(database: Path) -> int:
    """How many mails are stored and processed."""
    return next(iter(ask(database, "SELECT count(*) FROM message WHERE state = 'processed'")), (0,))[0]


def faults(database: Path, reports: int) -> list[str]:
    """What is wrong where just the ``report``s 0 to ``reports`` - 1 were to be stored, once each."""
    found = []
    mails = ask(database, "SELECT state, envelope_recipients FROM message")
    told = [(state, str(recipients)) for state, recipients in mails]
    for number in range(reports):
        times = sum(f'"bounces+{number}@example.com"' in recipients for _, recipients in told)
        if times != 1:
            found.append(f"report {number} is stored {times} times")
    if len(mails) != reports:
        found.append(f"{len(mails)} mails are stored")
    events = [address for (address,) in ask(database, "SELECT address FROM recipient_event")]
    if sorted(events) != sorted(f"user-{number}@example.net" for number in range(reports)):
        found.append(f"{len(events)} events, of {len(set(events))} recipients")
    found += [f"a mail is {state}" for state, _ in told if state != "processed"]
    found += [
        f"{rows} mails wait to be filed"
        for (rows,) in ask(database, "SELECT count(*) FROM mailbox_mail")
        if rows
    ]
    return found[:20]
