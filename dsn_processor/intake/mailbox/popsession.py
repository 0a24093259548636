"""A connection to a POP3 account (RFC 1939): poplib's dialogue, bounded in what it takes, its errors told in words.

poplib gives up at a line of 2,048 octets, which mails do have, and takes responses without an end. Here a line may be as
long as the response, and how long that may be is known before it is asked for.
"""

import base64
import poplib
import re
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from dsn_processor.errors import LoginRefusedError, MailboxError
from dsn_processor.intake.mailbox.credentials import Credentials, tls_context
from dsn_processor.intake.mailbox.options import PopOptions
from dsn_processor.intake.mailbox.wire import connect
from dsn_processor.safe import safe

_PIECE = 2**16
_LINE = 8_192  # octets of a response of one line: RFC 1939 has 512, error texts more
_LONG_LINE = 1_000_000  # octets of a line that are handed on at a time
_MOST_MAILS = 300_000  # that are told of at a time
_LARGEST = 1_000_000_000  # octets of a mail, whatever LIST said
_LISTED = 100  # octets of a line of a list: a number and a size, or a unique-id of 70 characters
_SPARE = 1_000_000  # octets that a mail may have beyond what LIST said: servers count line ends in ways of their own
_SHORT_LINE = (
    40  # octets of a line of a large mail, at least and on the average: most are encoded, and have 76
)
_SLOWEST = 20_000  # octets a second
_SHOWN = 300
_NUMBER = re.compile(rb"[0-9]{1,9}")
_SIZE = re.compile(rb"[0-9]{1,12}")
_UID = re.compile(rb"[!-~]{1,200}")  # RFC 1939 section 7 has 70 characters at most
# What says that the password is not to blame (RFC 2449 section 8, RFC 3206), and how servers say it that know no codes.
_PASSING = re.compile(
    r"\[(?:IN-USE|LOGIN-DELAY|SYS/TEMP)\]|\block|\bin use|\bbusy|temporar|unavailable|try again|later|too many|exceed|EOF",
    re.IGNORECASE,
)


class RefusedError(MailboxError):
    """The server said no to one command; the connection is as good as before."""


class Listed(NamedTuple):
    """A mail as the server lists it: its number in this connection, its unique-id, its size in octets."""

    number: int
    uid: str
    size: int


class Wire(poplib.POP3):
    """poplib's protocol over a buffer of our own. Raises OSError where a response is more than was allowed."""

    if TYPE_CHECKING:  # what poplib has and its types do not tell

        def _putline(self, line: bytes) -> None: ...
        def _getresp(self) -> bytes: ...
        def _shortcmd(self, line: str) -> bytes: ...

    def __init__(self, host: str, port: int, timeout: float, context: ssl.SSLContext | None) -> None:
        self._context = context
        self._buffer = bytearray()
        self._searched = 0
        self.allow(_LINE, 2 * timeout)
        try:
            super().__init__(host, port, timeout)
        except BaseException:
            if hasattr(self, "sock"):
                self.close()
            raise

    def allow(self, octets: int, seconds: float) -> None:
        """Say how much the response to come may take."""
        self._octets = octets
        self._deadline = time.monotonic() + seconds

    def hang_up(self) -> None:
        """Close at once, whatever is going on: another thread may be reading. Safe to call from any thread."""
        with suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)

    def command(self, line: str) -> bytes:
        """The answer to a command of one line, without what it begins with."""
        return self._shortcmd(line).partition(b" ")[2]

    def answer(self, words: bytes) -> bytes:
        """Send the next line of an exchange."""
        self._putline(words)
        return self._getresp()

    def lines(self, command: str) -> Iterator[bytes]:
        """The lines of a longer answer as they come, with their ends; one that is very long in pieces."""
        self._shortcmd(command)
        begins = True
        while (piece := self.line()) not in {b".\r\n", b".\n"} or not begins:
            yield piece[1:] if begins and piece.startswith(b"..") else piece
            begins = piece.endswith(b"\n")

    def start_tls(self, context: ssl.SSLContext) -> None:
        self._shortcmd("STLS")
        if self._buffer:
            # What came in plain text behind the answer would be believed to have come in private.
            raise ConnectionAbortedError("it sent more than the answer to STLS")
        self.sock = context.wrap_socket(self.sock, server_hostname=self.host)

    def line(self) -> bytes:
        """A line with its end; of one that is very long a piece."""
        while (end := self._buffer.find(b"\n", self._searched)) < 0:
            self._searched = len(self._buffer)
            if self._searched >= _LONG_LINE:
                end = self._searched - 1
                break
            self._receive()
        taken = bytes(self._buffer[: end + 1])
        del self._buffer[: end + 1]
        self._searched = 0
        return taken

    def _receive(self) -> None:
        if time.monotonic() > self._deadline:
            raise TimeoutError
        data = self.sock.recv(_PIECE)
        if not data:
            raise ConnectionAbortedError("it closed the connection")
        self._octets -= len(data)
        if self._octets < 0:
            raise ConnectionAbortedError("its response was longer than it may be")
        self._buffer += data

    # ---- what poplib asks for

    def _create_socket(self, timeout: float) -> socket.socket:
        return connect(self.host, self.port, timeout, self._context)

    def _getline(self) -> tuple[bytes, int]:
        line = self.line()
        return line.rstrip(b"\r\n"), len(line)


