"""What is done in the mailbox with mails that are stored: flagged, moved or deleted. Doing it twice does no harm."""

from collections.abc import Sequence

from dsn_processor import logs
from dsn_processor.intake.mailbox.keeping import Keeping
from dsn_processor.intake.mailbox.options import ImapOptions
from dsn_processor.intake.mailbox.session import CommandRefusedError, Folder, Session
from dsn_processor.record.entries import MailboxMail

log = logs.get_logger(room="mailbox")

_MANY = 20  # notes that are kept together
_SEEN = "\\Seen"


class Filing:
    """Files the mails of one folder while it is selected; each MailboxMail names a set of them. ``problems`` tell what the server refused: those mails stay noted,
    and the next look tries again.
    """

    def __init__(self, options: ImapOptions, session: Session, keeping: Keeping, folder: Folder) -> None:
        self._options = options
        self._session = session
        self._keeping = keeping
        self._folder = folder
        self.problems: tuple[str, ...] = ()
        self._filed: list[str] = []
        self._again = options.after != "move" or "MOVE" in session.capabilities

    def file(self, mails: Sequence[MailboxMail]) -> None:
        """File mails, and note that it is done, now or at ``settle``: where doing it twice does no harm, that can wait for
        others. After a refusal no more is tried: a full mailbox stays full.
        """
        for mail in mails:
            if self.problems:
                return
            try:
                self._file(mail.uid, unparsed=mail.unparsed)
            except CommandRefusedError as error:
                self.problems = (str(error),)
                return
            self._filed.append(mail.uid)
        if len(self._filed) >= _MANY or not self._again:
            self.settle()

    def settle(self) -> None:
        """Note what is done."""
        filed, self._filed = self._filed, []
        if filed:
            self._keeping.settle(self._options.name, self._folder.name, filed)

    def _file(self, uids: str, *, unparsed: bool) -> None:
        options, session, folder = self._options, self._session, self._folder
        if folder.readonly:
            self._tell_once("folder is read-only", "mails are stored and stay as they are")
            return
        if options.after == "flag":
            session.flag(uids, self._flag())
        elif options.after == "delete":
            if not session.expunges:
                self._tell_once("server cannot expunge single mails", "they are marked as deleted")
            session.delete(uids)
        elif options.after == "move":
            if not session.expunges and "MOVE" not in session.capabilities:
                self._tell_once("server cannot move mails", "they are copied and flagged")
            aside = unparsed and options.unparsed_folder
            session.move(uids, aside or options.processed_folder)
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
