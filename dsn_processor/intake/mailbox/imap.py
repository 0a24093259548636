"""An IMAP account: its folders are searched, new mail is fetched, committed, and then filed.

    search -> sizes -> fetch (mails stay unread) -> begin: read by workers -> finish: COMMIT -> flag | move | delete

Fetching goes on while workers read. What was committed and not filed is noted in the same commit, and filed by the next look.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import NamedTuple

from dsn_processor import logs
from dsn_processor.errors import LoginRefusedError, MailboxError
from dsn_processor.intake.mailbox.bell import Bell
from dsn_processor.intake.mailbox.credentials import Credentials
from dsn_processor.intake.mailbox.filing import Filing
from dsn_processor.intake.mailbox.keeping import Keeping, Looked
from dsn_processor.intake.mailbox.options import ImapOptions
from dsn_processor.intake.mailbox.session import CHUNK, CommandRefusedError, Folder, Session
from dsn_processor.intake.mailbox.supervising import Watching
from dsn_processor.intake.mailbox.taking import Begun, Fetched, Taker
from dsn_processor.reading import Rules
from dsn_processor.record.entries import MailboxMail, MailboxPosition
from dsn_processor.terms import MailboxTask
from dsn_processor.workers import Readers

log = logs.get_logger(room="mailbox")

_BATCH_OCTETS = 8_000_000
_SMALL = 50_000  # octets of a mail whose size is not asked for
_AHEAD = 2  # batches fetched and not yet committed, beyond those that workers read
#: How often a mail may fail to be fetched.
ATTEMPTS = 5
_IDLE_SECONDS = (
    540.0  # servers may end an IDLE of half an hour, and what stands between them and us much sooner
)


class _Piece(NamedTuple):
    """Mails fetched together, and what there is to know of those that were not."""

    mails: list[Fetched]
    uids: list[int]
    failed: list[MailboxMail]


class ImapMailbox:
    """One IMAP account; see Mailbox in keeping.py. A dry run reads all, and changes nothing in the mailbox."""

    def __init__(
        self,
        options: ImapOptions,
        keeping: Keeping,
        readers: Readers,
        *,
        rules: Callable[[], Rules | None],
        bell: Bell,
        watching: Watching,
        dry_run: bool = False,
    ) -> None:
        self.options = options
        self.keeping = keeping
        self.readers = readers
        self._credentials = Credentials(options)
        self._bell = bell
        self.watching = watching
        self._dry_run = dry_run
        files = options.after != "keep" and not dry_run
        task = MailboxTask.FILE if files else None
        self.taker = Taker(options, keeping, readers, rules, task)
        self._session: Session | None = None
        self._next: dict[
            str, int | None
        ] = {}  # folder -> the number of the mail to come, before the last search
        self._careful: dict[str, dict[int, int]] = {}  # folder -> mails that broke a connection, how often

    def open(self) -> None:
        self.close()
        try:
            self._connect()
        except LoginRefusedError:
            if not self._credentials.forget():
                raise
            self._connect()

    def _connect(self) -> None:
        session = self._session = Session(self.options)
        try:
            session.log_in(self._credentials)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def hang_up(self) -> None:
        if session := self._session:
            session.hang_up()

    def wait(self, seconds: float) -> None:
        session = self._session
        assert session is not None
        if self.options.idle and "IDLE" in session.capabilities:
            with suppress(CommandRefusedError):
                name = self.options.folders[0]
                folder = session.select(name, readonly=self._readonly)
                if folder.uid_next != self._next.get(name):
                    return  # a mail came after the search, and IDLE would not tell of it
                session.idle(min(seconds, _IDLE_SECONDS), self._bell.fileno())
                return
        self._bell.wait(seconds)

    @property
    def _readonly(self) -> bool:
        return self._dry_run or self.options.after == "keep"

    def look(self) -> Looked:
        taken = left = 0
        problems: list[str] = []
        for name in self.options.folders:
            if self._bell.stopped():
                break
            try:
                looked = self._look(name)
            except CommandRefusedError as error:
                problems.append(str(error))
                continue
            taken, left = taken + looked.taken, left + looked.left
            problems += looked.problems
        return Looked(taken, left, tuple(problems))

    def _look(self, name: str) -> Looked:
        assert self._session is not None
        options = self.options
        folder = self._session.select(name, readonly=self._readonly)
        self._next[name] = folder.uid_next
        position = self._position(folder)
        noted = self.keeping.mailbox_mails(options.name, name)
        filing = Filing(options, self._session, self.keeping, folder)
        filing.file([mail for mail in noted if mail.task is MailboxTask.FILE])
        since = options.since_date(datetime.now(UTC).date())
        uids = self._session.search(position.last_uid, since)
        again = [int(mail.uid) for mail in noted if mail.task is MailboxTask.FETCH]
        if not uids and not again:
            return Looked(problems=filing.problems)
        self.watching.found(options.name, len(uids))
        run = _Run(self, folder, position, filing, len(uids))
        run.take(self._pieces(name, uids))
        if again and not self._bell.stopped():
            run.take(self._retried(noted), counted=False)
        return Looked(run.stored, run.left, filing.problems)

    def _position(self, folder: Folder) -> MailboxPosition:
        """How far the folder was read. Where its numbers mean other mails now, it is read anew: the mails are known."""
        options = self.options
        position = self.keeping.position(options.name, folder.name)
        if position is not None and position.uid_validity == folder.uid_validity:
            return position
        if position is not None:
            log.warning("folder renumbered", account=options.name, folder=folder.name)
        self._careful.pop(folder.name, None)
        position = MailboxPosition(folder.uid_validity, 0)
        self.taker.note(folder.name, position)
        return position

    # ---- fetching

    def _pieces(self, folder: str, uids: Sequence[int]) -> Iterator[_Piece]:
        """Fetch mails, some at a time; what breaks the connection is tried alone the next time."""
        assert self._session is not None
        for start in range(0, len(uids), CHUNK):
            part = uids[start : start + CHUNK]
            sizes = self._sizes(part)
            for group in self._groups(folder, part, sizes):
                if self._bell.stopped():
                    return
                yield self._fetch(folder, group, sizes)

    def _sizes(self, uids: Sequence[int]) -> dict[int, int]:
        """How large mails are at most. Nearly all are small: it costs less to ask which are not than how large each is."""
        assert self._session is not None
        small = min(_SMALL, self.options.size_limit - 1)
        wanted = set(uids)
        large = [uid for uid in self._session.larger(uids[0], uids[-1], small) if uid in wanted]
        sizes = dict.fromkeys(uids, small)
        for start in range(0, len(large), CHUNK):
            sizes |= self._session.sizes(large[start : start + CHUNK])
        return sizes

    def _groups(self, folder: str, uids: Sequence[int], sizes: dict[int, int]) -> Iterator[list[int]]:
        suspects = self._careful.get(folder, {})
        group: list[int] = []
        octets = 0
        for uid in uids:
            size = min(sizes.get(uid, 0), self.options.size_limit)
            alone = uid in suspects or size >= self.options.size_limit
            if group and (alone or len(group) >= self.options.batch or octets + size > _BATCH_OCTETS):
                yield group
                group, octets = [], 0
            group.append(uid)
            octets += size
            if alone:
                yield group
                group, octets = [], 0
        if group:
            yield group

    def _fetch(self, folder: str, uids: list[int], sizes: dict[int, int], attempts: int = 0) -> _Piece:
        """Fetch a group. Mails that the server has and does not give are noted as failed, unless they have gone."""
        assert self._session is not None
        suspects = self._careful.setdefault(folder, {})
        if len(uids) == 1 and suspects.get(uids[0], 0) >= 2:
            suspects.pop(uids[0])
            return _Piece([], uids, [MailboxMail(str(uids[0]), MailboxTask.FETCH, attempts=attempts + 1)])
        try:
            found = self._bodies(uids, sizes, suspect=uids[0] in suspects)
        except CommandRefusedError:
            found = {}
        except MailboxError:
            for uid in uids:
                suspects[uid] = suspects.get(uid, 0) + 1
            raise
        for uid in found:
            suspects.pop(uid, None)
        mails = [found[uid] for uid in uids if uid in found]
        missing = [uid for uid in uids if uid not in found]
        failed = []
        if missing:
            if len(uids) > 1:
                alone = [self._fetch(folder, [uid], sizes, attempts) for uid in missing]
                mails += [mail for one in alone for mail in one.mails]
                failed = [mail for one in alone for mail in one.failed]
            elif self._session.sizes(uids):
                log.warning("mail not given", account=self.options.name, folder=folder, uid=uids[0])
                failed = [MailboxMail(str(uids[0]), MailboxTask.FETCH, attempts=attempts + 1)]
        return _Piece(mails, uids, failed)

    def _bodies(self, uids: Sequence[int], sizes: dict[int, int], *, suspect: bool) -> dict[int, Fetched]:
        assert self._session is not None
        limit = self.options.size_limit
        if len(uids) > 1 or (sizes.get(uids[0], limit) < limit and not suspect):
            bodies = self._session.bodies(uids, sum(sizes.get(uid, 0) for uid in uids))
        else:
            head = self._session.head(uids[0], limit + 1)
            bodies = {} if head is None else {uids[0]: head}
        return {uid: Fetched(str(uid), raw[:limit], len(raw) > limit) for uid, raw in bodies.items()}

    def _retried(self, noted: Sequence[MailboxMail]) -> Iterator[_Piece]:
        """Mails that could not be fetched before, once more."""
        assert self._session is not None
        for mail in noted:
            if mail.task is MailboxTask.FETCH and mail.attempts < ATTEMPTS and not self._bell.stopped():
                uid = int(mail.uid)
                sizes = self._session.sizes([uid])
                yield self._fetch("", [uid], sizes, mail.attempts) if sizes else _Piece([], [uid], [])


class _Run:
    """A look at one folder: mails go through it in order, and are committed in order."""

    def __init__(
        self, mailbox: ImapMailbox, folder: Folder, position: MailboxPosition, filing: Filing, waiting: int
    ) -> None:
        self._mailbox = mailbox
        self._folder = folder
        self._position = position
        self._filing = filing
        self._waiting = waiting
        self._begun: deque[tuple[Begun, _Piece, bool]] = deque()
        self.stored = self.left = 0

    def take(self, pieces: Iterator[_Piece], *, counted: bool = True) -> None:
        """Take mails as they are fetched. What was fetched is committed even where the connection breaks then."""
        taker = self._mailbox.taker
        ahead = self._mailbox.readers.count + _AHEAD
        try:
            for piece in pieces:
                self._begun.append((taker.begin(self._folder.name, piece.mails), piece, counted))
                while len(self._begun) > ahead:
                    self._finish(file=True)
        except MailboxError:
            while self._begun:
                self._finish(file=False)
            raise
        while self._begun:
            self._finish(file=True)

    def _finish(self, *, file: bool) -> None:
        begun, piece, counted = self._begun.popleft()
        if counted:
            self._position = self._position._replace(last_uid=piece.uids[-1])
        taken = self._mailbox.taker.finish(begun, self._position, piece.failed)
        if not counted:
            self._forget(piece, [*taken.file, *piece.failed])
        if file:
            self._filing.file(taken.file)
        self.stored += sum(not outcome.duplicate for outcome in taken.outcomes)
        self.left += taken.left
        handled = len(piece.uids) if counted else 0
        self._waiting -= handled
        name = self._mailbox.options.name
        self._mailbox.watching.taken(name, taken.outcomes, handled, self._waiting)

    def _forget(self, piece: _Piece, noted: Sequence[MailboxMail]) -> None:
        """Mails that could not be fetched before, and were now, or have gone: nothing is left to be done about them."""
        still = {mail.uid for mail in noted}
        done = [str(uid) for uid in piece.uids if str(uid) not in still]
        mailbox = self._mailbox
        mailbox.keeping.settle(mailbox.options.name, self._folder.name, done)
