"""Files, folders and Maildirs; and what lies about in them: links, FIFOs, sockets, devices, strange names."""

import errno
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from dsn_processor.errors import UsageError
from dsn_processor.facts import Envelope
from dsn_processor.intake import walk as walk_module
from dsn_processor.intake.files import open_file
from dsn_processor.intake.items import Limits
from dsn_processor.intake.walk import Walk


@pytest.fixture(autouse=True)
def _no_hang():
    """Opening a FIFO could wait for ever."""
    signal.alarm(60)
    yield
    signal.alarm(0)


@pytest.fixture
def put(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    return write


def sources(found):
    return [mail.source for mail in found.mails]


def test_a_folder_is_read_recursively_in_a_fixed_order(walk, put, mail):
    for number, name in enumerate(["b.eml", "a/2.eml", "a/10.eml", "a/deep/er/x.eml", "B.EML", "c"]):
        put(name, mail(number))
    found = walk()
    assert sources(found) == ["B.EML", "a/10.eml", "a/2.eml", "a/deep/er/x.eml", "b.eml", "c"]
    assert sources(walk()) == sources(found)
    assert found.raws[1] == mail(2)
    assert all(one.envelope == Envelope() and not one.truncated for one in found.mails)


def test_paths_are_read_in_the_order_given(walk, put, mail):
    later, sooner = put("b.eml", mail(1)), put("a.eml", mail(2))
    assert sources(walk(later, sooner, later)) == ["b.eml", "a.eml", "b.eml"]


def test_what_is_no_mail_is_passed_over(walk, put, mail):
    put("README.md", b"# Note: how to read\n\nFrom here on ...\n")
    put("x.expected.json", b'{"kind": "failed"}')
    put("empty", b"")
    put("binary", bytes(range(256)))
    put(".hidden.eml", mail())
    put(".git/config.eml", mail())
    put("mail-without-a-suffix", mail())
    put("headers: none", b"Key: value\n\nbody\n")
    found = walk()
    assert sources(found) == ["mail-without-a-suffix"]
    assert set(found.passed_over) == {
        ".git",
        ".hidden.eml",
        "README.md",
        "binary",
        "empty",
        "headers: none",
        "x.expected.json",
    }
    assert found.skipped == []


def test_a_file_that_was_named_is_taken_as_mail(walk, put):
    for content in (b"Key: value\n\nbody\n", b"", bytes(range(256))):
        assert walk(put("what", content)).raws == [content]


def test_what_is_not_there_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match=r"none.eml: no such file or folder"):
        Walk([str(tmp_path), str(tmp_path / "none.eml")])


def test_standard_input_is_read_once():
    with pytest.raises(UsageError, match="once"):
        Walk(["-", "-"])


def test_a_maildir(walk, put, mail, tmp_path):
    put("new/1.host", mail(1))
    put("cur/2.host:2,S", mail(2))
    put("cur/3.host:2,", b"From the first line on this is mail, whatever it looks like")
    put("cur/.lock", b"")
    put("tmp/4.host", mail(4))
    put("dovecot-uidlist", b"3 V1 N1\n")
    put(".Sent/cur/5.host", mail(5))
    put(".Sent/tmp/6.host", mail(6))
    (tmp_path / ".Sent/new").mkdir()
    put(".Sent/maildirfolder", b"")
    put(".cache/x.eml", mail(7))
    found = walk()
    assert sources(found) == [".Sent/cur/5.host", "cur/2.host:2,S", "cur/3.host:2,", "new/1.host"]
    assert set(found.passed_over) == {".Sent/maildirfolder", ".cache", "cur/.lock", "dovecot-uidlist"}
    assert found.skipped == []


def test_a_folder_named_new_alone_is_no_maildir(walk, put, mail):
    put("new/1.eml", mail())
    put("tmp/2.eml", mail())
    assert sources(walk()) == ["new/1.eml", "tmp/2.eml"]


def test_links_in_a_folder_are_left_alone_and_reported(walk, put, mail, tmp_path):
    put("a.eml", mail())
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "link.eml").symlink_to("a.eml")
    (tmp_path / "gone.eml").symlink_to("nowhere")
    (tmp_path / "self").symlink_to("self")
    found = walk()
    assert sources(found) == ["a.eml"]
    why = "is a symbolic link, not read"
    assert found.skipped == [(name, why, False) for name in ("gone.eml", "link.eml", "loop", "self")]


