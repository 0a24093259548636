import io
import json
import os
import pty
import random
import signal
import subprocess
import sys
import tarfile
import threading
from itertools import islice

import pytest

from dsn_processor import bulk, pipeline, replaying
from dsn_processor.cli import replay as replay_command
from dsn_processor.errors import StoreError
from dsn_processor.intake.items import PassedOver, Skipped
from dsn_processor.record.store import Store

FROM = b"From MAILER-DAEMON Fri Nov 20 02:40:30 2026\n"


@pytest.fixture
def mails(tmp_path):
    folder = tmp_path / "mails"
    folder.mkdir()
    return folder


@pytest.fixture
def put(mails, write_dsn):
    """Write report number ``n``, of a sent mail of its own."""

    def write(n, name=None, **kwargs):
        path = mails / (name or f"{n}.eml")
        path.write_bytes(report(write_dsn, n, **kwargs))
        return path

    return write


def report(write_dsn, n, **kwargs):
    return write_dsn(number=n, **{"returned_id": f"<sent-{n}@example.com>", **kwargs})


@pytest.fixture
def replay(cli, url):
    def run(*args, db=url):
        return cli("replay", *args, "--db", db)

    return run


def summary(result, code=0):
    assert result[0] == code, result
    return json.loads(result[1])


def stats(cli, url):
    return json.loads(cli("stats", "--json", "--db", url)[1])


def test_summary_as_json(replay, put, mails):
    put(1)
    put(2, status="4.2.2", action="delayed", diagnostic="452 4.2.2 mailbox over quota")
    put(3, action="delivered", status="2.0.0", diagnostic="250 2.0.0 ok", others=("eve@example.net",))
    put(1, "again.eml")
    (mails / "README").write_bytes(b"no mail")
    (mails / "link").symlink_to("1.eml")
    code, out, err = replay(mails, "--json")
    told = json.loads(out)
    assert (code, err) == (0, f"dsn-processor: {mails}/link is a symbolic link, not read\n")
    assert told.pop("seconds") > 0
    assert told.pop("mails_per_second") > 0
    assert told == {
        "mails": 4,
        "new": 3,
        "duplicates": 1,
        "unparsed": 0,
        "quarantined": 0,
        "skipped": 1,
        "failed": 0,
        "kinds": {"failed": 1, "delayed": 1, "delivered": 1},
        "events": {
            "total": 4,
            "repeated": 0,
            "by_kind": {"failed": 1, "delayed": 1, "delivered": 2},
            "by_type": {"hard": 1, "soft": 1},
            "by_reason": {"user_unknown": 1, "mailbox_full": 1},
        },
        "interrupted": False,
    }


def test_summary_for_people(replay, put, mails, tmp_path):
    put(1)
    put(2, others=("eve@example.net",))
    put(3, returned_id="<sent-1@example.com>")  # says the same of bob as the first
    (mails / "README").write_bytes(b"no mail")
    (mails / "link").symlink_to("1.eml")
    code, out, _ = replay(mails)
    first, *rest = out.splitlines()
    assert code == 0
    assert first.startswith("3 mails in ")
    assert first.endswith(f" a second, into {tmp_path}/bounces.db")
    assert [line.split() for line in rest if line] == [
        ["1", "of", "their", "recipients", "were", "told", "by", "another", "mail", "before"],
        ["1", "left", "alone:", "links,", "FIFOs,", "devices"],
        ["1", "files", "passed", "over:", "no", "mail"],
        ["mails", "recipients", "kind"],
        ["3", "3", "failed"],
        ["recipients", "type", "reason"],
        ["3", "hard", "user_unknown"],
    ]


def test_the_figures_are_those_of_the_store(replay, cli, url, fixtures_eml):
    told = summary(replay(fixtures_eml, "--json"))
    held = stats(cli, url)
    assert told["mails"] == told["new"] + told["duplicates"] >= 60
    assert told["new"] == held["mails"]
    assert held["events"] == {key: value for key, value in told["events"].items() if key != "repeated"}
    assert held["unparsed"] == told["unparsed"]
    again = summary(replay(fixtures_eml, "--json"))
    assert (again["new"], again["duplicates"], again["events"]["total"]) == (0, told["mails"], 0)
    assert {**stats(cli, url), "duplicates": 0} == {**held, "duplicates": 0}


