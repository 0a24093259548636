"""One event is one line, whatever strangers wrote into it."""

import ast
import io
import json
import logging
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from dsn_processor import logs
from dsn_processor.safe import UNSAFE

NASTY = 'a\r\n{"event":"forged"}\x1b[2J\x00\x7f\x9b\u2028\u2029\u202e\u200b\ufeff\U000e0041\udcff"\\%s'


ROOT = Path(__file__).parent.parent


def events_in(path):
    """The events that a module tells: what it calls a logger's methods with, or ``told`` of a session."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            logger = ast.unparse(node.func.value)
            if (
                node.func.attr in {"told", "_tell_once"}
                or logger == "log"
                or logger.startswith("logs.get_logger(")
            ):
                yield from (
                    one.value
                    for one in ast.walk(node.args[0])
                    if isinstance(one, ast.Constant) and isinstance(one.value, str)
                )


def test_every_event_is_documented():
    told = {event for path in (ROOT / "dsn_processor").rglob("*.py") for event in events_in(path)}
    rows = re.findall(r"^\| (`.*?) \|", (ROOT / "docs/logs.md").read_text("utf-8"), re.MULTILINE)
    assert told == {event for row in rows for event in re.findall(r"`([^`]+)`", row)}
    assert len(told) > 15


@pytest.fixture(autouse=True)
def _as_it_was():
    before, root, level = (
        structlog.get_config(),
        list(logging.getLogger().handlers),
        logging.getLogger().level,
    )
    yield
    structlog.configure(**before)
    logging.getLogger().handlers[:] = root
    logging.getLogger().setLevel(level)
    logging.captureWarnings(capture=False)


def lines(say, **options):
    """What ``say(log)`` wrote: a list of lines."""
    out = io.BytesIO()
    logs.configure(logs.LogOptions(**{"format": "json", **options}), out)
    say(logs.get_logger())
    text = out.getvalue().decode()
    assert not text or text.endswith("\n")
    return text.split("\n")[:-1]


def one(say, **options):
    [line] = lines(say, **options)
    return line


def test_a_line_begins_with_when_how_grave_and_what():
    line = json.loads(one(lambda log: log.info("mail accepted", mail=17, sender="")))
    assert list(line) == ["time", "level", "event", "mail", "sender"]
    assert line["time"].endswith("Z")
    assert (line["level"], line["event"], line["mail"]) == ("info", "mail accepted", 17)
    shown = one(lambda log: log.info("mail accepted", mail=17, sender=""), format="console")
    assert "mail accepted" in shown
    assert shown.endswith('mail=17 sender=""')


@pytest.mark.parametrize("style", ["json", "console"])
@given(text=st.text(alphabet=st.one_of(st.characters(), st.sampled_from(NASTY))))
def test_whatever_the_text_it_is_one_plain_line(style, text):
    text += NASTY
    line = one(lambda log: log.warning(text, peer=text, names=[text], deep={"a": [text]}), format=style)
    assert UNSAFE.search(line) is None
    if style == "json":
        found = json.loads(line)
        assert found["event"] == found["peer"] == found["names"][0] == found["deep"]["a"][0]
        assert found["peer"].encode() == text.encode("utf-8", "backslashreplace")


def test_values_that_json_does_not_know():
    values = {"huge": 2**70, "bytes": b"\xff", "set": {1}, "none": None, "odd": object(), "key": {1: 2}}
    found = json.loads(one(lambda log: log.info("x", **values)))
    assert found["huge"] == 2**70
    assert found["none"] is None
    assert "xff" in found["bytes"]


def test_addresses_are_hashed_alike_and_the_null_sender_is_nobody():
    def say(log):
        log.info("a", sender="Bob@Example.com", recipients=["bob@example.com", "eve@example.com"])
        log.info("b", sender="", recipients=("x@example.com",), address="y@example.com", mail=1)
        log.info("c", sender=None)

    options = {"hash_addresses": True, "hash_key": "0123456789abcdef"}
    first, second, third = map(json.loads, lines(say, **options))
    assert first["sender"] == first["recipients"][0] != first["recipients"][1]
    assert (second["sender"], second["mail"], third["sender"]) == ("", 1, None)
    assert "@" not in "".join(lines(say, **options))
    again = json.loads(lines(say, **options)[0])
    other = json.loads(lines(say, **{**options, "hash_key": "fedcba9876543210"})[0])
    assert again["sender"] == first["sender"] != other["sender"]
    assert "bob@example.com" in lines(say)[0]


def test_a_guessable_key_is_refused():
    with pytest.raises(ValueError, match="16 characters"):
        logs.LogOptions(hash_key="short")


def test_secrets_are_not_told():
    line = one(lambda log: log.info("x", password="hunter2", token="t0ken", hash_key="k"))
    assert "hunter2" not in line
    assert json.loads(line)["token"] == "***"
    assert "sentinel" not in repr(logs.LogOptions(hash_key="sentinel-sentinel"))


@pytest.mark.parametrize("style", ["json", "console"])
def test_an_exception_is_told_on_the_same_line_with_its_cause(style):
    def fail():
        try:
            Path("/nowhere/at all\n").read_bytes()
        except OSError as error:
            raise RuntimeError("boom\x1b") from error

    def say(log):
        try:
            fail()
        except RuntimeError:
            log.exception("failed", mail=1)

    line = one(say, format=style)
    assert "RuntimeError: boom" in line
    assert "from FileNotFoundError: " in line
    assert re.search(r"test_logs.py:\d+ fail < test_logs.py:\d+ say", line)


def test_levels_and_a_reload_that_changes_them():
    log = logs.get_logger(room="x")
    out = io.BytesIO()
    logs.configure(logs.LogOptions(format="json", level="warning"), out)
    log.info("unheard")
    logs.configure(logs.LogOptions(format="json", level="debug"), out)
    log.debug("heard")
    logging.getLogger("somebody").debug("heard, too")
    assert [json.loads(line)["event"] for line in out.getvalue().splitlines()] == ["heard", "heard, too"]


def test_other_libraries_write_the_same_lines_once():
    def say(log):
        logging.getLogger("somebody").warning("hello %s", NASTY)
        try:
            int("x\ny")
        except ValueError:
            logging.getLogger("asyncio").exception("task")
        logging.getLogger("mail.log").warning("every command")
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("careful", UserWarning, stacklevel=1)

    told, failed, warned = map(json.loads, lines(say))
    assert told["logger"] == "somebody"
    assert told["event"].startswith("hello a\r\n")
    assert failed["exception"].startswith("ValueError: invalid literal")
    assert "careful" in warned["event"]


def test_nobody_listening_is_no_fault():
    class Full(io.BytesIO):
        def write(self, _):
            raise OSError(28, "No space left on device")

    logs.configure(logs.LogOptions(format="json"), Full())
    logs.get_logger().info("x")
    closed = io.BytesIO()
    closed.close()
    logs.configure(logs.LogOptions(format="json"), closed)
    logs.get_logger().error("x")


def test_standard_error_may_be_closed():
    code = "from dsn_processor import logs; logs.configure(logs.LogOptions()); logs.get_logger().error('x'); print(1)"
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" 2>&-', "sh", sys.executable, "-c", code],
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, b"1\n")


def test_a_pipe_gets_json():
    code = (
        "from dsn_processor import logs; logs.configure(logs.LogOptions()); logs.get_logger().error('x', n=1)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=True)
    assert done.stdout == b""
    assert json.loads(done.stderr)["n"] == 1
