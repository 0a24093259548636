"""A receiver of webhooks on loopback: keeps what it got, answers as it is told to, and may lose the connection instead."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple


class Request(NamedTuple):
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self):
        return self.headers["webhook-id"]


class Reply(NamedTuple):
    status: int = 200
    headers: Mapping[str, str] = MappingProxyType({})
    body: bytes = b""


#: Instead of a reply: close the connection with a reset.
RESET = Reply(0)


class Sink:
    """``answer`` gets each request and gives its reply. ``got`` is all that came whole, in order."""

    def __init__(self, answer: Callable[[Request], Awaitable[Reply]] | None = None) -> None:
        self.answer = answer or self._fine
        self.got: list[Request] = []
        self._tasks: set[asyncio.Task] = set()
        self.connections = 0

    async def _fine(self, _):
        return Reply()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/hook"
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader, writer):
        task = asyncio.current_task()
        self._tasks.add(task)
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                headers = {
                    name.lower(): value.strip()
                    for name, _, value in (line.partition(":") for line in head[1:-2])
                }
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                request = Request(head[0].split(" ")[1], headers, body)
                self.got.append(request)
                reply = await self.answer(request)
                if reply is RESET:
                    writer.transport.abort()
                    return
                headers = {"Content-Length": str(len(reply.body)), **reply.headers}
                lines = [f"HTTP/1.1 {reply.status} X", *(f"{name}: {it}" for name, it in headers.items())]
                writer.write("\r\n".join([*lines, "", ""]).encode() + reply.body)
                await writer.drain()
                if len(reply.body) < int(headers["Content-Length"]):
                    return  # the rest never comes
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()
