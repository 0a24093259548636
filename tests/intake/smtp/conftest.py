"""A listener on loopback with a store that the test plays, and a client with control over every octet."""

import asyncio
import io
import logging
import socket
import struct
from contextlib import asynccontextmanager, suppress

import pytest
import structlog
import uvloop

from dsn_processor import logs
from dsn_processor.intake.smtp.listener import Listener
from dsn_processor.intake.smtp.options import LmtpOptions, SmtpOptions
from dsn_processor.pipeline import Accepted

PATIENCE = 30  # seconds that no test comes near


class Keeper:
    """Keeps mails in a list. ``fails`` is raised instead; ``gate`` has to be open."""

    def __init__(self):
        self.mails = []
        self.asked = 0
        self.fails = None
        self.refuses = None
        self.entered = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def take(self, message):
        self.asked += 1
        self.entered.set()
        await self.gate.wait()
        if self.fails is not None:
            raise self.fails
        self.mails.append(message)
        return Accepted(id=len(self.mails), duplicate=False)

    def refusal(self):
        return self.refuses


class Client:
    """One connection. ``say`` sends octets, ``hear`` returns the next whole answer as text."""

    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer

    def say(self, *lines):
        self.writer.write(b"".join(line.encode() + b"\r\n" for line in lines))

    def send(self, octets):
        self.writer.write(octets)

    async def hear(self):
        lines = []
        while True:
            line = await self.reader.readline()
            if not line:
                return "".join(lines) or None
            assert line.endswith(b"\r\n"), line
            lines.append(line.decode())
            if line[3:4] != b"-":
                return "".join(lines).rstrip("\r\n")

    async def ask(self, *lines):
        self.say(*lines)
        return [await self.hear() for _ in lines]

    async def told(self, line):
        [answer] = await self.ask(line)
        return answer

    async def rest(self):
        """All answers up to the end of the connection, however that comes."""
        heard = []
        try:
            while (answer := await self.hear()) is not None:
                heard.append(answer)
        except ConnectionError:
            heard.append("reset")
        return heard

    async def greet(self, hello="EHLO client.example.org"):
        """Past the greeting; what is on offer."""
        assert (await self.hear()).startswith("220 ")
        return await self.told(hello)

    async def address(self, *recipients, sender=""):
        """An envelope, accepted, up to 354."""
        answers = await self.ask(
            f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{one}>" for one in recipients or ("bounces@example.com",))
        )
        assert all(answer.startswith("250 ") for answer in answers), answers
        assert (await self.told("DATA")).startswith("354 ")

    async def mail(self, octets=b"Subject: x\r\n\r\nx\r\n.\r\n", *recipients, sender=""):
        """A mail whole; the answer to its end."""
        await self.address(*recipients, sender=sender)
        self.send(octets)
        return await self.hear()

    def half_close(self):
        self.writer.write_eof()

    def vanish(self):
        """Reset the connection."""
        one = self.writer.get_extra_info("socket")
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def close(self):
        self.writer.close()
        with suppress(OSError):
            await self.writer.wait_closed()


class Served:
    def __init__(self, listener, keeper):
        self.listener = listener
        self.keeper = keeper
        self.clients = []

    @property
    def service(self):
        return self.listener._services["smtp"]

    async def connect(self, protocol="smtp", *, source="127.0.0.1", limit=2**16):
        where = self.listener.addresses[protocol][0]
        if not where.startswith("unix:"):
            host, _, port = where.rpartition(":")
            return await self.reach(host, int(port), source, limit=limit)
        self.clients.append(
            Client(*await asyncio.open_unix_connection(where.removeprefix("unix:"), limit=limit))
        )
        return self.clients[-1]

    async def reach(self, host, port, source, limit=2**16):
        streams = await asyncio.open_connection(host, port, local_addr=(source, 0), limit=limit)
        self.clients.append(Client(*streams))
        return self.clients[-1]

    async def ready(self, protocol="smtp", **how):
        """A client past the greeting."""
        client = await self.connect(protocol, **how)
        await client.greet("LHLO client.example.org" if protocol == "lmtp" else "EHLO client.example.org")
        return client

    async def empty(self):
        """Wait until no session is left."""
        while self.listener.sessions:
            await asyncio.sleep(0.005)


@asynccontextmanager
async def serving(lmtp=(), **options):
    keeper = Keeper()
    smtp = SmtpOptions(**{"listen": ("127.0.0.1:0",), "hostname": "mx.example.com", **options})
    listener = Listener(keeper, smtp, LmtpOptions(listen=tuple(lmtp)))
    await listener.start()
    served = Served(listener, keeper)
    try:
        yield served
    finally:
        keeper.gate.set()
        for client in served.clients:
            await client.close()
        await listener.close()


def _run(test):
    async def bounded():
        async with asyncio.timeout(PATIENCE):
            await test

    uvloop.run(bounded())


@pytest.fixture
def run():
    """Run a coroutine in the event loop that serves."""
    return _run


@pytest.fixture
def logged():
    """``logged("json")``: log lines from now on, as octets in a file."""
    before, root = structlog.get_config(), logging.getLogger()
    handlers, level = list(root.handlers), root.level

    def begin(form):
        out = io.BytesIO()
        logs.configure(logs.LogOptions(format=form), out)
        return out

    yield begin
    structlog.configure(**before)
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)


@pytest.fixture
def serve():
    """``async with serve(**options) as served:``."""
    return serving
