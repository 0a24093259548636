"""What an operator can set of mailboxes to fetch from. Sizes are in octets, times in seconds.

Every account has a ``name`` of its own, by which commands, logs, metrics and variables call it.
"""

import re
from dataclasses import dataclass, field
from datetime import date, timedelta
from math import ceil
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from dsn_processor.listening import ListenAddress
from dsn_processor.units import Seconds, Secret, Size, parse_seconds

Tls = Literal["implicit", "starttls", "none"]
Mechanism = Literal["auto", "xoauth2", "oauthbearer"]

TRACE_HEADERS = ("Delivered-To", "X-Original-To", "Envelope-To", "X-Envelope-To")

_NAME = re.compile(r"[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*")
_HOST = re.compile(r"[A-Za-z0-9_.:-]{1,255}")
_TENANT = re.compile(r"[A-Za-z0-9.-]{1,255}")
_KEYWORD = re.compile(r"\\?[!#$&'+\-./0-9:;<=>?@A-Z^_`a-z|~]{1,100}")  # RFC 9051 section 9: atom, flag
_HEADER = re.compile(r"[!-9;-~]{1,100}")  # RFC 5322 section 3.6.8: ftext
_SYSTEM_FLAGS = ("\\seen", "\\flagged", "\\answered")


class Endpoints(NamedTuple):
    """The addresses of an authorization server (RFC 6749 section 3, RFC 8628 section 3.1); "" is none."""

    token: str
    authorization: str
    device: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthOptions:
    """How to get access tokens (RFC 6749). ``provider`` fills in addresses and scope, which may be given instead;
    ``tenant`` is Microsoft's, a directory's id or domain.

    The grant refresh_token is a person's consent: `dsn-processor oauth login` gets the token and keeps it in
    ``refresh_token_file``. The grant client_credentials is an administrator's, and needs the client's secret.
    """

    provider: Literal["", "google", "microsoft"] = ""
    tenant: str = ""
    grant: Literal["refresh_token", "client_credentials"] = "refresh_token"
    client_id: str
    client_secret: Secret = field(default="", repr=False)
    client_secret_file: str = ""
    refresh_token_file: str = ""
    scope: str = ""
    token_url: str = ""
    authorization_url: str = ""
    device_authorization_url: str = ""
    mechanism: Mechanism = "auto"

    def __post_init__(self) -> None:
        if not self.client_id:
            raise ValueError("client_id is empty: write the one that the provider gave your application")
        if self.tenant and not _TENANT.fullmatch(self.tenant):
            raise ValueError("tenant has to be the directory's id or its domain, such as example.com")
        if self.client_secret and self.client_secret_file:
            raise ValueError("client_secret and client_secret_file are both set: leave one out")
        for name in ("token_url", "authorization_url", "device_authorization_url"):
            _check_url(name, getattr(self, name))
        if not self.endpoints().token:
            raise ValueError(
                'token_url is missing: name it, or the provider, as in provider = "google" or "microsoft"'
            )
        if self.grant == "client_credentials":
            self._check_client_credentials()
        elif not self.refresh_token_file:
            raise ValueError(
                "refresh_token_file is missing: name a file that `dsn-processor oauth login` may write"
            )

    def _check_client_credentials(self) -> None:
        if not (self.client_secret or self.client_secret_file):
            raise ValueError("grant client_credentials needs client_secret_file: name the file that holds it")
        if self.provider == "google":
            raise ValueError(
                'grant client_credentials is not to be had of google: use grant = "refresh_token"'
            )
        if self.provider == "microsoft" and not self.tenant:
            raise ValueError("tenant is missing: grant client_credentials needs your directory's id")

    def endpoints(self) -> Endpoints:
        """The addresses in use: those that are written, else the provider's."""
        preset = Endpoints("", "", "")
        if self.provider == "google":
            preset = _GOOGLE
        elif self.provider == "microsoft":
            root = f"https://login.microsoftonline.com/{self.tenant or 'organizations'}/oauth2/v2.0"
            preset = Endpoints(f"{root}/token", f"{root}/authorize", f"{root}/devicecode")
        return Endpoints(
            self.token_url or preset.token,
            self.authorization_url or preset.authorization,
            self.device_authorization_url or preset.device,
        )


