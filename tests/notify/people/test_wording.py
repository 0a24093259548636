"""Templates, messages and pages: what people read."""

import pytest
from notify.formats.samples import AT, LISTED, RECIPIENT, SAMPLES, bounce

from dsn_processor.notify.notification import EventType, Notification
from dsn_processor.notify.people import composing, delisting, wording
from dsn_processor.notify.people.composing import compose
from dsn_processor.terms import Reason

ON = ("hard_bounce", "soft_bounce", "block", "sender_blocked", "complaint", "held", "quarantine")


def held():
    data = {
        "wave": "w1",
        "scope": "domain",
        "subject": "example.net",
        "addresses": 30,
        "decide": "dsn-processor suppressions release|undo w1 --reason WHY",
    }
    return Notification(id="msg_held", type=EventType.DOMAIN_HELD, at=AT, address="", data=data)


def quarantined():
    data = {
        "mail_id": 9,
        "source": "smtp:1",
        "error": "ValueError: x (mime.py:1)",
        "decide": "dsn-processor quarantine show 9",
    }
    return Notification(id="msg_aside", type=EventType.REPORT_QUARANTINED, at=AT, address="", data=data)


def sender_blocked(subject="192.0.2.25"):
    look = "dsn-processor events --type block --since 2026-11-20"
    data = {"subject": subject, "blocks": 51, "day": "2026-11-20", "look": look}
    return Notification(id="msg_blocked", type=EventType.SENDER_BLOCKED, at=AT, address="", data=data)


def test_a_hard_bounce_is_told_in_full():
    title, body = compose([SAMPLES["hard"]], ON)
    assert title == "Hard bounce: ann@example.net"
    assert body.splitlines() == [
        "user unknown, hard, 5.1.1",
        "550 5.1.1 <ann@example.net>: Recipient address rejected: User unknown",
        "Subject: Welcome",
        "Stream: transactional",
        "Campaign: welcome",
        "Message-ID: 2026.1120.093000@mail.example.com",
        "Done: the address is suppressed",
        "`dsn-processor show 17`",
    ]


def test_a_block_names_the_listed_ip_and_where_to_ask():
    title, body = compose([SAMPLES["block"]], ON)
    assert title == "Block: ann@example.net"
    assert "192.0.2.25 is listed by zen.spamhaus.org" in body
    assert "ask to be taken off at https://check.spamhaus.org/query/ip/192.0.2.25" in body


def test_a_complaint_a_wave_and_a_quarantined_mail_are_told():
    assert "The recipient complained (abuse)." in compose([SAMPLES["complaint"]], ON).body
    title, body = compose([held()], ON)
    assert title == "Held wave: example.net"
    assert body == "30 addresses of example.net: `dsn-processor suppressions release|undo w1 --reason WHY`"
    title, body = compose([quarantined()], ON)
    assert title == "Mail for a person"
    assert body == "mail 9: ValueError: x (mime.py:1)\n`dsn-processor show 9`"


def test_many_blocks_are_told_with_the_command_that_shows_them():
    title, body = compose([sender_blocked()], ON)
    assert title == "Sender blocked: 192.0.2.25"
    assert (
        body == "51 blocks on 2026-11-20, 192.0.2.25: `dsn-processor events --type block --since 2026-11-20`"
    )
    title, body = compose([sender_blocked(), sender_blocked("content_rejected")], ON)
    assert title == "2 alerts that we are blocked"
    assert "- 51 blocks on 2026-11-20, content rejected: `" in body


