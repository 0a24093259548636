"""Servers that are mad or hostile: bounded memory, bounded time, no password told, and words that say what is wrong."""

import base64
import time

import pytest
from mailboxes.dovecot import certificate
from mailboxes.poller import report
from mailboxes.scripted import CAPABILITIES, Scripted

from dsn_processor.errors import LoginRefusedError, MailboxError
from dsn_processor.intake.mailbox import session
from dsn_processor.intake.mailbox.bell import Bell
from dsn_processor.intake.mailbox.imap import ImapMailbox
from dsn_processor.intake.mailbox.keeping import DryKeeping, StoreKeeping
from dsn_processor.intake.mailbox.options import ImapOptions
from dsn_processor.record.store import Store
from dsn_processor.workers import Readers

PASSWORD = "open-sesame"
#: What a client may have read before it goes; the system's own buffers hold some, too.
BOUND = 60_000_000


class Nobody:
    def found(self, *_):
        pass

    def taken(self, *_):
        pass


@pytest.fixture(scope="module")
def readers():
    pool = Readers(1)
    yield pool
    pool.close()


@pytest.fixture
def mailbox(readers):
    """``mailbox(server, tls="starttls", ...)``: an account there."""
    made = []

    def make(server, keeping=None, **options):
        given = {"tls": "none", "after": "keep", "timeout": 3.0, **options}
        account = ImapOptions(
            name="a", host="127.0.0.1", port=server.port, username="ann", password=PASSWORD, **given
        )
        one = ImapMailbox(
            account,
            keeping or DryKeeping(None),
            readers,
            rules=lambda: None,
            bell=Bell(),
            watching=Nobody(),
        )
        made.append(one)
        return one

    yield make
    for one in made:
        one.close()


def at(verb, act):
    """A script that acts when a command is sent, and does all else as is usual."""

    def script(talk, tag, said):
        if said.upper().startswith(verb):
            act(talk, tag)
            return True
        return False

    return script


def no_password_in(server):
    forms = [PASSWORD.encode(), base64.b64encode(f"\0ann\0{PASSWORD}".encode())]
    return not any(form in server.received for form in forms)


def test_the_script_is_a_server_when_nothing_else_is_said(mailbox):
    with Scripted(mail=report(0).replace(b"\n", b"\r\n")) as server:
        one = mailbox(server)
        one.open()
        assert one.look().taken == 1
        assert not no_password_in(server)  # this is how it would be found


@pytest.mark.parametrize(
    "act, said",
    [
        (lambda talk, _: talk.send(b"* 1 FETCH (UID 1 BODY[] {9000000000}\r\n"), "announced 9,000,000,000"),
        (lambda talk, _: talk.flood(b"* 1 FETCH (FLAGS ())\r\n"), "more responses than|longer than"),
        (lambda talk, _: talk.flood(b"* OK still here\r\n"), "more responses than|longer than"),
        (lambda talk, _: talk.flood(b"* 1 FETCH ("), "longer than"),
        (lambda talk, _: talk.flood(b"x"), "longer than"),
        (lambda talk, _: talk.send(b"\x16\x03\x01 what?\r\n"), "unexpected response"),
        (lambda talk, tag: talk.send(f"* 1 FETCH ((((\r\n{tag} OK\r\n".encode()), "127.0.0.1"),
        (lambda talk, tag: talk.send(f"* 1 FETCH (UID x)\r\n{tag} OK ok\r\n".encode()), "127.0.0.1"),
        (lambda talk, _: talk.hang_up(), "closed the connection"),
    ],
)
@pytest.mark.parametrize("verb", ["UID FETCH 1 (BODY", "UID SEARCH", "EXAMINE"])
def test_a_flood_or_garbage_is_cut(mailbox, verb, act, said):
    with Scripted(at(verb, act), mail=report(0)) as server:
        one = mailbox(server)
        one.open()
        with pytest.raises(MailboxError, match=said):
            _until_wrong(one)
        one.close()
        assert server.sent < BOUND


def test_silence_is_not_waited_for_without_end(mailbox):
    with Scripted(at("UID SEARCH", lambda *_: time.sleep(1.5))) as server:
        one = mailbox(server, timeout=1.0)
        one.open()
        with pytest.raises(MailboxError, match="search: no answer within 1 s"):
            one.look()


def _until_wrong(one):
    looked = one.look()
    raise MailboxError("; ".join(looked.problems) or "127.0.0.1: nothing wrong was found, and nothing taken")


@pytest.mark.parametrize(
    "greeting, said",
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "unexpected response"),
        (b"* BYE too busy\r\n", "BYE|too busy|not IMAP4|reached"),
        (lambda talk: talk.flood(b"x"), "longer than"),
        (lambda talk: talk.flood(b"* OK hello\r\n"), "more responses|longer than"),
        (lambda talk: time.sleep(1.5), "no answer within"),
        (lambda talk: talk.hang_up(), "closed the connection"),
    ],
)
def test_a_strange_greeting_is_told(mailbox, greeting, said):
    with Scripted(greeting=greeting) as server:
        with pytest.raises(MailboxError, match=said):
            mailbox(server, timeout=1.0).open()
        assert server.sent < BOUND
        assert no_password_in(server)


