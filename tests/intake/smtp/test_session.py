"""What is answered to whom, when all goes as it should, and when the store does not."""

import asyncio

import pytest

from dsn_processor.errors import StoreBusyError, StoreError, StoreFullError
from dsn_processor.facts import Envelope
from dsn_processor.intake.taking import Refusal
from dsn_processor.pipeline import Accepted


def test_a_mail(run, serve):
    async def test():
        async with serve() as served:
            client = await served.connect()
            assert await client.hear() == "220 mx.example.com ESMTP"
            assert (await client.told("EHLO client.example.org")).split("\r\n") == [
                "250-mx.example.com",
                "250-SIZE 100000000",
                "250-8BITMIME",
                "250-SMTPUTF8",
                "250-PIPELINING",
                "250 ENHANCEDSTATUSCODES",
            ]
            assert await client.ask("MAIL FROM:<>", "RCPT TO:<a@example.com>", "RCPT TO:<b@example.com>") == [
                "250 2.1.0 Ok",
                "250 2.1.5 Ok",
                "250 2.1.5 Ok",
            ]
            assert await client.told("DATA") == "354 End with <CRLF>.<CRLF>"
            client.send(b"..Subject: \xff\r\n\r\na\nb\rc\0\r\n..\r\n.\r\n")
            assert await client.hear() == "250 2.0.0 Ok, kept as 1"
            assert await client.told("QUIT") == "221 2.0.0 Bye"
            assert await client.hear() is None
            [mail] = served.keeper.mails
            assert mail.raw == b".Subject: \xff\r\n\r\na\nb\rc\0\r\n.\r\n"
            assert mail.envelope == Envelope(sender="", recipients=("a@example.com", "b@example.com"))
            assert mail.source == "smtp:127.0.0.1"
            assert not mail.truncated

    run(test())


def test_many_mails_over_one_connection(run, serve):
    async def test():
        async with serve() as served:
            client = await served.ready()
            for n in range(50):
                assert (await client.mail(b"%d\r\n.\r\n" % n, sender=f"s{n}@example.org")).startswith("250 ")
            assert [mail.envelope.sender for mail in served.keeper.mails] == [
                f"s{n}@example.org" for n in range(50)
            ]

    run(test())


def test_helo_is_enough(run, serve):
    async def test():
        async with serve() as served:
            client = await served.connect()
            assert await client.greet("HELO old.example.org") == "250 mx.example.com"
            assert (await client.mail()).startswith("250 ")

    run(test())


@pytest.mark.parametrize("where", ["127.0.0.1:0", "unix"])
def test_lmtp_answers_for_each_recipient(run, serve, tmp_path, where):
    async def test():
        path = f"unix:{tmp_path}/lmtp"
        async with serve(lmtp=[path if where == "unix" else where], recipients=("example.com",)) as served:
            client = await served.connect("lmtp")
            assert await client.hear() == "220 mx.example.com LMTP"
            assert (await client.told("EHLO x")).startswith("500 5.5.2")
            assert (await client.told("HELO x")).startswith("500 5.5.2")
            assert "PIPELINING" in await client.told("LHLO client.example.org")
            answers = await client.ask(
                "MAIL FROM:<>",
                "RCPT TO:<a@example.com>",
                "RCPT TO:<nobody@example.net>",
                "RCPT TO:<b@example.com>",
                "RCPT TO:<a@example.com>",
                "DATA",
            )
            assert [answer[:3] for answer in answers] == ["250", "250", "550", "250", "250", "354"]
            client.send(b"x\r\n.\r\n")
            assert [await client.hear() for _ in range(3)] == ["250 2.0.0 Ok, kept as 1"] * 3
            [mail] = served.keeper.mails  # one mail, kept once
            assert mail.envelope.recipients == ("a@example.com", "b@example.com")
            assert mail.source == ("lmtp:unix" if where == "unix" else "lmtp:127.0.0.1")
            served.keeper.fails = StoreError("x")
            await client.address("c@example.com", "d@example.com")
            client.send(b"x\r\n.\r\n")
            assert [(await client.hear())[:9] for _ in range(2)] == ["451 4.3.0"] * 2
            assert (await client.told("NOOP")).startswith("250 ")
            assert (await client.ask("MAIL FROM:<>", "DATA"))[1].startswith("503 ")  # nobody to answer for

    run(test())


def test_recipients_are_refused_before_the_mail(run, serve):
    async def test():
        async with serve(recipients=("bounces+*@example.com",)) as served:
            client = await served.ready()
            answers = await client.ask(
                "MAIL FROM:<>",
                "RCPT TO:<who@example.com>",
                "RCPT TO:<bounces+1@example.net>",
                "RCPT TO:<BOUNCES+1@EXAMPLE.COM>",
                "RCPT TO:<postmaster>",
            )
            assert [answer[:9] for answer in answers[1:]] == [
                "550 5.1.1",
                "550 5.1.1",
                "250 2.1.5",
                "250 2.1.5",
            ]

    run(test())


