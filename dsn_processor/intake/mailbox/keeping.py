"""What mailboxes ask of whoever keeps the store, and what a supervisor asks of a mailbox."""

from collections.abc import Callable, Sequence
from threading import Lock
from typing import NamedTuple, Protocol, TypeVar

from dsn_processor import bulk
from dsn_processor.bulk import Prepared
from dsn_processor.correlate.options import CorrelationOptions
from dsn_processor.pipeline import Outcome
from dsn_processor.record.entries import AccountStatus, MailboxMail, MailboxNote, MailboxPosition
from dsn_processor.record.store import Store
from dsn_processor.terms import Kind, MailboxTask

_Answer = TypeVar("_Answer")


class Keeping(Protocol):
    """The store as mailboxes see it; safe to call from any thread. Every method raises StoreError."""

    def met(self, identities: Sequence[str]) -> dict[str, Kind | None]:
        """As ``Store.met``."""

    def position(self, account: str, folder: str = "") -> MailboxPosition | None:
        """As ``Store.position``."""

    def mailbox_mails(self, account: str, folder: str = "") -> list[MailboxMail]:
        """As ``Store.mailbox_mails``."""

    def commit(self, batch: Sequence[Prepared], note: MailboxNote) -> list[Outcome]:
        """As ``bulk.commit``: mails and note are on disk when it returns."""

    def settle(self, account: str, folder: str, uids: Sequence[str]) -> None:
        """As ``Store.settle``, on disk."""

    def account(self, name: str) -> AccountStatus | None:
        """How an account did when it was last looked at."""

    def set_account(self, status: AccountStatus) -> None:
        """As ``Store.set_account``, on disk."""


class Looked(NamedTuple):
    """What a look at a mailbox came to. ``taken`` mails are stored now that were not before; ``left`` are no reports.
    ``problems`` kept some from being read or filed, and are tried again.
    """

    taken: int = 0
    left: int = 0
    problems: tuple[str, ...] = ()


class Mailbox(Protocol):
    """An account on its server, for one thread; ``hang_up`` is for any. Methods raise MailboxError, LoginRefusedError where
    to come again soon would do harm, StoreError.
    """

    def open(self) -> None:
        """Connect and log in. What was open before is closed first."""

    def look(self) -> Looked:
        """Take all mail that is there; ends early, in good order, where it is told to stop."""

    def wait(self, seconds: float) -> None:
        """Return when there may be news, when the bell rings, or after so many seconds."""

    def close(self) -> None:
        """Close the connection, whatever its state."""

    def hang_up(self) -> None:
        """Break the connection off, so that whoever waits for the server waits no longer."""


class Calling(Protocol):
    """Has a function called with the store, and returns its answer when what it wrote is on disk."""

    def __call__(self, function: Callable[[Store], _Answer]) -> _Answer: ...


class StoreKeeping:
    """Keeps in a store that is this process' own. ``correlation`` says how reports are held against what was sent."""

    def __init__(
        self, call: Calling, correlation: Callable[[], CorrelationOptions | None] = lambda: None
    ) -> None:
        self._call = call
        self._correlation = correlation

    @classmethod
    def of(cls, store: Store, correlation: CorrelationOptions | None = None) -> "StoreKeeping":
        """Keep in ``store``, one thread at a time."""
        lock = Lock()

        def call(function: Callable[[Store], _Answer]) -> _Answer:
            with lock:
                return function(store)

        return cls(call, lambda: correlation)

    def met(self, identities: Sequence[str]) -> dict[str, Kind | None]:
        return self._call(lambda store: store.met(identities))

    def position(self, account: str, folder: str = "") -> MailboxPosition | None:
        return self._call(lambda store: store.position(account, folder))

    def mailbox_mails(self, account: str, folder: str = "") -> list[MailboxMail]:
        return self._call(lambda store: store.mailbox_mails(account, folder))

    def commit(self, batch: Sequence[Prepared], note: MailboxNote) -> list[Outcome]:
        correlation = self._correlation()
        return self._call(lambda store: bulk.commit(store, batch, note, correlation=correlation))

    def settle(self, account: str, folder: str, uids: Sequence[str]) -> None:
        def settled(store: Store) -> None:
            with store.transaction():
                store.settle(account, folder, uids)

        self._call(settled)

    def account(self, name: str) -> AccountStatus | None:
        return self._call(lambda store: store.account(name))

    def set_account(self, status: AccountStatus) -> None:
        def written(store: Store) -> None:
            with store.transaction():
                store.set_account(status)

        self._call(written)


class DryKeeping:
    """Keeps nothing: what would be stored is told. ``store`` is what is known so far; None is nothing."""

    def __init__(self, store: Store | None) -> None:
        self._keeping = None if store is None else StoreKeeping.of(store)
        self._positions: dict[tuple[str, str], MailboxPosition] = {}

    def met(self, identities: Sequence[str]) -> dict[str, Kind | None]:
        return {} if self._keeping is None else self._keeping.met(identities)

    def position(self, account: str, folder: str = "") -> MailboxPosition | None:
        if found := self._positions.get((account, folder)):
            return found
        return None if self._keeping is None else self._keeping.position(account, folder)

    def mailbox_mails(self, account: str, folder: str = "") -> list[MailboxMail]:
        mails = [] if self._keeping is None else self._keeping.mailbox_mails(account, folder)
        return [mail for mail in mails if mail.task is MailboxTask.REMEMBER]

    def commit(self, batch: Sequence[Prepared], note: MailboxNote) -> list[Outcome]:
        if note.position is not None:
            self._positions[note.account, note.folder] = note.position
        return [
            Outcome(source=one.message.source, message_id=0, duplicate=True)
            if not one.message.packed
            else Outcome(
                source=one.message.source,
                message_id=0,
                kind=one.parsed and one.parsed.kind,
                events=one.events,
                error=one.message.last_error,
            )
            for one in batch
        ]

    def settle(self, account: str, folder: str, uids: Sequence[str]) -> None:
        pass

    def account(self, name: str) -> AccountStatus | None:
        return None if self._keeping is None else self._keeping.account(name)

    def set_account(self, status: AccountStatus) -> None:
        pass
