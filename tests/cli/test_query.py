import json
import os
import pty
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import validate

from dsn_processor import pipeline
from dsn_processor.bulk import take
from dsn_processor.cli import main
from dsn_processor.cli.render import plain_lines
from dsn_processor.facts import Envelope, InboundMessage, ParsedMessage, Reading, RecipientReport
from dsn_processor.pipeline import accept
from dsn_processor.record.store import Store
from dsn_processor.safe import safe
from dsn_processor.terms import Action, Kind

SCHEMA = Path(__file__).parents[2] / "docs/parse.schema.json"
ESCAPES = "\x1b]0;owned\x07\x1b[2J\x9b31m\r\n\u202egnp.exe\u2066\u200b\0\ud800"


@pytest.fixture
def run(capfdbinary, url):
    """Run a command over the test's database: (exit code, standard output, standard error)."""

    def run_command(*args):
        try:
            code = main([*map(str, args), "--db", url])
        except SystemExit as leaving:
            code = leaving.code
        sys.stdout.flush()
        out, err = capfdbinary.readouterr()
        return code, out.decode(), err.decode()

    return run_command


@pytest.fixture
def filled(url, write_dsn):
    mails = [
        write_dsn(recipient="bob@example.net", number=1, returned_id="<1@example.com>"),
        write_dsn(
            recipient="eve@other.example",
            number=2,
            returned_id="<2@example.com>",
            status="4.2.2",
            action="delayed",
            diagnostic="452 4.2.2 The email account that you tried to reach is over quota",
        ),
        b"From: a@example.net\nSubject: lunch?\n\nAt noon.\n",
    ]
    with Store.open(url) as store:
        take(store, [InboundMessage(raw=raw, source=f"{n}.eml") for n, raw in enumerate(mails, 1)])
        take(store, [InboundMessage(raw=mails[0], source="again.eml")])
    return mails


def events(run, *args):
    code, out, _ = run("events", "--json", *args)
    assert code == 0
    return [json.loads(line) for line in out.splitlines()]


def test_events_as_json_are_the_recipients_that_parse_prints(filled, run, tmp_path, capfdbinary):
    path = tmp_path / "1.eml"
    path.write_bytes(filled[0])
    assert main(["parse", str(path)]) == 0
    parsed = json.loads(capfdbinary.readouterr().out)
    second, first = events(run)
    assert parsed["recipients"] == [{name: first[name] for name in parsed["recipients"][0]}]
    assert (first["id"], first["message_id"], first["source"], first["trust"]) == (1, 1, "1.eml", "unproved")
    assert (first["kind"], first["occurred_at"]) == ("failed", "2026-11-20T02:40:30+00:00")
    assert (second["kind"], second["reason"]) == ("delayed", "mailbox_full")


@pytest.mark.parametrize(
    ("args", "mails"),
    [
        (["--kind", "delayed"], [2]),
        (["--type", "hard"], [1]),
        (["--reason", "mailbox_full"], [2]),
        (["--domain", "OTHER.example."], [2]),
        (["--domain", "@other.example"], [2]),
        (["--address", "BOB@Example.net"], [1]),
        (["--since", "2026-11-20"], [2, 1]),
        (["--since", "2026-11-20T03:40:30+01:00"], [2, 1]),
        (["--since", "2026-11-20T02:40:31"], []),
        (["--limit", "1"], [2]),
        (["--kind", "failed", "--type", "soft"], []),
    ],
)
def test_events_by(filled, run, args, mails):
    assert [event["message_id"] for event in events(run, *args)] == mails


def test_since_some_time_ago(url, run, monkeypatch):
    monkeypatch.setattr(
        pipeline,
        "read",
        lambda *_: Reading(
            parsed=ParsedMessage(kind=Kind.FAILED, recipients=(RecipientReport(address="a@example.net"),)),
            verdicts=(None,),
        ),
    )
    with Store.open(url) as store:
        take(store, [InboundMessage(raw=b"x", source="-")])
    assert [len(events(run, "--since", ago)) for ago in ("5m", "24h", "7d", "4w")] == [1, 1, 1, 1]
    with sqlite3.connect(url.removeprefix("sqlite:///")) as raw:
        raw.execute("UPDATE recipient_event SET occurred_at = datetime('now', '-2 days')")
    raw.close()
    assert [len(events(run, "--since", ago)) for ago in ("5m", "24h", "7d", "4w")] == [0, 0, 1, 1]