def test_the_same_mail_from_any_source_adds_nothing(replay, cli, url, put, mails, tmp_path, write_dsn):
    put(1)
    put(2)
    assert summary(replay(mails, "--json"))["new"] == 2
    raws = [report(write_dsn, n) for n in (1, 2)]
    other = tmp_path / "other"
    for folder in ("new", "cur", "tmp"):
        (other / "Maildir" / folder).mkdir(parents=True)
    (other / "crlf.eml").write_bytes(raws[0].replace(b"\n", b"\r\n"))
    (other / "traced.eml").write_bytes(b"Return-Path: <>\nReceived: from x by y; z\n" + raws[0])
    (other / "inbox.mbox").write_bytes(
        b"".join(FROM + raw.replace(b"\nFrom ", b"\n>From ") + b"\n" for raw in raws)
    )
    (other / "crlf.mbox").write_bytes((other / "inbox.mbox").read_bytes().replace(b"\n", b"\r\n"))
    (other / "Maildir/cur/1:2,S").write_bytes(b"Status: RO\n" + raws[1])
    with tarfile.open(other / "all.tar.gz", "w:gz") as archive:
        info = tarfile.TarInfo("inbox")
        content = (other / "inbox.mbox").read_bytes()
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    told = summary(replay(other, "--json"))
    assert (told["mails"], told["duplicates"], told["new"], told["events"]["total"]) == (9, 9, 0, 0)
    assert stats(cli, url)["mails"] == 2


def test_standard_input(program, url, write_dsn):
    ran = program("replay", "-", "--json", "--db", url, stdin=write_dsn())
    assert json.loads(ran.stdout)["new"] == 1
    assert (ran.returncode, ran.stderr) == (0, b"")


def test_table(replay, put, mails):
    put(1)
    put(
        2,
        recipient="\N{WAVING HAND SIGN}eve@example.net",
        status="5.2.2",
        diagnostic="552 5.2.2 over quota " + "x" * 99,
    )
    put(3, action="delivered", status="2.0.0", diagnostic="250 ok")
    out = replay(mails, "--table")[1]
    head, first, second, *_ = out.splitlines()
    assert head.split() == ["address", "type", "reason", "status", "said"]
    assert first.split()[:4] == ["bob@example.net", "hard", "user_unknown", "5.1.1"]
    assert second.split()[1:4] == ["soft", "mailbox_full", "5.2.2"]
    assert second.endswith("\u2026")
    assert out.count("@example.net") == 3  # two addresses, one of them in what was said too
    assert "3 mails in " in out


def test_a_table_has_an_end(replay, mails, write_dsn, monkeypatch):
    monkeypatch.setattr(replay_command, "_ROWS", 20)
    many = [f"r{n}@example.net" for n in range(70)]
    (mails / "a.eml").write_bytes(write_dsn(recipient=many[0], others=many[1:]))
    assert "and 50 more: dsn-processor events --db sqlite:///" in replay(mails, "--table")[1]


def test_a_table_cannot_speak_to_the_terminal(replay, put, mails):
    put(1, recipient="a\x1b[2J@example.net", diagnostic="550 5.1.1 \x1b]0;owned\x07 unknown user \u202e")
    code, out, err = replay(mails, "--table")
    assert code == 0
    assert all(character.isprintable() or character == "\n" for character in out + err)


# Where it goes, and exit codes


def test_the_default_is_a_file_in_the_current_folder(cli, put, tmp_path, monkeypatch):
    path = put(1)
    monkeypatch.chdir(tmp_path)
    assert cli("replay", path)[0] == 0
    assert (tmp_path / "dsn-processor.db").is_file()


