import json

import pytest

REPLY = "550 5.7.1 Service unavailable; client [192.0.2.1] blocked using zen.spamhaus.org"


def test_a_reply(cli):
    code, out, err = cli("explain", "--reply", REPLY, "--remote-mta", "mx.example.net")
    assert (code, err) == (0, "")
    assert out.startswith("block, ip_blocklisted; scope sender, confidence 0.9")
    assert "  remote MTA: mx.example.net\n" in out
    assert "  blocked by: dnsbl zen.spamhaus.org 192.0.2.1" in out
    table = out.split("\n\n")[1].splitlines()
    assert table[0].split() == ["step", "rule", "answer", "sure", "because"]
    assert [row.split()[0] for row in table[1:]] == ["won"] + ["lost"] * (len(table) - 2)
    assert len(table) > 3


def test_a_reply_as_json(cli):
    code, out, _ = cli("explain", "--json", "--reply", REPLY)
    assert code == 0
    told = json.loads(out)
    assert (told["reason"], told["status"], told["reply_code"]) == ("ip_blocklisted", "5.7.1", 550)
    first, *others = told["candidates"]
    assert (first["rule_id"], first["reason"]) == (told["rule_id"], told["reason"])
    assert set(first) == {"step", "rule_id", "reason", "bounce_type", "scope", "confidence", "evidence"}
    assert "status-5.7.1" in {one["rule_id"] for one in others}


def test_the_host_that_replied_counts(cli):
    """The same words of another provider's host are another rule's."""
    reply = "550 5.4.1 Recipient address rejected: Access denied. AS(201806281)"
    host = "example-net.mail.protection.outlook.com"
    told = json.loads(cli("explain", "--json", "--reply", reply, "--remote-mta", host)[1])
    assert told["remote_mta"] == host
    assert (told["bounce_type"], told["reason"]) == ("hard", "user_unknown")


@pytest.mark.parametrize("reply", ["", "   ", "\0", "\ud800 550", "x" * 50_000])
def test_replies_that_say_nothing(cli, reply):
    code, out, err = cli("explain", "--reply", reply)
    assert (code, err) == (0, "")
    assert "undetermined" in out.splitlines()[0]


def test_mails(cli, put):
    both = (
        put("b.eml", others=("eve@example.net",)),
        put("a.eml", action="delivered", diagnostic="250 2.0.0 ok"),
    )
    code, out, err = cli("explain", *both)
    assert (code, err) == (0, "")
    first, second = out.split(f"\n{both[1]}: delivered\n")
    assert first.startswith(f"{both[0]}: failed\n  from: ")
    for who, sure in {"bob": "0.9", "eve": "0.85"}.items():  # the diagnostic names bob alone
        assert f"\n{who}@example.net: hard, user_unknown; scope recipient, confidence {sure}" in first
    assert first.count("\nwon ") == 2
    assert "  reporting MTA: mail.example.com\n" in second
    assert "bob@example.net: delivered, nothing to judge" in second


def test_mails_as_json_are_the_lines_of_parse_and_more(cli, put):
    path = put(others=("eve@example.net",))
    parsed = json.loads(cli("parse", path)[1])
    told = json.loads(cli("explain", "--json", path)[1])
    candidates = [recipient.pop("candidates") for recipient in told["recipients"]]
    assert told == parsed
    assert [one[0]["rule_id"] for one in candidates] == [one["rule_id"] for one in parsed["recipients"]]


def test_standard_input(program, write_dsn):
    ran = program("explain", "-", stdin=write_dsn())
    assert (ran.returncode, ran.stdout[:10]) == (0, b"-: failed\n")


def test_what_cannot_be_read(cli, put, tmp_path):
    put("b.eml")
    (tmp_path / "a.zip").write_bytes(b"no zip")
    code, out, err = cli("explain", tmp_path)
    assert (code, "b.eml: failed" in out) == (1, True)
    assert "a.zip is damaged or no zip" in err


def test_a_folder_without_mail_is_told(cli, tmp_path):
    (tmp_path / "readme.txt").write_text("no mail")
    code, out, err = cli("explain", tmp_path)
    assert (code, out) == (0, "")
    assert "no mail is there" in err


def test_a_mail_cannot_speak_to_the_terminal(cli, put):
    out = cli("explain", put(diagnostic="550 5.1.1 \x1b]0;owned\x07 User unknown \u202e"))[1]
    assert all(character.isprintable() or character == "\n" for character in out)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "explain what?"),
        (["a.eml", "--reply", "550 no"], "explain what?"),
        (["-", "--remote-mta", "mx.example.net"], "--remote-mta goes with --reply"),
        (["/none.eml"], "no such file or folder"),
        (["--reply"], "expected one argument"),
    ],
)
def test_usage(cli, args, said):
    code, out, err = cli("explain", *args)
    assert (code, out) == (2, "")
    assert said in err


def test_every_fixture_is_explained(cli, fixtures_eml):
    code, out, err = cli("explain", fixtures_eml)
    assert (code, err) == (0, "")
    mails = list(fixtures_eml.rglob("*.eml"))
    assert len(mails) >= 60
    assert sum(f"{path}: " in out for path in mails) == len(mails)