def test_one_octet_at_a_time_is_not_waited_for_without_end(mailbox, monkeypatch):
    monkeypatch.setattr(session, "_SLOWEST", 1_000_000)

    def drip(talk, _):
        while True:
            talk.send(b"*")
            time.sleep(0.05)

    with Scripted(at("AUTHENTICATE", drip)) as server:
        one = mailbox(server, timeout=1.0)
        began = time.monotonic()
        with pytest.raises(MailboxError, match="did not come to an end in time"):
            one.open()
        assert time.monotonic() - began < 60


def test_a_certificate_for_another_name_gets_no_password(mailbox, tmp_path):
    pair = certificate(tmp_path, "other.example.com")
    with Scripted(certificate=pair) as server:
        with pytest.raises(MailboxError, match=r"not to be trusted, so no password was sent: .*127\.0\.0\.1"):
            mailbox(server, tls="implicit", ca_file=str(pair[0])).open()
        assert server.received == b""


@pytest.mark.parametrize("greeting", [b"* OK ready\r\n", b"* PREAUTH you are ann\r\n"])
def test_without_starttls_no_password_is_sent(mailbox, greeting):
    with Scripted(greeting=greeting) as server:
        with pytest.raises(MailboxError, match="does not offer STARTTLS, so no password was sent"):
            mailbox(server, tls="starttls").open()
        assert server.verbs() in (["CAPABILITY"], ["CAPABILITY", "LOGOUT"])
        assert no_password_in(server)


@pytest.mark.parametrize(
    "answer, said",
    [
        (b"{tag} OK go\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n{tag}9 OK\r\n", "more than the answer"),
        (b"{tag} NO not today\r\n", "STARTTLS"),
        (b"{tag} OK go\r\n", "STARTTLS"),
    ],
)
def test_starttls_that_goes_wrong_gets_no_password(mailbox, answer, said):
    def act(talk, tag):
        talk.send(answer.replace(b"{tag}", tag.encode()))
        time.sleep(0.2)

    with Scripted(at("STARTTLS", act), capabilities=f"{CAPABILITIES} STARTTLS") as server:
        with pytest.raises(MailboxError, match=said):
            mailbox(server, tls="starttls", timeout=1.0).open()
        assert no_password_in(server)


def test_a_password_that_a_server_says_aloud_is_not_repeated(mailbox):
    def act(talk, tag):
        talk.send(f"{tag} NO [AUTHENTICATIONFAILED] {PASSWORD} is wrong\r\n".encode())

    server = Scripted(at("LOGIN", act), capabilities="IMAP4rev1")
    with server, pytest.raises(LoginRefusedError, match=r"\*\*\* is wrong"):
        mailbox(server).open()


def test_a_server_that_cannot_log_anybody_in_now_refuses_nobody(mailbox):
    def act(talk, tag):
        talk.send(f"{tag} NO [UNAVAILABLE] come again\r\n".encode())

    with Scripted(at("LOGIN", act), capabilities="IMAP4rev1") as server:
        with pytest.raises(MailboxError, match="come again") as raised:
            mailbox(server).open()
        assert not isinstance(raised.value, LoginRefusedError)


def test_where_no_password_is_taken_in_the_clear_none_is_sent(mailbox):
    with Scripted(capabilities="IMAP4rev1 LOGINDISABLED") as server:
        with pytest.raises(LoginRefusedError, match="takes no password without TLS"):
            mailbox(server).open()
        assert no_password_in(server)


@pytest.mark.parametrize(
    "flags, given", [("\\Seen \\*", "$Processed"), ("\\Seen", "\\Seen"), ("\\Seen $processed", "$Processed")]
)
def test_where_a_folder_takes_no_keywords_mails_are_seen(mailbox, url, flags, given):
    with Scripted(flags=flags, mail=report(0)) as server, Store.open(url) as store:
        one = mailbox(server, StoreKeeping.of(store), after="flag")
        one.open()
        assert one.look().taken == 1
        assert f"+FLAGS.SILENT ({given})".encode() in server.received
        assert store.mailbox_mails("a", "INBOX") == []


def test_a_mail_that_cannot_be_had_is_tried_again_and_stops_nobody(mailbox, url):
    refuses = [True]

    def act(talk, tag):
        if refuses[0]:
            talk.send(f"{tag} NO [SERVERBUG] it is damaged\r\n".encode())
        else:
            talk.answer(tag, "UID FETCH 1 (BODY.PEEK[])")

    with Scripted(at("UID FETCH 1 (BODY", act), mail=report(0)) as server, Store.open(url) as store:
        one = mailbox(server, StoreKeeping.of(store))
        one.open()
        assert one.look().taken == 0
        assert store.position("a", "INBOX").last_uid == 1
        [noted] = store.mailbox_mails("a", "INBOX")
        assert (noted.uid, noted.task, noted.attempts) == ("1", "fetch", 1)
        refuses[0] = False
        assert one.look().taken == 1
        assert store.mailbox_mails("a", "INBOX") == []


def test_a_mail_at_which_the_server_breaks_is_put_off(mailbox, url):
    breaks = at("UID FETCH 1 (BODY", lambda talk, _: talk.hang_up())
    with Scripted(breaks, mail=report(0)) as server, Store.open(url) as store:
        one = mailbox(server, StoreKeeping.of(store))
        for _ in range(2):
            one.open()
            with pytest.raises(MailboxError, match="closed the connection"):
                one.look()
        one.open()
        assert one.look().taken == 0
        assert store.position("a", "INBOX").last_uid == 1
        [noted] = store.mailbox_mails("a", "INBOX")
        assert (noted.task, noted.attempts) == ("fetch", 1)