def test_the_environment_names_the_database(cli, put, tmp_path, url, monkeypatch):
    monkeypatch.setenv("DSN_PROCESSOR_DB", f"sqlite:///{tmp_path}/environment.db")
    assert cli("replay", put(1))[0] == 0
    assert cli("replay", put(1), "--db", url)[0] == 0
    assert (tmp_path / "environment.db").is_file()
    assert (tmp_path / "bounces.db").is_file()


@pytest.mark.parametrize("args", [[], ["/none"], ["-", "-"], [".", "--table", "--json"], [".", "--nope"]])
def test_usage(replay, args, tmp_path):
    code, out, err = replay(*args)
    assert (code, out) == (2, "")
    assert err
    assert not (tmp_path / "bounces.db").exists()


@pytest.mark.parametrize("db", ["bounces.db", "mysql://joe:secret@db.example/x", "sqlite://"])
def test_configuration(replay, put, db):
    code, out, err = replay(put(1), db=db)
    assert (code, out) == (3, "")
    assert "sqlite:///" in err
    assert "secret" not in err


def test_store(replay, put, tmp_path):
    path = put(1)
    assert replay(path, db=f"sqlite:///{tmp_path}/none/x.db")[0] == 4
    assert replay(path, db=f"sqlite:///{tmp_path}")[0] == 4
    (tmp_path / "no.db").write_bytes(b"x" * 9000)
    code, out, err = replay(path, db=f"sqlite:///{tmp_path}/no.db")
    assert (code, out, len(err.splitlines())) == (4, "", 1)


def test_a_store_in_use(replay, put, url, monkeypatch):
    path = put(1)
    real = Store.open.__func__
    monkeypatch.setattr(Store, "open", classmethod(lambda cls, *args, **kwargs: real(cls, *args, wait=0.05)))
    with real(Store, url):
        code, _, err = replay(path)
    assert (code, "is in use" in err) == (4, True)


def test_a_store_that_fails_half_way_keeps_what_was_committed(replay, put, mails, url, cli, monkeypatch):
    for n in range(6):
        put(n)
    monkeypatch.setattr(replaying, "BATCH_MAILS", 2)
    real = bulk.commit
    batches = []

    def failing(*args, **kwargs):
        batches.append(1)
        if len(batches) == 3:
            raise StoreError("the disk is full: make room, and run it again")
        return real(*args, **kwargs)

    monkeypatch.setattr(bulk, "commit", failing)
    told = "dsn-processor: the disk is full: make room, and run it again\n"
    assert replay(mails, "--workers", "1") == (4, "", told)
    assert stats(cli, url)["mails"] == 4
    monkeypatch.undo()
    told = summary(replay(mails, "--json"))
    assert (told["new"], told["duplicates"]) == (2, 4)


def test_a_broken_file_among_good_ones(replay, put, mails):
    put(1)
    (mails / "a.tar.gz").write_bytes(b"\x1f\x8b\x08 no gzip")
    (mails / "b.zip").write_bytes(b"no zip")
    put(2, "z.eml")
    code, out, err = replay(mails, "--json")
    assert code == 1
    assert [json.loads(out)[key] for key in ("new", "failed", "skipped")] == [2, 2, 2]
    assert [line.split(" is ")[0] for line in err.splitlines()] == [
        f"dsn-processor: {mails}/a.tar.gz",
        f"dsn-processor: {mails}/b.zip",
    ]
    assert "2  could not be read, see above" in replay(mails)[1]


def test_a_mail_that_meets_a_fault_of_ours_is_kept(replay, put, mails, url, cli, monkeypatch):
    for n in range(3):
        put(n)
    real = pipeline.read
    monkeypatch.setattr(
        pipeline, "read", lambda raw, *rest: 1 / 0 if b"report-1@" in raw else real(raw, *rest)
    )
    monkeypatch.setattr(pipeline, "read_all", lambda *_: 1 / 0)
    code, out, err = replay(mails)
    assert code == 1
    assert f"({mails}/1.eml) is kept unread: ZeroDivisionError" in err
    assert "1  met a fault of ours and are kept unread" in out
    held = stats(cli, url)
    assert (held["mails"], held["quarantined"], held["events"]["total"]) == (3, 1, 2)


