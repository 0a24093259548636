"""Who gets no mail, by the commands."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from dsn_processor.cli.suppressionlines import safe_cell

LISTS = {
    "SES": "EmailAddress,Reason,LastUpdateTime\nBob@Example.net,BOUNCE,2026-01-02T03:04:05Z\neve@example.net,COMPLAINT,2026-01-02T03:04:05Z\n",
    "Postmark": "EmailAddress,SuppressionReason,Origin,CreatedAt\nbob@example.net,HardBounce,Recipient,2026-01-02T03:04:05Z\neve@example.net,SpamComplaint,Recipient,2026-01-02T03:04:05Z\n",
    "SendGrid": "email,created,type,reason\nbob@example.net,1767323045,bounce,550 no\neve@example.net,1767323045,spam_report,\n",
    "Mailgun": 'address,created_at,type,error\nbob@example.net,"Fri, 02 Jan 2026 03:04:05 UTC",bounce,550\neve@example.net,"Fri, 02 Jan 2026 03:04:05 UTC",complaint,\n',
}
ADVICE = ("attempt", "final", "exhausted", "effective_type", "advice", "next_retry_at")


@pytest.fixture
def run(cli, url):
    def call(*args, code=0):
        given, out, err = cli(*args, "--db", url)
        assert given == code, err
        return out

    return call


def listed(run, *args):
    return [json.loads(line) for line in run("suppressions", "list", "--json", *args).splitlines()]


@pytest.fixture
def bounced(run, put):
    run("replay", put())


def test_check_says_why(run, bounced):
    out = run("check", "BOB@example.net", "eve@example.net", code=1)
    assert out.splitlines() == [
        "deny\tBOB@example.net\tbounce: Hard bounce: user_unknown",
        "allow\teve@example.net",
    ]
    assert run("check", "eve@example.net") == "allow\teve@example.net\n"
    assert json.loads(run("check", "--json", "bob@example.net", code=1)) == {
        "address": "bob@example.net",
        "answer": "deny",
        "kind": "bounce",
        "reason": "Hard bounce: user_unknown",
        "until": None,
    }


def test_check_reads_standard_input(program, url, run, bounced):
    asked = b"bob@example.net\n\nx@example.net\r\n\xff@example.net\n"
    ran = program("check", "-", "--db", url, stdin=asked)
    assert ran.returncode == 1
    assert [line.split(b"\t")[0] for line in ran.stdout.splitlines()] == [b"deny", b"allow", b"allow"]


def test_add_show_remove(run, url):
    run(
        "suppressions",
        "add",
        "Bob@Example.NET",
        "--reason",
        "asked by phone",
        "--author",
        "ann",
        "--for",
        "2d",
    )
    [one] = listed(run)
    assert (one["address"], one["kind"], one["author"]) == ("bob@example.net", "manual", "ann")
    run("suppressions", "remove", "bob@example.net", "--reason", "a mistake", "--author", "eve")
    assert listed(run) == []
    told = json.loads(run("suppressions", "show", "bob@example.net", "--json"))
    assert [(entry["author"], entry["action"], entry["reason"]) for entry in told["history"]] == [
        ("ann", "suppress", "asked by phone"),
        ("eve", "lift", "a mistake"),
    ]


def test_nothing_is_done_without_a_reason(cli, url):
    code, _, err = cli("suppressions", "add", "bob@example.net", "--db", url)
    assert code == 2
    assert "--reason" in err


def test_what_is_proposed_is_accepted_or_rejected(run, put, monkeypatch):
    monkeypatch.setenv("DSN_PROCESSOR__POLICY__MODE", "observe")
    run(
        "replay",
        put(),
        put("b.eml", recipient="eve@example.net", diagnostic="550 5.1.1 User unknown", number=2),
    )
    assert {one["standing"] for one in listed(run)} == {"proposed"}
    assert len(listed(run, "--proposed")) == 2
    run("suppressions", "reject", "eve@example.net", "--reason", "known", "--author", "ann")
    run("suppressions", "accept", "--all", "--reason", "seen", "--author", "ann")
    assert [(one["address"], one["standing"]) for one in listed(run)] == [("bob@example.net", "active")]


@pytest.mark.parametrize("name", LISTS)
def test_lists_of_others(run, tmp_path, name):
    path = tmp_path / "list.csv"
    path.write_text(LISTS[name])
    run("suppressions", "import", path, "--reason", name, "--author", "ann")
    bob, eve = listed(run)
    assert (bob["address"], bob["kind"], bob["at"]) == (
        "bob@example.net",
        "bounce",
        "2026-01-02T03:04:05+00:00",
    )
    assert (eve["address"], eve["kind"]) == ("eve@example.net", "complaint")
    assert bob["reason"].startswith(name)


def test_a_list_that_is_none(run, tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("colour\nred\n")
    run("suppressions", "import", path, "--reason", "x", "--author", "ann", code=2)
    path.write_text("address\nred\nbob@example.net\n")
    run("suppressions", "import", path, "--reason", "x", "--author", "ann", code=1)
    assert [one["address"] for one in listed(run)] == ["bob@example.net"]


def test_what_is_exported_can_be_imported_and_computes_nothing(run, tmp_path):
    evil = ["=1+1@example.net", "+1@example.net", "-1@example.net", "'x@example.net", "@@example.net"]
    path = tmp_path / "own.csv"
    path.write_text("\n".join(["address", *evil]))
    run("suppressions", "import", path, "--reason", "=HYPERLINK(1)", "--author", "@ann")
    out = run("suppressions", "export")
    cells = [cell for row in csv.reader(io.StringIO(out)) for cell in row]
    assert not [cell for cell in cells if cell[:1] in {"=", "+", "-", "@", "\t", "\r"} and cell]
    before = listed(run)
    path.write_text(out)
    run("suppressions", "import", path, "--reason", "back", "--author", "ann")
    assert len(before) == 5
    assert [one["address"] for one in listed(run)] == [one["address"] for one in before]
    assert len(run("suppressions", "export", "--format", "jsonl").splitlines()) == 5


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@x", "\tx", "\rx", "'x"])
def test_cells(text):
    assert safe_cell(text) == f"'{text}"


def test_retries(run, put):
    at = (datetime.now(UTC) - timedelta(minutes=6)).replace(microsecond=0)
    path = put(status="4.2.2", diagnostic="452 4.2.2 The email account that you tried to reach is over quota")
    old = path.read_bytes()
    path.write_bytes(old.replace(b"Fri, 20 Nov 2026 02:40:30 +0000", format_datetime(at).encode()))
    run("replay", path)
    [row] = map(json.loads, run("retries", "--json").splitlines())
    assert (row["message"], row["attempt"], row["final"]) == ("sent-1@example.com", 1, True)
    assert (row["exhausted"], row["advice"]) == (False, "wait_and_retry")
    assert row["next_retry_at"] == (at + timedelta(minutes=5)).isoformat()
    assert "sent-1@example.com" in run("retries", "--due")
    advice = {name: row[name] for name in ADVICE}
    [event] = map(json.loads, run("events", "--json").splitlines())
    assert {name: event[name] for name in ADVICE} == advice
    [recipient] = json.loads(run("show", "1", "--json"))["report"]["recipients"]
    assert {name: recipient[name] for name in ADVICE} == advice
    again = f"{at + timedelta(minutes=5):%Y-%m-%d %H:%M:%S} UTC"
    assert f"wait and retry; attempt 1; try again at {again}" in run("show", "1")
    assert "wait_and_retry" in run("events")


def test_a_hard_failure_and_a_block_are_advised_upon_and_not_planned(run, put):
    listed = "550 5.7.1 Service unavailable, client [192.0.2.1] blocked using zen.example"
    hard = put("a.eml")
    block = put("b.eml", status="5.7.1", diagnostic=listed, number=2, returned_id="<2@example.com>")
    full = "452 4.2.2 The mailbox is over quota"
    delayed = put(
        "c.eml", action="delayed", status="4.2.2", diagnostic=full, number=3, returned_id="<3@example.com>"
    )
    run("replay", hard, block, delayed)
    told = [json.loads(line) for line in run("events", "--json").splitlines()]
    assert [(one["advice"], one["final"], one["effective_type"]) for one in reversed(told)] == [
        ("verify_or_remove", True, "hard"),
        ("request_delisting", True, "block"),
        ("wait_and_retry", False, "soft"),
    ]
    assert {one["next_retry_at"] for one in told} == {None}
    assert "wait and retry; the MTA goes on" in run("show", "3")


def test_what_did_not_fail_has_no_advice(run, put):
    run("replay", put(action="delivered", status="2.0.0", diagnostic="250 2.0.0 ok"))
    [event] = map(json.loads, run("events", "--json").splitlines())
    assert {event[name] for name in ADVICE} == {None}


def test_waves(cli, url, run, put, monkeypatch):
    monkeypatch.setenv("DSN_PROCESSOR__POLICY__WAVE_LEAST", "1")
    diagnostic = "550 5.1.1 User unknown"
    _, _, told = cli(
        "replay",
        "--db",
        url,
        *(
            put(
                f"{n}.eml",
                recipient=f"u{n}@example.net",
                diagnostic=diagnostic,
                number=n,
                returned_id=f"<{n}@x>",
            )
            for n in range(3)
        ),
    )
    assert "alert: 3 suppressions held about example.net" in told
    assert {one["standing"] for one in listed(run)} == {"held"}
    waves = json.loads(run("suppressions", "waves", "--json"))
    name = next(wave["name"] for wave in waves["waves"] if wave["kind"] == "domain")
    assert waves["alerts"][0]["number"] == 3
    assert "3 addresses" in run("suppressions", "release", name, "--reason", "true", "--author", "ann")
    assert {one["standing"] for one in listed(run)} == {"active"}
    run("suppressions", "undo", name, "--reason", "outage", "--author", "ann")
    assert listed(run) == []
    run("suppressions", "undo", "nobody", "--reason", "x", "--author", "ann", code=2)


def test_rebuild_changes_nothing(run, bounced):
    before = listed(run)
    assert run("rebuild") == "0 addresses changed\n"
    assert listed(run) == before


def test_roles_are_told(run):
    run(
        "suppressions", "add", "postmaster@example.net", "bob@example.net", "--reason", "x", "--author", "ann"
    )
    assert {one["address"]: one["role"] for one in listed(run)} == {
        "postmaster@example.net": True,
        "bob@example.net": False,
    }
