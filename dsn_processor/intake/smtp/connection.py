"""One connection: its life and deadlines, its lines, PROXY and STARTTLS. The mail itself is in session.py.

Whoever serves it calls tick() now and then: deadlines cost nothing while all goes well.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

from aiosmtpd.proxy_protocol import get_proxy

from dsn_processor.intake.smtp.dialogue import Dialogue
from dsn_processor.intake.smtp.reader import Reader
from dsn_processor.intake.smtp.service import Service, log
from dsn_processor.metrics import Refused

_LINE = 2_048  # octets of a command
_LINGER = 5.0  # seconds for a peer to read its last answer
_PRESSED = 10.0  # seconds for a command, or a piece of a mail, while there is little room for others
_PROXY_SECONDS = 5.0
_CONTROLS = re.compile(rb"[\x00-\x1f\x7f]")

#: What no mail server says: a browser was led here to speak for somebody else, or a client that believes in extensions
#: that were not offered. What follows would be read as commands.
_FOREIGN = frozenset(b"GET HEAD POST PUT PATCH DELETE OPTIONS TRACE CONNECT PRI HOST: BDAT PROXY".split())

Verb = Callable[[Any, str | None], Awaitable[None]]


class GoneError(Exception):
    """The peer went away, or said what ends the session."""


class Connection(Dialogue):
    """``spoken`` names the commands, each a method ``smtp_``."""

    spoken: ClassVar[str] = "HELO EHLO MAIL RCPT DATA RSET NOOP HELP VRFY EXPN AUTH STARTTLS QUIT"
    verbs: ClassVar[dict[bytes, Verb]]
    _reader: Reader
    _paused: bool  # by asyncio, while the peer does not read
    _drain_helper: Callable[[], Awaitable[None]]

    def __init_subclass__(cls) -> None:
        cls.verbs = {verb.encode(): getattr(cls, f"smtp_{verb}") for verb in cls.spoken.split()}

    def __init__(self, service: Service) -> None:
        # Not SMTP.__init__, which looks at every member of the class by inspect: 0.2 ms for each connection.
        loop = service.loop
        self._reader = Reader(loop)
        asyncio.StreamReaderProtocol.__init__(self, self._reader, loop=loop)
        self.loop = loop
        self.transport: Any = None
        self.service = service
        self.options = service.options
        self._original_transport = None
        self._answers = []
        self._due = 0.0
        self._since = 0.0
        self._received = 0
        self.heard = 0.0  # when something came for the last time
        self._ends = loop.time() + self.options.session_timeout
        self._closing = False
        self._receiving = False
        self._storing = False
        self._admitted = False

    # ---- life

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        peer = transport.get_extra_info("peername")
        # A socket for both families, as systemd opens it, tells IPv4 as ::ffff:192.0.2.1.
        self.client = peer[0].removeprefix("::ffff:") if isinstance(peer, tuple) else None
        self._behind_proxy = self.options.proxy_protocol and self.service.admission.trusts(self.client)
        if not self._behind_proxy and not self._admit(transport):
            self.transport = transport
            self._closing = True
            self._due = self.loop.time() + _LINGER
            transport.close()
            return
        super().connection_made(transport)

    def _admit(self, transport: Any) -> bool:
        if self.service.stopping:
            transport.write(b"421 4.3.2 Shutting down, come again later\r\n")
            return False
        admission = self.service.admission
        self.place = admission.place(self.client)
        excess = admission.excess(self.place)
        if excess is None or (excess == "total" and self.service.make_way(self.place)):
            admission.enter(self.place)
            self._admitted = True
            self.service.opened(self)
            return True
        cause = Refused.RATE if excess == "rate" else Refused.CONNECTIONS
        self.service.turned_away(self.client, cause)
        code = "4.3.2" if excess == "total" else "4.7.0"
        transport.write(f"421 {code} Too many connections, come again later\r\n".encode())
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """The session ends where it waits for the peer. A mail that is being stored is stored all the same."""
        asyncio.StreamReaderProtocol.connection_lost(self, error)
        self.transport = None
        self._closing = True
        self._leave()
        self.service.closed(self)

    def _leave(self) -> None:
        if self._admitted:
            self._admitted = False
            self.service.admission.leave(self.place)

    def eof_received(self) -> bool:
        """A peer that has said all it has to say still gets its answer. Over TLS there is no such half."""
        return bool(asyncio.StreamReaderProtocol.eof_received(self))

    def part(self, text: str, cause: Refused | None) -> None:
        if self._closing or self.transport is None:
            return
        if cause is not None:
            self.service.refused(cause)
            self.told("session ended", cause, why=text)
        self.reply(text)
        self.flush()
        self._closing = True
        self._due = self.loop.time() + _LINGER
        self.transport.close()

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    def stop(self) -> None:
        """Take leave of a peer that is not in the middle of a mail; of another once its mail is answered."""
        if not self._storing and not self._receiving:
            self.part("421 4.3.2 Shutting down, come again later", Refused.STOPPING)

    @property
    def can_go(self) -> bool:
        return not self._storing and not self._closing

    def make_way(self) -> None:
        """Leave the place to another, now."""
        self.part("421 4.3.2 Others wait, come again later", Refused.CONNECTIONS)
        if self._paused:
            self.abort()
        self._leave()

    def tick(self, now: float, *, pressed: bool) -> None:
        """Look at the deadlines, which are closer when others wait. Storing has its own, and its answer is owed."""
        due = self._due
        if pressed:
            due = min(due, self._since + _PRESSED + self._received / self.options.min_data_rate)
        if self._storing or now < due or self.transport is None:
            return
        if self._closing or self._paused:  # it does not read what it is told
            self.transport.abort()
        else:
            self.part("421 4.4.2 Too slow, come again later", Refused.TIMEOUT)

    def _reset_timeout(self, duration: float | None = None) -> None:
        seconds = self.options.command_timeout if duration is None else duration
        self._since = self.heard = self.loop.time()
        self._received = 0
        self._due = min(self._since + seconds, self._ends)

    # ---- lines

    async def _handle_client(self) -> None:
        try:
            if self._behind_proxy:
                await self._read_proxy()
            if self._reader.waiting:
                self.part("421 4.7.0 Wait for the greeting", Refused.PROTOCOL)
            self.greet()
            self._reset_timeout()
            while not self._closing:
                line = self._reader.line()
                if line is not None:
                    await self._obey(line)
                    self._reset_timeout()
                    continue
                self.flush()
                if self._paused:
                    await self._drain_helper()
                await self._reader.more()
        except asyncio.LimitOverrunError:
            self.part("421 4.7.0 A line without an end", Refused.PROTOCOL)
        except (GoneError, EOFError, OSError):
            pass
        finally:
            if self.transport is not None:
                self.transport.close()
            self._handler_coroutine = None  # no circle for the garbage collector

    def greet(self) -> None:
        if not self._closing:
            self.reply(f"220 {self.service.hostname} ESMTP")

    async def _obey(self, line: bytes) -> None:
        """Answer one command. A fault of ours is told as such, and is no reason to lose the mail."""
        if len(line) > _LINE:
            self.wrong("500 5.5.2 Line too long")
            return
        if self.options.refuse_bare_newline and not line.endswith(b"\r\n"):
            self.wrong("550 5.5.2 Lines end with CR LF")
            return
        line = line[:-2] if line.endswith(b"\r\n") else line[:-1]
        verb, _, rest = line.partition(b" ")
        verb = verb.upper()
        if verb in _FOREIGN:
            self.part("421 4.7.0 This is a mail server", Refused.PROTOCOL)
            return
        method = self.verbs.get(verb)
        if method is None:
            self.wrong("500 5.5.2 Not a command here")
            return
        try:
            argument = rest.strip(b" ").decode()
        except UnicodeDecodeError:
            self.wrong("553 5.6.7 Only UTF-8 is read here", Refused.ADDRESS)
            return
        if _CONTROLS.search(line):
            self.wrong("501 5.5.2 Control characters do not belong in a command")
            return
        try:
            await method(self, argument or None)
        except GoneError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the sender keeps its mail
            self.reply(await self.handle_exception(error))

    async def handle_exception(self, error: Exception) -> str:
        self.service.refused(Refused.INTERNAL)
        name = self.service.name
        log.error("session failed", room=name, listener=name, client=self.client, exc_info=error)
        return "451 4.3.0 Something failed here, come again later"

    # ---- PROXY and TLS

    async def _read_proxy(self) -> None:
        """Who is at the other end, as the proxy tells: nothing else may come first."""
        try:
            async with asyncio.timeout(_PROXY_SECONDS):
                data = await get_proxy(self._reader)
        except Exception:  # noqa: BLE001 - whatever it was, it was no header
            data = None
        if self.transport is None:
            raise GoneError
        if not data:
            self.service.turned_away(self.client, Refused.PROXY)
            self.transport.abort()
            raise GoneError
        if data.src_addr is not None and not isinstance(data.src_addr, bytes | bytearray):
            self.client = str(data.src_addr)
        if not self._admit(self.transport):
            self._closing = True
            raise GoneError

    async def smtp_STARTTLS(self, arg: str | None) -> None:
        if self.service.tls is None or self.session.ssl is not None:
            self.wrong("503 5.5.1 Not on offer")
            return
        if arg:
            self.wrong("501 5.5.4 STARTTLS stands alone")
            return
        self.reply("220 2.0.0 Go on with TLS")
        self.flush()
        # What was said before in the clear, and what was known by it, is forgotten (RFC 3207 sections 4.2 and 6). From
        # here to the change of transport nothing waits, so that no more of it can come.
        self._reader.forget()
        self._reset_timeout(self.options.tls_handshake_timeout + _LINGER)
        plain = self.transport
        try:
            transport = await self.loop.start_tls(
                plain,
                self,
                self.service.tls,
                server_side=True,
                ssl_handshake_timeout=self.options.tls_handshake_timeout,
            )
        except Exception as error:  # noqa: BLE001 - the connection is between two states: it cannot be saved
            self.service.refused(Refused.TLS)
            self.told("tls failed", Refused.TLS, why=f"{type(error).__name__}: {error}")
            plain.abort()
            self.connection_lost(None)  # nobody else tells, where the handshake did not end
            raise GoneError from None
        self._secured(transport)

    def _secured(self, transport: Any) -> None:
        self.transport = self._transport = transport
        self._over_ssl = True
        self._reader.move(transport)
        self.forget()
        self.session.host_name = None
        self.session.ssl = {"cipher": transport.get_extra_info("cipher")}
        self.service.count_tls.inc()
