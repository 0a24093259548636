"""An IMAP server that does what a test says, and not what is right."""

import re
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

_MOST = 200_000_000  # octets that it sends at most, if nobody stops it

CAPABILITIES = "IMAP4rev1 AUTH=PLAIN UIDPLUS MOVE"


class Talk:
    """One connection. ``answer`` has the usual answer to a command sent; ``send`` sends octets as they are."""

    def __init__(self, connection: socket.socket, server: "Scripted") -> None:
        self.connection = connection
        self._server = server
        self._file = connection.makefile("rb")

    def send(self, octets: bytes) -> None:
        self.connection.sendall(octets)
        self._server.sent += len(octets)

    def hang_up(self) -> None:
        self.connection.shutdown(socket.SHUT_RDWR)
        raise ConnectionResetError

    def flood(self, octets: bytes) -> None:
        """Send it again and again, until the client goes."""
        piece = octets * max(1, 60_000 // len(octets))
        while self._server.sent < _MOST:
            self.send(piece)

    def command(self) -> tuple[str, str]:
        """The next command: its tag, and what it says."""
        line = self._file.readline()
        self._server.received += line
        tag, _, rest = line.decode("latin-1").strip().partition(" ")
        if not tag:
            raise ConnectionResetError
        return tag, rest

    def answer(self, tag: str, said: str) -> None:
        """As a server would that has one mail."""
        verb = said.upper()
        if verb.startswith("CAPABILITY"):
            self.send(f"* CAPABILITY {self._server.capabilities}\r\n".encode())
        elif verb.startswith("AUTHENTICATE"):
            self.send(b"+ \r\n")
            self._server.received += self._file.readline()
        elif verb.startswith(("SELECT", "EXAMINE")):
            flags = self._server.flags
            self.send(f"* 1 EXISTS\r\n* 0 RECENT\r\n* FLAGS ({flags})\r\n".encode())
            self.send(f"* OK [PERMANENTFLAGS ({flags})] Ok\r\n* OK [UIDVALIDITY 7] Ok\r\n".encode())
        elif verb.startswith("UID SEARCH"):
            self.send(b"* SEARCH 1\r\n")
        elif verb.startswith("UID FETCH") and "RFC822.SIZE" in verb:
            self.send(f"* 1 FETCH (UID 1 RFC822.SIZE {len(self._server.mail)})\r\n".encode())
        elif verb.startswith("UID FETCH"):
            mail = self._server.mail
            part = "<0>" if "<0." in verb else ""
            self.send(f"* 1 FETCH (UID 1 BODY[]{part} {{{len(mail)}}}\r\n".encode() + mail + b")\r\n")
        elif verb.startswith("LOGOUT"):
            self.send(b"* BYE\r\n")
        self.send(f"{tag} OK done\r\n".encode())


class Scripted:
    """Serves each connection by ``script``, which is told the talk and each command; where it returns False, the usual answer is
    given. ``greeting`` is sent first.
    """

    def __init__(
        self,
        script: Callable[[Talk, str, str], bool] = lambda *_: False,
        *,
        greeting: bytes | Callable[[Talk], None] = b"* OK ready\r\n",
        capabilities: str = CAPABILITIES,
        flags: str = "\\Seen \\Deleted \\*",
        mail: bytes = b"",
        certificate: tuple[Path, Path] | None = None,
    ) -> None:
        self._script, self._greeting = script, greeting
        self.capabilities, self.flags, self.mail = capabilities, flags, mail
        self.sent = 0
        self.received = b""
        self.connections = 0
        self._talking: socket.socket | None = None
        self._context = None
        if certificate is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(*certificate)

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        with suppress(OSError):
            if self._talking is not None:
                self._talking.shutdown(socket.SHUT_RDWR)
        self._thread.join(20)
        self._listener.close()
        assert not self._thread.is_alive()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            connection.settimeout(5)
            self._talking = connection
            with suppress(OSError, ssl.SSLError):
                if self._context is not None:
                    connection = self._context.wrap_socket(connection, server_side=True)
                self._talk(Talk(connection, self))
            connection.close()

    def _talk(self, talk: Talk) -> None:
        with talk._file:
            if callable(self._greeting):
                self._greeting(talk)
            else:
                talk.send(self._greeting)
            while True:
                tag, said = talk.command()
                if not self._script(talk, tag, said):
                    talk.answer(tag, said)

    def verbs(self) -> list[str]:
        """The commands that were sent, without tags."""
        lines = self.received.decode("latin-1").splitlines()
        return [match[1] for line in lines if (match := re.match(r"\S+ ((?:UID )?[A-Z]+)", line))]
