"""Asking an authorization server: a form posted, a small JSON object read (RFC 6749 section 4, RFC 8628 section 3).

What is sent are secrets. They go to https or this machine alone, to no address that an answer names, and into no error.
"""

import json
import re
import ssl
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote_plus, urlsplit

import httpx

from dsn_processor.errors import MailboxError
from dsn_processor.listening import ListenAddress
from dsn_processor.safe import safe

_SECONDS = 30.0  # for all of an answer
_STEP_SECONDS = 10.0  # for one step: to connect, to write, to read a piece
_LONGEST = 64_000  # bytes of an answer
_SHOWN = 400  # characters of what a server says that are told
_CODE = re.compile(r"[!#-\[\]-~ ]{1,80}")  # RFC 6749 appendix A.7


class DeniedError(MailboxError):
    """The server's own error (RFC 6749 section 5.2): its ``code``, such as invalid_grant, and what it says of it."""

    def __init__(self, code: str, said: str) -> None:
        self.code = code
        super().__init__(f"{code}: {said}" if said else code)


def ask(url: str, form: Mapping[str, str], *, seconds: float = _SECONDS) -> dict[str, Any]:
    """What the server answers. Raises DeniedError where it says no, MailboxError where it cannot be asked."""
    parts = urlsplit(url)
    named = f"{parts.scheme}://{parts.netloc}{parts.path}"
    try:
        status, body = _exchange(url, form, time.monotonic() + seconds)
    except (httpx.TimeoutException, TimeoutError):
        raise MailboxError(f"{named} does not answer in time") from None
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        raise MailboxError(f"{named} cannot be asked: {_without(str(error), form)}") from None
    if 300 <= status < 400:
        raise MailboxError(f"{named} sends us elsewhere ({status}): write the address that answers itself")
    answer = _read(body)
    if status == 200 and answer is not None:
        return answer
    code = answer.get("error") if answer is not None else None
    if isinstance(code, str) and _CODE.fullmatch(code) and status < 500 and status != 429:
        said = answer.get("error_description") if answer is not None else None
        raise DeniedError(_without(code, form), _without(said, form) if isinstance(said, str) else "")
    raise MailboxError(f"{named} answers {status}, and nothing that can be understood")


def _exchange(url: str, form: Mapping[str, str], deadline: float) -> tuple[int, bytes]:
    parts = urlsplit(url)
    local = ListenAddress(parts.hostname or "").local
    client = httpx.Client(
        verify=ssl.create_default_context() if parts.scheme == "https" else False,
        timeout=_STEP_SECONDS,
        follow_redirects=False,
        trust_env=not local,  # a proxy is for what is elsewhere
        headers={"Accept": "application/json", "Accept-Encoding": "identity"},
    )
    with client, client.stream("POST", url, data=form) as response:
        body = b""
        for piece in response.iter_raw():
            body += piece
            if len(body) > _LONGEST:
                raise ValueError("its answer does not end")
            if time.monotonic() > deadline:
                raise TimeoutError
        return response.status_code, body


def _read(body: bytes) -> dict[str, Any] | None:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None


#: Fields of forms that are no secrets: what they hold may be told.
_PLAIN = frozenset({"grant_type", "client_id", "scope", "redirect_uri", "code_challenge_method"})


def _without(text: str, form: Mapping[str, str]) -> str:
    """Words of a server, fit to be told: in one line, without what we sent it in confidence."""
    for name, value in form.items():
        if name not in _PLAIN and value:
            for shown in (value, quote_plus(value)):
                text = text.replace(shown, "***")
    text = " ".join(text.split())
    return safe(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")
