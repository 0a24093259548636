"""An IMAP account: its folders are searched, new mail is fetched, committed, and then filed.

    search -> sizes -> fetch (mails stay unread) -> begin: read by workers -> finish: COMMIT -> flag | move | delete

Fetching goes on while workers read. What was committed and not filed is noted in the same commit, and filed by the next look.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from dsn_processor import logs
from dsn_processor.errors import MailboxError
from dsn_processor.intake.mailbox.bell import Bell
from dsn_processor.intake.mailbox.connected import Connected
from dsn_processor.intake.mailbox.credentials import Credentials
from dsn_processor.intake.mailbox.filing import Filing
from dsn_processor.intake.mailbox.keeping import Keeping, Looked
from dsn_processor.intake.mailbox.line import Line, Piece
from dsn_processor.intake.mailbox.numbers import CHUNK
from dsn_processor.intake.mailbox.options import ImapOptions
from dsn_processor.intake.mailbox.session import CommandRefusedError, Folder, Session
from dsn_processor.intake.mailbox.supervising import Watching
from dsn_processor.intake.mailbox.taking import Fetched, Taken, Taker
from dsn_processor.reading import Rules
from dsn_processor.record.entries import MailboxMail, MailboxPosition
from dsn_processor.terms import MailboxTask
from dsn_processor.workers import Readers

log = logs.get_logger(room="mailbox")

_BATCH_OCTETS = 8_000_000
_SMALL = (
    _BATCH_OCTETS // CHUNK
)  # octets of a mail whose size is not asked for: so many fill no batch too early
#: How often a mail may fail to be fetched.
ATTEMPTS = 5
_IDLE_SECONDS = (
    540.0  # servers may end an IDLE of half an hour, and what stands between them and us much sooner
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece(Piece):
    """``uids`` are those that were asked for."""

    uids: list[int]


class ImapMailbox(Connected[Session]):
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
        super().__init__(lambda: Session(options), Credentials(options))
        self.options = options
        self.keeping = keeping
        self.readers = readers
        self._bell = bell
        self.watching = watching
        self._dry_run = dry_run
        files = options.after != "keep" and not dry_run
        task = MailboxTask.FILE if files else None
        self.taker = Taker(options, keeping, readers, rules, task)
        self._next: dict[
            str, int | None
        ] = {}  # folder -> the number of the mail to come, before the last search
        self._careful: dict[str, dict[int, int]] = {}  # folder -> mails that broke a connection, how often

    def wait(self, seconds: float) -> None:
        session = self.session
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
        options = self.options
        folder = self.session.select(name, readonly=self._readonly)
        self._next[name] = folder.uid_next
        position = self._position(folder)
        noted = self.keeping.mailbox_mails(options.name, name)
        filing = Filing(options, self.session, self.keeping, folder)
        run = _Run(self, folder, filing)
        try:
            filing.file([mail for mail in noted if mail.task is MailboxTask.FILE])
            self._take(run, folder, position, noted)
        finally:
            filing.settle()
        return Looked(run.stored, run.left, filing.problems)

    def _take(
        self, run: "_Run", folder: Folder, position: MailboxPosition, noted: Sequence[MailboxMail]
    ) -> None:
        since = self.options.since_date(datetime.now(UTC).date())
        uids = self.session.search(position.last_uid, since)
        again = [mail for mail in noted if mail.task is MailboxTask.FETCH]
        if not uids and not again:
            return
        self.watching.found(self.options.name, len(uids))
        run.waiting = len(uids)
        with Line(self.taker, folder.name, self.readers.count, run.done) as line:
            line.take(self._pieces(folder, uids))
            if again and not self._bell.stopped():
                line.take(self._retried(again))

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

    def _pieces(self, folder: Folder, uids: Sequence[int]) -> Iterator[_Piece]:
        """Fetch mails, some at a time; what breaks the connection is tried alone the next time."""
        for start in range(0, len(uids), CHUNK):
            part = uids[start : start + CHUNK]
            sizes = self._sizes(part)
            for group in self._groups(folder.name, part, sizes):
                if self._bell.stopped():
                    return
                piece = self._fetch(folder.name, group, sizes)
                yield replace(piece, position=MailboxPosition(folder.uid_validity, group[-1]))

    def _sizes(self, uids: Sequence[int]) -> dict[int, int]:
        """How large mails are at most. Nearly all are small: it costs less to ask which are not than how large each is."""
        small = min(_SMALL, self.options.size_limit - 1)
        wanted = set(uids)
        large = [uid for uid in self.session.larger(uids[0], uids[-1], small) if uid in wanted]
        sizes = dict.fromkeys(uids, small)
        for start in range(0, len(large), CHUNK):
            sizes |= self.session.sizes(large[start : start + CHUNK])
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
        suspects = self._careful.setdefault(folder, {})
        if len(uids) == 1 and suspects.get(uids[0], 0) >= 2:
            suspects.pop(uids[0])
            failed = [MailboxMail(str(uids[0]), MailboxTask.FETCH, attempts=attempts + 1)]
            return _Piece(mails=[], uids=uids, failed=failed)
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
            elif self.session.sizes(uids):
                log.warning("mail not given", account=self.options.name, folder=folder, uid=uids[0])
                failed = [MailboxMail(str(uids[0]), MailboxTask.FETCH, attempts=attempts + 1)]
        return _Piece(mails=mails, uids=uids, failed=failed)

    def _bodies(self, uids: Sequence[int], sizes: dict[int, int], *, suspect: bool) -> dict[int, Fetched]:
        limit = self.options.size_limit
        if len(uids) > 1 or (sizes.get(uids[0], limit) < limit and not suspect):
            bodies = self.session.bodies(uids, sum(sizes.get(uid, 0) for uid in uids))
        else:
            head = self.session.head(uids[0], limit + 1)
            bodies = {} if head is None else {uids[0]: head}
        return {uid: Fetched(str(uid), raw[:limit], len(raw) > limit) for uid, raw in bodies.items()}

    def _retried(self, noted: Sequence[MailboxMail]) -> Iterator[_Piece]:
        """Mails that could not be fetched before, once more."""
        for mail in noted:
            if mail.attempts < ATTEMPTS and not self._bell.stopped():
                uid = int(mail.uid)
                sizes = self.session.sizes([uid])
                gone = _Piece(mails=[], uids=[uid], failed=[])
                yield self._fetch("", [uid], sizes, mail.attempts) if sizes else gone


class _Run:
    """What comes of a look at one folder."""

    def __init__(self, mailbox: ImapMailbox, folder: Folder, filing: Filing) -> None:
        self._mailbox = mailbox
        self._folder = folder
        self._filing = filing
        self.waiting = self.stored = self.left = 0

    def done(self, piece: _Piece, taken: Taken, connected: bool) -> None:
        """A piece is committed: have its mails filed, and tell."""
        counted = piece.position is not None
        if not counted:
            self._forget(piece, [*taken.file, *piece.failed])
        if connected:
            self._filing.file(taken.file)
        self.stored += sum(not outcome.duplicate for outcome in taken.outcomes)
        self.left += taken.left
        handled = len(piece.uids) if counted else 0
        self.waiting -= handled
        name = self._mailbox.options.name
        self._mailbox.watching.taken(name, taken.outcomes, handled, self.waiting)

    def _forget(self, piece: _Piece, noted: Sequence[MailboxMail]) -> None:
        """Mails that could not be fetched before, and were now, or have gone: nothing is left to be done about them."""
        still = {mail.uid for mail in noted}
        done = [str(uid) for uid in piece.uids if str(uid) not in still]
        mailbox = self._mailbox
        mailbox.keeping.settle(mailbox.options.name, self._folder.name, done)
