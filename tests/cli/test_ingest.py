"""One mail from an MTA's pipe: either it is ours and we say 0, or the MTA keeps it: 75, and one line to log."""

import json
import os
import signal
import sqlite3
import subprocess
import sys

import pytest

import dsn_processor.cli
from dsn_processor import app, pipeline
from dsn_processor.cli import ingest as ingest_command
from dsn_processor.facts import InboundMessage
from dsn_processor.record.store import Store
from dsn_processor.terms import MessageState

PIPED = ("SENDER", "RECIPIENT", "ORIGINAL_RECIPIENT")


@pytest.fixture
def piped(monkeypatch, write_dsn):
    """Have ``raw`` come in by the pipe of a call in this process."""

    def feed(raw=None, **environment):
        for name in PIPED:
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        raw = write_dsn() if raw is None else raw
        monkeypatch.setattr(app, "read_stdin", lambda _: InboundMessage(raw=raw, source="-"))

    feed()
    return feed


@pytest.fixture(autouse=True)
def _signals_as_before():
    numbers = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def stored(url, message_id=1):
    with Store.open(url, readonly=True) as store:
        return store.report(message_id)


def failed(result):
    """What was said, where the MTA keeps the mail."""
    code, out, err = result
    assert (code, out) == (75, "")
    assert err.startswith("dsn-processor: ")
    assert len(err.splitlines()) == 1
    return err


def test_a_mail_from_a_pipe(program, url, write_dsn):
    environment = {
        **os.environ,
        "SENDER": "MAILER-DAEMON",
        "RECIPIENT": "bounces@example.com",
        "ORIGINAL_RECIPIENT": "bounces+17@example.com",
    }
    ran = program("ingest", "-", "--db", url, stdin=write_dsn(), env=environment)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"", b"")
    report = stored(url)
    assert report.message.state is MessageState.PROCESSED
    assert (report.message.source, report.message.size) == ("ingest", len(write_dsn()))
    assert report.message.envelope.sender == ""
    assert report.message.envelope.recipients == ("bounces+17@example.com", "bounces@example.com")
    assert [event.recipient.address for event in report.events] == ["bob@example.net"]


@pytest.mark.parametrize(
    ("environment", "sender", "recipients"),
    [
        ({}, None, ()),
        ({"SENDER": ""}, "", ()),
        ({"SENDER": "<>", "RECIPIENT": ""}, "", ()),
        (
            {"SENDER": "a@example.net", "RECIPIENT": "b@example.com", "ORIGINAL_RECIPIENT": "b@example.com"},
            "a@example.net",
            ("b@example.com",),
        ),
        ({"SENDER": "a\udcff@example.net"}, "a\ufffd@example.net", ()),
        ({"SENDER": "gr\u00fc\u00dfe@example.net"}, "gr\u00fc\u00dfe@example.net", ()),
    ],
)
def test_envelope(cli, url, piped, environment, sender, recipients):
    piped(**environment)
    assert cli("ingest", "-", "--db", url) == (0, "", "")
    envelope = stored(url).message.envelope
    assert (envelope.sender, envelope.recipients) == (sender, recipients)


def test_the_same_mail_again_is_a_silent_success(cli, url, piped):
    for _ in range(3):
        assert cli("ingest", "-", "--db", url) == (0, "", "")
    stats = json.loads(cli("stats", "--json", "--db", url)[1])
    assert (stats["mails"], stats["duplicates"], stats["events"]["total"]) == (1, 2, 1)


def test_the_database_of_the_environment(cli, url, piped, monkeypatch):
    monkeypatch.setenv("DSN_PROCESSOR_DB", url)
    assert cli("ingest", "-")[0] == 0
    assert stored(url).message.id == 1


# Every way to fail


@pytest.mark.parametrize("args", [[], ["--nope", "-"], ["x.eml"], ["-", "-"], ["-", "--db"], ["-", "--nope"]])
def test_usage(cli, piped, args):
    assert "--help" in failed(cli("ingest", *args))