@pytest.mark.parametrize(
    "command, answer",
    [
        ("MAIL FROM:<> SIZE=100000001", "552 5.3.4"),
        ("MAIL FROM:<> SIZE=" + "9" * 400, "552 5.3.4"),
        ("MAIL FROM:<> SIZE=100000000", "250 2.1.0"),
        ("MAIL FROM:<> SIZE=-1", "501 5.5.4"),
        ("MAIL FROM:<> SIZE=1e3", "501 5.5.4"),
        ("MAIL FROM:<> SIZE=abc", "501 5.5.4"),
        ("MAIL FROM:<> SIZE=", "501 5.5.4"),
        ("MAIL FROM:<> SIZE=\u0661", "501 5.5.4"),
        ("MAIL FROM:<> SIZE=10 SIZE=20", "501 5.5.4"),
        ("MAIL FROM:<> BODY=8BITMIME SMTPUTF8", "250 2.1.0"),
        ("mail from:<> body=7bit", "250 2.1.0"),
        ("MAIL FROM:<> BODY=BINARYMIME", "555 5.5.4"),
        ("MAIL FROM:<> SMTPUTF8=1", "501 5.5.4"),
        ("MAIL FROM:<> RET=HDRS ENVID=x+2B", "250 2.1.0"),
        ("MAIL FROM:<> HOLDFOR=1", "555 5.5.4"),
        ("MAIL FROM:<a@example.com", "553 5.1.7"),
        ("MAIL FROM:a b", "555 5.5.4"),
        ("MAIL FROM", "501 5.5.4"),
        ("MAIL", "501 5.5.4"),
        ("RCPT TO:<a@example.com>", "503 5.5.1"),
        ("DATA", "503 5.5.1"),
        ("DATA x", "503 5.5.1"),
        ("EHLO", "501 5.5.4"),
        ("STARTTLS", "503 5.5.1"),
        ("AUTH PLAIN AAAA", "502 5.5.1"),
        ("VRFY bounces", "252 2.5.0"),
        ("VRFY nobody@example.net", "252 2.5.0"),
        ("EXPN list", "502 5.5.1"),
        ("HELP", "214 2.0.0"),
        ("NOOP x", "250 2.0.0"),
        ("RSET", "250 2.0.0"),
        ("ETRN example.com", "500 5.5.2"),
        ("", "500 5.5.2"),
        ("ÄÖÜ", "500 5.5.2"),
        ("MAIL\u00a0FROM:<>", "500 5.5.2"),
        ("MAIL FROM:<a\0b@example.com>", "501 5.5.2"),
        ("MAIL FROM:<a\rb@example.com>", "501 5.5.2"),
        ("MAIL FROM:<a\tb@example.com>", "501 5.5.2"),
        ("NOOP " + "x" * 3_000, "500 5.5.2"),
    ],
)
def test_one_answer_a_command(run, serve, command, answer):
    async def test():
        async with serve() as served:
            client = await served.ready()
            client.say(command, "NOOP")
            assert (await client.hear()).startswith(f"{answer} ")
            assert await client.hear() == "250 2.0.0 Ok"

    run(test())


def test_octets_that_are_no_text(run, serve):
    async def test():
        async with serve() as served:
            client = await served.ready()
            client.send(b"MAIL FROM:<\xff@example.com>\r\n")
            assert (await client.hear()).startswith("553 5.6.7 ")
            client.send(b"\xff\xfe\r\n")
            assert (await client.hear()).startswith("500 5.5.2 ")

    run(test())


def test_order(run, serve):
    async def test():
        async with serve() as served:
            client = await served.connect()
            await client.hear()
            assert (await client.told("MAIL FROM:<>")).startswith("503 5.5.1")
            await client.told("EHLO x")
            assert [a[:3] for a in await client.ask("MAIL FROM:<>", "MAIL FROM:<>", "DATA")] == [
                "250",
                "503",
                "503",
            ]
            assert [a[:3] for a in await client.ask("RCPT TO:<a@example.com>", "DATA x")] == ["250", "501"]
            assert [a[:3] for a in await client.ask("RSET", "DATA")] == ["250", "503"]
            assert [a[:3] for a in await client.ask("MAIL FROM:<>", "EHLO y")] == ["250", "250"]
            assert (await client.told("RCPT TO:<a@example.com>")).startswith("503")

    run(test())


