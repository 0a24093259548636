"""The store: facts go in, facts come out; sessions, rows and SQL stay in this room."""

from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy.engine import Connection

from dsn_processor.canonical import canonical_address
from dsn_processor.errors import StoreMovedError
from dsn_processor.facts import Envelope, Send, SentMessage
from dsn_processor.record import mailboxes, queries, schema, sends, sqlite, writing
from dsn_processor.record.addresses import Addresses
from dsn_processor.record.changes import Changes, compare
from dsn_processor.record.entries import (
    AccountStatus,
    EventFilter,
    MailboxMail,
    MailboxNote,
    MailboxPosition,
    NewEvent,
    NewMessage,
    NewReport,
    Stats,
    StoredEvent,
    StoredMessage,
    StoredReport,
)
from dsn_processor.record.faults import told
from dsn_processor.record.outbox import Outbox
from dsn_processor.record.rows import LOOKUP_LIMIT
from dsn_processor.record.sends import SendStats
from dsn_processor.terms import Kind, MessageState


def file_of(url: str) -> Path:
    """The file that a database URL names. Raises ConfigurationError where it names none that can be used."""
    return sqlite.file_of(url)


class Store:
    """One open database, for one thread. Use as a context manager; made by ``Store.open``.

    Every method raises StoreError where the database cannot be read or written, StoreBusyError where waiting helps.
    Writing methods belong into ``with store.transaction():``, which commits and syncs at its end, or undoes all.
    """

    def __init__(self, connection: Connection, path: Path, closing: ExitStack) -> None:
        self._connection = connection
        self._closing = closing
        self._path = path.absolute()
        self._inode = sqlite.inode(self._path)
        self.name = str(path)
        self.addresses = Addresses(connection, self._reading)
        self.outbox = Outbox(connection, self._reading, self.addresses)

    @classmethod
    def open(cls, url: str, *, wait: float = 5.0, readonly: bool = False, again: bool = False) -> Self:
        """Open the database at ``url`` (sqlite:///path), made and brought up to date where needed. To open it ``again``
        after a fault makes nothing, and has it looked through.

        A writer waits up to ``wait`` seconds for another one to end, then raises StoreBusyError. A reader makes and
        changes nothing. Raises ConfigurationError on a URL that cannot be used.
        """
        path = sqlite.file_of(url)
        with ExitStack() as opening:
            if readonly:
                sqlite.check_file(path)
            else:
                if again:
                    sqlite.check_file(path)
                else:
                    sqlite.make_file(path)
                opening.enter_context(sqlite.writer_lock(path, wait))
            with told(str(path)):
                connection = sqlite.connect(path, readonly=readonly)
                opening.callback(sqlite.disconnect, connection)
                found = schema.version(connection, str(path))
                if readonly:
                    schema.check_readable(found, str(path))
                else:
                    sqlite.use_wal(connection)
                    schema.bring_up_to_date(connection, found, str(path))
                if again:
                    with connection.begin():
                        sqlite.check_sound(connection, path)
            return cls(connection, path, opening.pop_all())

    def close(self) -> None:
        with told(self.name):
            self._closing.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ---- writing

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; on disk when the block has ended, and in the file that others find under its name. What it means
        for addresses is part of it, and what others are to be told of it.
        """
        self.addresses.forget()
        try:
            with told(self.name):
                with self._connection.begin():
                    self.outbox.begin()
                    yield
                    self.addresses.settle()
                    self.outbox.settle()
                    self._check_place()
                self._check_place()  # the file may have gone while the commit ran
        except BaseException:
            self.outbox.failed()
            raise
        self.outbox.committed()

    def _check_place(self) -> None:
        if sqlite.inode(self._path) != self._inode:
            raise StoreMovedError(
                f"{self.name} was moved, removed or replaced while in use; nothing of the last step was stored: "
                "run this again once the right file is in its place"
            )

    def probe(self) -> None:
        """Write something that means nothing, and have it synced. Raises StoreError where that fails."""
        with self.transaction():
            self.count_duplicates(0)

    def add_messages(self, messages: Sequence[NewMessage]) -> list[int]:
        """Store mails whose identities are new, and distinct among themselves. Returns their ids, in order."""
        ids = writing.add_messages(self._connection, messages)
        for number, message in zip(ids, messages, strict=True):
            if message.state is MessageState.QUARANTINED:
                self.outbox.quarantined(number, message.last_error)
        return ids

    def add_reports(self, reports: Sequence[NewReport]) -> set[str]:
        """Store reports with their events. An event that is there already is left out; returns the identities of
        the events that were added. An identity that two reports share goes to the first.
        """
        if not reports:
            return set()
        modes = self.addresses.modes([report.message_id for report in reports])
        added = writing.add_reports(self._connection, reports, modes)
        self.addresses.came(reports, modes, added)
        self.outbox.came(reports, modes, added.new)
        return added.new

    def replace_report(self, report: NewReport) -> None:
        """Put today's answer in place of an older one, and count the mail as processed. The event of a recipient who
        was there before keeps its id and its trust. An event is the first mail's to tell it: one that a later mail
        held moves here.
        """
        self.addresses.leaves(report)
        self.outbox.leaves(report)
        writing.replace_report(self._connection, report, self.addresses.mode_kept(report.message_id))
        self.outbox.replaced(report)

    def compare(self, stored: StoredReport, new: NewReport) -> Changes:
        """What ``new`` would change in ``stored``; its events are those that no other mail holds."""
        return compare(stored, new)

    def readdress(self, message_id: int, envelope: Envelope) -> None:
        """Keep a mail with another envelope; one that was processed waits to be processed again."""
        writing.readdress(self._connection, message_id, envelope)

    def came_again(self, sources: Mapping[int, str]) -> None:
        """Mails that are stored came once more, each from this source."""
        self.addresses.came_again(sources)

    def count_duplicates(self, number: int) -> None:
        writing.count(self._connection, "duplicates", number)

    def count_attempt(self, message_id: int) -> int:
        """Count one more attempt at a mail. Returns how many that makes."""
        return writing.count_attempt(self._connection, message_id)

    def claim(self, message_ids: Sequence[int]) -> None:
        """Count one more attempt at each of these mails."""
        writing.claim(self._connection, message_ids)

    def unclaim(self, message_ids: Sequence[int]) -> None:
        """Take back an attempt that was counted and did not begin."""
        writing.unclaim(self._connection, message_ids)

    def release(self, message_ids: Sequence[int]) -> None:
        """Have mails wait to be processed, as if they had never been tried."""
        writing.release(self._connection, message_ids)

    def set_processed(self, message_ids: Sequence[int]) -> None:
        writing.set_processed(self._connection, message_ids)

    def set_state(self, message_id: int, state: MessageState, error: str | None = None) -> None:
        writing.set_state(self._connection, message_id, state, error)
        if state is MessageState.QUARANTINED:
            self.outbox.quarantined(message_id, error)

    def note(self, note: MailboxNote) -> None:
        """Keep how far a folder was read, and what is still to be done there. A mail noted before is noted anew; with
        another uid_validity what was noted before is forgotten.
        """
        mailboxes.note(self._connection, note)

    def settle(self, account: str, folder: str, uids: Sequence[str]) -> None:
        """Of these mails in a mailbox nothing is to be done any more."""
        mailboxes.settle(self._connection, account, folder, uids)

    def set_account(self, status: AccountStatus) -> None:
        mailboxes.set_account(self._connection, status)

    def strengthen(self, message_id: int, events: Sequence[NewEvent]) -> set[str]:
        """Where this mail proves more of events that others brought before, keep its proof. Returns their identities."""
        concerned: set[str] = set()
        changed = writing.strengthen(self._connection, message_id, events, concerned)
        self.addresses.touch(concerned)
        return changed

    def add_sends(self, sent: Sequence[Send]) -> int:
        """Register mails that were sent. Returns how many were new."""
        return sends.add(self._connection, sent)

    def add_deliveries(self, delivered: Sequence[Send]) -> int:
        """Note that mails were delivered, at their ``delivered_at``; those that nobody registered are taken in. Returns for
        how many that was news.
        """
        new = sends.deliver(self._connection, delivered)
        self.addresses.delivered({canonical_address(send.recipient)[:LOOKUP_LIMIT] for send in delivered})
        return new

    def drop_sends(self, before: datetime, *, after: int = 0, limit: int) -> tuple[int, int]:
        """Forget mails sent before that time, among the first ``limit`` beyond the id ``after``. Returns how many went, and
        the last id looked at, 0 at the end.
        """
        return sends.drop_older(self._connection, before, after=after, limit=limit)

    # ---- reading

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with told(self.name):
            if self._connection.in_transaction():
                yield self._connection
            else:
                with self._connection.begin():
                    yield self._connection

    def known(self, identities: Sequence[str]) -> dict[str, int]:
        """Of these mails, those that are stored: identity -> id."""
        with self._reading() as connection:
            return queries.known(connection, identities)

    def message(self, message_id: int) -> StoredMessage | None:
        with self._reading() as connection:
            return queries.message(connection, message_id)

    def waiting(self, limit: int, besides: Collection[int] = ()) -> list[StoredMessage]:
        """Mails that wait to be processed, without those ``besides``: the oldest never begun, else those begun least."""
        with self._reading() as connection:
            return queries.waiting(connection, limit, besides)

    def backlog(self) -> tuple[int, datetime | None]:
        """How many mails wait to be processed, and when the oldest of them came."""
        with self._reading() as connection:
            return queries.backlog(connection)

    def count_quarantined(self) -> int:
        with self._reading() as connection:
            return queries.count_messages(connection, MessageState.QUARANTINED)

    def reported(self, message_ids: Sequence[int]) -> set[int]:
        """Of these mails, those that have a report."""
        with self._reading() as connection:
            return queries.reported(connection, message_ids)

    def raw(self, message_id: int) -> bytes | None:
        """The mail's bytes exactly as they came."""
        with self._reading() as connection:
            return queries.raw(connection, message_id)

    def raws(self, message_ids: Sequence[int]) -> dict[int, bytes]:
        """As ``raw``, of those mails that are there. Raises MailDamagedError where one cannot be had back."""
        with self._reading() as connection:
            return queries.raws(connection, message_ids)

    def envelopes(self, message_ids: Sequence[int]) -> dict[int, Envelope]:
        with self._reading() as connection:
            return queries.envelopes(connection, message_ids)

    def report(self, message_id: int) -> StoredReport | None:
        """A mail with all that is derived from it."""
        with self._reading() as connection:
            return queries.report(connection, message_id)

    def message_ids(self, state: MessageState | None = None) -> Iterator[int]:
        """The ids of all mails, or of those in one state, oldest first. Others may be added meanwhile."""
        after = 0
        while True:
            with self._reading() as connection:
                page = queries.message_ids(connection, after, state)
            yield from page
            if not page:
                return
            after = page[-1]

    def events_earlier(self, identities: Sequence[str], message_id: int) -> set[str]:
        """Of these events, those that a mail before ``message_id`` has brought."""
        with self._reading() as connection:
            return queries.events_earlier(connection, identities, message_id)

    def events(self, wanted: EventFilter | None = None) -> Generator[StoredEvent, None, None]:
        """The events asked for, newest first, read as they are consumed."""
        with self._reading() as connection:
            yield from queries.events(connection, wanted or EventFilter())

    def count_events(self, wanted: EventFilter) -> int:
        with self._reading() as connection:
            return queries.count_events(connection, wanted)

    def stats(self) -> Stats:
        with self._reading() as connection:
            return queries.stats(connection)

    def met(self, identities: Sequence[str]) -> dict[str, Kind | None]:
        """Of these mails, those that are stored, and what they are (None: nothing was made of it yet); and those that
        were left in a mailbox, since they are no reports.
        """
        with self._reading() as connection:
            return mailboxes.met(connection, identities)

    def position(self, account: str, folder: str = "") -> MailboxPosition | None:
        """How far a folder was read; None: never."""
        with self._reading() as connection:
            return mailboxes.position(connection, account, folder)

    def mailbox_mails(self, account: str, folder: str = "") -> list[MailboxMail]:
        """The mails in a folder of which something is to be done, or remembered."""
        with self._reading() as connection:
            return mailboxes.mails(connection, account, folder)

    def account(self, name: str) -> AccountStatus | None:
        """How an account does; None: it was never looked at."""
        return next((status for status in self.accounts() if status.account == name), None)

    def accounts(self) -> list[AccountStatus]:
        """How the accounts do that were ever looked at, by name."""
        with self._reading() as connection:
            return mailboxes.accounts(connection)

    def any_sends(self) -> bool:
        """Whether anything that was sent is registered."""
        with self._reading() as connection:
            return sends.any_sends(connection)

    def find_sends(self, wanted: Mapping[int, Collection[str]]) -> dict[int, SentMessage]:
        """What is registered under these references; of a message to several, the sends to the addresses asked for."""
        with self._reading() as connection:
            return sends.find(connection, wanted)

    def mailed(self, addresses: Collection[str]) -> dict[str, bool]:
        """Of these canonical addresses those that were mailed, and whether each hands mail on to many."""
        with self._reading() as connection:
            return sends.mailed(connection, addresses)

    def send_stats(self) -> SendStats:
        with self._reading() as connection:
            return sends.stats(connection)