def _is_no(error: poplib.error_proto) -> bool:
    """Whether it is a server's answer, and not something that is none."""
    return bool(error.args[0].upper().startswith(b"-ERR"))


class PopSession:
    """One connection, for one thread; but ``hang_up`` is for any. Each method raises MailboxError, and RefusedError where
    the connection is still good.
    """

    def __init__(self, options: PopOptions) -> None:
        """Connect, in private where the options say so. Nothing of the account has been sent then."""
        self._options = options
        self._where = f"{options.host}:{options.port_in_use}"
        self._secret = self._encoded = ""
        self._has_top = False
        context = None if options.tls == "none" else tls_context(options)
        with self._told("connect"):
            self._wire = Wire(
                options.host,
                options.port_in_use,
                options.timeout,
                context if options.tls == "implicit" else None,
            )
        if options.tls == "starttls":
            assert context is not None
            try:
                self._start_tls(context)
            except BaseException:
                self.close()
                raise

    def _start_tls(self, context: ssl.SSLContext) -> None:
        if "STLS" not in self._capabilities():
            raise MailboxError(
                f"{self._where} does not offer STLS, so no password was sent: somebody in between may have taken it away; "
                'try tls = "implicit", or ask whoever runs the server'
            )
        with self._told("STLS"):
            self._allow()
            self._wire.start_tls(context)

    def _capabilities(self) -> dict[str, list[str]]:
        """RFC 2449; none where the server does not know of them."""
        with self._told("CAPA"):
            self._allow(1_000)
            try:
                lines = [line.decode("ascii", "replace").split() for line in self._wire.lines("CAPA")]
            except poplib.error_proto:
                return {}
        return {words[0].upper(): [word.upper() for word in words[1:]] for words in lines if words}

    def log_in(self, credentials: Credentials) -> None:
        """Raises LoginRefusedError where the server does not take the password or token."""
        offered = self._capabilities()
        self._has_top = "TOP" in offered
        said = ""
        with self._told("log in"):
            try:
                if credentials.by_token:
                    said = self._exchange(credentials, offered)
                else:
                    self._secret = credentials.password()
                    self._give_password(self._options.username, plain="PLAIN" in offered.get("SASL", []))
            except poplib.error_proto as error:
                if not _is_no(error):
                    raise
                text = self._clean(error)
                if _PASSING.search(text):
                    raise MailboxError(f"{self._where}: log in: {text}") from None
                said = text
        if said:
            raise LoginRefusedError(f"{self._where} refuses the login of {self._options.username}: {said}")

    def _give_password(self, user: str, *, plain: bool) -> None:
        """By SASL (RFC 4616, RFC 5034) where that is offered: USER and PASS have no room for blanks or beyond ASCII."""
        self._allow()
        if plain:
            self._wire.command("AUTH PLAIN")
            self._allow()
            words = base64.b64encode(f"\0{user}\0{self._secret}".encode())
            self._encoded = words.decode()
            self._wire.answer(words)
            return
        self._wire.command(f"USER {user}")
        self._allow()
        self._wire.command(f"PASS {self._secret}")

    def _exchange(self, credentials: Credentials, offered: dict[str, list[str]]) -> str:
        """Log in by token (RFC 5034); returns what the server found wrong with it."""
        bearer = credentials.bearer(offered.get("SASL", []), self._options.port_in_use)
        self._secret = bearer.token
        self._allow()
        # Not with the command: Microsoft takes it on a line of its own alone.
        challenge = self._wire.command(f"AUTH {bearer.mechanism}")
        answer = self._wire.answer(base64.b64encode(bearer(challenge)))
        try:
            while answer.startswith(b"+ "):
                self._allow()
                answer = self._wire.answer(base64.b64encode(bearer(answer[2:])))
        except poplib.error_proto as error:
            return bearer.said or self._clean(error)
        return ""

    # ---- reading

    def listed(self) -> list[Listed]:
        """The mails in the mailbox, in order. Raises MailboxError where the server cannot tell them apart."""
        sizes: dict[int, int] = {}
        found = []
        with self._told("list"):
            self._allow(_LISTED * _MOST_MAILS)
            for line in self._wire.lines("LIST"):
                number, size = self._pair(line, _SIZE)
                sizes[number] = int(size)
            self._allow(2 * _LISTED * _MOST_MAILS)
            for line in self._wire.lines("UIDL"):
                number, uid = self._pair(line, _UID)
                found.append(Listed(number, uid.decode("ascii"), sizes.get(number, 0)))
        return found

    def _pair(self, line: bytes, what: re.Pattern[bytes]) -> tuple[int, bytes]:
        words = line.split()
        if len(words) < 2 or not _NUMBER.fullmatch(words[0]) or not what.fullmatch(words[1]):
            raise ConnectionAbortedError(f"it lists what is no mail: {line[:100]!r}")
        return int(words[0]), words[1]

    def fetch(self, mail: Listed, limit: int) -> tuple[bytes, bool]:
        """The mail, or its first ``limit`` octets, and whether it was cut. Of a larger one no more is asked for than that
        takes, where the server can tell the top of a mail; else the rest of it comes, and is not kept.
        """
        if mail.size > limit and self._has_top:
            lines = limit // _SHORT_LINE
            with suppress(RefusedError):
                kept, body = self._kept(f"TOP {mail.number} {lines}", mail, limit)
                return kept[:limit], len(kept) > limit or body >= lines
        kept, _ = self._kept(f"RETR {mail.number}", mail, limit)
        return kept[:limit], len(kept) > limit

    def _kept(self, command: str, mail: Listed, limit: int) -> tuple[bytes, int]:
        """A little more than the first ``limit`` octets of what comes, and how many lines come behind the header."""
        kept = bytearray()
        body = -1
        octets = min(mail.size + mail.size // 10, _LARGEST) + _SPARE
        with self._told(f"fetch mail {mail.uid}"):
            self._allow(octets)
            for line in self._wire.lines(command):
                if len(kept) <= limit:
                    kept += line
                if body >= 0:
                    body += line.endswith(b"\n")
                elif line in {b"\r\n", b"\n"}:
                    body = 0
        return bytes(kept), body

    # ---- writing

    def delete(self, mail: Listed) -> None:
        """Mark a mail; it is gone after ``quit``."""
        with self._told(f"delete mail {mail.uid}"):
            self._allow()
            self._wire.command(f"DELE {mail.number}")

    def quit(self) -> None:
        """End in good order: what was marked is deleted now, and not before."""
        with self._told("end"):
            self._allow()
            self._wire.command("QUIT")

    def close(self) -> None:
        """Close the connection, whatever its state. What was marked stays, unless ``quit`` was called."""
        with suppress(OSError, ValueError):
            self._wire.close()

    def hang_up(self) -> None:
        """Break the connection off."""
        self._wire.hang_up()

    # ---- words

    def _allow(self, octets: int = _LINE) -> None:
        self._wire.allow(octets, 2 * self._options.timeout + octets / _SLOWEST)

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Turns errors into words without secrets."""
        try:
            yield
        except ssl.SSLCertVerificationError as error:
            raise MailboxError(
                f"{self._where}: its certificate is not to be trusted, so no password was sent: {error.verify_message}; "
                "check host, or name its authority's certificates as ca_file"
            ) from None
        except TimeoutError:
            raise MailboxError(
                f"{self._where}: {what}: no answer within {self._options.timeout:g} s"
            ) from None
        except socket.gaierror as error:
            raise MailboxError(f"{self._where}: its name cannot be looked up: {error.strerror}") from None
        except OSError as error:
            raise MailboxError(
                f"{self._where}: {what}: {error.strerror or str(error) or type(error).__name__}"
            ) from None
        except poplib.error_proto as error:
            if _is_no(error):
                raise RefusedError(f"{self._where}: {what}: {self._clean(error)}") from None
            raise MailboxError(
                f"{self._where}: {what}: it does not speak POP3 as we know it: {self._clean(error)}"
            ) from None

    def _clean(self, error: object) -> str:
        """What a stranger said, short, and without what we sent in confidence."""
        said = error.args[0] if isinstance(error, Exception) and error.args else error
        text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
        for secret in filter(None, (self._encoded, self._secret)):
            text = text.replace(secret, "***")
        return safe(" ".join(text.removeprefix("-ERR").split())[:_SHOWN]) or "no, without a reason"
