"""What is done to mail servers, with the bound that each has here: no memory, no time, no mail that nobody sent."""

import asyncio
from contextlib import suppress

import pytest

from dsn_processor import metrics
from dsn_processor.intake.smtp import connection


def refused(cause):
    return metrics.REFUSED.labels("smtp", cause)._value.get()


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


# ---- time


def test_a_silent_client_is_told_and_closed(run, serve):
    async def test():
        before = refused("timeout")
        async with serve(command_timeout=0.5) as served:
            client = await served.ready()
            assert await client.rest() == ["421 4.4.2 Too slow, come again later"]
            await served.empty()
        assert refused("timeout") == before + 1

    run(test())


def test_a_command_octet_by_octet_does_not_hold_the_line(run, serve):
    async def test():
        async with serve(command_timeout=0.5) as served:
            client = await served.ready()

            async def drip():
                while True:
                    client.send(b"N")
                    await asyncio.sleep(0.01)

            dripping = asyncio.create_task(drip())
            assert (await client.rest())[0].startswith("421 4.4.2 ")
            dripping.cancel()

    run(test())


def test_busy_talk_ends_with_the_session(run, serve):
    async def test():
        async with serve(session_timeout=0.6, max_junk=10_000) as served:
            client = await served.ready()
            while (answer := await client.told("NOOP")) is not None and answer.startswith("250"):
                await asyncio.sleep(0.005)
            assert answer is None or answer.startswith("421 4.4.2 ")

    run(test())


def test_a_slow_mail_with_enough_octets_is_taken(run, serve):
    async def test():
        async with serve(data_timeout=0.9, min_data_rate=500, command_timeout=0.9) as served:
            client = await served.ready()
            await client.address()
            for _ in range(20):  # longer than the time-out in all
                client.send(b"x" * 998 + b"\r\n")
                await asyncio.sleep(0.06)
            client.send(b".\r\n")
            assert (await client.hear()).startswith("250 ")

    run(test())


def test_a_mail_octet_by_octet_is_not(run, serve):
    async def test():
        async with serve(data_timeout=0.5, min_data_rate=500) as served:
            client = await served.ready()
            await client.address()

            async def drip():
                while True:
                    client.send(b"x")
                    await asyncio.sleep(0.01)

            dripping = asyncio.create_task(drip())
            assert (await client.rest())[0].startswith("421 4.4.2 ")
            dripping.cancel()
            await served.empty()
            assert not served.keeper.mails

    run(test())


def test_who_does_not_read_is_cut(run, serve, monkeypatch):
    monkeypatch.setattr(connection, "_LINGER", 0.1)

    async def test():
        async with serve(command_timeout=0.2, max_junk=10_000, max_errors=10_000) as served:
            client = await served.connect(limit=1)  # reads little ahead
            sock = client.writer.get_extra_info("socket")
            sock.setsockopt(1, 8, 4096)  # SO_RCVBUF
            client.writer.transport.pause_reading()
            for _ in range(200):
                client.send(b"EHLO x\r\n" * 400)
            await served.empty()

    run(test())


# ---- comings and goings


def test_half_a_connection_gets_its_answer(run, serve):
    async def test():
        async with serve() as served:
            client = await served.ready()
            served.keeper.gate.clear()
            await client.address()
            client.send(b"x\r\n.\r\n")
            client.half_close()
            await served.keeper.entered.wait()
            await asyncio.sleep(0.02)  # the end of the stream has come
            served.keeper.gate.set()
            assert await client.hear() == "250 2.0.0 Ok, kept as 1"
            assert await client.hear() is None

    run(test())


def test_a_client_that_vanishes_after_the_dot_loses_nothing(run, serve):
    async def test():
        async with serve() as served:
            client = await served.ready()
            served.keeper.gate.clear()
            await client.address()
            client.send(b"x\r\n.\r\n")
            await served.keeper.entered.wait()
            client.vanish()
            await served.empty()
            served.keeper.gate.set()
            assert await served.listener.drain(10)
            assert len(served.keeper.mails) == 1

    run(test())


