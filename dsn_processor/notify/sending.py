"""One attempt at a webhook: signed, posted to a checked address, the answer read as far as it is worth reading."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

import httpx

from dsn_processor import metrics
from dsn_processor.notify.attempts import Answer, Due, date_of, retry_after
from dsn_processor.notify.endpoints import Endpoint
from dsn_processor.notify.formats import Format, authorization
from dsn_processor.notify.guard import RefusedUrlError, check_url
from dsn_processor.notify.options import WebhookOptions
from dsn_processor.notify.signing import key_of, signed_headers
from dsn_processor.safe import safe

BODY_LIMIT = 65_536  # bytes of an answer that are read
_TOLD = 200  # characters of it that are kept where it says no


class Sender:
    """``options`` are asked for each attempt: a reload may have brought others."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        options: Callable[[], WebhookOptions],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._options = options
        self._clock = clock

    async def send(self, endpoint: Endpoint, due: Due) -> Answer:
        """Make one attempt. Raises nothing: what went wrong is the answer."""
        options = self._options()
        began = time.monotonic()
        try:
            url = check_url(endpoint.url, options)
            async with asyncio.timeout(options.timeout):
                return await self._post(url, endpoint, due)
        except RefusedUrlError as error:
            return Answer(None, f"refused: {error}")
        except TimeoutError:
            return Answer(None, f"no answer within {options.timeout:g} s")
        except httpx.TransportError as error:
            return Answer(None, f"{type(error).__name__}: {safe(error)}"[:_TOLD])
        except Exception as error:  # noqa: BLE001  a fault of ours, or of a library: the next attempt may do
            return Answer(None, f"fault of ours: {error!r}"[:_TOLD])
        finally:
            metrics.WEBHOOK_SECONDS.observe(time.monotonic() - began)

    async def _post(self, url: httpx.URL, endpoint: Endpoint, due: Due) -> Answer:
        now = self._clock()
        keys = [key_of(secret) for secret in endpoint.secrets(date_of(now))]
        headers = {
            "content-type": due.content_type,
            **due.headers,
            **authorization(Format(endpoint.format), endpoint.key),
            **signed_headers(due.message_id, int(now), due.body, keys),
        }
        request = self._client.build_request("POST", url, content=due.body, headers=headers)
        response = await self._client.send(request, stream=True)
        try:
            body = b""
            with suppress(httpx.TransportError):  # the answer is there; of its body we miss little
                body = await _head(response)
        finally:
            await response.aclose()
        status = response.status_code
        if response.is_success:
            return Answer(status)
        why = (
            "redirects are not followed"
            if response.is_redirect
            else safe(body[:_TOLD].decode("utf-8", "replace"))
        )
        return Answer(status, why, retry_after(response.headers.get("retry-after"), now))


async def _head(response: httpx.Response) -> bytes:
    parts, size = [], 0
    async for part in response.aiter_raw():
        parts.append(part)
        size += len(part)
        if size >= BODY_LIMIT:
            break
    return b"".join(parts)
