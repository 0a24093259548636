"""PROXY, versions 1 and 2: the client behind a proxy, believed from trusted networks alone."""

import struct

import pytest

_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def version_2(source, command=1, family=0x11):
    octets = bytes(map(int, source.split(".")))
    addresses = octets + bytes([192, 0, 2, 254]) + struct.pack("!HH", 40000, 25)
    return _SIGNATURE + struct.pack("!BBH", 0x20 | command, family, len(addresses)) + addresses


_BEHIND = {"proxy_protocol": True, "trusted_networks": ("127.0.0.1",)}


@pytest.mark.parametrize(
    "header, client",
    [
        (b"PROXY TCP4 198.51.100.7 192.0.2.254 40000 25\r\n", "198.51.100.7"),
        (b"PROXY TCP6 2001:db8::7 2001:db8::1 40000 25\r\n", "2001:db8::7"),
        (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
        (version_2("198.51.100.8"), "198.51.100.8"),
        (_SIGNATURE + b"\x20\x00\x00\x00", "127.0.0.1"),
    ],
)
def test_who_is_behind_it(run, serve, header, client):
    async def test():
        async with serve(**_BEHIND) as served:
            one = await served.connect()
            one.send(header)
            await one.greet()
            assert (await one.mail()).startswith("250 ")
            assert served.keeper.mails[0].source == f"smtp:{client}"

    run(test())


@pytest.mark.parametrize(
    "header",
    [
        b"EHLO x\r\n",
        b"PROXY\r\n",
        b"PROXY TCP4\r\n",
        b"PROXY TCP4 198.51.100.7 192.0.2.254 40000\r\n",
        b"PROXY TCP4 nonsense 192.0.2.254 40000 25\r\n",
        b"PROXY TCP4 198.51.100.7 192.0.2.254 40000 99999\r\n",
        b"PROXY " + b"x" * 200 + b"\r\n",
        b"PROXY " + b"x" * 100_000,
        _SIGNATURE + b"\x11\x11\x00\x0c" + b"x" * 12,
        _SIGNATURE + b"\x21\x11\x00\x04abcd",
        b"\r\n\r\n\0\r\nQUIX\n" + b"x" * 16,
    ],
)
def test_what_is_no_header(run, serve, header):
    async def test():
        async with serve(**_BEHIND) as served:
            one = await served.connect()
            one.send(header)
            assert await one.rest() in ([], ["reset"])
            assert served.service.admission.open == 0
            await served.empty()

    run(test())


def test_words_before_the_greeting(run, serve):
    async def test():
        async with serve(**_BEHIND) as served:
            one = await served.connect()
            one.send(b"PROXY TCP4 198.51.100.7 192.0.2.254 40000 25\r\nEHLO x\r\n")
            assert (await one.rest())[0].startswith("421 4.7.0 Wait")

    run(test())


def test_nobody_else_is_believed(run, serve):
    async def test():
        async with serve(**_BEHIND) as served:
            one = await served.connect(source="127.0.0.2")
            assert (await one.hear()).startswith("220 ")
            one.send(b"PROXY TCP4 198.51.100.7 192.0.2.254 40000 25\r\n")
            assert (await one.rest())[0].startswith("421 ")

    run(test())


def test_a_proxy_that_says_nothing_is_cut(run, serve, monkeypatch):
    monkeypatch.setattr("dsn_processor.intake.smtp.connection._PROXY_SECONDS", 0.1)

    async def test():
        async with serve(command_timeout=2, **_BEHIND) as served:
            one = await served.connect()
            assert await one.rest() == []

    run(test())


def test_limits_count_the_client_and_not_the_proxy(run, serve):
    async def test():
        async with serve(
            max_connections_per_ip=2, connections_per_minute=4, mails_per_minute=2, **_BEHIND
        ) as served:

            async def behind(source):
                one = await served.connect()
                one.send(f"PROXY TCP4 {source} 192.0.2.254 40000 25\r\n".encode())
                return one

            first = [await behind("198.51.100.1") for _ in range(3)]
            assert sorted([(await one.hear())[:9] for one in first]) == [
                "220 mx.ex",
                "220 mx.ex",
                "421 4.7.0",
            ]
            assert (await (await behind("198.51.100.2")).hear()).startswith("220 ")
            for one in first:
                await one.close()
            while served.listener.sessions > 1:
                await (await served.ready(source="127.0.0.3")).told("QUIT")
            two = await behind("198.51.100.1")
            await two.greet()
            assert (await two.mail()).startswith("250 ")
            assert (await two.mail()).startswith("250 ")
            assert (await two.told("MAIL FROM:<>")).startswith("450 4.7.1 ")
            three = await behind("198.51.100.1")
            await three.hear()
            assert (await (await behind("198.51.100.1")).hear()).startswith("421 4.7.0 ")

    run(test())
