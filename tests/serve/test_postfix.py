"""A real mail server in front of ours."""

import json
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from serve.client import Session
from serve.harness import Serve, wait
from serve.mails import bounce
from serve.postfix import Postfix
from serve.refuser import Refuser
from serve.verify import faults, wait_processed

pytestmark = pytest.mark.server


@pytest.fixture
def serve(tmp_path):
    # Postfix' user does not get into a test's own folder.
    with tempfile.TemporaryDirectory(prefix="dsn-sockets-") as name:
        Path(name).chmod(0o755)
        with Serve(tmp_path, sockets=Path(name)) as running:
            yield running


_NEWS = (
    b"From: news@example.com\r\nTo: you\r\nSubject: News\r\nMessage-ID: <sent-1@example.com>\r\n\r\nNews.\r\n"
)
_REPLIES = {
    "gone": "550 5.1.1 <gone@example.net>: Recipient address rejected: User unknown",
    "full": "552 5.2.2 <full@example.net>: mailbox is over quota",
    "listed": "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.example.org",
    "off": "550 5.2.1 <off@example.net>: The email account that you tried to reach is disabled",
    "large": "552 5.3.4 message size exceeds fixed limit",
}
_EVENTS = {
    ("gone@example.net", "5.1.1", "hard", "user_unknown"),
    ("full@example.net", "5.2.2", "soft", "mailbox_full"),
    ("listed@example.net", "5.7.1", "block", "ip_blocklisted"),
    ("off@example.net", "5.2.1", "hard", "mailbox_disabled"),
    ("large@example.net", "5.3.4", "soft", "message_too_large"),
}


@pytest.mark.parametrize("way", ["smtp", "lmtp over TCP", "lmtp over a unix socket"])
def test_what_postfix_bounces_arrives_and_is_understood(serve, way):
    where = {
        "smtp": f"smtp:[127.0.0.1]:{serve.smtp[1]}",
        "lmtp over TCP": f"lmtp:inet:127.0.0.1:{serve.lmtp[1]}",
        "lmtp over a unix socket": f"lmtp:unix:{serve.lmtp_socket}",
    }[way]
    with Refuser(_REPLIES) as refuser:
        transports = {"example.net": f"smtp:[127.0.0.1]:{refuser.smtp[1]}", "example.com": where}
        with Postfix(transports) as postfix:
            with Session(postfix.smtp) as session:
                session.greet()
                recipients = tuple(f"{local}@example.net" for local in _REPLIES)
                assert (
                    session.deliver(_NEWS, sender="bounces+1@example.com", recipients=recipients).code == 250
                )
            wait(lambda: _rows(serve, "SELECT id FROM message"), "no bounce arrives", log=postfix.log)
            postfix.wait_empty()
    wait_processed(serve.database)
    envelopes = _rows(serve, "SELECT envelope_sender, envelope_recipients FROM message")
    assert envelopes == [("", '["bounces+1@example.com"]')]
    events = _rows(serve, "SELECT address, status, bounce_type, reason FROM recipient_event")
    assert set(events) == _EVENTS
    assert len(events) == len(_EVENTS)


@pytest.mark.parametrize("way", ["over TCP", "over a unix socket"])
def test_postfix_hears_of_each_recipient_over_lmtp(serve, way):
    mail = bounce("one")
    recipients = tuple(f"bounces+{number}@example.com" for number in range(5))
    where = f"inet:127.0.0.1:{serve.lmtp[1]}" if way == "over TCP" else f"unix:{serve.lmtp_socket}"
    with Postfix({"example.com": f"lmtp:{where}"}) as postfix:
        with Session(postfix.smtp) as session:
            session.greet()
            assert session.deliver(mail.raw, recipients=recipients).code == 250
        wait(lambda: _rows(serve, "SELECT id FROM message"), "nothing arrives", log=postfix.log)
        postfix.wait_empty()
        sent = [line for line in postfix.log().splitlines() if "status=sent (250 2." in line]
    assert len(sent) == 5, sent
    wait_processed(serve.database)
    [(told,)] = _rows(serve, "SELECT envelope_recipients FROM message")
    assert sorted(json.loads(told)) == sorted(recipients)


def test_one_address_of_a_domain_of_postfix_is_handed_over(serve):
    """The lines of docs/serve.md: VERP addresses go the way of their base address, and others stay unknown."""
    lines = (
        "mydestination = example.com\nrecipient_delimiter = +\nlocal_recipient_maps = inline:{ bounces=x }"
    )
    with Postfix({"bounces@example.com": f"lmtp:inet:127.0.0.1:{serve.lmtp[1]}"}, lines) as postfix:
        with Session(postfix.smtp) as session:
            session.greet()
            recipients = ("bounces@example.com", "bounces+bob=example.net@example.com")
            assert session.deliver(bounce("verp").raw, recipients=recipients).code == 250
            assert session.deliver(bounce("other").raw, recipients=("other@example.com",)).code == 550
        wait(lambda: _rows(serve, "SELECT id FROM message"), "nothing arrives", log=postfix.log)
        postfix.wait_empty()
    [(told,)] = _rows(serve, "SELECT envelope_recipients FROM message")
    assert sorted(json.loads(told)) == sorted(recipients)


def test_postfix_waits_while_the_server_is_away(serve):
    mails = [bounce(f"away-{number}") for number in range(20)]
    with Postfix({"example.com": f"smtp:[127.0.0.1]:{serve.smtp[1]}"}) as postfix:
        serve.kill()
        with Session(postfix.smtp) as session:
            session.greet()
            for mail in mails:
                assert session.deliver(mail.raw).code == 250
        wait(lambda: "Connection refused" in postfix.log(), "Postfix does not try", log=postfix.log)
        serve.start()
        postfix.wait_empty()
    wait_processed(serve.database)
    assert len(_rows(serve, "SELECT address FROM recipient_event")) == len(mails)
    assert faults(serve.database, {}) == []


def _rows(serve, statement):
    with closing(sqlite3.connect(f"file:{serve.database}?mode=ro", uri=True, timeout=30)) as connection:
        return connection.execute(statement).fetchall()
