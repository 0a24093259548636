"""Access tokens (RFC 6749): got before they run out, and shown to mail servers (RFC 7628, and XOAUTH2 as Google and
Microsoft have it).
"""

import base64
import json
import threading
import time
from collections.abc import Callable, Collection
from typing import Any

from dsn_processor import logs
from dsn_processor.errors import LoginRefusedError, MailboxError
from dsn_processor.intake.mailbox import tokenfile
from dsn_processor.intake.mailbox.endpoint import DeniedError, ask
from dsn_processor.intake.mailbox.options import AccountOptions, Mechanism, OAuthOptions, PopOptions
from dsn_processor.safe import safe

_MARGIN_SECONDS = 60.0  # a token that ends sooner is got anew
_UNSAID_SECONDS = 600.0  # how long a token is used of which the server did not say how long it lasts
_LONGEST_SECONDS = 86_400.0
_LONGEST_TOKEN = 16_000
_SHOWN = 300  # characters of what a mail server says that are told

log = logs.get_logger(room="oauth")


class TokenSource:
    """The access tokens of one account, for one thread or many."""

    def __init__(self, account: AccountOptions, *, clock: Callable[[], float] = time.monotonic) -> None:
        assert account.oauth2 is not None
        self._account = account
        self._options: OAuthOptions = account.oauth2
        self._clock = clock
        self._lock = threading.Lock()
        self._token = ""
        self._until = 0.0
        self._uses = 0
        self._unkept = (
            "",
            "",
        )  # a refresh token that could not be written down, and the one that it came in place of

    def token(self) -> str:
        """A token that lasts for a minute at least, where tokens do. Raises LoginRefusedError where a person has to do
        something about it, MailboxError where trying again may help.
        """
        with self._lock:
            if not self._token or self._clock() >= self._until:
                self._token = ""
                self._token, seconds = self._fetch()
                self._until = self._clock() + seconds - min(_MARGIN_SECONDS, seconds / 2)
                self._uses = 0
            self._uses += 1
            return self._token

    def forget(self) -> bool:
        """The mail server refused the token: the next is a new one. Returns whether that may help, which it does not
        where the token was new.
        """
        with self._lock:
            old = bool(self._token) and self._uses > 1
            self._token = ""
            return old

    def seconds_left(self) -> float:
        """How long the token at hand will be used."""
        return max(0.0, self._until - self._clock()) if self._token else 0.0

    def _fetch(self) -> tuple[str, float]:
        options = self._options
        try:
            if options.grant == "client_credentials":
                form = {"grant_type": "client_credentials", "scope": scope(self._account)}
                return self._read(ask(options.endpoints().token, client_form(options) | form))
            with tokenfile.held(options.refresh_token_file):
                return self._refresh()
        except DeniedError as error:
            raise LoginRefusedError(f"no access token: {error}; {self._advice(error.code)}") from None

    def _refresh(self) -> tuple[str, float]:
        options = self._options
        current = self._current()
        form = {"grant_type": "refresh_token", "refresh_token": current}
        if options.scope or options.provider == "microsoft":  # Google has it in the token
            form["scope"] = scope(self._account)
        answer = ask(options.endpoints().token, client_form(options) | form)
        new = answer.get("refresh_token")
        if isinstance(new, str) and new and new != current:
            self._keep(new)
        return self._read(answer)

    def _current(self) -> str:
        path = self._options.refresh_token_file
        try:
            written = tokenfile.read_secret(path, "refresh_token_file")
        except MailboxError as error:
            raise LoginRefusedError(f"{error}; {self._log_in_again}") from None
        new, old = self._unkept
        if new and written == old:
            self._keep(new)
            return new
        self._unkept = ("", "")  # somebody logged in again meanwhile
        return written

    def _keep(self, token: str) -> None:
        """Write a refresh token down. Where that fails it is used as long as this process lasts, and tried again."""
        path = self._options.refresh_token_file
        try:
            old = self._unkept[1] or tokenfile.read_secret(path, "refresh_token_file")
            tokenfile.keep(path, token)
        except (OSError, MailboxError) as error:
            self._unkept = (token, old)
            why = error.strerror if isinstance(error, OSError) else str(error)
            log.error(  # noqa: TRY400  the words say it
                "refresh token not kept",
                account=self._account.name,
                file=path,
                error=why,
                advice="let the server's user write there, or the account ends with this process",
            )
        else:
            self._unkept = ("", "")

    def _read(self, answer: dict[str, Any]) -> tuple[str, float]:
        token = checked_token(answer.get("access_token"))
        seconds = answer.get("expires_in")
        try:
            lasts = float(seconds) if isinstance(seconds, str | int | float) else _UNSAID_SECONDS
        except (ValueError, OverflowError):
            lasts = _UNSAID_SECONDS
        # Also what is no number (NaN), which is not more than anything.
        return token, min(lasts, _LONGEST_SECONDS) if lasts > 0 else 0.0

    @property
    def _log_in_again(self) -> str:
        return f"log in: dsn-processor oauth login {self._account.name}"

    def _advice(self, code: str) -> str:
        by_person = self._options.grant == "refresh_token"
        if code == "invalid_grant" and by_person:
            return f"the consent has ended or was taken back; {self._log_in_again}"
        return _ADVICE.get(code, "docs/oauth.md has what providers say and mean")