def test_a_link_that_was_named_is_told_with_what_to_name_instead(walk, put, mail, tmp_path):
    put("a.eml", mail())
    link = tmp_path / "link.eml"
    link.symlink_to("a.eml")
    [(source, why, failed)] = walk(link).skipped
    assert (source, failed) == ("link.eml", True)
    assert why == f"is a symbolic link, not followed: name {tmp_path}/a.eml"
    folder = tmp_path / "folder"
    folder.symlink_to(tmp_path)
    assert walk(folder).skipped[0][2]


def test_fifos_sockets_and_devices(walk, put, mail, tmp_path, monkeypatch):
    put("z.eml", mail())
    os.mkfifo(tmp_path / "fifo.eml")
    with socket.socket(socket.AF_UNIX) as server:
        monkeypatch.chdir(tmp_path)  # a socket's name is short
        server.bind("socket.eml")
        found = walk()
        named = walk(tmp_path / "fifo.eml", tmp_path / "socket.eml", "/dev/null", tmp_path / "z.eml")
    assert sources(found) == ["z.eml"]
    assert found.skipped == [
        ("fifo.eml", "is a FIFO, not read", False),
        ("socket.eml", "is a socket, not read", False),
    ]
    assert sources(named) == ["z.eml"]
    assert [(source, failed) for source, _, failed in named.skipped] == [
        ("fifo.eml", True),
        ("socket.eml", True),
        ("/dev/null", True),
    ]


@pytest.mark.parametrize("planted", ["link", "fifo", "folder"])
def test_a_file_swapped_after_it_was_listed(walk, put, mail, tmp_path, monkeypatch, planted):
    path = put("a.eml", mail(1))
    put("b.eml", mail(2))

    def swap(name, folder=None):
        if name == "a.eml":
            path.unlink()
            {
                "link": lambda: path.symlink_to("b.eml"),
                "fifo": lambda: os.mkfifo(path),
                "folder": path.mkdir,
            }[planted]()
        return open_file(name, folder)

    monkeypatch.setattr(walk_module, "open_file", swap)
    found = walk()
    assert sources(found) == ["b.eml"]
    assert [(source, failed) for source, _, failed in found.skipped] == [("a.eml", False)]


def test_a_folder_swapped_for_a_link(walk, put, mail, tmp_path):
    """Between the listing of one folder and the entering of the next, a consumer does as it likes."""
    put("a.eml", mail(1))
    put("b/c.eml", mail(2))
    put("elsewhere/secret.eml", mail(3))
    steps = iter(Walk([str(tmp_path)]))
    assert next(steps).source.endswith("a.eml")
    (tmp_path / "b/c.eml").unlink()
    (tmp_path / "b").rmdir()
    (tmp_path / "b").symlink_to("elsewhere")
    assert next(steps).why == "is a symbolic link, not followed"


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ENOENT])
def test_what_cannot_be_opened_is_reported_and_the_rest_is_read(walk, put, mail, monkeypatch, number):
    """As for a user who is not root, on a failing disk, or where somebody deletes meanwhile."""
    put("a.eml", mail(1))
    put("b.eml", mail(2))
    put("c/d.eml", mail(3))
    real = os.open

    def refuse(path, flags, *rest, **kwargs):
        if path in {"a.eml", "c"}:
            raise OSError(number, os.strerror(number), path)
        return real(path, flags, *rest, **kwargs)

    monkeypatch.setattr(os, "open", refuse)
    found = walk()
    assert sources(found) == ["b.eml"]
    assert found.skipped == [
        (name, f"cannot be read: {os.strerror(number)}", True) for name in ("a.eml", "c")
    ]


@pytest.mark.parametrize("name", ["a.eml", "a.mbox"])
def test_a_disk_that_fails_while_reading(walk, put, mail, monkeypatch, name):
    """/proc/self/mem opens, is regular, and cannot be read from its start."""
    put(name, mail(1))
    put("z.eml", mail(2))
    real = os.open

    def elsewhere(path, flags, *rest, **kwargs):
        return real("/proc/self/mem", flags) if path == name else real(path, flags, *rest, **kwargs)

    monkeypatch.setattr(os, "open", elsewhere)
    found = walk()
    assert sources(found) == ["z.eml"]
    assert found.skipped == [(name, "cannot be read: Input/output error", True)]


