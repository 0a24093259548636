"""The pages: /metrics for Prometheus, /healthz and /readyz for whoever watches the process. Nothing else answers."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dsn_processor import metrics

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Health(Protocol):
    """How the server is."""

    def troubles(self) -> Sequence[str]:
        """Why no mail is taken, or taken and not made sense of, in words without secrets; none where all is well. Asked
        in the event loop, so answered without waiting for anything.
        """


def build_app(health: Health) -> ASGIApp:
    """The ASGI application."""

    async def show_metrics(_: Request) -> Response:
        # In a thread: some figures are asked of the file system, and one that hangs must not stop the listeners.
        page, content_type = await asyncio.to_thread(metrics.page)
        return Response(page, headers={"Content-Type": content_type})

    async def show_alive(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def show_ready(_: Request) -> Response:
        reasons = list(health.troubles())
        return JSONResponse({"ready": not reasons, "reasons": reasons}, status_code=503 if reasons else 200)

    return _Headers(
        Starlette(
            routes=[
                Route("/metrics", show_metrics),
                Route("/healthz", show_alive),
                Route("/readyz", show_ready),
            ],
            exception_handlers={404: _show_nothing},
        )
    )


async def _show_nothing(_: Request, __: Exception) -> Response:
    return PlainTextResponse("not found: /metrics, /healthz and /readyz are what there is\n", status_code=404)


class _Headers:
    """Adds the headers that keep a browser from making anything of an answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, answer)
