"""A person's consent to read a mailbox, got once: by a code typed in elsewhere (RFC 8628), or by a browser that comes
back to a port of this machine (RFC 8252 section 7.3, RFC 7636). What comes of it is a refresh token.
"""

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlencode, urlsplit

from dsn_processor.errors import ConfigurationError, LoginRefusedError, MailboxError
from dsn_processor.intake.mailbox.endpoint import DeniedError, ask
from dsn_processor.intake.mailbox.oauth import checked_token, client_form, scope
from dsn_processor.intake.mailbox.options import AccountOptions, OAuthOptions
from dsn_processor.safe import safe

BROWSER_SECONDS = 600.0
_DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
_INTERVAL = 5.0  # RFC 8628 section 3.2
_LONGEST_INTERVAL = 60.0
_LONGEST_CODE = 1_800.0
_REQUEST_SECONDS = 10.0

Sleep = Callable[[float], None]


class Prompt(NamedTuple):
    """What a person has to do: open ``url`` and, where there is one, type in ``code``, within so many ``seconds``."""

    url: str
    code: str
    seconds: float


def by_device(
    account: AccountOptions,
    prompt: Callable[[Prompt], None],
    *,
    sleep: Sleep = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> str:
    """The refresh token of whoever types in the code. Raises ConfigurationError, LoginRefusedError, MailboxError."""
    options = _options(account)
    url = options.endpoints().device
    if not url:
        why = (
            "Google gives no mail to those who type in codes"
            if options.provider == "google"
            else "it is not set"
        )
        raise ConfigurationError(
            f"{account.name}: no device_authorization_url: {why}; run it without --device"
        )
    with _refused():
        begun = ask(url, {"client_id": options.client_id, "scope": scope(account)})
    code, deadline, interval = _read_begun(begun, prompt, clock())
    form = client_form(options) | {"grant_type": _DEVICE_GRANT, "device_code": code}
    while clock() < deadline:
        sleep(min(interval, max(0.0, deadline - clock())))
        try:
            answer = ask(options.endpoints().token, form)
        except DeniedError as error:
            if error.code == "slow_down":
                interval = min(interval + _INTERVAL, _LONGEST_INTERVAL)
            elif error.code != "authorization_pending":
                raise _refusal(error) from None
        except MailboxError:  # RFC 8628 section 3.5: a fault of the network is no answer
            interval = min(2 * interval, _LONGEST_INTERVAL)
        else:
            return _refresh_token(answer)
    raise LoginRefusedError("nobody typed in the code in time: begin again")


def _read_begun(
    begun: Mapping[str, Any], prompt: Callable[[Prompt], None], now: float
) -> tuple[str, float, float]:
    code, shown = begun.get("device_code"), begun.get("user_code")
    # Before the RFC it was called verification_url.
    url = begun.get("verification_uri") or begun.get("verification_url")
    if not (isinstance(code, str) and code and isinstance(shown, str) and isinstance(url, str)):
        raise MailboxError("the authorization server answers without a code to type in")
    seconds = min(_seconds(begun.get("expires_in"), _LONGEST_CODE), _LONGEST_CODE)
    prompt(Prompt(safe(url), safe(shown), seconds))
    return code, now + seconds, min(_seconds(begun.get("interval"), _INTERVAL), _LONGEST_INTERVAL)


def _seconds(value: object, default: float) -> float:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = float(value[:9])
    return float(value) if isinstance(value, int | float) and value > 0 else default


def by_browser(
    account: AccountOptions,
    prompt: Callable[[Prompt], None],
    *,
    port: int = 0,
    seconds: float = BROWSER_SECONDS,
) -> str:
    """The refresh token of whoever opens the address in a browser of this machine, or of one that reaches ``port`` of it
    (0 is any). Raises ConfigurationError, LoginRefusedError, MailboxError.
    """
    options = _options(account)
    if not options.endpoints().authorization:
        raise ConfigurationError(
            f"{account.name}: no authorization_url is set: set it, or run it with --device"
        )
    verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(32)
    answers: SimpleQueue[Mapping[str, str]] = SimpleQueue()
    try:
        server = _Server(state, answers, port)
    except OSError as error:
        raise MailboxError(
            f"port {port} cannot be listened on: {error.strerror}; choose another --port"
        ) from None
    Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
    try:
        # Microsoft wants the name, and others the address: a name can be led elsewhere (RFC 8252 section 8.3).
        host = "localhost" if options.provider == "microsoft" else "127.0.0.1"
        back = f"http://{host}:{server.server_address[1]}"
        prompt(Prompt(_address(account, back, state, verifier), "", seconds))
        answer = answers.get(timeout=seconds)
    except Empty:
        raise LoginRefusedError("no browser came back in time: begin again") from None
    finally:
        server.shutdown()
        server.server_close()
    if "code" not in answer:
        raise _refusal(
            DeniedError(safe(answer.get("error", "?")[:80]), safe(answer.get("error_description", "")[:300]))
        )
    form = {
        "grant_type": "authorization_code",
        "code": answer["code"],
        "redirect_uri": back,
        "code_verifier": verifier,
    }
    with _refused():
        return _refresh_token(ask(options.endpoints().token, client_form(options) | form))


def _address(account: AccountOptions, back: str, state: str, verifier: str) -> str:
    options = _options(account)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    query = {
        "response_type": "code",
        "client_id": options.client_id,
        "redirect_uri": back,
        "scope": scope(account),
        "state": state,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    if options.provider == "google":  # without these it gives a refresh token the first time alone, or never
        query |= {"access_type": "offline", "prompt": "consent", "login_hint": account.username}
    elif options.provider == "microsoft":  # of a shared mailbox it is a member who logs in
        query |= {"prompt": "select_account"}
    url = options.endpoints().authorization
    return f"{url}{'&' if urlsplit(url).query else '?'}{urlencode(query)}"


class _Server(ThreadingHTTPServer):
    """Waits for the browser. Who does not know the ``state`` is not listened to."""

    daemon_threads = True
    allow_reuse_address = False
    request_queue_size = 16

    def __init__(self, state: str, answers: "SimpleQueue[Mapping[str, str]]", port: int) -> None:
        self.state = state
        self.answers = answers
        super().__init__(("127.0.0.1", port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that hangs up in the middle is no fault worth telling."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _REQUEST_SECONDS
    server_version, sys_version = "dsn-processor", ""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        fields = {name: values[0] for name, values in parse_qs(parts.query, max_num_fields=50).items()}
        given = fields.get("state", "").encode("utf-8", "replace")
        if parts.path != "/" or not hmac.compare_digest(given, self.server.state.encode()):
            self._say(404, "Nothing is here.")
        elif "code" in fields:
            self._say(200, "Done. You can close this window.")
            self.server.answers.put(fields)
        else:
            self._say(200, "This was refused. What to do is told where you began.")
            self.server.answers.put(fields)

    def _say(self, status: int, text: str) -> None:
        body = f"{text}\n".encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  http.server calls it so
        """Addresses hold codes: none is logged."""


@contextmanager
def _refused() -> Iterator[None]:
    """Turns what the server denies into words that say what to do."""
    try:
        yield
    except DeniedError as error:
        raise _refusal(error) from None


def _refusal(error: DeniedError) -> LoginRefusedError:
    return LoginRefusedError(
        f"refused: {error}; {_MEANING.get(error.code, 'docs/oauth.md tells what it may mean')}"
    )


_MEANING = {
    "access_denied": "whoever was asked said no, or the administrator has to consent first",
    "expired_token": "nobody typed in the code in time: begin again",
    "invalid_client": "look at client_id and the client's secret; a public client must be allowed to do without one",
    "invalid_scope": "look at scope, and at what the application was permitted",
    "invalid_grant": "the code was used before, or too late: begin again",
}


def _refresh_token(answer: Mapping[str, Any]) -> str:
    checked_token(answer.get("access_token"))
    token = answer.get("refresh_token")
    if not isinstance(token, str) or not token:
        raise LoginRefusedError(
            "the server gave no refresh token, so the consent would end within the hour: the scope has to ask for it "
            "(Microsoft, and many others: offline_access)"
        )
    return checked_token(token)


def _options(account: AccountOptions) -> OAuthOptions:
    options = account.oauth2
    if options is None:
        raise ConfigurationError(f"{account.name} logs in with a password: there is nothing to consent to")
    if options.grant != "refresh_token":
        raise ConfigurationError(
            f"{account.name} has the grant {options.grant}: it needs no person's consent"
        )
    return options
