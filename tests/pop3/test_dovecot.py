"""POP3 against a real server: killed, restarted, stopped, and busy with somebody else."""

import socket
import subprocess
import sys

import pytest
from mailboxes.dovecot import PASSWORD, Dovecot
from mailboxes.poller import processed
from pop3.killing import configuration, kill_again_and_again, stored, there
from serve.harness import wait
from serve.mails import bounce

from dsn_processor.record.store import Store

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def dovecot():
    with Dovecot() as server:
        yield server


def poll(config, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "dsn_processor", "poll", *arguments, "--config", config],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("after", ["keep", "delete"])
def test_a_poller_that_is_killed_loses_and_doubles_nothing(dovecot, tmp_path, after):
    killed = kill_again_and_again(dovecot, tmp_path, f"k-{after}", 150, 4, after, seed=1)
    assert killed.recipients == sorted(f"k-{after}-{n}" for n in range(150))
    assert killed.mails == 150
    assert killed.there == (150 if after == "keep" else 0)
    assert killed.amid >= 1


def test_a_server_that_is_restarted_all_the_time(dovecot, tmp_path):
    user, count = "restarted", 100
    dovecot.put(user, [bounce(f"r{n}").raw for n in range(count)])
    config = configuration(dovecot, tmp_path, user, after="delete", batch=2)
    with subprocess.Popen(
        [sys.executable, "-m", "dsn_processor", "poll", "--config", config], stderr=subprocess.PIPE
    ) as poller:
        try:
            for _ in range(4):
                dovecot.restart()
            wait(lambda: there(dovecot, user) == 0, "mail is left", 120, log=dovecot.log)
            dovecot.put(user, [bounce("late").raw])
            wait(lambda: processed(tmp_path / "b.db") == count + 1, "what came later is not read", 120)
        finally:
            poller.terminate()
            _, told = poller.communicate(timeout=60)
    assert PASSWORD.encode() not in told
    with Store.open(f"sqlite:///{tmp_path}/b.db", readonly=True) as store:
        found = sorted(event.recipient.address.partition("@")[0] for event in store.events())
    assert found == sorted(["late", *(f"r{n}" for n in range(count))])


def test_a_mailbox_that_another_one_holds(dovecot, tmp_path):
    """Dovecot locks no mailbox where it is not told to; to be refused the login is to be told to come again."""
    config = configuration(dovecot, tmp_path, "held", after="delete")
    dovecot.put("held", [bounce("h0").raw])
    dovecot.configure(more="protocol pop3 {\n  pop3_lock_session = yes\n}")
    dovecot.restart()
    try:
        with socket.create_connection(("127.0.0.1", dovecot.pop3), 10) as other:
            lines = other.makefile("rb")
            lines.readline()
            for command in (b"USER held", f"PASS {PASSWORD}".encode(), b"STAT"):
                other.sendall(command + b"\r\n")
                assert lines.readline().startswith(b"+OK")
            refused = poll(config, "--once")
            other.sendall(b"QUIT\r\n")
            lines.readline()
        if refused.returncode:
            assert "refuses the login" not in refused.stderr
        assert poll(config, "--once").returncode == 0
        assert (stored(tmp_path), there(dovecot, "held")) == (1, 0)
    finally:
        dovecot.configure(more="")
        dovecot.restart()


def test_a_wrong_password_is_told_and_tried_once(dovecot, tmp_path):
    config = configuration(dovecot, tmp_path, "wrong", password="not the right one")
    refused = poll(config, "--once")
    assert refused.returncode == 1
    assert "refuses the login of wrong: [AUTH] Authentication failed" in refused.stderr
    assert "not the right one" not in refused.stderr
