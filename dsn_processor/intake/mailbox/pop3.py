"""A POP3 account: new mail is fetched, committed, and then kept or deleted.

    list -> fetch -> begin: read by workers -> finish: COMMIT -> delete -> quit

POP3 holds the mailbox while a connection lasts, and deletes when it ends well. So each look has a connection of its own,
and deletes what it fetched and committed itself, nothing that an earlier one did: whatever a server's unique-ids are
worth, no mail is deleted that was not read. What stays there is remembered by its unique-id, and not fetched again.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from dsn_processor.errors import LoginRefusedError, MailboxError
from dsn_processor.intake.mailbox.bell import Bell
from dsn_processor.intake.mailbox.credentials import Credentials
from dsn_processor.intake.mailbox.keeping import Keeping, Looked
from dsn_processor.intake.mailbox.options import PopOptions
from dsn_processor.intake.mailbox.popsession import Listed, PopSession, RefusedError
from dsn_processor.intake.mailbox.supervising import Watching
from dsn_processor.intake.mailbox.taking import Begun, Fetched, Taker
from dsn_processor.reading import Rules
from dsn_processor.record.entries import MailboxMail, MailboxNote
from dsn_processor.terms import MailboxTask
from dsn_processor.workers import Readers

_BATCH_OCTETS = 8_000_000
_AHEAD = 2  # batches fetched and not yet committed, beyond those that workers read


class _Piece(NamedTuple):
    """Mails fetched together, as they are listed, and those that the server did not give."""

    listed: list[Listed]
    mails: list[Fetched]
    failed: list[MailboxMail]


class PopMailbox:
    """One POP3 account; see Mailbox in keeping.py. A dry run reads all, and changes nothing in the mailbox."""

    def __init__(
        self,
        options: PopOptions,
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
        self.bell = bell
        self.watching = watching
        self.deletes = options.after == "delete" and not dry_run
        task = None if self.deletes else MailboxTask.REMEMBER
        self.taker = Taker(options, keeping, readers, rules, task, left=MailboxTask.REMEMBER)
        self._credentials = Credentials(options)
        self._session: PopSession | None = None

    def open(self) -> None:
        self.close()
        try:
            self._connect()
        except LoginRefusedError:
            if not self._credentials.forget():
                raise
            self._connect()

    def _connect(self) -> None:
        session = self._session = PopSession(self.options)
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
        self.bell.wait(seconds)

    def look(self) -> Looked:
        if self._session is None:
            self.open()
        assert self._session is not None
        try:
            looked = _Look(self, self._session).look()
            self._session.quit()
        finally:
            self.close()
        return looked


class _Look:
    """A look at the mailbox: mails go through it in order, and are committed in order."""

    def __init__(self, mailbox: PopMailbox, session: PopSession) -> None:
        self._mailbox = mailbox
        self._session = session
        self._name = mailbox.options.name
        self._begun: deque[tuple[Begun, _Piece]] = deque()
        self._noted: dict[str, MailboxMail] = {}
        self._waiting = self._stored = self._left = 0
        self._problems: list[str] = []

    def look(self) -> Looked:
        keeping, name = self._mailbox.keeping, self._name
        listed = self._session.listed()
        self._noted = {mail.uid: mail for mail in keeping.mailbox_mails(name)}
        if gone := self._noted.keys() - {mail.uid for mail in listed}:
            keeping.settle(name, "", sorted(gone))
        new = [mail for mail in listed if mail.uid not in self._noted]
        # What could not be fetched before comes last: it may break the connection again.
        new += [
            mail
            for mail in listed
            if mail.uid in self._noted and self._noted[mail.uid].task is MailboxTask.FETCH
        ]
        if new:
            self._waiting = len(new)
            self._mailbox.watching.found(name, len(new))
            self._take(new)
        return Looked(self._stored, self._left, tuple(self._problems))

    def _take(self, mails: Sequence[Listed]) -> None:
        """What was fetched is committed even where the connection breaks then; but nothing is deleted."""
        ahead = self._mailbox.readers.count + _AHEAD
        try:
            for piece in self._pieces(mails):
                self._begun.append((self._mailbox.taker.begin("", piece.mails), piece))
                while len(self._begun) > ahead:
                    self._finish(delete=True)
        except MailboxError:
            while self._begun:
                self._finish(delete=False)
            raise
        while self._begun:
            self._finish(delete=True)

    def _pieces(self, mails: Sequence[Listed]) -> Iterator[_Piece]:
        """Fetch mails, some at a time."""
        options = self._mailbox.options
        piece, octets = _Piece([], [], []), 0
        for mail in mails:
            if self._mailbox.bell.stopped():
                break
            try:
                self._fetch(mail, piece)
            except MailboxError:
                if piece.mails or piece.failed:
                    yield piece
                # Not first the next time: others are not to wait behind a mail that breaks the connection.
                note = MailboxNote(self._name, mails=(self._failed(mail),))
                self._mailbox.keeping.commit([], note)
                raise
            octets += min(mail.size, options.size_limit)
            if len(piece.mails) + len(piece.failed) >= options.batch or octets >= _BATCH_OCTETS:
                yield piece
                piece, octets = _Piece([], [], []), 0
        if piece.mails or piece.failed:
            yield piece

    def _fetch(self, mail: Listed, piece: _Piece) -> None:
        try:
            raw, cut = self._session.fetch(mail, self._mailbox.options.size_limit)
        except RefusedError as error:
            self._problems.append(str(error))
            piece.failed.append(self._failed(mail))
        else:
            piece.mails.append(Fetched(mail.uid, raw, cut))
            piece.listed.append(mail)

    def _failed(self, mail: Listed) -> MailboxMail:
        before = self._noted.get(mail.uid)
        return MailboxMail(mail.uid, MailboxTask.FETCH, attempts=(before.attempts if before else 0) + 1)

    def _finish(self, *, delete: bool) -> None:
        begun, piece = self._begun.popleft()
        mailbox = self._mailbox
        taken = mailbox.taker.finish(begun, None, piece.failed)
        if delete and mailbox.deletes:
            kept = {mail.uid for mail in taken.file}
            self._delete([mail for mail in piece.listed if mail.uid not in kept])
        self._stored += sum(not outcome.duplicate for outcome in taken.outcomes)
        self._left += taken.left
        handled = len(piece.listed) + len(piece.failed)
        self._waiting -= handled
        mailbox.watching.taken(self._name, taken.outcomes, handled, self._waiting)

    def _delete(self, mails: Sequence[Listed]) -> None:
        for mail in mails:
            try:
                self._session.delete(mail)
            except RefusedError as error:
                self._problems.append(str(error))
