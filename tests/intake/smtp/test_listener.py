"""Starting, stopping and changing: sockets of our own and inherited ones."""

import asyncio
import socket
import stat
from pathlib import Path

import pytest

from dsn_processor.errors import ConfigurationError
from dsn_processor.intake.smtp.listener import Listener
from dsn_processor.intake.smtp.options import LmtpOptions, SmtpOptions


def test_a_unix_socket_has_its_mode_and_goes_with_us(run, serve, tmp_path):
    path = tmp_path / "lmtp"

    async def test():
        async with serve(lmtp=[f"unix:{path}"]) as served:
            status = path.stat()
            assert stat.S_ISSOCK(status.st_mode)
            assert stat.S_IMODE(status.st_mode) == 0o660
            assert (await (await served.connect("lmtp")).hear()).endswith("LMTP")
        assert not path.exists()

    run(test())


def test_one_left_by_the_dead_is_replaced_and_one_of_the_living_is_not(run, serve, tmp_path):
    path = tmp_path / "lmtp"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))

    async def test():
        async with serve(lmtp=[f"unix:{path}"]) as served:
            with pytest.raises(ConfigurationError, match="somebody listens there already"):
                async with serve(lmtp=[f"unix:{path}"]):
                    pass
            assert (await (await served.connect("lmtp")).hear()).startswith("220 ")
        path.write_text("no socket")
        with pytest.raises(ConfigurationError, match="no socket"):
            async with serve(lmtp=[f"unix:{path}"]):
                pass
        assert path.read_text() == "no socket"

    run(test())


def test_an_address_in_use(run, serve):
    async def test():
        async with serve() as served:
            [where] = served.listener.addresses["smtp"]
            other = Listener(served.keeper, SmtpOptions(listen=("127.0.0.1:0", where)))
            with pytest.raises(ConfigurationError, match=f"cannot listen on {where}.*end what listens there"):
                await other.start()
            assert (await (await served.connect()).hear()).startswith("220 ")

    run(test())


def test_lmtp_beyond_loopback_needs_recipients(run):
    async def test():
        with pytest.raises(ConfigurationError, match="without recipients"):
            Listener(None, SmtpOptions(), LmtpOptions(listen=("0.0.0.0:24",)))

    run(test())


def test_an_inherited_socket_that_others_reach_needs_recipients(run):
    async def test():
        with socket.create_server(("0.0.0.0", 0)) as one:
            with pytest.raises(ConfigurationError, match="without recipients"):
                await Listener(None, SmtpOptions()).start({"smtp": [one]})
            listener = Listener(None, SmtpOptions(recipients=("example.com",)))
            await listener.start({"smtp": [one.dup()]})
            with pytest.raises(ConfigurationError, match="without recipients"):
                listener.reload(SmtpOptions(), LmtpOptions())
            await listener.close()

    run(test())


def test_inherited_sockets_stand_for_those_of_the_options(run, serve):
    async def test():
        one = socket.socket()
        one.bind(("127.0.0.1", 0))
        one.listen()
        port = one.getsockname()[1]
        async with serve() as served:
            listener = Listener(served.keeper, SmtpOptions(listen=("127.0.0.1:1",)))
            await listener.start({"smtp": [one]})
            assert listener.addresses == {"smtp": [f"127.0.0.1:{port}"], "lmtp": []}
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            assert (await reader.readline()).startswith(b"220 ")
            writer.close()
            await writer.wait_closed()
            await listener.close()

    run(test())