def test_folders_too_deep(walk, put, mail):
    put("a/b/c/d/x.eml", mail(1))
    put("a/b/y.eml", mail(2))
    found = walk(limits=Limits(depth=2))
    assert sources(found) == ["a/b/y.eml"]
    assert found.skipped == [("a/b/c", "is more than 2 folders deep: name it to have it read", True)]
    assert sources(walk(limits=Limits(depth=4))) == ["a/b/c/d/x.eml", "a/b/y.eml"]


def descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


def test_no_descriptor_is_left_open(walk, put, mail, tmp_path):
    put("a/b/x.eml", mail())
    put("a/m.mbox", b"From x\n" + mail())
    (tmp_path / "a/link").symlink_to("b")
    before = descriptors()
    walk()
    steps = iter(Walk([str(tmp_path)]))
    next(steps)
    steps.close()  # as Ctrl-C does
    assert descriptors() == before


@pytest.mark.parametrize(
    ("name", "source"),
    [
        (b"new\nline.eml", "new\nline.eml"),
        (b"caf\xe9.eml", "caf\\xe9.eml"),
        (b"\x1b[2J.eml", "\x1b[2J.eml"),
        (b"-.eml", "-.eml"),
        ("\N{WAVING HAND SIGN}.eml".encode(), "\N{WAVING HAND SIGN}.eml"),
        (b"x" * 251 + b".eml", "x" * 251 + ".eml"),
    ],
)
def test_names(walk, tmp_path, mail, name, source):
    (tmp_path / os.fsdecode(name)).write_bytes(mail())
    assert sources(walk()) == [source]
    source.encode()


def test_a_mail_over_the_limit_keeps_its_head_and_is_marked(walk, put, mail):
    raw = mail(1, b"x" * 500 + b"\n")
    put("long.eml", raw)
    put("short.eml", raw[:100])
    put("sniffed", raw)
    found = walk(limits=Limits(mail=100))
    assert found.raws == [raw[:100]] * 3
    assert [one.truncated for one in found.mails] == [True, False, True]


def test_a_sparse_file_is_read_up_to_the_limit(walk, put, tmp_path):
    os.truncate(put("a.eml", b"Subject: x\n\n"), 10 * 2**30)
    found = walk(limits=Limits(mail=10**6))
    assert [(len(one.raw), one.truncated) for one in found.mails] == [(10**6, True)]


def test_a_file_that_grows_while_it_is_read(walk, put, mail, monkeypatch):
    path = put("a.eml", mail(1))
    size = path.stat().st_size
    monkeypatch.setattr(walk_module, "open_file", lambda *args: (open_file(*args)[0], size // 2))
    assert walk().raws == [mail(1)]


def test_position_counts_every_byte(put, mail, tmp_path):
    total = sum(put(f"{n}.eml", mail(n)).stat().st_size for n in range(5))
    total += put("m.mbox", b"From x\n" + mail() * 100).stat().st_size
    steps = Walk([str(tmp_path)])
    positions = [steps.position for _ in steps]
    assert positions == sorted(positions)
    assert steps.position == total


STDIN = """
import sys
from dsn_processor.intake.items import Limits
from dsn_processor.intake.walk import Walk
for item in Walk(["-", *sys.argv[1:]], Limits(mail=1000)):
    print(item.source, getattr(item, "why", None), len(getattr(item, "raw", b"")), getattr(item, "truncated", None))
"""


def stdin(*args, shell="", **kwargs):
    command = [sys.executable, "-c", STDIN, *map(str, args)]
    if shell:
        command = ["sh", "-c", f'exec "$@" {shell}', "sh", *command]
    return subprocess.run(
        command, stdout=subprocess.PIPE, check=True, timeout=60, text=True, **kwargs
    ).stdout.splitlines()


def test_standard_input(put, mail):
    assert stdin(input="x" * 999) == ["- None 999 False"]
    assert stdin(input="x" * 200_000) == ["- None 1000 True"]
    assert stdin(input="") == ["- None 0 False"]


def test_standard_input_that_cannot_be_read(put, mail):
    path = put("a.eml", mail())
    first, second = stdin(path, shell="<&-")
    assert first.startswith("standard input cannot be read:")
    assert second.startswith(str(path))
