"""The HTTP client of webhooks: httpx over connections that go to checked addresses alone (guard.py).

Redirects are not followed, proxies of the environment not asked, cookies not kept; certificates are verified against the
host's name by what the system trusts.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Any

import httpcore
import httpx

from dsn_processor import __version__
from dsn_processor.notify.guard import RefusedUrlError, check_addresses
from dsn_processor.notify.options import WebhookOptions

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]  #: the IP addresses of a host, in order

_CONNECT_SECONDS = 5.0  # for each address of a host
_IDLE_SECONDS = 30.0
_CONNECTIONS = 256

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
    """httpx's own transport lets nobody choose how it connects: this is a pool of httpcore's that does."""

    def __init__(self, options: Callable[[], WebhookOptions], resolve: Resolve) -> None:
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl.create_default_context(),
            max_connections=None,  # each endpoint has a bound of its own
            max_keepalive_connections=_CONNECTIONS,
            keepalive_expiry=_IDLE_SECONDS,
            network_backend=_Guarded(options, resolve),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            response = await self._pool.handle_async_request(
                httpcore.Request(
                    method=request.method,
                    url=httpcore.URL(
                        scheme=request.url.raw_scheme,
                        host=request.url.raw_host,
                        port=request.url.port,
                        target=request.url.raw_path,
                    ),
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
        except Exception as error:
            raise _told(error, request) from error
        assert not isinstance(response.stream, bytes)
        return httpx.Response(
            status_code=response.status,
            headers=response.headers,
            stream=_Body(response.stream, request),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        await self._pool.aclose()


class _Body(httpx.AsyncByteStream):
    def __init__(self, stream: Any, request: httpx.Request) -> None:
        self._stream = stream
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for part in self._stream:
                yield part
        except Exception as error:
            raise _told(error, self._request) from error

    async def aclose(self) -> None:
        await self._stream.aclose()


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


def _told(error: Exception, request: httpx.Request) -> Exception:
    """The error as httpx would raise it."""
    if isinstance(error, RefusedUrlError):
        return error
    for theirs, ours in _ERRORS.items():
        if isinstance(error, theirs):
            return ours(str(error), request=request)
    return error
