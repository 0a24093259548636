import pytest

from dsn_processor.parse.replies import find_command, find_host, find_reply, parse_reply


@pytest.mark.parametrize(
    "text, code, status",
    [
        ("550 5.1.1 <a@example.net>: User unknown", 550, "5.1.1"),
        ("550-5.1.1 The account does not exist\n550 5.1.1 try again", 550, "5.1.1"),
        ("550 #5.1.0 Address rejected.", 550, "5.1.0"),
        (
            "554 delivery error: dd This user doesn't have a yahoo.example account (a@example.net) [0]",
            554,
            None,
        ),
        ("553 sorry, no mailbox here by that name (#5.7.1)", 553, "5.7.1"),
        ("5.01.01 bad", None, "5.1.1"),
        ("571 Message Refused", 571, None),
        (
            "host mx.example.net[192.0.2.1] said: 452 4.2.2 mailbox full (in reply to RCPT TO command)",
            452,
            "4.2.2",
        ),
        (
            "SMTP error from remote mail server after RCPT TO:<a@example.net>:\nhost mx.example.net [192.0.2.1]: 550 unknown",
            550,
            None,
        ),
        ("<<< 421 try later", 421, None),
        ("MAIL+RCPT 550 No such user here", 550, None),
        ("554 <a@example.net>... 550 Host unknown", 550, None),
        ("responded as follows: [550 5.1.1 User unknown]", 550, "5.1.1"),
        ("The error that the other server returned was: 500 no TLS", 500, None),
        ("a@example.net Invalid Address, ERROR_CODE :550, ERROR_CODE :5.1.1 unknown", 550, "5.1.1"),
        ("a@example.net: 550 DT:SPM 163", 550, None),
        ("5.3.0 - Other mail system problem 550-'Unknown user a@example.net'", 550, "5.3.0"),
        ("smtp;550 5.4.1 denied", 550, "5.4.1"),
        ("250 2.1.5 OK", 250, "2.1.5"),
        ("Der Empfänger ist unbekannt.\nGrund: 550 unbekannt", 550, None),
        ("收件人：a@example.net\n退信原因：550 用户不存在", 550, None),
        ("transport smtp: 550 <a@example.net>... User unknown", 550, None),
        ("Raison : 550 utilisateur inconnu", 550, None),
        ("Sent <<< RCPT TO:<a@example.net>\nReceived >>> 550 no", 550, None),
        ("5.4.7 - Delivery expired (message too old) 421-'Service not available'", 421, "5.4.7"),
        ("-> RCPT TO:<a@example.net>\n<- 550 User not found", 550, None),
        ("Antwort des Servers: 554 Nachricht abgelehnt", 554, None),
        ("Fejl: 550 Ukendt modtager", 550, None),
        ("错误代码：550\n错误信息：用户不存在", 550, None),
        ('the remote host said "554 Message looks like spam"', 554, None),
    ],
)
def test_codes_that_a_reply_states(text, code, status):
    reply = parse_reply(text)
    assert (reply.reply_code, reply.status) == (code, status)


@pytest.mark.parametrize(
    "text",
    [
        "connect to mx.example.net[192.0.2.5]:25: Connection refused",
        "the limit is 500 MB and the message has 512 KB",
        "delayed for 450 seconds",
        "Postfix 3.5.1.2, Exim v4.96.0, build 5.7.1.9",
        "see http://example.net/550/5.1.1/help",
        "message 20260550.1234@example.net",
        "queue id 4550AA5512",
        "no MX for [IPv6:2001:db8::550]",
        "",
    ],
)
def test_numbers_that_are_no_codes(text):
    reply = parse_reply(text)
    assert (reply.reply_code, reply.status) == (None, None)


def test_a_specific_code_beats_a_general_one():
    assert parse_reply("550 5.0.0 refused: 5.2.1 mailbox disabled").status == "5.2.1"


def test_continuation_lines_are_joined_without_their_codes():
    text = "550-5.7.1 [192.0.2.17] likely unsolicited\n 550-5.7.1 mail. Blocked.\n 550 5.7.1 gsmtp"
    assert parse_reply(text).text == "550-5.7.1 [192.0.2.17] likely unsolicited mail. Blocked. gsmtp"


def test_a_reply_is_found_in_a_longer_text():
    notice = "There was an error.\n\nmx [192.0.2.1] did not like our DATA:\n550-5.7.26 not\n\n550 5.7.26 accepted\n\nBye 550"
    assert find_reply(notice) == "550-5.7.26 not\n550 5.7.26 accepted"
    assert find_reply("nothing here") is None


@pytest.mark.parametrize(
    "text, command",
    [
        ("(in reply to RCPT TO command)", "RCPT"),
        ("(in reply to end of DATA command)", "EOD"),
        ("SMTP error from remote mail server after MAIL FROM:<a@example.com> SIZE=1:", "MAIL"),
        ("SMTP error from remote mail server after end of data:", "EOD"),
        ("after initial connection: 554 no", "CONNECT"),
        (">>> RCPT To:<a@example.net>\n<<< 550 no", "RCPT"),
        ("TLS session failed after STARTTLS", "STARTTLS"),
        ("did not like our RCPT TO:", "RCPT"),
        ("data is the name of a droid", None),
        ("the rcpt of this mail", None),
    ],
)
def test_the_command_that_was_refused(text, command):
    assert find_command(text) == command


def test_octal_numbers_are_read_as_the_bytes_they_stand_for():
    reply = parse_reply("550 Der Empf\\303\\244nger in C:\\2 fehlt, liste refus\\351e")
    assert reply.text == "550 Der Empfänger in C:\\2 fehlt, liste refusée"


@pytest.mark.parametrize(
    "text, host",
    [
        ("host mx.example.net[192.0.2.1] said: 550 no", "mx.example.net"),
        (
            "SMTP error after RCPT TO:<a@example.net>:\n    host mx.example.net [192.0.2.1]: 550 no",
            "mx.example.net",
        ),
        ("for RCPT TO command, host: mx.example.net (192.0.2.1) reason: 550 no", "mx.example.net"),
        ("... while talking to mx.example.net.:\n>>> DATA", "mx.example.net"),
        ("rejected by the server for example.net by mx.example.net. [192.0.2.1].", "mx.example.net"),
        ("192.0.2.1 does not like recipient.\nRemote host said: 550 no", "192.0.2.1"),
        ("mx.example.net [192.0.2.1] did not like our RCPT TO:\n550 no", "mx.example.net"),
        ("Error connecting to SMTP host mx.example.net; no answer", "mx.example.net"),
        ("This is the mail system at host mail.example.com.", None),
        ("Host or domain name not found", None),
        ("550 no such user", None),
    ],
)
def test_the_host_that_refused(text, host):
    assert find_host(text) == host
