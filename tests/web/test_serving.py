"""Metrics and health over real sockets."""

import asyncio
import json
import signal
import socket
from contextlib import asynccontextmanager

import pytest

from dsn_processor.errors import ConfigurationError
from dsn_processor.web import serving as module
from dsn_processor.web.options import WebOptions
from dsn_processor.web.serving import Web

HERE = WebOptions(listen="127.0.0.1:0")


class Health:
    def __init__(self):
        self.reasons = []

    def troubles(self):
        return self.reasons


@asynccontextmanager
async def serving(options, health, inherited=None):
    web = Web(options, health)
    address = await web.start(inherited)
    try:
        yield address
    finally:
        await web.stop()


async def ask(address, request="GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"):
    """(status, headers, body) of the answer to one request."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    writer.write(request.encode("latin-1"))
    answer = await asyncio.wait_for(reader.read(), 30)
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    return int(first.split()[1]), dict(line.lower().split(": ", 1) for line in lines), body


def get(path, method="GET"):
    return f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def run(play, health=None, options=HERE):
    async def stage():
        async with serving(options, health or Health()) as address:
            return await play(address)

    return asyncio.run(asyncio.wait_for(stage(), 60))


def test_alive():
    status, headers, body = run(ask)
    assert (status, body) == (200, b"ok\n")
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "server" not in headers


def test_metrics():
    status, headers, body = run(lambda address: ask(address, get("/metrics")))
    assert status == 200
    assert headers["content-type"].startswith("text/plain; version=0.0.4")
    assert b'\ndsn_processor_mails_accepted_total{listener="smtp"} ' in body


def test_ready_and_not():
    health = Health()

    async def play(address):
        ready = await ask(address, get("/readyz"))
        health.reasons = ["the disk is full", "draining"]
        return ready, await ask(address, get("/readyz"))

    (status, _, body), (later, headers, why) = run(play, health)
    assert status == 200
    assert json.loads(body) == {"ready": True, "reasons": []}
    assert later == 503
    assert headers["content-type"] == "application/json"
    assert json.loads(why)["reasons"] == ["the disk is full", "draining"]


@pytest.mark.parametrize(
    "path, method, status",
    [
        ("/", "GET", 404),
        ("/metrics/", "GET", 307),
        ("/../etc/passwd", "GET", 404),
        ("/healthz", "POST", 405),
        ("/readyz", "HEAD", 200),
        ("/%00%ff", "GET", 404),
    ],
)
def test_nothing_else_answers(path, method, status):
    found, headers, body = run(lambda address: ask(address, get(path, method)))
    assert found == status
    assert headers["x-content-type-options"] == "nosniff"
    assert len(body) < 100
    assert (b"/metrics, /healthz and /readyz" in body) is (status == 404)


def test_a_fault_of_ours_tells_nobody_what_it_was(caplog):
    class Broken(Health):
        def troubles(self):
            raise RuntimeError("password hunter2")

    async def play(address):
        return await ask(address, get("/readyz")), await ask(address)

    (status, _, body), alive = run(play, Broken())
    assert status == 500
    assert b"hunter2" not in body
    assert alive[0] == 200
    assert "hunter2" in caplog.text


def test_what_is_no_http_is_refused_and_not_logged(caplog):
    status, _, _ = run(lambda address: ask(address, "EHLO x\r\n\r\n"))
    assert status == 400
    assert run(lambda address: ask(address, "GET / HTTP/1.1\r\nHost: x\r\nX: " + "y" * 100_000))[0] in {
        400,
        431,
    }
    assert caplog.text == ""


def test_silent_peers_do_not_keep_others_out(monkeypatch):
    monkeypatch.setattr(module, "_CONNECTIONS", 4)

    async def play(address):
        host, _, port = address.rpartition(":")
        silent = [await asyncio.open_connection(host, int(port)) for _ in range(12)]
        answers = [await ask(address) for _ in range(5)]
        first = await asyncio.wait_for(silent[0][0].read(), 30)
        for _, writer in silent:
            writer.close()
        return answers, first

    answers, first = run(play)
    assert [answer[0] for answer in answers] == [200] * 5
    assert first == b""


def test_a_connection_does_not_last(monkeypatch):
    monkeypatch.setattr(module, "_LIFETIME", 0.05)

    async def play(address):
        host, _, port = address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /healthz HT")
        try:
            return await asyncio.wait_for(reader.read(), 30)
        except ConnectionResetError:
            return b""
        finally:
            writer.close()

    assert run(play) == b""


def test_signals_stay_whose_they_were():
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]

    async def play(_):
        return [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]

    async def stage():
        async with serving(HERE, Health()) as address:
            return await play(address)

    with asyncio.Runner() as runner:
        runner.get_loop()
        during = runner.run(stage())
    assert during[0] is before[0]
    assert signal.getsignal(signal.SIGINT) is before[1]


def test_off():
    async def play(address):
        return address

    assert run(play, options=WebOptions(listen="none")) is None


def test_where_it_listens():
    async def play(address):
        return address, (await ask(address))[0]

    address, status = run(play)
    assert address.startswith("127.0.0.1:")
    assert status == 200


def test_ipv6():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    assert run(ask, options=WebOptions(listen="[::1]:0"))[0] == 200


def test_a_port_that_is_taken_is_told():
    async def play(_):
        return None

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"127.0.0.1:{port}: .*choose another"):
            run(play, options=WebOptions(listen=f"127.0.0.1:{port}"))


def test_an_inherited_socket_is_served():
    async def stage():
        given = socket.create_server(("127.0.0.1", 0))
        port = given.getsockname()[1]
        async with serving(HERE, Health(), [given]) as address:
            assert address == f"127.0.0.1:{port}"
            return await ask(address)

    assert asyncio.run(stage())[0] == 200


def test_a_fault_in_the_block_stops_it_too():
    async def stage():
        async with serving(HERE, Health()) as address:
            stage.address = address
            raise LookupError

    with pytest.raises(LookupError):
        asyncio.run(stage())
    host, _, port = stage.address.rpartition(":")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), timeout=10)


@pytest.mark.parametrize("text", ["8025", "::1:80", "127.0.0.1:99999", "x:http", "a/b:80", "unix:/x"])
def test_what_is_no_address(text):
    with pytest.raises(ValueError, match="write"):
        WebOptions(listen=text)


@pytest.mark.parametrize(
    "text, local",
    [("127.0.0.1:1", True), ("[::1]:1", True), ("localhost:1", True), ("*:1", False), ("0.0.0.0:1", False)],
)
def test_who_gets_there(text, local):
    assert WebOptions(listen=text).address().local is local
