"""Passwords from files and commands; files that are wrong are told before anybody logs in."""

import fcntl
import os
import sys
import time
from pathlib import Path

import pytest

from dsn_processor.errors import MailboxError
from dsn_processor.intake.mailbox import credentials, tokenfile
from dsn_processor.intake.mailbox.credentials import Credentials, file_problems
from dsn_processor.intake.mailbox.options import ImapOptions, OAuthOptions


def account(**given):
    return ImapOptions(name="a", host="h", username="u", **given)


def password(**given):
    return Credentials(account(**given)).password()


def test_a_password_as_it_is_written():
    assert password(password=" p ä ") == " p ä "
    assert not Credentials(account(password="p")).by_token
    assert not Credentials(account(password="p")).forget()


def test_a_file_is_read_at_each_login(tmp_path):
    path = tmp_path / "p"
    path.write_text("one\r\n")
    source = Credentials(account(password_file=str(path)))
    assert source.password() == "one"
    path.write_text("two")
    assert source.password() == "two"


@pytest.mark.parametrize("content, words", [(b"", "is empty"), (b"\n", "is empty"), (b"a\nb", "one line"), (b"\xff", "UTF-8"), (b"a\0b", "one line"), (b"a" * 2000, "no password")])  # fmt: skip
def test_files_that_hold_no_password(tmp_path, content, words):
    (tmp_path / "p").write_bytes(content)
    with pytest.raises(MailboxError, match=words):
        password(password_file=str(tmp_path / "p"))
    assert list(file_problems(account(password_file=str(tmp_path / "p"))))


def test_a_command_prints_it_first():
    assert password(password_command=(sys.executable, "-c", "print('p $HOME'); print('url: x')")) == "p $HOME"


@pytest.mark.parametrize(
    "code, words",
    [
        ("import sys; sys.exit('no key \\x1b[31m')", r"failed \(1\): no key \\x1b\[31m"),
        ("import os; os.kill(os.getpid(), 9)", r"failed \(-9\)"),
        ("pass", "is empty"),
        ("print('a' * 5000)", "no password"),
        ("import sys; sys.stdout.buffer.write(b'\\xff')", "UTF-8"),
        ("import sys; print('p'); print('geheim', file=sys.stdout); sys.exit(3)", r"failed \(3\)$"),
    ],
)
def test_commands_that_print_no_password(code, words):
    with pytest.raises(MailboxError, match=words) as caught:
        password(password_command=(sys.executable, "-c", code))
    assert "geheim" not in str(caught.value)


def test_a_command_that_is_not_there():
    with pytest.raises(MailboxError, match="password_command /none/at/all cannot be run: No such file"):
        password(password_command=("/none/at/all", "secret"))


def test_a_command_that_does_not_end_is_ended_with_all_it_started(monkeypatch, tmp_path):
    monkeypatch.setattr(credentials, "_COMMAND_SECONDS", 0.5)
    told = tmp_path / "pid"
    script = f"sleep 300 & echo $! > {told}; wait"
    with pytest.raises(MailboxError, match="did not end"):
        password(password_command=("sh", "-c", script))
    child = int(told.read_text())
    deadline = time.monotonic() + 30
    while alive(child):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except FileNotFoundError:
        return False


def test_a_token_that_another_process_holds_is_waited_for(monkeypatch, tmp_path):
    monkeypatch.setattr(tokenfile, "_LOCK_SECONDS", 0.2)
    path = tmp_path / "token"
    path.write_text("x")
    other = os.open(path, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    try:
        with pytest.raises(MailboxError, match="held by another process"), tokenfile.held(str(path)):
            pass
    finally:
        os.close(other)
    with tokenfile.held(str(path)):
        pass


def test_what_a_crash_left_is_no_hindrance(tmp_path):
    path = tmp_path / "token"
    (tmp_path / f".token.{os.getpid()}").write_text("half")
    tokenfile.keep(str(path), "whole")
    assert path.read_text() == "whole\n"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_whole_whenever_it_is_read(tmp_path):
    """Readers meet the old token or the new one, whatever moment they come."""
    import threading

    path = tmp_path / "token"
    tokenfile.keep(str(path), "0" * 1000)
    ended = threading.Event()

    def write():
        for number in range(1, 200):
            tokenfile.keep(str(path), str(number % 10) * 1000)
        ended.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not ended.is_set():
        text = path.read_text()
        assert len(text) == 1001
        assert len(set(text[:-1])) == 1
    writer.join()


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/token",
        "ftp://example.com/",
        "https://user:geheim@example.com/",
        "https:///token",
        "https://example.com/#x",
        "https://example.com:x/",
        "https://exa mple.com/",
        "https://example.com/\r\nX: y",
        "//example.com/",
        "http://127.0.0.1.example.com/",
        "https://[::1/",
    ],
)
def test_secrets_go_to_https_alone(url):
    with pytest.raises(ValueError, match="token_url") as caught:
        OAuthOptions(client_id="x", refresh_token_file="t", token_url=url)
    assert "geheim" not in str(caught.value)


def test_to_this_machine_http_will_do():
    for host in ("127.0.0.1:80", "localhost", "[::1]:8080"):
        OAuthOptions(client_id="x", refresh_token_file="t", token_url=f"http://{host}/token")