#: RFC 6749 section 5.2.
_ADVICE = {
    "invalid_client": "look at client_id and the client's secret: it may have run out, or its id was taken for its value",
    "unauthorized_client": "the application may not have this grant: let the administrator allow it",
    "invalid_scope": "look at scope, and at what the application was permitted",
    "invalid_grant": "look at what the administrator permitted the application",
}


def client_form(options: OAuthOptions) -> dict[str, str]:
    """How the application tells who it is (RFC 6749 section 2.3.1). Raises MailboxError."""
    form = {"client_id": options.client_id}
    if secret := client_secret(options):
        form["client_secret"] = secret
    return form


def client_secret(options: OAuthOptions) -> str:
    """Empty where there is none. Raises MailboxError."""
    if options.client_secret_file:
        return tokenfile.read_secret(options.client_secret_file, "client_secret_file")
    return options.client_secret


def scope(account: AccountOptions) -> str:
    """What is asked for: what the operator wrote, else what the provider calls a mailbox."""
    options = account.oauth2
    assert options is not None
    if options.scope or not options.provider:
        return options.scope
    if options.provider == "google":
        return "https://mail.google.com/"
    if options.grant == "client_credentials":
        return "https://outlook.office365.com/.default"
    protocol = "POP" if isinstance(account, PopOptions) else "IMAP"
    return f"https://outlook.office.com/{protocol}.AccessAsUser.All offline_access"


def checked_token(token: object) -> str:
    """A token as RFC 6749 appendix A.12 has it, and so fit for a command. Raises MailboxError."""
    if not isinstance(token, str) or not 0 < len(token) <= _LONGEST_TOKEN:
        raise MailboxError("the authorization server answers without an access token")
    if not (token.isascii() and token.isprintable()):
        raise MailboxError("the authorization server answers with an access token that is none")
    return token


class Bearer:
    """What a client says in an exchange of XOAUTH2 or OAUTHBEARER: call it with each challenge for the bytes to answer,
    not encoded. ``said`` is what the server found wrong.
    """

    def __init__(self, mechanism: str, username: str, token: str, host: str, port: int) -> None:
        self.mechanism = mechanism
        self.token = token
        self.said = ""
        self._first: bytes | None = (
            oauthbearer(username, token, host, port)
            if mechanism == "OAUTHBEARER"
            else xoauth2(username, token)
        )

    def __call__(self, challenge: bytes) -> bytes:
        if self._first is not None:
            first, self._first = self._first, None
            return first
        # An error is told as a challenge, and ends when it is answered (RFC 7628 section 3.2.3).
        self.said = _told(challenge)
        return b"\x01" if self.mechanism == "OAUTHBEARER" else b""


def choose(mechanism: Mechanism, offered: Collection[str]) -> str:
    """The mechanism to use of those that the server offers. Raises LoginRefusedError."""
    wanted = ("OAUTHBEARER", "XOAUTH2") if mechanism == "auto" else (mechanism.upper(),)
    names = {name.upper() for name in offered}
    for name in wanted:
        if name in names:
            return name
    shown = safe(", ".join(sorted(names))[:_SHOWN]) or "none"
    raise LoginRefusedError(f"the server offers no {' or '.join(wanted)}; its mechanisms: {shown}")


def xoauth2(username: str, token: str) -> bytes:
    """The initial response of XOAUTH2."""
    return f"user={username}\x01auth=Bearer {token}\x01\x01".encode()


def oauthbearer(username: str, token: str, host: str, port: int) -> bytes:
    """The initial response of OAUTHBEARER (RFC 7628 section 3.1)."""
    name = username.replace("=", "=3D").replace(",", "=2C")  # RFC 5801 section 4: saslname
    return f"n,a={name},\x01host={host}\x01port={port}\x01auth=Bearer {token}\x01\x01".encode()


def _told(challenge: bytes) -> str:
    """The JSON that a server refuses a token with, or what else it says, in a line."""
    text = challenge[:4096]
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        try:
            answer = json.loads(base64.b64decode(text, validate=True))
        except (ValueError, RecursionError):
            answer = text.decode("utf-8", "replace")
    if isinstance(answer, dict):
        answer = ", ".join(
            f"{name} {value}" for name, value in answer.items() if isinstance(value, str | int)
        )
    return safe(" ".join(str(answer).split())[:_SHOWN])
