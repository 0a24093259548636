"""The control socket: how a command hands over to the server that holds the database. This side asks.

A message is two lengths, a header (JSON) and a body (bytes). The socket lies beside the database, for its owner alone.
A body that holds facts is pickled, in one direction only: the server unpickles facts and nothing else, from its own user
or root; what it answers is JSON.
"""

import io
import json
import os
import pickle
import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, Self, TypeVar

from dsn_processor import __version__
from dsn_processor.bulk import Prepared
from dsn_processor.errors import DsnProcessorError, StoreBusyError, StoreError, StoreFullError
from dsn_processor.facts import InboundMessage, Send
from dsn_processor.pipeline import Accepted, Outcome
from dsn_processor.record.entries import AccountStatus, MailboxMail, MailboxNote, MailboxPosition, NewReport
from dsn_processor.server.mailboxes import mail_of, position_of, status_of, status_words
from dsn_processor.terms import Kind

_Fact = TypeVar("_Fact", Prepared, NewReport, Send)

LENGTHS = struct.Struct("!IQ")
HEADER_LIMIT = 64 * 2**20
BODY_LIMIT = 512 * 2**20
_ANSWER_SECONDS = 60.0
_FAULTS = {"busy": StoreBusyError, "full": StoreFullError, "store": StoreError}


def control_path(database: Path) -> Path:
    """Where the server that holds this database listens, behind all links."""
    return Path(f"{os.path.realpath(database)}-control")


@contextmanager
def short_name(path: Path) -> Iterator[str]:
    """A name for ``path`` that fits into a socket's address (107 bytes), by way of its open folder."""
    if len(os.fsencode(path)) < 100 or not os.path.isdir("/proc/self/fd"):  # noqa: PTH112
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def message(header: dict[str, Any], body: bytes = b"") -> bytes:
    words = json.dumps(header).encode()
    return LENGTHS.pack(len(words), len(body)) + words + body


def fault_name(error: Exception) -> str:
    """How an error of the store is called on the wire."""
    return next((name for name, kind in _FAULTS.items() if type(error) is kind), "store")


