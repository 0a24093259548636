"""SIGTERM ends it in good order, SIGHUP has it read its settings again."""

import signal
import socket
import sqlite3
from contextlib import closing

from serve.client import Session, stuffed
from serve.harness import Serve, wait
from serve.load import Load
from serve.mails import bounce
from serve.verify import faults, wait_processed

_RULE = """\
[[rule]]
id = "own-brimming"
reason = "mailbox_full"
text = ["mailbox is brimming"]
seen = ["550 Mailbox is brimming"]
source = "a test"
"""
_BOUNCE = bounce("brim").raw.replace(b"Recipient address rejected: User unknown", b"Mailbox is brimming")


def test_sigterm_under_load_loses_nothing_and_leaves_no_half_reply(tmp_path):
    with Serve(tmp_path) as serve, Load(serve.smtp) as load:
        for number in range(5):
            goal = len(load.acknowledged) + 30
            wait(
                lambda goal=goal: len(load.acknowledged) >= goal,
                f"round {number}: no mail is taken",
                log=serve.log,
            )
            assert serve.stop() == 0
            serve.start()
        load.end()
        wait_processed(serve.database)
        assert load.halves == []
        assert load.permanent() == {}
        assert faults(serve.database, load.acknowledged) == []
        assert "Traceback" not in serve.log()


def test_sigterm_waits_for_a_mail_in_flight_and_sends_the_idle_away(serve):
    mail = bounce("slow")
    with Session(serve.smtp) as idle, Session(serve.smtp) as busy:
        for session in (idle, busy):
            session.greet()
        for command, code in (("MAIL FROM:<>", 250), ("RCPT TO:<news@example.com>", 250), ("DATA", 354)):
            assert busy.command(command).code == code
        wire = stuffed(mail.raw)
        busy.send(wire[:200])
        serve.signal(signal.SIGTERM)
        assert idle.reply().code == 421
        busy.send(wire[200:])
        assert busy.reply().code == 250
    assert serve.ended() == 0
    serve.start()
    wait_processed(serve.database)
    assert faults(serve.database, {mail.token: mail}) == []


def test_nobody_is_refused_while_a_server_with_a_handed_socket_restarts(tmp_path):
    mail = bounce("patient")
    with socket.create_server(("127.0.0.1", 0)) as handed, Serve(tmp_path, handed=handed) as serve:
        assert serve.stop() == 0
        with Session(serve.smtp) as session:  # the system takes the connection
            serve.start()
            assert session.greet().code == 250
            assert session.deliver(mail.raw).code == 250
        wait_processed(serve.database)
        assert faults(serve.database, {mail.token: mail}) == []


def test_sighup_brings_other_recipients_and_rules_and_a_broken_file_keeps_them(tmp_path):
    rules = tmp_path / "rules.toml"
    with Serve(tmp_path) as serve:
        assert _answer(serve, "anybody@example.org") == 250
        rules.write_text(_RULE)
        serve.configure(settings=f'rules = "{rules}"', smtp='recipients = ["example.com"]')
        serve.signal(signal.SIGHUP)
        wait(lambda: _answer(serve, "anybody@example.org") == 550, "recipients stay", log=serve.log)
        serve.configuration.write_text("nothing = [")
        serve.signal(signal.SIGHUP)
        wait(lambda: "reload failed" in serve.log(), "the broken file is not told of", log=serve.log)
        assert _answer(serve, "anybody@example.org") == 550
        assert _answer(serve, "news@example.com") == 250
        with Session(serve.smtp) as session:
            session.greet()
            assert session.deliver(_BOUNCE).code == 250
        wait_processed(serve.database)
        with closing(sqlite3.connect(serve.database)) as connection:
            found = connection.execute("SELECT rule_id, reason FROM recipient_event").fetchall()
        assert found == [("own-brimming", "mailbox_full")]


def _answer(serve, recipient):
    with Session(serve.smtp) as session:
        session.greet()
        session.command("MAIL FROM:<>")
        return session.command(f"RCPT TO:<{recipient}>").code
