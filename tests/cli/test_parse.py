import json
import os
import subprocess
import sys

import pytest

from dsn_processor import reading
from dsn_processor.cli import COMMANDS, build_parser
from dsn_processor.errors import RulesError

HEAVY = {"sqlalchemy", "sqlmodel", "pydantic", "rich", "zstandard", "alembic", "email", "logging", "flufl"}


def lines(out):
    return [json.loads(line) for line in out.splitlines()]


def test_one_object_a_mail_in_the_order_read(cli, put, tmp_path):
    put("b.eml", number=1)
    put("a.eml", number=2)
    last = put("0.eml", number=3)
    code, out, err = cli("parse", tmp_path / "a.eml", tmp_path, last)
    assert (code, err) == (0, "")
    assert [(one["source"].rpartition("/")[2], one["message_id"]) for one in lines(out)] == [
        ("a.eml", "report-2@mail.example.com"),
        ("0.eml", "report-3@mail.example.com"),
        ("a.eml", "report-2@mail.example.com"),
        ("b.eml", "report-1@mail.example.com"),
        ("0.eml", "report-3@mail.example.com"),
    ]
    assert out.endswith("\n")


def test_what_a_report_says(cli, put):
    [mail] = lines(cli("parse", put())[1])
    assert mail["kind"] == "failed"
    assert mail["returned_message"]["message_id"] == "sent-1@example.com"
    [recipient] = mail["recipients"]
    assert (recipient["address"], recipient["status"], recipient["bounce_type"], recipient["reason"]) == (
        "bob@example.net",
        "5.1.1",
        "hard",
        "user_unknown",
    )


def test_mails_of_an_mbox_are_numbered(cli, tmp_path, write_dsn):
    path = tmp_path / "a.mbox"
    path.write_bytes(
        b"".join(b"From x Fri Nov 20 02:40:30 2026\n" + write_dsn(number=n) + b"\n" for n in (1, 2))
    )
    assert [one["source"] for one in lines(cli("parse", path)[1])] == [f"{path}#1", f"{path}#2"]


def test_standard_input(program, write_dsn):
    ran = program("parse", "-", stdin=write_dsn())
    assert (ran.returncode, ran.stderr) == (0, b"")
    [mail] = lines(ran.stdout)
    assert (mail["source"], mail["kind"]) == ("-", "failed")


def test_standard_input_is_one_mail(program, write_dsn):
    ran = program(
        "parse", "-", stdin=b"From x Fri Nov 20 02:40:30 2026\n" + write_dsn() + b"\nFrom x\n" + write_dsn()
    )
    assert len(lines(ran.stdout)) == 1


def test_what_cannot_be_read_is_told_and_the_rest_is_printed(cli, put, tmp_path):
    (tmp_path / "a.zip").write_bytes(b"no zip")
    put("b.eml")
    code, out, err = cli("parse", tmp_path)
    assert (code, len(lines(out))) == (1, 1)
    assert err.startswith(f"dsn-processor: {tmp_path}/a.zip is damaged or no zip")
    assert len(err.splitlines()) == 1


def test_what_is_left_alone_on_purpose_is_told_and_is_no_failure(cli, put, tmp_path):
    put("b.eml")
    (tmp_path / "a.eml").symlink_to("b.eml")
    code, out, err = cli("parse", tmp_path)
    assert (code, len(lines(out))) == (0, 1)
    assert err == f"dsn-processor: {tmp_path}/a.eml is a symbolic link, not read\n"
    assert cli("parse", tmp_path / "a.eml")[0] == 1


def test_a_mail_that_meets_a_fault_of_ours_does_not_stop_the_others(cli, put, tmp_path, monkeypatch):
    put("a.eml", number=1)
    put("b.eml", number=2)
    real = reading.parse_messages

    def faulty(mails):
        return 1 / 0 if any(b"report-1@" in raw for raw, _ in mails) else real(mails)

    monkeypatch.setattr(reading, "parse_messages", faulty)
    code, out, err = cli("parse", tmp_path)
    assert code == 1
    assert [one["message_id"] for one in lines(out)] == ["report-2@mail.example.com"]
    assert "a.eml met a fault of ours, please report it: ZeroDivisionError" in err


def test_rules_that_cannot_be_read_are_a_configuration_error(cli, put, monkeypatch):
    def broken(*_):
        raise RulesError("my.toml: row 3 has no reason")

    monkeypatch.setattr(reading, "judge_recipients", broken)
    assert cli("parse", put()) == (3, "", "dsn-processor: my.toml: row 3 has no reason\n")


@pytest.mark.parametrize("args", [[], ["/none"], ["-", "-"], ["--nope"]])
def test_usage(cli, args):
    code, out, err = cli("parse", *args)
    assert (code, out) == (2, "")
    assert err


@pytest.mark.parametrize("args", [[], ["nope"], ["--nope"]])
def test_usage_of_the_program(cli, args):
    code, out, err = cli(*args)
    assert (code, out) == (2, "")
    assert "usage: dsn-processor" in err


def test_nothing_is_printed_where_a_later_path_is_missing(cli, put):
    assert cli("parse", put(), "/none")[:2] == (2, "")


