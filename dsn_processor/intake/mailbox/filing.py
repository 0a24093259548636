"""What is done in the mailbox with mails that are stored: flagged, moved or deleted. Doing it twice does no harm."""

from collections.abc import Sequence

from dsn_processor import logs
from dsn_processor.intake.mailbox.keeping import Keeping
from dsn_processor.intake.mailbox.options import ImapOptions
from dsn_processor.intake.mailbox.session import CHUNK, CommandRefusedError, Folder, Session
from dsn_processor.record.entries import MailboxMail

log = logs.get_logger(room="mailbox")

_SEEN = "\\Seen"


class Filing:
    """Files the mails of one folder while it is selected. ``problems`` tell what the server refused: those mails stay noted,
    and the next look tries again.
    """

    def __init__(self, options: ImapOptions, session: Session, keeping: Keeping, folder: Folder) -> None:
        self._options = options
        self._session = session
        self._keeping = keeping
        self._folder = folder
        self.problems: tuple[str, ...] = ()

    def file(self, mails: Sequence[MailboxMail]) -> None:
        """File mails, and note that it is done. After a refusal no more is tried: a full mailbox stays full."""
        for start in range(0, len(mails), CHUNK):
            if self.problems:
                return
            part = mails[start : start + CHUNK]
            try:
                self._file(part)
            except CommandRefusedError as error:
                self.problems = (str(error),)
                return
            self._keeping.settle(self._options.name, self._folder.name, [mail.uid for mail in part])

    def _file(self, mails: Sequence[MailboxMail]) -> None:
        options, session, folder = self._options, self._session, self._folder
        if folder.readonly:
            self._tell_once("folder is read-only", "mails are stored and stay as they are")
            return
        uids = [int(mail.uid) for mail in mails]
        if options.after == "flag":
            session.flag(uids, self._flag())
        elif options.after == "delete":
            if not session.expunges:
                self._tell_once("server cannot expunge single mails", "they are marked as deleted")
            session.delete(uids)
        elif options.after == "move":
            if not session.expunges and "MOVE" not in session.capabilities:
                self._tell_once("server cannot move mails", "they are copied and flagged")
            self._move(mails)

    def _move(self, mails: Sequence[MailboxMail]) -> None:
        options, session = self._options, self._session
        unparsed = options.unparsed_folder or options.processed_folder
        for target, wanted in ((options.processed_folder, False), (unparsed, True)):
            uids = [int(mail.uid) for mail in mails if mail.unparsed is wanted]
            if uids:
                session.move(uids, target)
                if not session.expunges and "MOVE" not in session.capabilities:
                    session.flag(uids, self._flag())

    def _flag(self) -> str:
        """The flag to give: the one that was asked for, or Seen where the folder takes no others."""
        wanted, folder = self._options.flag, self._folder
        if wanted.startswith("\\") or folder.keywords or wanted.lower() in map(str.lower, folder.flags):
            return wanted
        self._tell_once("folder takes no flags of ours", f"{_SEEN} in place of {wanted}")
        return _SEEN

    def _tell_once(self, what: str, instead: str) -> None:
        if (what, self._folder.name) not in self._session.told:
            self._session.told.add((what, self._folder.name))
            log.warning(what, account=self._options.name, folder=self._folder.name, instead=instead)
