"""POP3: what is there is stored once, deleted only after that, and whatever a server does nothing is lost."""

import threading
import time

import pytest
from pop3.server import PASSWORD, PopServer, bounces
from serve.mails import bounce

from dsn_processor.errors import LoginRefusedError, MailboxError, StoreError, StoreFullError
from dsn_processor.parse.identity import identity
from dsn_processor.terms import Kind, MailboxTask

LETTER = b"From: a@example.com\r\nTo: b@example.com\r\nSubject: Lunch\r\n\r\nAt noon?\r\n"


def tokens(count):
    return sorted(f"t{n}" for n in range(count))


def test_mail_is_stored_and_kept(kept, mailbox):
    with PopServer(bounces(7)) as server:
        box = mailbox(server, batch=3)
        looked = box.look()
        assert (looked.taken, looked.left, looked.problems) == (7, 0, ())
        assert kept.recipients() == tokens(7)
        assert (box.watching.most, box.watching.handled) == (7, 7)
        server.mails += bounces(2, 7)
        assert box.look().taken == 2
        assert box.look().taken == 0
        assert kept.recipients() == tokens(9)
        assert server.count("RETR") == 9
        assert server.count("DELE") == 0
        assert len(server.mails) == 9
        assert server.asked.count("QUIT") == 3


def test_mail_is_deleted_once_it_is_stored(kept, mailbox):
    with PopServer(bounces(7)) as server:
        box = mailbox(server, batch=3, after="delete")
        stored = []
        commit = kept.keeping.commit
        kept.keeping.commit = lambda batch, note: (
            stored.append((len(batch), server.count("DELE"))) or commit(batch, note)
        )
        assert box.look().taken == 7
        assert stored[0] == (3, 0)
        assert kept.recipients() == tokens(7)
        assert server.mails == []
        assert kept.mailbox_mails("old") == []


@pytest.mark.parametrize("fault", [StoreError("no"), StoreFullError("full")])
def test_what_cannot_be_stored_stays(kept, mailbox, fault):
    with PopServer(bounces(3)) as server:
        box = mailbox(server, after="delete")
        kept.fails = fault
        with pytest.raises(type(fault)):
            box.look()
        assert len(server.mails) == 3
        assert (server.count("DELE"), server.count("QUIT")) == (0, 0)
        kept.fails = None
        assert box.look().taken == 3
        assert server.mails == []
        assert kept.recipients() == tokens(3)


@pytest.mark.parametrize("at", ["RETR 5", "DELE 2", "QUIT", "LIST", "UIDL", "PASS", "USER", ""])
@pytest.mark.parametrize("after", ["keep", "delete"])
def test_a_connection_that_breaks_loses_and_doubles_nothing(kept, mailbox, at, after):
    with PopServer(bounces(7)) as server:
        box = mailbox(server, batch=2, after=after)
        if after == "keep" and at == "DELE 2":
            at = "RETR 2"
        server.misbehave = {at: lambda talk: False}
        with pytest.raises(MailboxError, match="closed the connection"):
            box.look()
        assert len(server.mails) == 7
        server.misbehave = {}
        box.look()
        assert kept.recipients() == tokens(7)
        assert len(server.mails) == (7 if after == "keep" else 0)
        assert kept.store.stats().mails == 7


def test_unique_ids_that_are_not_unique_lose_nothing(kept, mailbox):
    """A server whose unique-ids are mere numbers: after a fault the same number is another mail."""
    with PopServer([("1", bounce("t0").raw), ("2", bounce("t1").raw)]) as server:
        box = mailbox(server, after="delete")
        server.misbehave = {"QUIT": lambda talk: False}
        with pytest.raises(MailboxError):
            box.look()
        server.misbehave = {}
        server.mails = [("1", bounce("t2").raw), ("2", bounce("t3").raw)]
        box.look()
        assert kept.recipients() == tokens(4)
        assert server.mails == []