def test_a_socket_for_both_families_tells_ipv4_as_such(run, serve):
    try:
        one = socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    except (OSError, ValueError):
        pytest.skip("no IPv6 here")

    async def test():
        async with serve(
            proxy_protocol=True, trusted_networks=("127.0.0.2",), recipients=("example.com",)
        ) as served:
            listener = Listener(served.keeper, served.listener._smtp)
            port = one.getsockname()[1]
            await listener.start({"smtp": [one]})
            for source, header in (
                ("127.0.0.1", b""),
                ("127.0.0.2", b"PROXY TCP4 192.0.2.7 192.0.2.1 1 25\r\n"),
            ):
                client = await served.reach("127.0.0.1", port, source)
                client.send(header)
                await client.greet()
                assert (await client.mail()).startswith("250 ")
                await client.close()
            assert [mail.source for mail in served.keeper.mails] == ["smtp:127.0.0.1", "smtp:192.0.2.7"]
            await listener.close()

    run(test())


def test_idle_sessions_are_sent_away_and_a_mail_in_flight_is_finished(run, serve):
    async def test():
        async with serve() as served:
            idle, addressed, sending, stored = [await served.ready() for _ in range(4)]
            await addressed.told("MAIL FROM:<>")
            await sending.address()
            sending.send(b"half a mail\r\n")
            await sending.writer.drain()
            served.keeper.gate.clear()
            await stored.address()
            stored.send(b"x\r\n.\r\n")
            await served.keeper.entered.wait()
            draining = asyncio.create_task(served.listener.drain(20))
            assert (await idle.rest())[0].startswith("421 4.3.2 ")
            assert (await addressed.rest())[0].startswith("421 4.3.2 ")
            with pytest.raises(ConnectionRefusedError):
                await served.connect()
            sending.send(b"the other half\r\n.\r\n")
            served.keeper.gate.set()
            for one in (sending, stored):
                answer, farewell = await one.rest()
                assert answer.startswith("250 ")
                assert farewell.startswith("421 4.3.2 ")
            assert await draining
            assert len(served.keeper.mails) == 2

    run(test())


def test_who_does_not_finish_is_not_waited_for(run, serve):
    async def test():
        async with serve() as served:
            client = await served.ready()
            await client.address()
            assert not await served.listener.drain(0.05)
            await served.listener.close()
            assert await client.rest() in ([], ["reset"])
            assert not served.keeper.mails

    run(test())


def test_close_waits_for_what_is_being_stored(run, serve):
    async def test():
        async with serve() as served:
            client = await served.ready()
            served.keeper.gate.clear()
            await client.address()
            client.send(b"x\r\n.\r\n")
            await served.keeper.entered.wait()
            closing = asyncio.create_task(served.listener.close())
            await asyncio.sleep(0)
            assert not closing.done()
            served.keeper.gate.set()
            await closing
            assert len(served.keeper.mails) == 1

    run(test())


def test_other_options_hold_for_sessions_to_come(run, serve):
    async def test():
        async with serve() as served:
            old = await served.ready()
            listen = served.listener._smtp.listen
            options = SmtpOptions(listen=listen, hostname="new.example.com", recipients=("example.net",))
            assert served.listener.reload(options, served.listener._lmtp)
            new = await served.connect()
            assert await new.hear() == "220 new.example.com ESMTP"
            await new.told("EHLO x")
            await new.told("MAIL FROM:<>")
            assert (await new.told("RCPT TO:<a@example.com>")).startswith("550 ")
            assert (await old.mail(b"x\r\n.\r\n", "a@example.net")).startswith("250 ")
            other = SmtpOptions(listen=("127.0.0.1:1",))
            assert not served.listener.reload(other, served.listener._lmtp)
            with pytest.raises(ConfigurationError):
                served.listener.reload(SmtpOptions(), LmtpOptions(listen=("0.0.0.0:24",)))

    run(test())


def descriptors():
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0


def test_nothing_is_left_behind(run, serve):
    async def test():
        async with serve() as served:
            before = descriptors()
            for _ in range(3):
                clients = await asyncio.gather(*(served.ready() for _ in range(30)))
                for client in clients:
                    await client.mail()
                    await client.close()
                await served.empty()
            await asyncio.sleep(0.01)
            after = descriptors()
            assert after <= before + 2
            assert len(asyncio.all_tasks()) <= 4

    run(test())
