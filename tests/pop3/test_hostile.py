"""Hostile servers, and those that cannot show who they are: bounded memory and time, no password sent."""

import ssl
import subprocess
import threading
import tracemalloc

import pytest
from pop3.server import USER, PopServer, bounces
from serve import needs
from serve.mails import bounce

from dsn_processor.errors import LoginRefusedError, MailboxError
from dsn_processor.intake.mailbox.options import OAuthOptions


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
        server.capabilities.remove("TOP")
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
