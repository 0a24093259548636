"""A connection to an IMAP account: logged in, bounded in what it takes, its errors told in words."""

import re
import select
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import date
from typing import Any, NamedTuple

from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientError, IMAPClientReadOnlyError, ProtocolError
from imapclient.response_parser import parse_fetch_response

from dsn_processor.errors import LoginRefusedError, MailboxError
from dsn_processor.intake.mailbox.credentials import Credentials, tls_context
from dsn_processor.intake.mailbox.numbers import CHUNK, set_of
from dsn_processor.intake.mailbox.options import ImapOptions
from dsn_processor.intake.mailbox.wire import Wire

_LINE = 1_000  # octets that a response says beside a mail
_FLAGGED = 20 * CHUNK + 1_000  # lines that a command to flag mails may bring
_LEAST = 200_000  # octets that any command may bring: a folder may have many flags, and others may change them meanwhile
_FOUND = 11  # octets of a number that SEARCH finds
_MOST_FOUND = 2_000_000  # mails that are told of at a time
_SLOWEST = 20_000  # octets a second
_USUAL = re.compile(rb"\d+ \(UID (\d{1,10}) BODY\[\] \{\d+\}")  # of a mail, before its octets
# What says that the login is not to blame (RFC 5530 section 3).
_PASSING = ("[UNAVAILABLE]", "[INUSE]", "[SERVERBUG]", "[CONTACTADMIN]", "[LIMIT]")


class CommandRefusedError(MailboxError):
    """The server said no to one command; the connection is as good as before."""


class Folder(NamedTuple):
    """The selected folder. ``readonly``: mails in it cannot be flagged or moved. ``keywords``: any flag may be given.
    ``uid_next`` is the number of the mail to come, as far as the server tells.
    """

    name: str
    uid_validity: int
    exists: int
    readonly: bool
    flags: tuple[str, ...]
    keywords: bool
    uid_next: int | None


class _Client(IMAPClient):  # type: ignore[misc]  # it has no types
    """IMAPClient over our wire."""

    def __init__(self, options: ImapOptions, context: ssl.SSLContext | None) -> None:
        self._options = options
        self._context = context
        super().__init__(
            options.host, options.port_in_use, ssl=options.tls == "implicit", timeout=options.timeout
        )
        # It has each line formatted for a log, the password among them.
        self._imap.debug = 0
        self._imap._mesg = _say_nothing  # noqa: SLF001

    def _create_IMAP4(self) -> Wire:  # noqa: N802
        context = self._context if self._options.tls == "implicit" else None
        return Wire(self.host, self.port, self._options.timeout, context)


def _say_nothing(*_: Any) -> None:
    pass


