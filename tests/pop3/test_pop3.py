"""POP3: what is there is stored once, deleted only after that, and whatever a server does nothing is lost."""

import ssl
import threading
import time
import tracemalloc

import pytest
from pop3.server import PASSWORD, USER, PopServer
from serve.mails import bounce

from dsn_processor.errors import LoginRefusedError, MailboxError, StoreError, StoreFullError
from dsn_processor.intake.mailbox.options import OAuthOptions
from dsn_processor.parse.identity import identity
from dsn_processor.terms import Kind, MailboxTask

LETTER = b"From: a@example.com\r\nTo: b@example.com\r\nSubject: Lunch\r\n\r\nAt noon?\r\n"


def bounces(count, first=0):
    return [(f"uid-{n}", bounce(f"t{n}").raw) for n in range(first, first + count)]


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


def test_of_a_large_mail_the_head_is_kept(kept, mailbox):
    raw = bounce("t0", 300_000).raw
    with PopServer([("big", raw), ("small", bounce("t1").raw)]) as server:
        box = mailbox(server, size_limit=100_000, after="delete")
        assert box.look().taken == 2
        assert server.mails == []
        stored = [kept.store.message(number) for number in (1, 2)]
        assert [(mail.size, mail.truncated) for mail in stored] == [
            (100_000, True),
            (len(bounce("t1").raw), False),
        ]


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


# ---- hostile servers


