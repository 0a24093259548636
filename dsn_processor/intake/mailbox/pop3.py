"""A POP3 account: new mail is fetched, committed, and then kept or deleted.

    list -> fetch -> begin: read by workers -> finish: COMMIT -> delete -> quit

POP3 holds the mailbox while a connection lasts, and deletes when it ends well. So each look has a connection of its own,
and deletes what it fetched and committed itself, nothing that an earlier one did: whatever a server's unique-ids are
worth, no mail is deleted that was not read. What stays there is remembered by its unique-id, and not fetched again.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from dsn_processor.errors import MailboxError
from dsn_processor.intake.mailbox.bell import Bell
from dsn_processor.intake.mailbox.connected import Connected
from dsn_processor.intake.mailbox.credentials import Credentials
from dsn_processor.intake.mailbox.keeping import Keeping, Looked
from dsn_processor.intake.mailbox.line import Line, Piece
from dsn_processor.intake.mailbox.options import PopOptions
from dsn_processor.intake.mailbox.popsession import Listed, PopSession, RefusedError
from dsn_processor.intake.mailbox.supervising import Watching
from dsn_processor.intake.mailbox.taking import Fetched, Taken, Taker
from dsn_processor.reading import Rules
from dsn_processor.record.entries import MailboxMail, MailboxNote
from dsn_processor.terms import MailboxTask
from dsn_processor.workers import Readers

_BATCH_OCTETS = 8_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece(Piece):
    """``mails`` are ``listed`` so; ``failed`` the server did not give."""

    mails: list[Fetched] = field(default_factory=list)
    failed: list[MailboxMail] = field(default_factory=list)
    listed: list[Listed] = field(default_factory=list)


class PopMailbox(Connected[PopSession]):
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
        super().__init__(lambda: PopSession(options), Credentials(options))
        self.options = options
        self.keeping = keeping
        self.readers = readers
        self.bell = bell
        self.watching = watching
        self.deletes = options.after == "delete" and not dry_run
        task = None if self.deletes else MailboxTask.REMEMBER
        self.taker = Taker(options, keeping, readers, rules, task, left=MailboxTask.REMEMBER)

    def wait(self, seconds: float) -> None:
        self.bell.wait(seconds)

    def look(self) -> Looked:
        if self._session is None:
            self.open()
        try:
            looked = _Look(self, self.session).look()
            self.session.quit()
        finally:
            self.close()
        return looked


class _Look:
    """A look at the mailbox: mails go through it in order, and are committed in order."""

    def __init__(self, mailbox: PopMailbox, session: PopSession) -> None:
        self._mailbox = mailbox
        self._session = session
        self._name = mailbox.options.name
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
            # What was fetched is committed even where the connection breaks then; but nothing is deleted.
            with Line(self._mailbox.taker, "", self._mailbox.readers.count, self._done) as line:
                line.take(self._pieces(new))
        return Looked(self._stored, self._left, tuple(self._problems))

    def _pieces(self, mails: Sequence[Listed]) -> Iterator[_Piece]:
        """Fetch mails, some at a time."""
        options = self._mailbox.options
        piece, octets = _Piece(), 0
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
                piece, octets = _Piece(), 0
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

    def _done(self, piece: _Piece, taken: Taken, connected: bool) -> None:
        """A piece is committed: delete its mails where that is to be done, and tell."""
        mailbox = self._mailbox
        if connected and mailbox.deletes:
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
