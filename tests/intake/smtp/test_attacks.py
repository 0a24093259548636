"""What is done to mail servers, with the bound that each has here: no memory, no time, no mail that nobody sent."""

import asyncio
from contextlib import suppress

import pytest

# ---- octets without end


def test_a_line_of_data_without_an_end_is_cut(run, serve):
    async def test():
        async with serve(size_limit=10_000, size_maximum=1_000_000) as served:
            client = await served.ready()
            await client.address()
            sent = 0
            with suppress(ConnectionError):
                while sent < 100_000_000:
                    client.send(b"x" * 65_536)
                    await client.writer.drain()
                    await asyncio.sleep(0)
                    sent += 65_536
            assert sent < 20_000_000  # two, and what lay in the sockets
            await served.empty()
            assert not served.keeper.mails
            assert served.service.memory.held == 0

    run(test())


def test_a_command_without_an_end_is_cut(run, serve):
    async def test():
        async with serve() as served:
            client = await served.ready()
            client.send(b"NOOP " + b"x" * 40_000)
            assert (await client.rest())[0].startswith("421 4.7.0 ")

    run(test())


def test_over_twice_the_maximum_is_told_where_it_can_be(run, serve):
    async def test():
        async with serve(size_limit=1_000, size_maximum=10_000) as served:
            client = await served.ready()
            await client.address()
            client.send(b"x" * 20_001)
            assert (await client.rest())[0].startswith("552 5.3.4 ")

    run(test())


# ---- mails inside mails