def endless(line, most=400_000_000):
    """Sends ``line`` again and again, until the other side has had enough."""

    def send(talk):
        piece = line * max(1, 60_000 // len(line))
        for _ in range(most // len(piece)):
            talk.send(piece)
        raise AssertionError("it took all of that")

    return send


@pytest.mark.parametrize(
    "at, line",
    [
        ("", b"x"),
        ("", b"+OK hello"),
        ("CAPA", b"+OK\r\nX\r\n"),
        ("USER", b"x"),
        ("PASS", b"+OK"),
        ("LIST", b"x"),
        ("UIDL", b"y"),
        ("RETR", b"+OK\r\nA: b\r\n"),
        ("RETR", b"x"),
        ("QUIT", b"x"),
    ],
)
def test_responses_without_an_end(mailbox, at, line):
    with PopServer(bounces(2)) as server:
        server.misbehave = {at: endless(line)}
        with pytest.raises(MailboxError, match=r"longer than it may be|does not speak POP3"):
            mailbox(server).look()


def test_a_line_without_an_end_is_not_held_in_memory(kept, mailbox):
    """The server announces as much as it sends, so that nothing but its one line is wrong with the mail."""
    size = 200_000_000

    def sends(talk):
        talk.send(b"+OK\r\n" + bounce("t0").raw.replace(b"\r\n.", b"\r\n.."))
        for _ in range(size // 1_000_000):
            talk.send(b"x" * 1_000_000)
        talk.send(b"\r\n.\r\n")
        return "answered"

    with PopServer(bounces(1)) as server:
        server.misbehave = {
            "RETR": sends,
            "LIST": lambda talk: talk.send(b"+OK\r\n1 %d\r\n.\r\n" % size) or "answered",
        }
        tracemalloc.start()
        try:
            assert mailbox(server, size_limit=1_000_000).look().taken == 1
            assert tracemalloc.get_traced_memory()[1] < 30_000_000
        finally:
            tracemalloc.stop()
    assert kept.store.message(1).truncated
    assert kept.recipients() == ["t0"]


@pytest.mark.parametrize(
    "at, text, words",
    [
        ("", b"* OK IMAP\r\n", r"does not speak POP3 as we know it: \* OK IMAP"),
        ("RETR", b"what?\r\n", "does not speak POP3"),
        ("", b"", "closed the connection"),
        ("", b"\xff\xfe\x00\r\n", "connect"),
        ("LIST", b"+OK\r\n1 x\r\n.\r\n", "lists what is no mail"),
        ("LIST", b"+OK\r\nx\r\n.\r\n", "lists what is no mail"),
        ("UIDL", b"+OK\r\n1 \x01\x02\r\n.\r\n", "lists what is no mail"),
        ("UIDL", b"+OK\r\n99999999999999 a\r\n.\r\n", "lists what is no mail"),
        ("UIDL", b"+OK\r\n1 " + b"a" * 5000 + b"\r\n.\r\n", "lists what is no mail"),
        ("RETR", b"+OK\r\nSubject: half of it", "closed the connection"),
    ],
)
def test_garbage_is_told(kept, mailbox, at, text, words):
    with PopServer(bounces(1)) as server:
        server.misbehave = {at: text}
        with pytest.raises(MailboxError, match=words):
            mailbox(server, after="delete").look()
        assert len(server.mails) == 1
    assert kept.recipients() == []


@pytest.mark.parametrize("at", ["", "CAPA", "PASS", "RETR", "QUIT"])
def test_a_server_that_says_nothing_is_not_waited_for(mailbox, at):
    with PopServer(bounces(1)) as server:
        done = threading.Event()
        server.misbehave = {at: lambda talk: done.wait(60) and False}
        with pytest.raises(MailboxError, match="no answer within 1 s"):
            mailbox(server, timeout=1.0).look()
        done.set()


def test_a_server_that_drips_is_not_waited_for(mailbox):
    with PopServer(bounces(1)) as server:
        done = threading.Event()

        def drips(talk):
            while not done.wait(0.05):
                talk.send(b"x")
            return False

        server.misbehave = {"PASS": drips}
        with pytest.raises(MailboxError, match="no answer within 1 s"):
            mailbox(server, timeout=1.0).look()
        done.set()


# ---- TLS


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """(its file, a context of a server that has it), for this machine and for another name."""
    import subprocess

    from serve import needs

    made = {}
    for name, alternative in (("right", "IP:127.0.0.1"), ("wrong", "DNS:other.example.com")):
        folder = tmp_path_factory.mktemp(name)
        subprocess.run(
            [
                *(needs.program("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30"),
                *("-subj", f"/CN={name}", "-addext", f"subjectAltName={alternative}"),
                *("-keyout", f"{folder}/key.pem", "-out", f"{folder}/cert.pem"),
            ],
            check=True,
            capture_output=True,
            timeout=60,
        )
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(f"{folder}/cert.pem", f"{folder}/key.pem")
        made[name] = (f"{folder}/cert.pem", context)
    return made


@pytest.mark.parametrize("tls", ["implicit", "starttls"])
def test_tls(kept, mailbox, certificates, tls):
    file, context = certificates["right"]
    with PopServer(bounces(2), **{"implicit" if tls == "implicit" else "tls": context}) as server:
        assert mailbox(server, tls=tls, ca_file=file).look().taken == 2


@pytest.mark.parametrize("tls", ["implicit", "starttls"])
@pytest.mark.parametrize("which, trusted", [("wrong", True), ("right", False)])
def test_nothing_is_sent_to_a_server_that_cannot_show_who_it_is(mailbox, certificates, tls, which, trusted):
    file, context = certificates[which]
    ca = file if trusted else certificates["wrong"][0]
    with (
        PopServer(bounces(2), **{"implicit" if tls == "implicit" else "tls": context}) as server,
        pytest.raises(MailboxError, match=r"not to be trusted, so no password was sent.*ca_file"),
    ):
        mailbox(server, tls=tls, ca_file=ca).open()
    assert not [line for line in server.asked if line.startswith(("USER", "PASS", "AUTH"))]


def test_no_password_is_sent_where_stls_was_taken_away(mailbox, certificates):
    file, context = certificates["right"]
    with PopServer(bounces(2), tls=context) as server:
        server.capabilities.remove("STLS")
        with pytest.raises(MailboxError, match="does not offer STLS, so no password was sent"):
            mailbox(server, tls="starttls", ca_file=file).open()
        server.capabilities.append("STLS")
        server.misbehave = {"STLS": b"-ERR not today\r\n"}
        with pytest.raises(MailboxError, match="not today"):
            mailbox(server, tls="starttls", ca_file=file).open()
        server.misbehave = {"STLS": b"+OK begin\r\n+OK\r\nUSER\r\n.\r\n"}
        with pytest.raises(MailboxError, match="more than the answer to STLS"):
            mailbox(server, tls="starttls", ca_file=file).open()
    assert set(server.asked) == {"CAPA", "STLS"}


# ---- tokens


@pytest.mark.parametrize("mechanism, used", [("auto", "OAUTHBEARER"), ("xoauth2", "XOAUTH2")])
def test_logging_in_by_token(kept, mailbox, tmp_path, mechanism, used):
    from oauth.authorization import Authorization

    (tmp_path / "token").write_text("")
    with Authorization() as authorization, PopServer(bounces(1), token="access.") as server:
        (tmp_path / "token").write_text(authorization.consent())
        options = OAuthOptions(**authorization.options(tmp_path / "token", mechanism=mechanism))
        box = mailbox(server, oauth2=options)
        assert box.look().taken == 1
        assert f"AUTH {used}" in server.asked
        assert not [line for line in server.asked if line.startswith(("USER", "PASS"))]
        server.token = "another"
        server.asked.clear()
        with pytest.raises(LoginRefusedError, match=f"refuses the login of {USER}: status invalid_token"):
            box.look()
        # Once with the token of before, once with a new one.
        assert server.asked.count(f"AUTH {used}") == 2
        assert {line for line in server.asked if line.startswith("answered")} == {
            "answered b'\\x01'" if used == "OAUTHBEARER" else "answered b''"
        }
        assert len(authorization.requests) == 2