def test_many_are_summed_up_and_a_listing_is_told_once():
    many = [bounce(address=f"user{number}@example.net", number=number) for number in range(30)]
    many += [
        bounce(Reason.IP_BLOCKLISTED, address=f"x@{name}.example", block=LISTED, number=number)
        for number, name in enumerate(["one", "two", "two"])
    ]
    title, body = compose([*many, SAMPLES["complaint"]], ON)
    assert title == "30 hard bounces, 3 blocks, 1 complaint"
    lines = body.splitlines()
    assert lines[0] == "30 hard bounces:"
    assert lines[1] == "- user0@example.net: user unknown"
    assert lines[20:22] == [
        "- user19@example.net: user unknown",
        "- and 10 more: `dsn-processor events --type hard`",
    ]
    assert [line for line in lines if "listed" in line] == [
        (
            "- 3 mails to two.example, one.example: ip blocklisted; 192.0.2.25 is listed by zen.spamhaus.org; "
            "ask to be taken off at https://check.spamhaus.org/query/ip/192.0.2.25"
        )
    ]
    assert lines[-2:] == ["1 complaint:", f"- {RECIPIENT}"]


def test_one_in_a_digest_has_the_digests_form():
    assert compose([SAMPLES["hard"]], ON, digest=True) == (
        "1 hard bounce",
        "1 hard bounce:\n- ann@example.net: user unknown",
    )


def test_templates_are_the_operators():
    told = compose([SAMPLES["hard"]], ON, "${what} (${type})", "${email} in $$: ${reason}, ${stream}${url}")
    assert told == ("Hard bounce (hard)", "ann@example.net in $: user unknown, transactional")


@pytest.mark.parametrize("text", ["${email}", "costs $$5", "no name", "${what}: ${details}"])
def test_sound_templates(text):
    wording.check(text, (*wording.NAMES, *composing.NAMES))


@pytest.mark.parametrize(
    "text, why",
    [("${mail}", "mail.* stands for nothing"), ("cost $5", "beginning of a"), ("${email", "beginning of a")],
)
def test_unsound_templates(text, why):
    with pytest.raises(ValueError, match=why):
        wording.check(text)


def test_what_a_mail_says_cannot_put_a_line_of_its_own():
    sample = SAMPLES["hard"]
    text = "550 no\n\u202eDone: everything\x1b[2J"
    data = {**sample.data, "smtp": {**sample.data["smtp"], "text": text}}
    _, body = compose([Notification(id="m", type=sample.type, at=AT, address=RECIPIENT, data=data)], ON)
    assert "Done: everything" not in body.splitlines()
    assert "\x1b" not in body
    assert "\u202e" not in body


def test_a_template_is_not_filled_with_what_a_mail_says():
    sample = SAMPLES["hard"]
    data = {**sample.data, "smtp": {**sample.data["smtp"], "text": "${message_id}"}}
    told = compose([Notification(id="m", type=sample.type, at=AT, address=RECIPIENT, data=data)], ON)
    assert "${message_id}" in told.body


@pytest.mark.parametrize(
    "block, remote_mta, page",
    [
        ({"url": "https://rbl.example/1"}, None, "https://rbl.example/1"),
        ({"list": "zen.spamhaus.org"}, None, "https://check.spamhaus.org/"),
        ({"list": "Barracuda"}, None, "https://www.barracudacentral.org/rbl/removal-request"),
        ({"list": "bl.spamcop.net"}, "mx.example.net", "https://www.spamcop.net/bl.shtml"),
        ({}, "example-net.mail.protection.outlook.com", "https://sender.office.com/"),
        ({}, "hotmail-com.olc.protection.outlook.com", "https://olcsupport.office.com/"),
        ({"list": "notspamhaus.org"}, None, None),
        (None, "mx.example.net", None),
    ],
)
def test_where_to_ask(block, remote_mta, page):
    assert delisting.page({"block": block, "remote_mta": remote_mta}) == page


def test_every_list_that_the_rules_know_of_has_a_page_or_is_gone():
    """A list whose zones the rules know, and that still lists addresses, has a page to ask at."""
    import tomllib
    from pathlib import Path

    import dsn_processor.classify

    text = (Path(dsn_processor.classify.__file__).parent / "tables" / "lists.toml").read_text()
    names = {one["name"] for one in tomllib.loads(text)["list"]}
    known = {name for name in names if delisting.page({"block": {"list": name}})}
    assert {"Spamhaus", "Barracuda", "SpamCop", "Mailspike", "Abusix", "PSBL", "UCEPROTECT"} <= known