_LIKENESSES = [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n", b"\n.\r", b"\r\n\0.\r\n"]


@pytest.mark.parametrize("likeness", _LIKENESSES)
@pytest.mark.parametrize("protocol", ["smtp", "lmtp"])
def test_no_mail_hides_in_another(run, serve, likeness, protocol):
    async def test():
        async with serve(lmtp=["127.0.0.1:0"]) as served:
            client = await served.ready(protocol)
            hidden = b"MAIL FROM:<evil@example.org>\r\nRCPT TO:<v@example.com>\r\nDATA\r\nforged\r\n"
            answer = await client.mail(b"Subject: x\r\n\r\nx" + likeness + hidden + b"\r\n.\r\n")
            assert answer.startswith("250 ")
            assert (await client.told("NOOP")).startswith("250 ")
            [mail] = served.keeper.mails
            kept = b"Subject: x\r\n\r\nx" + likeness + hidden + b"\r\n"
            assert mail.raw == kept.replace(b"\r\n.", b"\r\n")

    run(test())


@pytest.mark.parametrize("refuse", [False, True])
def test_a_bare_newline_after_a_command(run, serve, refuse):
    async def test():
        async with serve(refuse_bare_newline=refuse) as served:
            client = await served.ready()
            client.send(b"NOOP\nNOOP\r\n")
            assert (await client.hear()).startswith("550 5.5.2 " if refuse else "250 ")
            assert (await client.hear()).startswith("250 ")

    run(test())


@pytest.mark.parametrize(
    "request_line",
    [
        "POST / HTTP/1.1",
        "GET / HTTP/1.1",
        "CONNECT mx:25 HTTP/1.1",
        "PUT / HTTP/1.1",
        "get / HTTP/1.1",
        "Host: mx",
    ],
)
def test_http_is_cut_at_once(run, serve, request_line):
    async def test():
        async with serve() as served:
            client = await served.connect()
            client.say(
                request_line,
                "Content-Type: text/plain",
                "",
                "EHLO x",
                "MAIL FROM:<>",
                "RCPT TO:<a@example.com>",
                "DATA",
                "forged",
                ".",
            )
            heard = await client.rest()
            assert not any(answer.startswith(("250", "354", "500")) for answer in heard)
            await served.empty()
            assert not served.keeper.mails

    run(test())


@pytest.mark.parametrize("verb", ["BDAT 10 LAST", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2"])
def test_what_was_not_offered_and_would_be_followed_by_anything(run, serve, verb):
    async def test():
        async with serve() as served:
            client = await served.ready()
            client.say(verb, "NOOP")
            assert (await client.rest())[0].startswith("421 ")

    run(test())


def test_a_mail_before_354(run, serve):
    async def test():
        async with serve() as served:
            client = await served.ready()
            client.say("MAIL FROM:<>", "RCPT TO:<a@example.com>", "DATA", "forged", ".")
            heard = await client.rest()
            assert [answer[:3] for answer in heard[:3]] == ["250", "250", "421"]
            await served.empty()
            assert not served.keeper.mails

    run(test())


def test_commands_after_the_mail_are_read(run, serve):
    async def test():
        async with serve() as served:
            client = await served.ready()
            await client.address()
            client.send(b"x\r\n.\r\nNOOP\r\nMAIL FROM:<>\r\nRCPT TO:<a@example.com>\r\nDATA\r\n")
            assert [(await client.hear())[:3] for _ in range(5)] == ["250", "250", "250", "250", "354"]

    run(test())


# ---- talk without a mail


@pytest.mark.parametrize("command", ["NOOP", "RSET", "VRFY x", "HELP", "EXPN x", "EHLO x"])
def test_talk_that_leads_nowhere_ends(run, serve, command):
    async def test():
        async with serve() as served:
            client = await served.ready()
            client.say(*[command] * 500)
            heard = [answer for answer in await client.rest() if answer != "reset"]
            assert len(heard) <= 100  # the reset may overtake the last of them

    run(test())


@pytest.mark.parametrize(
    "command", ["BOGUS", "", "\xff\xfe", "MAIL", "RCPT TO:<x", "DATA", "AUTH PLAIN x", "QU\0IT"]
)
def test_errors_end_it(run, serve, command):
    async def test():
        async with serve() as served:
            client = await served.ready()
            for _ in range(19):
                assert (await client.told(command)).startswith("5")
            assert (await client.told(command)).startswith("421 4.7.0 ")
            assert await client.hear() is None

    run(test())


def test_unknown_recipients_end_it_and_a_mail_forgives(run, serve):
    async def test():
        async with serve(recipients=("example.com",)) as served:
            client = await served.ready()
            for _ in range(3):
                await client.told("MAIL FROM:<>")
                for _ in range(19):
                    assert (await client.told("RCPT TO:<x@example.net>")).startswith("550 ")
                await client.told("RSET")
                assert (await client.mail()).startswith("250 ")
            await client.told("MAIL FROM:<>")
            for _ in range(19):
                await client.told("RCPT TO:<x@example.net>")
            assert (await client.told("RCPT TO:<x@example.net>")).startswith("421 ")

    run(test())


def test_too_many_recipients_are_for_later(run, serve):
    async def test():
        async with serve() as served:
            client = await served.ready()
            client.say("MAIL FROM:<>", *[f"RCPT TO:<a{n}@example.com>" for n in range(150)], "DATA")
            heard = [await client.hear() for _ in range(152)]
            assert [answer[:9] for answer in heard[1:101]] == ["250 2.1.5"] * 100
            assert [answer[:9] for answer in heard[101:151]] == ["452 4.5.3"] * 50
            assert heard[151].startswith("354 ")
            client.send(b"x\r\n.\r\n")
            assert (await client.hear()).startswith("250 ")
            assert len(served.keeper.mails[0].envelope.recipients) == 100

    run(test())


# ---- the log


@pytest.mark.parametrize("form", ["json", "console"])
def test_what_they_say_is_one_line_each(run, serve, logged, form):
    out = logged(form)

    async def test():
        async with serve(recipients=("example.com",)) as served:
            client = await served.connect()
            await client.greet("EHLO x\u2028\u202e\x85{fake}")
            await client.ask("MAIL FROM:<>", "RCPT TO:<a\u2028b@example.net>", "RCPT TO:<x@example.net>")

    run(test())
    lines = out.getvalue().decode().splitlines()
    assert len(lines) == 2
    assert all("refused" in line and line.isprintable() for line in lines)