def test_a_fault_elsewhere_shows_where(replay, put, mails, monkeypatch):
    put(1)
    monkeypatch.setattr(bulk, "commit", lambda *_, **__: 1 / 0)
    code, _, err = replay(mails)
    assert code == 1
    assert "Traceback" in err
    assert err.endswith("dsn-processor: this is a fault of ours: please report it with the lines above\n")


def test_batches_are_bounded_in_number_and_size(put, mails, url, monkeypatch):
    monkeypatch.setattr(replaying, "BATCH_MAILS", 3)
    monkeypatch.setattr(replaying, "BATCH_BYTES", 5000)
    sizes = []
    monkeypatch.setattr(
        bulk,
        "commit",
        lambda _, batch, **__: sizes.append([one.message.size for one in batch]) or [],
    )
    items = [pipeline.InboundMessage(raw=b"x" * size, source="-") for size in (1, 1, 1, 1, 4999, 9000, 1)]
    skipped = Skipped("y", "is a FIFO", failed=False)
    tally = replaying.Tally()
    told = []
    given = [PassedOver("x"), *items, skipped]
    with replaying.supplied(given, tally, skipped=told.append) as supply, Store.open(url) as store:
        replaying.replay(store, supply, tally, seen=print)
    assert sizes == [[1, 1, 1], [1, 4999], [9000], [1]]
    assert (tally.passed_over, tally.skipped, tally.failed, told) == (1, 1, 0, [skipped])


# Long runs


@pytest.fixture
def many(mails, write_dsn):
    path = mails / "many.mbox"
    with path.open("wb") as file:
        for n in range(4000):
            file.write(FROM + report(write_dsn, n).replace(b"\nFrom ", b"\n>From ") + b"\n")
    return path


def start(*args, program=("-m", "dsn_processor"), **kwargs):
    command = [sys.executable, *program, "replay", *map(str, args)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, **kwargs)


#: Comes to rest before the third batch is stored, and says how many mails are.
RESTING = """
import signal, sys
from dsn_processor import bulk
from dsn_processor.cli import main
real, taken = bulk.commit, []
def commit(store, batch, **kwargs):
    taken.append(batch)
    if len(taken) == 3:
        print("resting", sum(map(len, taken[:2])), file=sys.stderr, flush=True)
        signal.pause()
    return real(store, batch, **kwargs)
bulk.commit = commit
sys.exit(main())
"""


def stored_at_rest(ran):
    """How many mails are stored when it rests: it tells behind lines of progress, where the machine is slow."""
    [told] = islice((line for line in ran.stderr if line.startswith(b"resting ")), 1)
    return int(told.split()[1])


def test_ctrl_c_keeps_what_was_committed_and_says_so(many, url, cli, replay):
    with start(many, "--json", "--db", url, program=("-c", RESTING), stderr=subprocess.PIPE) as ran:
        stored = stored_at_rest(ran)
        ran.send_signal(signal.SIGINT)
        out, err = ran.communicate(timeout=60)
    told = json.loads(out)
    assert ran.returncode == 130
    assert (told["interrupted"], told["mails"]) == (True, stored)
    advice = f"interrupted; the {stored:,} mails counted are kept, and the same command goes on"
    assert err.decode() == f"dsn-processor: {advice}\n"
    assert stats(cli, url)["mails"] == stored >= 512
    rest = summary(replay(many, "--json"))
    assert (rest["mails"], rest["duplicates"], rest["new"]) == (4000, stored, 4000 - stored)
    assert stats(cli, url)["events"]["total"] == 4000


def test_killed_it_goes_on_where_it_was(many, url, cli, replay):
    with start(many, "--db", url, program=("-c", RESTING), stderr=subprocess.PIPE) as ran:
        stored = stored_at_rest(ran)
        ran.kill()
    rest = summary(replay(many, "--json"))
    assert (rest["duplicates"], rest["new"]) == (stored, 4000 - stored)
    assert stats(cli, url)["events"]["total"] == 4000