@pytest.mark.parametrize(
    "args",
    [
        ["events", "--since", "soon"],
        ["events", "--since", "999999w"],
        ["events", "--since", "2026-13-01"],
        ["events", "--limit", "0"],
        ["events", "--limit", "-1"],
        ["events", "--limit", "1" * 30],
        ["events", "--kind", "broken"],
        ["events", "--reason", "none"],
        ["show", "abc"],
        ["show", "²"],
        ["show"],
    ],
)
def test_usage(filled, run, args):
    code, out, err = run(*args)
    assert (code, out) == (2, "")
    assert "error: " in err


def test_events_for_people(filled, run):
    code, out, err = run("events")
    head, first, second = out.splitlines()
    assert (code, err) == (0, "")
    assert head.split() == [
        "mail",
        "when",
        "address",
        "kind",
        "type",
        "reason",
        "status",
        "advice",
        "diagnostic",
    ]
    assert first.split()[:8] == [
        "2",
        "2026-11-20",
        "02:40",
        "eve@other.example",
        "delayed",
        "soft",
        "mailbox_full",
        "4.2.2",
    ]
    assert first.index("eve@") == second.index("bob@") == head.index("address")
    assert "\x1b" not in out


def test_a_reader_that_has_seen_enough(url, write_dsn):
    with Store.open(url) as store:
        take(
            store,
            [
                InboundMessage(raw=write_dsn(number=n, returned_id=f"<{n}@example.com>"), source="-")
                for n in range(1500)
            ],
        )
    command = [sys.executable, "-m", "dsn_processor", "events", "--db", url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as ran:
        ran.stdout.readline()
        ran.stdout.close()
        assert ran.stderr.read() == b""
    assert ran.returncode == 0


def test_a_terminal_gets_a_table_and_is_told_of_more(url, write_dsn):
    with Store.open(url) as store:
        take(
            store,
            [
                InboundMessage(raw=write_dsn(number=n, returned_id=f"<{n}@example.com>"), source="-")
                for n in range(101)
            ],
        )
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "dsn_processor", "events", "--db", url]
    with subprocess.Popen(
        command, stdout=theirs, stderr=subprocess.PIPE, env={**os.environ, "TERM": "xterm", "COLUMNS": "200"}
    ) as ran:
        os.close(theirs)
        shown = b""
        try:
            while part := os.read(ours, 65536):
                shown += part
        except OSError:  # the terminal's other end is closed
            pass
        assert b"the newest 100 of 101; --limit 101 shows all" in ran.stderr.read()
    os.close(ours)
    assert ran.returncode == 0
    assert shown.count(b"bob@example.net") >= 100
    assert b"\x1b[1m" in shown  # the heading is bold


def test_stats_as_json(filled, run):
    code, out, _ = run("stats", "--json")
    assert code == 0
    told = json.loads(out)
    assert told.pop("modes")["files"]["mode"] == "open"
    assert told.pop("suppressions") == {"active": 1}
    assert (told.pop("alerts"), told.pop("waves_undecided")) == ([], 0)
    assert told == {
        "mails": 3,
        "pending": 0,
        "quarantined": 0,
        "unparsed": 0,
        "duplicates": 1,
        "events": {
            "total": 2,
            "by_kind": {"failed": 1, "delayed": 1},
            "by_type": {"hard": 1, "soft": 1},
            "by_reason": {"user_unknown": 1, "mailbox_full": 1},
        },
    }


def test_stats_count_the_waiting_the_quarantined_and_the_unparsed(url, run, monkeypatch):
    unparsed = Reading(parsed=ParsedMessage(kind=Kind.UNPARSED), verdicts=())
    with Store.open(url) as store:
        accept(store, InboundMessage(raw=b"waits", source="-"))
        monkeypatch.setattr(pipeline, "read", lambda *_: unparsed)
        take(store, [InboundMessage(raw=b"unparsed", source="-")])
        monkeypatch.setattr(pipeline, "read", lambda *_: 1 / 0)
        take(store, [InboundMessage(raw=b"fault", source="-")])
    found = json.loads(run("stats", "--json")[1])
    assert {name: found[name] for name in ("mails", "pending", "quarantined", "unparsed")} == {
        "mails": 3,
        "pending": 1,
        "quarantined": 1,
        "unparsed": 1,
    }
    code, out, _ = run("stats")
    assert out.splitlines()[1].split() == ["3", "1", "1", "1", "0", "0"]
    code, out, _ = run("show", 3)
    assert code == 0
    assert "ZeroDivisionError: division by zero" in out