def test_a_mail_that_is_refused_keeps_nothing_else(kept, mailbox):
    with PopServer(bounces(5)) as server:
        box = mailbox(server, after="delete", batch=2)
        server.misbehave = {"RETR 2": lambda talk: talk.send(b"-ERR [SYS/TEMP] not now\r\n") or "answered"}
        looked = box.look()
        assert looked.taken == 4
        assert "fetch mail uid-1: [SYS/TEMP] not now" in looked.problems[0]
        assert [uid for uid, _ in server.mails] == ["uid-1"]
        [noted] = kept.mailbox_mails("old")
        assert (noted.uid, noted.task, noted.attempts) == ("uid-1", MailboxTask.FETCH, 1)
        server.misbehave = {}
        assert box.look().taken == 1
        assert kept.recipients() == tokens(5)
        box.look()
        assert kept.mailbox_mails("old") == []


def test_a_mail_that_breaks_the_connection_is_tried_last(kept, mailbox):
    with PopServer(bounces(5)) as server:
        box = mailbox(server)

        def breaks(talk):
            number = int(talk.server.asked[-1].split()[1])
            return dict(talk.mails)[number][0] != "uid-1"

        server.misbehave = {"RETR": breaks}
        for _ in range(3):
            with pytest.raises(MailboxError):
                box.look()
        assert kept.recipients() == ["t0", "t2", "t3", "t4"]
        server.misbehave = {}
        box.look()
        assert kept.recipients() == tokens(5)


def test_mail_that_is_no_report_stays_and_is_fetched_once(kept, mailbox):
    with PopServer([("a", LETTER), *bounces(1)]) as server:
        box = mailbox(server, after="delete")
        looked = box.look()
        assert (looked.taken, looked.left) == (1, 1)
        assert [uid for uid, _ in server.mails] == ["a"]
        box.look()
        assert server.count("RETR") == 2
        assert kept.store.stats().mails == 1
        assert kept.met([identity(LETTER)]) == {identity(LETTER): Kind.NOT_A_REPORT}


def test_mail_that_is_no_report_is_taken_where_that_is_wanted(kept, mailbox):
    with PopServer([("a", LETTER)]) as server:
        assert mailbox(server, after="delete", others="take").look().taken == 1
        assert server.mails == []
        assert kept.met([identity(LETTER)]) == {identity(LETTER): Kind.NOT_A_REPORT}
        assert kept.store.stats().mails == 1


@pytest.mark.parametrize("top", [True, False])
def test_of_a_large_mail_the_head_is_kept(kept, mailbox, top):
    raw = bounce("t0", 300_000).raw
    with PopServer([("big", raw), ("small", bounce("t1").raw)]) as server:
        if not top:
            server.misbehave = {"TOP": lambda talk: talk.send(b"-ERR no\r\n") or "answered"}
        box = mailbox(server, size_limit=100_000, after="delete")
        assert box.look().taken == 2
        assert server.mails == []
        stored = [kept.store.message(number) for number in (1, 2)]
        assert [(mail.size, mail.truncated) for mail in stored] == [
            (100_000, True),
            (len(bounce("t1").raw), False),
        ]
        assert kept.store.raw(1) == raw[:100_000]
        assert server.count("RETR") == (1 if top else 2)


def test_a_mail_that_is_smaller_than_it_was_said_to_be_is_whole(kept, mailbox):
    raw = bounce("t0").raw
    with PopServer([("a", raw)]) as server:
        server.misbehave = {"LIST": lambda talk: talk.multi([b"1 9000000"]) or "answered"}
        assert mailbox(server, size_limit=100_000).look().taken == 1
        assert (server.count("TOP"), kept.store.raw(1)) == (1, raw)
        assert not kept.store.message(1).truncated


def test_long_lines_dots_and_odd_ends_come_as_they_are(kept, mailbox):
    raw = bounce("t0").raw.replace(
        b"This is the mail system", b".." + b"x" * 50_000 + b"\r\n.\r\n.y\r\n\r\n..\r\n"
    )
    with PopServer([("a", raw)]) as server:
        assert mailbox(server).look().taken == 1
        assert kept.store.raw(1) == raw