def test_output_is_utf8_whatever_the_mail_and_the_locale(program, tmp_path):
    raw = b"Subject: \xff\xfe =?utf-8?b?7aCA?= =?utf-16?b?2AA=?= \xe2\x82\xac\nFrom: x@example.net\n\n\xff\n"
    path = tmp_path / "\udcff.eml"
    path.write_bytes(raw)
    ran = program("parse", path, env={**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": "ascii"})
    [mail] = lines(ran.stdout.decode("utf-8", "strict"))
    assert ran.returncode == 0
    assert mail["source"] == f"{tmp_path}/\\xff.eml"
    json.dumps(mail, ensure_ascii=False).encode()


def test_names_cannot_speak_to_the_terminal(cli, tmp_path):
    (tmp_path / "\x1b]0;x\x07\n.zip").write_bytes(b"no zip")
    _, _, err = cli("parse", tmp_path)
    assert "\\x1b]0;x\\x07\\x0a.zip" in err
    assert len(err.splitlines()) == 1


def test_results_come_while_reading_goes_on(tmp_path, write_dsn):
    """The mails of an mbox fill the pipe long before the last one is read; then the reader leaves."""
    path = tmp_path / "a.mbox"
    path.write_bytes(b"".join(b"From x 1:00 2026\n" + write_dsn(number=n) for n in range(3000)))
    with subprocess.Popen(
        [sys.executable, "-m", "dsn_processor", "parse", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as ran:
        first = json.loads(ran.stdout.readline())
        ran.stdout.close()
        assert (ran.stderr.read(), ran.wait(60)) == (b"", 0)
    assert first["source"] == f"{path}#1"


def test_a_full_disk(program, put):
    ran = program("parse", put(), shell=">/dev/full")
    assert (ran.returncode, ran.stderr) == (1, b"dsn-processor: [Errno 28] No space left on device\n")


@pytest.mark.parametrize(("command", "ended"), [("parse", b""), ("explain", b""), ("rules", b"taken down\n")])
def test_a_command_that_only_reads_ends_at_once(put, command, ended):
    program = "import atexit, os; atexit.register(os.write, 2, b'taken down\\n'); from dsn_processor.__main__ import start; start()"
    words = {"rules": ["list", "quota"]}.get(command, [str(put())])
    ran = subprocess.run(
        [sys.executable, "-c", program, command, *words], capture_output=True, timeout=120, check=False
    )
    assert (ran.returncode, ran.stderr, ran.stdout[-1:]) == (0, ended, b"\n")


@pytest.mark.parametrize("args", [["parse", "-"], ["replay", "-"], ["stats"]])
def test_closed_standard_output(program, tmp_path, args):
    ran = program(*args, stdin=b"Subject: x\n\n", shell=">&-", cwd=tmp_path)
    assert ran.returncode == 2
    assert b"standard output is closed" in ran.stderr
    assert list(tmp_path.iterdir()) == []


def test_closed_standard_error_and_input(program, put, tmp_path):
    path = put()
    (tmp_path / "b.zip").write_bytes(b"no zip")
    ran = program("parse", tmp_path, shell="2>&-")
    assert (ran.returncode, [one["source"] for one in lines(ran.stdout)]) == (1, [str(path)])
    ran = program("parse", "-", path, shell="<&-")
    assert (ran.returncode, len(lines(ran.stdout))) == (1, 1)
    assert ran.stderr == b"dsn-processor: standard input cannot be read: it is closed\n"


def test_a_mail_over_the_limit_says_so(cli, put, monkeypatch):
    monkeypatch.setattr("dsn_processor.intake.walk.Limits", lambda: Small)
    [mail] = lines(cli("parse", put())[1])
    assert "message_truncated" in [defect["code"] for defect in mail["defects"]]


class Small:
    mail = 300


def test_version(cli):
    code, out, _ = cli("--version")
    assert (code, out.split()[0]) == (0, "dsn-processor")


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)])
def test_help(cli, command):
    code, out, err = cli(*command, "--help")
    assert (code, err) == (0, "")
    assert out.startswith(" ".join(["usage: dsn-processor", *command]))


def test_these_are_all_commands():
    [commands] = [action for action in build_parser()._actions if action.dest == "command"]
    assert list(commands.choices) == list(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_needs_no_other_to_be_loaded(command):
    [commands] = [action for action in build_parser(command=command)._actions if action.dest == "command"]
    assert command in commands.choices
    assert {COMMANDS[name] for name in commands.choices} == {COMMANDS[command]}


LOADED = """
import sys
from dsn_processor.cli import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
print(*sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""


@pytest.mark.parametrize(
    "args", [["--help"], ["--version"], ["parse", "-"], ["explain", "--reply", "550 5.1.1 no"]]
)
def test_little_is_imported(args, write_dsn):
    ran = subprocess.run(
        [sys.executable, "-c", LOADED, *args], input=write_dsn(), capture_output=True, check=True, timeout=60
    )
    loaded = set(ran.stderr.decode().split())
    assert "dsn_processor" in loaded
    assert loaded & HEAVY == set()