def test_show_raw_gives_the_very_bytes(url, capfdbinary):
    raw = bytes(range(256)) * 20 + b"\r\nno newline at the end"
    with Store.open(url) as store:
        take(store, [InboundMessage(raw=raw, source="-")])
    assert main(["show", "1", "--raw", "--db", url]) == 0
    assert capfdbinary.readouterr().out == raw


def test_show(filled, run):
    code, out, _ = run("show", 1)
    assert code == 0
    for text in (
        "Mail 1, processed",
        "1.eml",
        "bob@example.net: failed, hard, user_unknown",
        "User unknown",
        "1@example.com",
        "mx.example.net",
        "trust",
    ):
        assert text in out


def test_show_as_json(url, run, write_dsn):
    envelope = Envelope(sender="", recipients=("bounces@example.com",))
    with Store.open(url) as store:
        take(store, [InboundMessage(raw=write_dsn(), source="smtp", envelope=envelope)])
        accept(store, InboundMessage(raw=b"waits", source="-"))
    shown = json.loads(run("show", 1, "--json")[1])
    assert (shown["id"], shown["state"], shown["size"]) == (1, "processed", len(write_dsn()))
    assert shown["envelope"] == {"sender": "", "recipients": ["bounces@example.com"]}
    assert shown["report"]["returned_message"]["subject"] == "News"
    assert [recipient["id"] for recipient in shown["report"]["recipients"]] == [1]
    validate(shown["report"], json.loads(SCHEMA.read_text()))
    waiting = json.loads(run("show", 2, "--json")[1])
    assert (waiting["state"], waiting["report"]) == ("received", None)


@pytest.mark.parametrize("args", [["show", 9], ["show", 9, "--raw"], ["show", 9, "--json"]])
def test_show_what_is_not_there(filled, run, args):
    code, out, err = run(*args)
    assert (code, out) == (1, "")
    assert "there is no mail 9 in" in err


@pytest.mark.parametrize("args", [["events"], ["stats"], ["show", 1], ["reclassify", "--dry-run"]])
def test_without_a_database(run, args, tmp_path):
    code, out, err = run(*args)
    assert (code, out) == (4, "")
    assert "`dsn-processor replay PATH` makes one" in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("args", [["events"], ["stats"], ["reclassify"]])
def test_a_url_that_cannot_be_used(args, capsys):
    assert main([*args, "--db", "mysql://joe:secret@db.example/x"]) == 3
    assert "secret" not in capsys.readouterr().err


@pytest.fixture
def hostile(url, monkeypatch):
    text = ESCAPES
    recipient = RecipientReport(
        address=f"a{text}@example.net",
        action=Action.FAILED,
        diagnostic_code=text,
        remote_mta=text,
        status=text,
    )
    reading = Reading(
        parsed=ParsedMessage(
            kind=Kind.FAILED, from_=text, subject=text, message_id=text, recipients=(recipient,)
        ),
        verdicts=(None,),
    )
    monkeypatch.setattr(pipeline, "read", lambda *_: reading)
    with Store.open(url) as store:
        take(store, [InboundMessage(raw=b"x", source=f"dir/{text}.eml")])
    monkeypatch.undo()


@pytest.mark.parametrize("args", [["events"], ["show", 1], ["reclassify", "--dry-run"]])
def test_a_mail_cannot_speak_to_the_terminal(hostile, run, args):
    code, out, err = run(*args)
    assert code == 0
    assert "a\\x1b]0;owned\\x07" in out
    assert all(character.isprintable() or character == "\n" for character in out + err)
    assert not any(character in out + err for character in "\x1b\x9b\u202e\u2066\u200b\r\x07")


def test_hostile_text_survives_as_json(hostile, run):
    [event] = events(run)
    assert event["diagnostic_code"] == ESCAPES.replace("\0", "\ufffd").replace("\ud800", "\ufffd")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain [bold]text[/bold]", "plain [bold]text[/bold]"),
        ("Grüße \N{WAVING HAND SIGN} 日本", "Grüße \N{WAVING HAND SIGN} 日本"),
        ("\x1b[31m", "\\x1b[31m"),
        ("a\nb\tc", "a\\x0ab\\x09c"),
        ("\x9b", "\\x9b"),
        ("\u202e\u2066", "\\u202e\\u2066"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("", ""),
        (7, "7"),
    ],
)
def test_safe(text, shown):
    assert safe(text) == shown


def test_plain_columns_stream():
    taken = []

    def rows():
        for n in range(2000):
            taken.append(n)
            yield [str(n), "x"]

    lines = plain_lines(["n", "y"], rows())
    assert next(lines) == "n    y"
    assert len(taken) < 1000
    assert len(list(lines)) == 2000