def test_recipients_are_taken_from_trace_headers(kept, mailbox):
    raw = b"Delivered-To: bounces+token@example.com\r\n" + bounce("t0").raw
    with PopServer([("a", raw)]) as server:
        mailbox(server).look()
    assert kept.store.message(1).envelope.recipients == ("bounces+token@example.com",)


def test_a_dry_run_changes_nothing_there(kept, mailbox):
    with PopServer(bounces(3)) as server:
        mailbox(server, after="delete", dry_run=True).look()
        assert len(server.mails) == 3
        assert server.count("DELE") == 0


def test_it_ends_in_good_order_where_it_is_told_to_stop(kept, mailbox):
    with PopServer(bounces(9)) as server:
        box = mailbox(server, after="delete", batch=2)

        def stops(talk):
            if talk.server.count("RETR") == 5:
                box.bell.stop()
            return True

        server.misbehave = {"RETR": stops}
        looked = box.look()
        assert looked.taken == 5
        assert len(server.mails) == 4
        assert len(kept.recipients()) == 5


def test_it_can_be_hung_up_from_elsewhere(mailbox):
    with PopServer(bounces(1)) as server:
        box = mailbox(server, timeout=60.0)
        waits = threading.Event()
        server.misbehave = {"UIDL": lambda talk: waits.wait(60) and False}
        timer = threading.Timer(0.3, box.hang_up)
        timer.start()
        began = time.monotonic()
        with pytest.raises(MailboxError):
            box.look()
        assert time.monotonic() - began < 50
        waits.set()
        timer.join()


@pytest.mark.parametrize(
    "text, refused",
    [
        (b"-ERR [AUTH] no\r\n", True),
        (b"-ERR bad password\r\n", True),
        (b"-ERR [IN-USE] taken\r\n", False),
        (b"-ERR [LOGIN-DELAY] wait\r\n", False),
        (b"-ERR [SYS/TEMP] sick\r\n", False),
        (b"-ERR mailbox is locked by another session\r\n", False),
        (b"-ERR too many connections, try again later\r\n", False),
    ],
)
def test_what_a_refused_login_means(mailbox, text, refused):
    with PopServer(bounces(1)) as server:
        server.misbehave = {"PASS": text}
        with pytest.raises(MailboxError) as caught:
            mailbox(server).open()
    assert isinstance(caught.value, LoginRefusedError) is refused


@pytest.mark.parametrize("password", [PASSWORD, " geheim, schön "])
def test_the_password_goes_by_sasl_where_that_is_offered(kept, mailbox, password):
    with PopServer(bounces(1)) as server:
        server.capabilities.append("SASL PLAIN LOGIN")
        server.password = password
        assert mailbox(server, password=password).look().taken == 1
        assert not [line for line in server.asked if line.startswith(("USER", "PASS"))]
        server.password = "another"
        with pytest.raises(LoginRefusedError, match=r"refuses the login of user@example.com: .AUTH. wrong"):
            mailbox(server, password=password).open()
        server.misbehave = {"AUTH": _echo}
        with pytest.raises(LoginRefusedError, match=r"not \*\*\*$"):
            mailbox(server, password=password).open()


def _echo(talk):
    talk.send(b"+ \r\n")
    talk.send(b"-ERR not " + talk.file.readline())
    return "answered"


def test_the_password_is_in_no_error(mailbox):
    with PopServer(bounces(1)) as server:
        server.misbehave = {"PASS": f"-ERR not {PASSWORD}\x1b[31m\r\n".encode()}
        with pytest.raises(
            LoginRefusedError, match=r"refuses the login of user@example.com: not \*\*\*\\x1b"
        ):
            mailbox(server).open()


def test_a_server_without_unique_ids_is_told(mailbox):
    with PopServer(bounces(1)) as server:
        server.misbehave = {"UIDL": b"-ERR unknown command\r\n"}
        with pytest.raises(MailboxError, match="unknown command"):
            mailbox(server).look()
