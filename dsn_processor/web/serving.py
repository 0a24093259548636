"""Runs the web server inside an event loop that is somebody else's: signals and logging are not its business."""

import asyncio
import logging
import socket
from collections.abc import Generator, Sequence
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from dsn_processor.listening import ListenAddress, cannot_listen, open_tcp
from dsn_processor.web.app import Health, build_app
from dsn_processor.web.options import WebOptions

_CONNECTIONS = 64
_LIFETIME = 30.0  # seconds a connection may last, whatever it does: a scraper that wants more connects again
_IDLE = 5  # seconds until a connection without a request is closed
_GRACE = 5  # seconds that answers under way may take at the end
_HEADERS = 16_384  # bytes


class Web:
    """The web server of a running server, on or off as the options say."""

    def __init__(self, options: WebOptions, health: Health) -> None:
        self._options = options
        self._server = _Server(_config(build_app(health)))
        self._running: asyncio.Task[None] | None = None

    async def start(self, inherited: Sequence[socket.socket] | None = None) -> str | None:
        """Serve where the options say or, where systemd opened sockets, on those. Returns the address, as in
        ``127.0.0.1:8025``; None where the web is off. Raises ConfigurationError where it cannot be had.
        """
        address = self._options.address()
        sockets = list(inherited or ())
        if not sockets and address is not None:
            try:
                sockets = open_tcp(address)
            except OSError as error:
                raise cannot_listen(address, error) from None
        if not sockets:
            return None
        host, port = sockets[0].getsockname()[:2]
        self._running = asyncio.create_task(self._server.serve(sockets=sockets))
        await self._server.listening.wait()
        return str(ListenAddress(host, port))

    async def stop(self) -> None:
        """Finish what is being answered, and end."""
        self._server.should_exit = True
        if self._running is not None:
            await self._running
            self._running = None


def _config(app: ASGIApp) -> uvicorn.Config:
    # Whoever speaks no HTTP to it is not worth a line; what the application raises is.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    return uvicorn.Config(
        app,
        http=_Connection,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=_IDLE,
        timeout_graceful_shutdown=_GRACE,
        h11_max_incomplete_event_size=_HEADERS,
    )


class _Server(uvicorn.Server):
    """Ends when it is told to; signals are the server's that it is a part of."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        finally:
            self.listening.set()


class _Connection(H11Protocol):
    """Nobody holds a connection for long, nor all of them: the oldest makes room for the newest."""

    _end: asyncio.TimerHandle

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._since = self.loop.time()
        self._end = self.loop.call_later(_LIFETIME, transport.abort)
        others = [one for one in self.connections if isinstance(one, _Connection)]
        if len(others) >= _CONNECTIONS:
            min(others, key=lambda one: one._since).transport.abort()  # noqa: SLF001  one of us
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end.cancel()
        super().connection_lost(exc)
