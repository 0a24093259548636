"""The HTTP client of webhooks: httpx over connections that go to checked addresses alone (guard.py).

Redirects are not followed, proxies of the environment not asked, cookies not kept; certificates are verified against the
host's name by what the system trusts.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any

import httpcore
import httpx

from dsn_processor import __version__
from dsn_processor.notify.guard import RefusedUrlError, check_addresses
from dsn_processor.notify.options import WebhookOptions

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]  #: the IP addresses of a host, in order

_CONNECT_SECONDS = 5.0  # for each address of a host
_IDLE_SECONDS = 30.0

# httpcore's errors -> httpx's, whose callers know them.
_ERRORS: dict[type[Exception], type[httpx.TransportError]] = {
    httpcore.ConnectTimeout: httpx.ConnectTimeout,
    httpcore.PoolTimeout: httpx.PoolTimeout,
    httpcore.TimeoutException: httpx.ReadTimeout,
    httpcore.ConnectError: httpx.ConnectError,
    httpcore.NetworkError: httpx.ReadError,
    httpcore.ProtocolError: httpx.RemoteProtocolError,
}


async def resolve(host: str, port: int) -> Sequence[str]:
    """By the system. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def client(options: Callable[[], WebhookOptions], resolve: Resolve = resolve) -> httpx.AsyncClient:
    """A client for many endpoints at a time. ``options`` are asked before each connection."""
    return httpx.AsyncClient(
        transport=GuardedTransport(options, resolve),
        trust_env=False,
        follow_redirects=False,
        timeout=httpx.Timeout(None, connect=_CONNECT_SECONDS),  # the sender bounds an attempt as a whole
        headers={"user-agent": f"dsn-processor/{__version__}", "accept": "*/*"},
    )


class GuardedTransport(httpx.AsyncBaseTransport):
    """httpx's own transport lets nobody choose how it connects; this one does, over httpcore's connections. Its pool is not
    used: under load it gives one connection to two requests, and the one that loses may wait for ever. Here a connection is
    its request's alone until the answer is read.
    """

    def __init__(self, options: Callable[[], WebhookOptions], resolve: Resolve) -> None:
        self._tls = ssl.create_default_context()
        self._backend = _Guarded(options, resolve)
        self._idle: dict[str, list[httpcore.AsyncHTTPConnection]] = {}
        self._busy: set[httpcore.AsyncHTTPConnection] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = httpcore.URL(
            scheme=request.url.raw_scheme,
            host=request.url.raw_host,
            port=request.url.port,
            target=request.url.raw_path,
        )
        connection = await self._take(url.origin)
        try:
            response = await connection.handle_async_request(
                httpcore.Request(
                    method=request.method,
                    url=url,
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
        except BaseException as error:
            await self._drop(connection)
            raise _told(error, request) from error
        assert not isinstance(response.stream, bytes)
        return httpx.Response(
            status_code=response.status,
            headers=response.headers,
            stream=_Body(response.stream, request, lambda: self._give_back(url.origin, connection)),
            extensions=response.extensions,
        )

    async def _take(self, origin: httpcore.Origin) -> httpcore.AsyncHTTPConnection:
        """One that is idle, the last used first, or a new one."""
        idle = self._idle.get(str(origin), [])
        while idle:
            connection = idle.pop()
            self._busy.add(connection)
            if connection.is_idle() and not connection.has_expired():
                return connection
            await self._drop(connection)
        connection = httpcore.AsyncHTTPConnection(
            origin, ssl_context=self._tls, keepalive_expiry=_IDLE_SECONDS, network_backend=self._backend
        )
        self._busy.add(connection)
        return connection

    async def _give_back(self, origin: httpcore.Origin, connection: httpcore.AsyncHTTPConnection) -> None:
        if connection in self._busy and connection.is_idle():
            self._busy.remove(connection)
            self._idle.setdefault(str(origin), []).append(connection)
        else:
            await self._drop(connection)

    async def _drop(self, connection: httpcore.AsyncHTTPConnection) -> None:
        self._busy.discard(connection)
        with suppress(Exception):  # it has gone, however it went
            await connection.aclose()

    async def aclose(self) -> None:
        """Close all, those in use too."""
        connections = [*self._busy, *(one for idle in self._idle.values() for one in idle)]
        self._busy.clear()
        self._idle.clear()
        for connection in connections:
            await self._drop(connection)


class _Body(httpx.AsyncByteStream):
    """``done`` is called when the connection is free, or closed."""

    def __init__(self, stream: Any, request: httpx.Request, done: Callable[[], Awaitable[None]]) -> None:
        self._stream = stream
        self._request = request
        self._done = done

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for part in self._stream:
                yield part
        except Exception as error:
            raise _told(error, self._request) from error

    async def aclose(self) -> None:
        try:
            await self._stream.aclose()
        finally:
            await self._done()


class _Guarded(httpcore.AsyncNetworkBackend):
    """Resolves a host once, looks at all that it may be, and connects to one of these."""

    def __init__(self, options: Callable[[], WebhookOptions], resolve: Resolve) -> None:
        self._options = options
        self._resolve = resolve
        self._dial = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            async with asyncio.timeout(timeout):
                addresses = await self._resolve(host.strip("[]"), port)
        except TimeoutError:
            raise httpcore.ConnectTimeout(f"{host} was not resolved in time") from None
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"{host} cannot be resolved: {error}") from None
        check_addresses(addresses, self._options())
        failure: Exception = httpcore.ConnectError("the host has no address")
        for address in addresses:
            try:
                return await self._dial.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def sleep(self, seconds: float) -> None:
        await self._dial.sleep(seconds)


def _told(error: BaseException, request: httpx.Request) -> BaseException:
    """The error as httpx would raise it."""
    if isinstance(error, RefusedUrlError):
        return error
    for theirs, ours in _ERRORS.items():
        if isinstance(error, theirs):
            return ours(str(error), request=request)
    return error