def _connection(database: Path) -> socket.socket | None:
    """A connection to the server that holds the database; None where there is none."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    connection.settimeout(_ANSWER_SECONDS)
    try:
        with short_name(control_path(database)) as name:
            connection.connect(name)
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
        connection.close()
        return None
    except OSError as error:
        connection.close()
        raise StoreError(f"{database}: the running server cannot be reached: {error.strerror}") from None
    return connection


class Handover:
    """A connection to the running server, for any thread. Every method raises StoreError where the server cannot do it or has gone.
    What is asked after it went is asked of the one that has taken its place.
    """

    def __init__(self, database: Path, connection: socket.socket) -> None:
        self._database = database
        self._turn = Lock()
        self.name = str(database)
        self._use(connection)

    @classmethod
    def connect(cls, database: Path) -> Self | None:
        """Connect to the server that holds the database; None where there is none. Raises StoreError where it is of
        another version.
        """
        connection = _connection(database)
        if connection is None:
            return None
        server = cls(database, connection)
        try:
            server._check_version()
        except StoreError:
            server.close()
            raise
        return server

    def _use(self, connection: socket.socket) -> None:
        self._connection = connection
        self._file = connection.makefile("rb")
        self._gone = False

    def _check_version(self) -> None:
        version = self._answer({"ask": "state"}, b"")["version"]
        if version != __version__:
            self._gone = True
            raise StoreError(
                f"{self.name}: the running server is version {version}, this {__version__}: restart it"
            )

    def _connect_again(self) -> None:
        self.close()
        connection = _connection(self._database)
        if connection is None:
            raise StoreError(f"{self.name}: the server that held it has gone: start it, or run this again")
        self._use(connection)
        self._check_version()

    def state(self) -> dict[str, Any]:
        """How the server does."""
        return self._ask({"ask": "state"})

    def take(self, mail: InboundMessage) -> Accepted:
        """Have one mail stored."""
        header = {
            "ask": "take",
            "source": mail.source,
            "sender": mail.envelope.sender,
            "recipients": mail.envelope.recipients,
            "truncated": mail.truncated,
        }
        answer = self._ask(header, mail.raw)
        return Accepted(answer["id"], answer["duplicate"])

    def known(self, identities: Sequence[str]) -> dict[str, int]:
        """As ``Store.known``."""
        known: dict[str, int] = self._ask({"ask": "known", "identities": list(identities)})["known"]
        return known

    def commit(self, batch: Sequence[Prepared], note: MailboxNote | None = None) -> list[Outcome]:
        """As ``bulk.commit``."""
        facts = pickle.dumps(list(batch), pickle.HIGHEST_PROTOCOL)
        answers = self._ask({"ask": "commit", "note": note}, facts)["outcomes"]
        return [
            Outcome(
                source=prepared.message.source,
                message_id=answer["id"],
                duplicate=answer["duplicate"],
                kind=None if prepared.parsed is None or answer["error"] else prepared.parsed.kind,
                events=tuple(prepared.events[at] for at in answer["added"]),
                repeated=answer["repeated"],
                error=answer["error"],
            )
            if not answer["duplicate"]
            else Outcome(source=prepared.message.source, message_id=answer["id"], duplicate=True)
            for prepared, answer in zip(batch, answers, strict=True)
        ]

    # ---- mailboxes (intake/mailbox/keeping.py)

    reads_later = False  # the server has no time for what this process can do

    def met(self, identities: Sequence[str]) -> dict[str, Kind | None]:
        """As ``Store.met``."""
        found = self._ask({"ask": "met", "identities": list(identities)})["met"]
        return {key: kind and Kind(kind) for key, kind in found.items()}

    def position(self, account: str, folder: str = "") -> MailboxPosition | None:
        """As ``Store.position``."""
        found = self._ask({"ask": "mailbox", "account": account, "folder": folder})["position"]
        return None if found is None else position_of(found)

    def mailbox_mails(self, account: str, folder: str = "") -> list[MailboxMail]:
        """As ``Store.mailbox_mails``."""
        found = self._ask({"ask": "mailbox", "account": account, "folder": folder})["mails"]
        return list(map(mail_of, found))

    def settle(self, account: str, folder: str, uids: Sequence[str]) -> None:
        """As ``Store.settle``."""
        self._ask({"ask": "settle", "account": account, "folder": folder, "uids": list(uids)})

    def account(self, name: str) -> AccountStatus | None:
        """As ``Store.account``."""
        found = self._ask({"ask": "account", "account": name})["status"]
        return None if found is None else status_of(found)

    def set_account(self, status: AccountStatus) -> None:
        """As ``Store.set_account``."""
        self._ask({"ask": "set_account", "status": status_words(status)})

    def replace(self, reports: Sequence[NewReport]) -> None:
        """Put today's answers in place of older ones."""
        self._ask({"ask": "replace"}, pickle.dumps(list(reports), pickle.HIGHEST_PROTOCOL))

    def register(self, sent: Sequence[Send], *, delivered: bool) -> int:
        """As ``matching.register``."""
        header = {"ask": "register", "delivered": delivered}
        return int(self._ask(header, pickle.dumps(list(sent), pickle.HIGHEST_PROTOCOL))["new"])

    def drop_sends(self, before: datetime, *, after: int, limit: int) -> tuple[int, int]:
        """As ``Store.drop_sends``."""
        header = {"ask": "drop_sends", "before": before.isoformat(), "after": after, "limit": limit}
        answer = self._ask(header)
        return answer["dropped"], answer["last"]

    def retry(self, ids: Sequence[int] | None) -> list[int]:
        """Have quarantined mails tried again: these, or all. Returns those that were there."""
        retried: list[int] = self._ask({"ask": "retry", "ids": ids})["retried"]
        return retried

    def do(self, deed: dict[str, Any]) -> int:
        """Have something done to addresses (deeds.py)."""
        changed: int = self._ask({"ask": "do", "deed": deed})["changed"]
        return changed

    def webhooks(self, deed: dict[str, Any]) -> dict[str, Any]:
        """Have something done about webhooks (webhooks.py)."""
        return self._ask({"ask": "webhooks", "deed": deed})

    def _ask(self, header: dict[str, Any], body: bytes = b"") -> dict[str, Any]:
        with self._turn:
            if self._gone:
                self._connect_again()
            return self._answer(header, body)

    def _answer(self, header: dict[str, Any], body: bytes) -> dict[str, Any]:
        try:
            self._connection.sendall(message(header, body))
            lengths = self._file.read(LENGTHS.size)
            if len(lengths) < LENGTHS.size:
                raise ConnectionResetError("it closed the connection")
            answer: dict[str, Any] = json.loads(self._file.read(LENGTHS.unpack(lengths)[0]))
        except (OSError, ValueError) as error:
            self._gone = True
            raise StoreError(f"{self.name}: the running server went away ({error}): run this again") from None
        if "error" in answer and "fault" in answer:
            raise _FAULTS.get(answer["fault"], DsnProcessorError)(answer["error"])
        return answer

    def close(self) -> None:
        with suppress(OSError):
            self._file.close()
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Facts(pickle.Unpickler):
    """Builds facts and nothing else."""

    _ROOMS = (
        "dsn_processor.bulk",
        "dsn_processor.facts",
        "dsn_processor.record.entries",
        "dsn_processor.terms",
    )
    _OTHERS = frozenset({("datetime", "datetime"), ("datetime", "timezone"), ("datetime", "timedelta")})

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in self._OTHERS or (module in self._ROOMS and name.isidentifier()):
            found = super().find_class(module, name)
            if isinstance(found, type):
                return found
        raise pickle.UnpicklingError(f"{module}.{name} is no fact")


def facts_of(kind: type[_Fact], body: bytes) -> list[_Fact]:
    """The facts of one kind in a message's body. Raises ValueError where there are none."""
    try:
        batch = _Facts(io.BytesIO(body)).load()
    except Exception as error:
        raise ValueError(f"no facts: {error}") from error
    if not isinstance(batch, list) or not all(isinstance(one, kind) for one in batch):
        raise ValueError("no facts")
    return batch