class Session:
    """One connection, for one thread; but ``hang_up`` is for any. Each method raises MailboxError, and
    CommandRefusedError where the connection is still good.
    """

    def __init__(self, options: ImapOptions) -> None:
        """Connect, in private where the options say so. Nothing of the account has been sent then."""
        self._options = options
        self._where = f"{options.host}:{options.port_in_use}"
        self._secret = ""
        self.told: set[tuple[str, str]] = set()
        with self._told("cannot be reached"):
            context = None if options.tls == "none" else tls_context(options)
            self._client = _Client(options, context)
        self._wire: Wire = self._client._imap  # noqa: SLF001
        if options.tls == "starttls":
            try:
                self._start_tls(context)
            except BaseException:
                self.hang_up()
                self._wire.shutdown()
                raise

    def _start_tls(self, context: ssl.SSLContext | None) -> None:
        if self._wire.state != "NONAUTH" or "STARTTLS" not in self._wire.capabilities:
            raise MailboxError(
                f"{self._where} does not offer STARTTLS, so no password was sent: somebody in between may have taken it "
                'away; try tls = "implicit", or ask whoever runs the server'
            )
        with self._told("STARTTLS failed"):
            self._allow()
            self._client.starttls(context)

    def log_in(self, credentials: Credentials) -> None:
        """Raises LoginRefusedError where the server does not take the password or token."""
        if self._wire.state != "NONAUTH":
            raise MailboxError(
                f"{self._where} takes us for somebody who is logged in already: check host and port"
            )
        try:
            self._log_in(credentials)
        except OSError as error:
            raise self._fault("log in", error) from None
        except IMAPClient.AbortError as error:
            raise self._fault("log in", error) from None
        except IMAPClientError as error:
            if any(word in str(error).upper() for word in _PASSING):
                raise self._fault("log in", error) from None
            raise LoginRefusedError(
                f"{self._where} refuses the login of {self._options.username}: {self._clean(error)}"
            ) from None
        with self._told("ask what it can"):
            self._allow()
            told = self._wire.capability()[1][-1]  # the last of what was said of it
            self.capabilities = frozenset(told.decode("ascii", "replace").upper().split())
            self._client._cached_capabilities = tuple(told.upper().split())  # noqa: SLF001  it may hold what was said before

    def _log_in(self, credentials: Credentials) -> None:
        user = self._options.username
        offered = self._wire.capabilities
        self._allow()
        if credentials.by_token:
            mechanisms = [word.removeprefix("AUTH=") for word in offered if word.startswith("AUTH=")]
            bearer = credentials.bearer(mechanisms, self._options.port_in_use)
            self._secret = bearer.token
            self._client.sasl_login(bearer.mechanism, bearer)
            return
        self._secret = credentials.password()
        if "AUTH=PLAIN" in offered:
            self._client.plain_login(user, self._secret)
        else:
            self._plain_command(user, self._secret)

    def _plain_command(self, user: str, password: str) -> None:
        if "LOGINDISABLED" in self._wire.capabilities:
            raise LoginRefusedError(
                f'{self._where} takes no password without TLS: set tls = "implicit" or "starttls"'
            )
        if not (user.isascii() and password.isascii()):
            raise LoginRefusedError(f"{self._where} takes no name or password beyond ASCII: set another one")
        # imaplib quotes the password alone.
        self._client._command_and_check("login", self._wire._quote(user), password)  # noqa: SLF001

    # ---- reading

    def select(self, name: str, *, readonly: bool = False) -> Folder:
        """Open a folder; ``readonly`` where it cannot be written, too."""
        with self._told(f"folder {name}"):
            self._allow(lines=10_000)
            try:
                found = self._client.select_folder(name, readonly)
            except IMAPClientReadOnlyError:
                readonly = True
                self._allow(lines=10_000)
                found = self._client.select_folder(name, readonly)
            flags = tuple(flag.decode("ascii", "replace") for flag in found.get(b"PERMANENTFLAGS", ()))
            return Folder(
                name,
                found[b"UIDVALIDITY"],
                found[b"EXISTS"],
                readonly,
                flags,
                "\\*" in flags,
                found.get(b"UIDNEXT"),
            )

    def search(self, after: int, since: date | None) -> list[int]:
        """The numbers of mails beyond ``after``, in order."""
        with self._told("search"):
            self._allow(_FOUND * _MOST_FOUND, lines=10_000)
            criteria: list[Any] = ["UID", f"{after + 1}:*"]
            if since is not None:
                criteria += ["SINCE", since]
            # n:* names the last mail, too, where all are before n.
            return sorted({uid for uid in self._client.search(criteria) if uid > after})

    def larger(self, first: int, last: int, octets: int) -> list[int]:
        """The mails with numbers from ``first`` to ``last`` that are larger than so many octets."""
        with self._told("search"):
            self._allow(_FOUND * _MOST_FOUND, lines=10_000)
            return list(self._client.search(["UID", f"{first}:{last}", "LARGER", octets]))

    def sizes(self, uids: Sequence[int]) -> dict[int, int]:
        """How large mails are that are still there, as far as the server knows."""
        found = self._fetch(uids, "RFC822.SIZE", len(uids) * _LINE)
        return {
            uid: one[b"RFC822.SIZE"] for uid, one in found.items() if isinstance(one.get(b"RFC822.SIZE"), int)
        }

    def bodies(self, uids: Sequence[int], size: int) -> dict[int, bytes]:
        """Whole mails, unread as before. ``size`` is what they have together; some servers tell it a little wrong."""
        with self._told("fetch"):
            self._allow(2 * size + len(uids) * _LINE, lines=20 * len(uids) + 1_000)
            return self._fetch_bodies(uids)

    def head(self, uid: int, octets: int) -> bytes | None:
        """The first octets of a mail; None where it has gone."""
        found = self._fetch([uid], f"BODY.PEEK[]<0.{octets}>", octets + _LINE)
        body = found.get(uid, {}).get(b"BODY[]<0>")
        return body[:octets] if isinstance(body, bytes) else None

    def _fetch(self, uids: Sequence[int], what: str, size: int) -> dict[int, dict[bytes, Any]]:
        with self._told("fetch"):
            self._allow(size, lines=20 * len(uids) + 1_000)
            found: dict[int, dict[bytes, Any]] = self._client.fetch(uids, [what])
            return found

    def _fetch_bodies(self, uids: Sequence[int]) -> dict[int, bytes]:
        """As the client does it, but for the usual answer, which needs no parser: a line, the mail, a bracket."""
        wire = self._wire
        tag = wire._command("UID", "FETCH", set_of(uids), "(BODY.PEEK[])")  # noqa: SLF001
        kind, data = wire._command_complete("FETCH", tag)  # noqa: SLF001
        self._client._checkok("fetch", kind, data)  # noqa: SLF001
        kind, data = wire._untagged_response(kind, data, "FETCH")  # noqa: SLF001
        found, others = {}, []
        waiting = iter(data)
        for one in waiting:
            usual = isinstance(one, tuple) and _USUAL.fullmatch(one[0])
            if not usual:
                others.append(one)
            elif (behind := next(waiting, None)) == b")":
                found[int(usual[1])] = one[1]
            else:
                others += [one, behind]
        if others and others != [None]:
            for uid, one in parse_fetch_response(others).items():
                if isinstance(one.get(b"BODY[]"), bytes):
                    found[uid] = one[b"BODY[]"]
        asked = set(uids)
        return {uid: body for uid, body in found.items() if uid in asked}

    # ---- writing: uids are a set of them, as numbers.py makes it

    def flag(self, uids: str, flag: str) -> None:
        with self._told(f"flag {flag}"):
            self._allow(lines=_FLAGGED)
            self._client.add_flags(uids, [flag], silent=True)

    def move(self, uids: str, folder: str) -> None:
        """Move mails. Where the server can neither move nor expunge single mails, copies are made, and the mails stay."""
        with self._told(f"move to {folder}"):
            if "MOVE" in self.capabilities:
                self._into(folder, lambda: self._client.move(uids, folder))
                return
            self._into(folder, lambda: self._client.copy(uids, folder))
            if self.expunges:
                self._delete(uids)

    def delete(self, uids: str) -> None:
        """Delete mails, these alone; where the server can expunge all or nothing, they are marked as deleted."""
        with self._told("delete"):
            self._delete(uids)

    def _delete(self, uids: str) -> None:
        self._allow(lines=_FLAGGED)
        self._client.add_flags(uids, ["\\Deleted"], silent=True)
        if self.expunges:
            self._allow(lines=_FLAGGED)
            self._client.uid_expunge(uids)

    def _into(self, folder: str, move: Callable[[], Any]) -> None:
        self._allow(lines=100_000)
        try:
            move()
        except IMAPClientError as error:
            if "[TRYCREATE]" not in str(error).upper():
                raise
            self._allow()
            self._client.create_folder(folder)
            self._allow(lines=100_000)
            move()

    @property
    def expunges(self) -> bool:
        """Whether mails can be taken away one by one (RFC 4315)."""
        return "UIDPLUS" in self.capabilities or "IMAP4REV2" in self.capabilities

    # ---- waiting

    def idle(self, seconds: float, bell: int) -> None:
        """Wait until the server tells of something, the descriptor ``bell`` can be read, or time is over (RFC 2177)."""
        with self._told("idle"):
            self._allow(lines=1_000)
            self._client.idle()
            if not self._wire.unread:
                _readable((self._wire.sock.fileno(), bell), seconds)
            self._allow(lines=10_000)
            self._client.idle_done()

    def hang_up(self) -> None:
        """Break the connection, whatever is going on."""
        self._wire.hang_up()

    def close(self) -> None:
        """Log out where that is quick, and close."""
        with suppress(Exception):
            self._wire.sock.settimeout(min(2.0, self._options.timeout))
            self._allow(seconds=2.0)
            self._client.logout()
        self._wire.shutdown()

    # ---- bounds and words

    def _allow(self, octets: int = 0, *, lines: int = 1_000, seconds: float = 0.0) -> None:
        octets += _LEAST
        self._wire.allow(octets, lines, seconds or 4 * self._options.timeout + octets / _SLOWEST)

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """What goes wrong in the block, as MailboxError without secrets."""
        try:
            yield
        except MailboxError:
            raise
        except (IMAPClientError, OSError) as error:
            raise self._fault(what, error) from None
        except (ValueError, KeyError, IndexError, TypeError, AttributeError, AssertionError) as error:
            # What the server says is not IMAP, and the library met that unprepared.
            raise MailboxError(
                f"{self._where}: {what}: it does not speak IMAP as we know it: {self._clean(error)}"
            ) from None

    def _fault(self, what: str, error: Exception) -> MailboxError:
        text = f"{self._where}: {what}: {self._reason(error)}"
        if isinstance(error, IMAPClientError) and not isinstance(
            error, (IMAPClient.AbortError, ProtocolError)
        ):
            return CommandRefusedError(text)
        return MailboxError(text)

    def _reason(self, error: Exception) -> str:
        if isinstance(error, ssl.SSLCertVerificationError):
            return (
                f"its certificate is not to be trusted, so no password was sent: {error.verify_message}; check host, or "
                "name its authority's certificates as ca_file"
            )
        if isinstance(error, TimeoutError):
            return f"no answer within {self._options.timeout:g} s"
        if isinstance(error, socket.gaierror):
            return f"its name cannot be looked up: {error.strerror}"
        if isinstance(error, OSError):
            return error.strerror or str(error) or type(error).__name__
        return self._clean(error)

    def _clean(self, error: object) -> str:
        """What a stranger said, short, and without what we sent in confidence."""
        text = str(error)
        if self._secret:
            text = text.replace(self._secret, "***")
        return text[:300]


def _readable(descriptors: Sequence[int], seconds: float) -> None:
    """Wait until one of them can be read, or for so many seconds."""
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0 and not poll.poll(left * 1000):
        pass
