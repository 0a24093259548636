"""Time: peers that are slow, silent or gone, and what becomes of their mails."""

import asyncio

import pytest

from dsn_processor import metrics
from dsn_processor.intake.smtp import connection


def refused(cause):
    return metrics.REFUSED.labels("smtp", cause)._value.get()


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