def test_ctrl_c_at_any_moment(many, url, cli):
    """Whatever it is at: a transaction, a mail, a file."""
    for _ in range(6):
        with start(many, "--json", "--db", url, stderr=subprocess.PIPE) as ran:
            until_more_is_stored(ran, url)
            ran.send_signal(signal.SIGINT)
            out, err = ran.communicate(timeout=60)
        assert b"Traceback" not in err
        held = stats(cli, url)
        assert held["mails"] == held["events"]["total"] > 0
        if out:
            told = json.loads(out)
            assert ran.returncode == (130 if told["interrupted"] else 0)
            assert told["new"] <= held["mails"]
        else:  # it was through, and about to say so
            assert (ran.returncode, err) == (130, b"dsn-processor: interrupted\n")
        if held["mails"] > 2500:
            break


def until_more_is_stored(ran, url):
    """Wait until ``ran`` has committed a batch, or is through."""
    before = None
    while ran.poll() is None:
        try:
            with Store.open(url, readonly=True) as store:
                held = store.stats().mails
        except StoreError:
            held = 0  # not made yet
        if before is not None and held > before:
            return
        before = held if before is None else before


def on_a_terminal(*args):
    """Run replay with standard error on a terminal; what the terminal got."""
    ours, theirs = pty.openpty()
    shown = []

    def read():
        try:
            while part := os.read(ours, 65536):
                shown.append(part)
        except OSError:  # the terminal's other end is closed
            pass

    with start(*args, stderr=theirs, env={**os.environ, "TERM": "xterm", "COLUMNS": "120"}) as ran:
        os.close(theirs)
        reader = threading.Thread(target=read)
        reader.start()
        out = ran.stdout.read()
    reader.join(60)
    os.close(ours)
    return ran.returncode, out, b"".join(shown).decode()


def test_a_terminal_gets_a_bar(many, mails, url):
    (mails / "a\x1b]0;owned\x07.zip").write_bytes(b"no zip")
    code, out, shown = on_a_terminal(mails, "--json", "--db", url)
    assert (code, json.loads(out)["new"]) == (1, 4000)
    assert " mails " in shown
    assert "\x1b[?25l" in shown  # the cursor is hidden while the bar moves
    assert shown.rstrip("\r\n").rfind("\x1b[?25h") > shown.find("\x1b[?25l")
    assert "a\\x1b]0;owned\\x07.zip is damaged or no zip" in shown


def test_without_a_terminal_plain_lines(put, mails, replay, monkeypatch):
    for n in range(3):
        put(n)
    monkeypatch.setattr("dsn_processor.cli.progress._PAUSE", -1.0)
    assert replay(mails)[2].splitlines()[-1] == "dsn-processor: 3 mails so far"


MEASURED = """
import sys
from dsn_processor.cli import main
code = main(["replay", sys.argv[1], "--json", "--db", sys.argv[2]])
print(code, peak(), file=sys.stderr)
"""


def test_memory_stays_flat(tmp_path, url, write_dsn, peak):
    """Six thousand mails that don't pack well: 60 MB."""
    noise = random.Random(1)
    path = tmp_path / "many.mbox"
    with path.open("wb") as file:
        for n in range(6_000):
            words, rest = noise.randbytes(700).hex(), noise.randbytes(4_000).hex().encode()
            mail = report(write_dsn, n, diagnostic=f"550 5.1.1 User unknown {words}")
            file.write(FROM + mail + rest + b"\n\n")
    ran = subprocess.run(
        [sys.executable, "-c", peak + MEASURED, path, url],
        capture_output=True,
        check=True,
        text=True,
        timeout=300,
    )
    code, most = map(int, ran.stderr.split()[-2:])
    assert (code, json.loads(ran.stdout)["new"]) == (0, 6_000)
    assert most < 200