_GOOGLE = Endpoints(
    "https://oauth2.googleapis.com/token",
    "https://accounts.google.com/o/oauth2/v2/auth",
    "",  # it gives no mail to those who type in codes
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountOptions:
    """What IMAP and POP3 accounts have in common. ``port`` 0 is the protocol's own. Without TLS no password leaves for
    another machine, unless ``allow_unencrypted``. Just one of the passwords, or ``oauth2``, is given.

    ``recipient_headers`` are those in which the mailbox's own server wrote whom a mail was for. Mail that is no report
    is left as it is, or taken like the rest.
    """

    name: str
    host: str
    port: int = 0
    tls: Tls = "implicit"
    allow_unencrypted: bool = False
    ca_file: str = ""
    username: str
    password: Secret = field(default="", repr=False)
    password_file: str = ""
    password_command: tuple[str, ...] = ()
    oauth2: OAuthOptions | None = None
    timeout: Seconds = 30.0
    size_limit: Size = 10_000_000
    recipient_headers: tuple[str, ...] = TRACE_HEADERS
    others: Literal["leave", "take"] = "leave"

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or len(self.name) > 64:
            raise ValueError(f"name is {self.name!r}: write letters and digits, with . - _ between them")
        if not _HOST.fullmatch(self.host):
            raise ValueError(f"host is {self.host!r}: write a name such as mail.example.com")
        if not self.username or not _one_line(self.username):
            raise ValueError("username has to be one line of text")
        if self.tls == "none" and not (self.local or self.allow_unencrypted):
            raise ValueError(
                'tls is "none", which would show mails and password to the network: write "implicit" or "starttls"; '
                "where that cannot be had and does no harm, allow_unencrypted = true"
            )
        self._check_secret()
        _check_bounds(self, _ACCOUNT_BOUNDS)
        for header in self.recipient_headers:
            if not _HEADER.fullmatch(header):
                raise ValueError(f"recipient_headers has {header!r}: write names such as Delivered-To")

    def _check_secret(self) -> None:
        given = [name for name in ("password", "password_file", "password_command") if getattr(self, name)]
        given += ["oauth2"] if self.oauth2 is not None else []
        if not given:
            raise ValueError(
                "password_file is missing: name a file that holds the password, or give password_command or oauth2"
            )
        if len(given) > 1:
            raise ValueError(f"{given[0]} and {given[1]} are both set: leave one out")

    @property
    def local(self) -> bool:
        """Whether the server is this machine."""
        return ListenAddress(self.host).local


@dataclass(frozen=True, slots=True, kw_only=True)
class ImapOptions(AccountOptions):
    """An IMAP account. New mail is looked for every ``poll_interval``, and with ``idle`` as soon as the server tells of
    it; ``batch`` mails are fetched and committed together. ``since`` is a date (2026-01-31) or how long ago (30d): older
    mail is left as it is.

    ``after`` is what is done to a mail that is stored: it gets ``flag``, is kept as it is, moved to
    ``processed_folder`` (what cannot be parsed to ``unparsed_folder``, where there is one), or deleted.
    """

    folders: tuple[str, ...] = ("INBOX",)
    poll_interval: Seconds = 300.0
    idle: bool = True
    batch: int = 500
    since: str = ""
    after: Literal["flag", "keep", "move", "delete"] = "flag"
    flag: str = "$Processed"
    processed_folder: str = ""
    unparsed_folder: str = ""

    def __post_init__(self) -> None:
        # Not super(): a dataclass with slots is another class than the one that this was written in.
        AccountOptions.__post_init__(self)
        _check_bounds(self, _IMAP_BOUNDS)
        if not self.folders:
            raise ValueError('folders is empty: name one, as in folders = ["INBOX"]')
        for name in (*self.folders, self.processed_folder, self.unparsed_folder):
            if not _one_line(name):
                raise ValueError(f"folders: {name!r} is no name of a folder")
        if "" in self.folders:
            raise ValueError('folders has an empty name: write names such as "INBOX"')
        if not _KEYWORD.fullmatch(self.flag) or (
            self.flag[0] == "\\" and self.flag.lower() not in _SYSTEM_FLAGS
        ):
            raise ValueError(f"flag is {self.flag!r}: write a keyword such as $Processed, or \\\\Seen")
        self._check_moving()
        self.since_date(date(2026, 1, 1))

    def _check_moving(self) -> None:
        if self.after == "move" and not self.processed_folder:
            raise ValueError('processed_folder is missing: after = "move" needs it')
        if self.after != "move" and (self.processed_folder or self.unparsed_folder):
            name = "processed_folder" if self.processed_folder else "unparsed_folder"
            raise ValueError(
                f'{name} is set, and nothing is moved there: write after = "move", or leave it out'
            )
        for name in ("processed_folder", "unparsed_folder"):
            if getattr(self, name) in self.folders:
                raise ValueError(f"{name} is one of folders: what is moved there would be read again")

    def since_date(self, today: date) -> date | None:
        """The first day whose mail is looked at; None is any. Raises ValueError."""
        if not self.since:
            return None
        try:
            return date.fromisoformat(self.since)
        except ValueError:
            pass
        try:
            return today - timedelta(days=ceil(parse_seconds(self.since) / 86_400))
        except (ValueError, OverflowError):
            raise ValueError(f"since is {self.since!r}: write a date such as 2026-01-31, or 30d") from None

    @property
    def port_in_use(self) -> int:
        return self.port or (993 if self.tls == "implicit" else 143)


@dataclass(frozen=True, slots=True, kw_only=True)
class PopOptions(AccountOptions):
    """A POP3 account. The mailbox is looked at every ``poll_interval``: POP3 tells nothing of itself. ``after`` a mail is
    stored it is kept or deleted. A mail over ``size_limit`` is kept as its head.
    """

    poll_interval: Seconds = 300.0
    batch: int = 100
    after: Literal["keep", "delete"] = "keep"

    def __post_init__(self) -> None:
        AccountOptions.__post_init__(self)
        _check_bounds(self, _POP_BOUNDS)

    @property
    def port_in_use(self) -> int:
        return self.port or (995 if self.tls == "implicit" else 110)


def _one_line(text: str) -> bool:
    """Whether a text can stand in a command: nothing in it ends a line or hides."""
    return len(text) <= 1_000 and text.isprintable()


def _check_url(name: str, url: str) -> None:
    """Tokens and secrets are sent there: https, or this machine."""
    if not url:
        return
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError(f"{name} is no address: write https://...") from None
    if not host or not url.isprintable() or " " in url or parts.username is not None or parts.fragment:
        raise ValueError(f"{name} is no address: write https://...")
    if parts.scheme != "https" and not (parts.scheme == "http" and ListenAddress(host).local):
        raise ValueError(f"{name} has to begin with https://: secrets are sent there")


# name, least, most
_ACCOUNT_BOUNDS = (
    ("port", 0, 65_535),
    ("timeout", 1, 600),
    ("size_limit", 1_000, 1_000_000_000),
)
_IMAP_BOUNDS = (
    ("poll_interval", 1, 300),
    ("batch", 1, 1_000),
)
_POP_BOUNDS = (
    ("poll_interval", 1, 3_600),
    ("batch", 1, 1_000),
)


def _check_bounds(options: AccountOptions, bounds: tuple[tuple[str, float, float], ...]) -> None:
    for name, least, most in bounds:
        if not least <= getattr(options, name) <= most:
            raise ValueError(f"{name} has to be from {least} to {most}")