@pytest.mark.parametrize(
    "fault, answer",
    [
        (StoreError("database is locked: secret://user:password@host"), "451 4.3.0"),
        (StoreBusyError("busy"), "451 4.3.0"),
        (StoreFullError("full"), "452 4.3.1"),
        (OSError(5, "Input/output error"), "451 4.3.0"),
        (RuntimeError("secret://user:password@host"), "451 4.3.0"),
        (TimeoutError(), "451 4.3.0"),
        (asyncio.CancelledError(), "451 4.3.0"),
    ],
)
def test_what_the_store_cannot_do_the_sender_does_later(run, serve, fault, answer):
    async def test():
        async with serve() as served:
            client = await served.ready()
            served.keeper.fails = fault
            told = await client.mail()
            assert told.startswith(answer)
            assert "secret" not in told
            assert type(fault).__name__ not in told
            served.keeper.fails = None
            assert (await client.mail()).startswith("250 ")
            assert len(served.keeper.mails) == 1

    run(test())


def test_a_refusal_comes_at_mail_from_and_is_no_error_of_the_peer(run, serve):
    async def test():
        async with serve(max_errors=3) as served:
            client = await served.ready()
            served.keeper.refuses = Refusal(452, "4.3.1", "Little room left on the disk, come again later")
            for _ in range(10):
                assert (
                    await client.told("MAIL FROM:<>")
                    == "452 4.3.1 Little room left on the disk, come again later"
                )
            served.keeper.refuses = None
            assert (await client.mail()).startswith("250 ")

    run(test())


def test_a_store_that_takes_too_long(run, serve):
    async def test():
        async with serve(store_timeout=0.05) as served:
            client = await served.ready()
            served.keeper.gate.clear()
            assert (await client.mail()).startswith("451 4.3.0 ")
            served.keeper.gate.set()
            assert (await client.told("NOOP")).startswith("250 ")
            assert len(served.keeper.mails) == 1  # it was kept after all, and is known when it comes again

    run(test())


def test_a_mail_that_was_there_before(run, serve, monkeypatch):
    async def test():
        async with serve() as served:

            async def known(message):
                return Accepted(id=7, duplicate=True)

            monkeypatch.setattr(served.keeper, "take", known)
            client = await served.ready()
            assert await client.mail() == "250 2.0.0 Ok, kept as 7"

    run(test())


def test_too_large(run, serve):
    async def test():
        async with serve(size_limit=1_000, size_maximum=300_000) as served:
            client = await served.ready()
            assert (await client.mail(b"x" * 998 + b"\r\n.\r\n")).startswith("250 ")
            assert (await client.mail(b"x" * 999 + b"\r\n.\r\n")).startswith("250 ")
            assert (await client.mail(b"x\r\n" * 99_999 + b".\r\n")).startswith("250 ")
            assert (await client.mail(b"x\r\n" * 100_001 + b".\r\n")).startswith("552 5.3.4 ")
            assert (await client.told("NOOP")).startswith("250 ")
            assert [(len(mail.raw), mail.truncated) for mail in served.keeper.mails] == [
                (1_000, False),
                (1_000, True),
                (1_000, True),
            ]

    run(test())


def test_a_large_mail_comes_through_a_file(run, serve):
    async def test():
        async with serve() as served:
            client = await served.ready()
            text = b"".join(b"%d .line\r\n.x\r\n" % n for n in range(100_000))
            stuffed = text.replace(b"\r\n.", b"\r\n..")
            assert (await client.mail(stuffed + b".\r\n")).startswith("250 ")
            assert served.keeper.mails[0].raw == text
            assert served.service.memory.held == 0

    run(test())


def test_no_room_for_a_large_mail(run, serve, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("dsn_processor.intake.smtp.spool.TemporaryFile", full)

    async def test():
        async with serve() as served:
            client = await served.ready()
            assert (await client.mail(b"x" * 998 + b"\r\n.\r\n")).startswith("250 ")
            answer = await client.mail(b"x\r\n" * 200_000 + b".\r\n")
            assert answer.startswith("452 4.3.1 ")
            assert (await client.mail()).startswith("250 ")

    run(test())


def test_a_fault_of_ours_within_a_mail_makes_no_commands_of_its_rest(run, serve, monkeypatch):
    def fault(*_):
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr("dsn_processor.intake.smtp.session.Spool.add", fault)

    async def test():
        async with serve() as served:
            client = await served.ready()
            assert await client.ask("MAIL FROM:<>", "RCPT TO:<a@example.com>") == [
                "250 2.1.0 Ok",
                "250 2.1.5 Ok",
            ]
            assert (await client.told("DATA")).startswith("354 ")
            client.send(b"Subject: x\r\n")
            assert (await client.hear()).startswith("421 4.3.0 ")
            assert await client.hear() is None
            assert served.keeper.mails == []
            assert served.service.memory.held == 0

    run(test())