@pytest.mark.parametrize("how", ["vanish", "half_close"])
def test_half_a_mail_is_none(run, serve, how):
    async def test():
        async with serve() as served:
            client = await served.ready()
            await client.address()
            client.send(b"Subject: x\r\n\r\nhalf\r\n.\r")
            await client.writer.drain()
            getattr(client, how)()
            await served.empty()
            assert not served.keeper.mails
            assert served.service.memory.held == 0

    run(test())


def test_more_than_may_be_are_told_so(run, serve):
    async def test():
        async with serve(max_connections=5, max_connections_per_ip=3) as served:
            mine = [await served.connect() for _ in range(3)]
            assert [(await one.hear())[:4] for one in mine] == ["220 "] * 3
            assert (await (await served.connect()).hear()).startswith("421 4.7.0 ")
            others = [await served.connect(source="127.0.0.2") for _ in range(3)]
            assert [(await one.hear())[:9] for one in others] == ["220 mx.ex", "220 mx.ex", "421 4.3.2"]
            await mine[0].told("QUIT")
            await mine[0].hear()
            assert (await (await served.connect()).hear()).startswith("220 ")

    run(test())


def test_a_flood_leaves_others_their_place(run, serve):
    async def test():
        async with serve(max_connections_per_ip=20) as served:
            flood = await asyncio.gather(*(served.connect() for _ in range(300)))
            assert served.listener.sessions <= 20
            honest = await served.ready(source="127.0.0.2")
            assert (await honest.mail()).startswith("250 ")
            for one in flood:
                await one.close()
            await honest.close()
            await served.empty()
            assert served.service.admission.open == 0
            assert not served.service.admission._open_by_place

    run(test())


def test_who_has_the_most_makes_way(run, serve):
    async def test():
        async with serve(max_connections=12, max_connections_per_ip=6) as served:
            crowds = {
                source: [await served.ready(source=source) for _ in range(6)]
                for source in ("127.0.0.1", "127.0.0.2")
            }
            await asyncio.sleep(0.02)  # the loop's clock counts milliseconds
            for crowd in crowds.values():
                for client in crowd[:-1]:  # the last is the one that says nothing for the longest
                    await client.told("NOOP")
            newcomer = await served.ready(source="127.0.0.3")
            assert (await crowds["127.0.0.1"][-1].rest())[0].startswith("421 4.3.2 ")
            assert (await newcomer.mail()).startswith("250 ")
            assert (await (await served.connect(source="127.0.0.2")).hear()).startswith("421 4.7.0 ")
            others = [await served.ready(source=f"127.0.0.{n}") for n in range(4, 9)]
            assert served.service.admission.open == 12
            for one in (newcomer, *others):
                assert (await one.mail()).startswith("250 ")
            left = served.service.admission._open_by_place
            assert sorted(left.values()) == [1, 1, 1, 1, 1, 1, 3, 3]

    run(test())


def test_a_mail_that_is_being_stored_makes_way_for_nobody(run, serve):
    async def test():
        async with serve(max_connections=2) as served:
            clients = [await served.ready() for _ in range(2)]
            served.keeper.gate.clear()
            for client in clients:
                await client.address()
                client.send(b"x\r\n.\r\n")
            while served.keeper.asked < 2:
                await asyncio.sleep(0.005)
            assert (await (await served.connect(source="127.0.0.2")).hear()).startswith("421 4.3.2 ")
            served.keeper.gate.set()
            assert [(await client.hear())[:4] for client in clients] == ["250 ", "250 "]

    run(test())


def test_nobody_dawdles_while_there_is_little_room(run, serve, monkeypatch):
    monkeypatch.setattr(connection, "_PRESSED", 0.5)

    async def test():
        async with serve(max_connections=10, data_timeout=2, session_timeout=2) as served:
            idle = [await served.ready() for _ in range(8)]
            slow = await served.ready()
            await slow.address()
            slow.send(b"x")
            assert served.service.admission.pressed
            for one in (*idle, slow):
                assert (await one.rest())[0].startswith("421 4.4.2 ")

    run(test())


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