def test_help_is_no_failure(cli):
    code, out, err = cli("ingest", "--help")
    assert (code, err) == (0, "")
    assert "75" in out


@pytest.mark.parametrize(
    ("db", "said"),
    [
        ("nonsense", "no database URL"),
        ("", "no database URL"),
        ("mysql://joe:secret@db.example/x", "only SQLite"),
        ("sqlite://", "names no file"),
        ("sqlite:///{}/none/x.db", "the folder {}/none does not exist: make it"),
        ("sqlite:///{}", "is a folder"),
    ],
)
def test_databases_that_cannot_be(cli, piped, tmp_path, db, said):
    err = failed(cli("ingest", "-", "--db", db.format(tmp_path)))
    assert said.format(tmp_path) in err
    assert "secret" not in err


def test_a_bad_url_in_the_environment(cli, piped, monkeypatch):
    monkeypatch.setenv("DSN_PROCESSOR_DB", "bounces.db")
    assert "$DSN_PROCESSOR_DB is 'bounces.db', no database URL" in failed(cli("ingest", "-"))


def test_a_corrupt_database(cli, url, piped, tmp_path):
    (tmp_path / "bounces.db").write_bytes(b"no database" * 1000)
    assert "no SQLite database" in failed(cli("ingest", "-", "--db", url))


@pytest.mark.parametrize("number", [13, 30, 28])  # EACCES, EROFS, ENOSPC
def test_a_file_that_cannot_be_written(cli, url, piped, monkeypatch, number):
    """As for the user of an MTA who may not write there; root may, so the refusal is played."""
    real = os.open

    def refuse(path, flags, *rest, **kwargs):
        if flags & os.O_CREAT:
            raise OSError(number, os.strerror(number), str(path))
        return real(path, flags, *rest, **kwargs)

    monkeypatch.setattr(os, "open", refuse)
    assert os.strerror(number) in failed(cli("ingest", "-", "--db", url))


def test_a_full_disk(program, url, write_dsn):
    """The file may grow to 8 kB: not enough for the tables."""
    command = [sys.executable, "-m", "dsn_processor", "ingest", "-", "--db", url]
    ran = subprocess.run(
        ["sh", "-c", 'ulimit -f 16; trap "" XFSZ; exec "$@"', "sh", *command],
        input=write_dsn(),
        capture_output=True,
        check=False,
        timeout=60,
    )
    failed((ran.returncode, ran.stdout.decode(), ran.stderr.decode()))


def test_a_store_in_use(cli, url, piped, monkeypatch):
    monkeypatch.setattr(ingest_command, "PATIENCE", 0.05)
    with Store.open(url):
        assert "is in use: another dsn-processor (process " in failed(cli("ingest", "-", "--db", url))
    assert cli("ingest", "-", "--db", url)[0] == 0


def test_it_is_patient_for_half_a_minute(monkeypatch, url, piped, cli):
    waits = []
    real = app.opened

    def spy(*args, wait):
        waits.append(wait)
        return real(*args, wait=wait)

    monkeypatch.setattr(app, "opened", spy)
    assert cli("ingest", "-", "--db", url)[0] == 0
    assert waits == [30.0]


def test_a_store_that_comes_free_in_time(program, url, write_dsn):
    """A second process waits for the first, and gets in."""
    with Store.open(url) as holder:
        command = [sys.executable, "-m", "dsn_processor", "ingest", "-", "--db", url]
        waiting = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        waiting.stdin.write(write_dsn())
        waiting.stdin.close()
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(1)
        assert holder.stats().mails == 0
    with waiting:
        assert (waiting.wait(60), waiting.stderr.read()) == (0, b"")
    assert stored(url).message.id == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_stopped_while_it_waits(url, write_dsn, number):
    command = [sys.executable, "-m", "dsn_processor", "ingest", "-", "--db", url]
    with (
        Store.open(url),
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as waiting,
    ):
        waiting.stdin.write(write_dsn())
        waiting.stdin.close()
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(1)
        waiting.send_signal(number)
        assert waiting.wait(60) == 75
        assert waiting.stderr.read().decode() == (
            f"dsn-processor: stopped by {number.name}; the mail stays with the MTA\n"
        )


