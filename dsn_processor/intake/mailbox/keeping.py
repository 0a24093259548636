"""What mailboxes ask of whoever keeps the store, and what a supervisor asks of a mailbox."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from dsn_processor import bulk
from dsn_processor.bulk import Prepared
from dsn_processor.catching_up import Calling, one_at_a_time
from dsn_processor.correlate.options import CorrelationOptions
from dsn_processor.pipeline import Outcome
from dsn_processor.record.entries import AccountStatus, MailboxMail, MailboxNote, MailboxPosition
from dsn_processor.record.store import Store
from dsn_processor.terms import Kind, MailboxTask


class Keeping(Protocol):
    """The store as mailboxes see it; safe to call from any thread. Every method raises StoreError. ``reads_later``: mails may be
    committed unread, and are read then without anybody asking.
    """

    @property
    def reads_later(self) -> bool: ...

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


class StoreKeeping:
    """Keeps in a store that is this process' own. ``correlation`` says how reports are held against what was sent. ``later``
    is called, between two uses of the store, with what came of mails that were committed; it has those read that wait for it.
    Where there is none, mails are read before they are committed.
    """

    def __init__(
        self,
        call: Calling,
        correlation: Callable[[], CorrelationOptions | None] = lambda: None,
        later: Callable[[Sequence[Outcome]], None] | None = None,
    ) -> None:
        self._call = call
        self._correlation = correlation
        self._later = later
        self.reads_later = later is not None

    @classmethod
    def of(cls, store: Store, correlation: CorrelationOptions | None = None) -> "StoreKeeping":
        """Keep in ``store``, one thread at a time."""
        return cls(one_at_a_time(store), lambda: correlation)

    def met(self, identities: Sequence[str]) -> dict[str, Kind | None]:
        return self._call(lambda store: store.met(identities))

    def position(self, account: str, folder: str = "") -> MailboxPosition | None:
        return self._call(lambda store: store.position(account, folder))

    def mailbox_mails(self, account: str, folder: str = "") -> list[MailboxMail]:
        return self._call(lambda store: store.mailbox_mails(account, folder))

    def commit(self, batch: Sequence[Prepared], note: MailboxNote) -> list[Outcome]:
        correlation = self._correlation()

        def committed(store: Store) -> list[Outcome]:
            outcomes = bulk.commit(store, batch, note, correlation=correlation)
            if self._later is not None and outcomes:
                self._later(outcomes)
            return outcomes

        return self._call(committed)

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

    reads_later = False

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