def test_no_standard_input(program, url, tmp_path):
    ran = program("ingest", "-", "--db", url, shell="<&-")
    assert "standard input cannot be read" in failed(
        (ran.returncode, ran.stdout.decode(), ran.stderr.decode())
    )
    ran = program("ingest", "-", "--db", url, stdin=b"")
    assert "holds no mail" in failed((ran.returncode, ran.stdout.decode(), ran.stderr.decode()))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("streams", [">&-", "2>&-", ">&- 2>&-", ">/dev/full 2>/dev/full"])
def test_no_place_to_speak(program, url, write_dsn, streams):
    assert program("ingest", "-", "--db", url, stdin=write_dsn(), shell=streams).returncode == 0
    assert stored(url).message.id == 1
    assert program("ingest", "-", "--db", "nonsense", stdin=write_dsn(), shell=streams).returncode == 75


def test_a_broken_installation(cli, piped, url, monkeypatch):
    monkeypatch.delattr(dsn_processor, "app")
    monkeypatch.setitem(sys.modules, "dsn_processor.app", None)
    assert "dsn_processor.app" in failed(cli("ingest", "-", "--db", url))
    monkeypatch.delattr(dsn_processor.cli, "options", raising=False)
    monkeypatch.setitem(sys.modules, "dsn_processor.cli.options", None)
    assert "dsn_processor.cli.options" in failed(cli("ingest", "-", "--db", url))


@pytest.mark.parametrize(
    "error", [ZeroDivisionError("x\ny"), MemoryError(), RecursionError("deep"), SystemExit(3)]
)
def test_any_fault_before_the_mail_is_ours(cli, piped, url, monkeypatch, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(pipeline, "accept", fail)
    code, out, err = cli("ingest", "-", "--db", url)
    assert (code, out) == (75, "")
    assert len(err.splitlines()) <= 1


# Once it is ours


def test_a_fault_after_the_mail_is_ours_is_no_failure(cli, piped, url, monkeypatch):
    monkeypatch.setattr(pipeline, "read", lambda *_: 1 / 0)
    assert cli("ingest", "-", "--db", url) == (0, "", "")
    message = stored(url).message
    assert (message.state, message.attempts) == (MessageState.RECEIVED, 1)
    assert "ZeroDivisionError" in message.last_error


def test_a_store_that_fails_after_the_mail_is_ours(cli, piped, url, monkeypatch):
    def fail(*_):
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(pipeline, "process", fail)
    assert cli("ingest", "-", "--db", url) == (0, "", "")
    assert stored(url).message.state is MessageState.RECEIVED


def test_what_an_earlier_run_left_waiting_is_processed_too(cli, piped, url, write_dsn):
    with Store.open(url) as store:
        pipeline.accept(store, InboundMessage(raw=write_dsn(number=1), source="ingest"))
    piped(write_dsn(number=2, returned_id="<2@example.com>"))
    assert cli("ingest", "-", "--db", url)[0] == 0
    assert [stored(url, n).message.state for n in (1, 2)] == [MessageState.PROCESSED] * 2
    assert json.loads(cli("stats", "--json", "--db", url)[1])["events"]["total"] == 2


def test_replay_takes_up_what_waits(cli, piped, url, monkeypatch, tmp_path):
    real = pipeline.read
    monkeypatch.setattr(pipeline, "read", lambda *_: 1 / 0)
    assert cli("ingest", "-", "--db", url)[0] == 0
    monkeypatch.setattr(pipeline, "read", real)
    (tmp_path / "mails").mkdir()
    code, out, _ = cli("replay", tmp_path / "mails", "--db", url)
    assert code == 0
    assert "1  were left waiting by an earlier run" in out
    assert stored(url).message.state is MessageState.PROCESSED
