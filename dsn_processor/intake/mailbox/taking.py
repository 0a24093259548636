"""What is done with mails from a mailbox: told from those that are known, read by a worker, stored, or left.

A mail is committed together with what is still to be done about it in the mailbox. Only then is it flagged, moved or
deleted there; a run that ends in between has the next one do it.

What says that it is a report need not be read to be told from people's mail: it is committed at once, and read later.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import NamedTuple

from dsn_processor.bulk import Prepared
from dsn_processor.facts import InboundMessage
from dsn_processor.intake.mailbox.heads import envelope_of, head_of, says_report
from dsn_processor.intake.mailbox.keeping import Keeping
from dsn_processor.intake.mailbox.numbers import in_sets
from dsn_processor.intake.mailbox.options import AccountOptions, ImapOptions
from dsn_processor.parse.identity import identity
from dsn_processor.pipeline import Outcome, Unread, new_message
from dsn_processor.reading import Rules
from dsn_processor.record.entries import MailboxMail, MailboxNote, MailboxPosition
from dsn_processor.terms import Kind, MailboxTask
from dsn_processor.workers import Batch, Readers


class Fetched(NamedTuple):
    """A mail as it was fetched; ``truncated``: the head of one that is over the limit."""

    uid: str
    raw: bytes
    truncated: bool = False


class Begun(NamedTuple):
    """Mails being read. ``known`` tells of those that need no reading what they are."""

    folder: str
    uids: tuple[str, ...]
    known: dict[str, Kind | None]
    reading: Future[list[Prepared]]


class Taken(NamedTuple):
    """Mails that are stored, or left. ``file`` are those of which something is to be done in the mailbox now."""

    outcomes: list[Outcome]
    left: int
    file: list[MailboxMail]


class Taker:
    """Takes an account's mails. ``task`` is what is to be done about each that is stored, ``left`` about each that is no
    report; None is nothing.
    """

    def __init__(
        self,
        options: AccountOptions,
        keeping: Keeping,
        readers: Readers,
        rules: Callable[[], Rules | None],
        task: MailboxTask | None,
        *,
        left: MailboxTask | None = None,
    ) -> None:
        self._options = options
        self._keeping = keeping
        self._readers = readers
        self._rules = rules
        self._task = task
        self._left = left
        self._later = keeping.reads_later and not (
            isinstance(options, ImapOptions) and options.unparsed_folder
        )

    def begin(self, folder: str, mails: Sequence[Fetched]) -> Begun:
        """Have mails read, those that nobody has met before and that cannot be read later."""
        now = datetime.now(UTC)
        keys = [identity(mail.raw) for mail in mails]
        known = self._keeping.met(keys)
        batch: list[Unread | Prepared] = []
        for mail, key in zip(mails, keys, strict=True):
            head = head_of(mail.raw)
            envelope = envelope_of(head, self._options.recipient_headers)
            message = InboundMessage(mail.raw, self._source(folder, mail.uid), envelope, mail.truncated)
            unread = Unread(message, key, now)
            if key in known:
                batch.append(Prepared(new_message(unread, packed=b""), None))
            elif self._later and (self._options.others != "leave" or says_report(head)):
                batch.append(Prepared(new_message(unread), None))
            else:
                batch.append(unread)
        reading = self._readers.read(Batch(batch, self._rules()))
        return Begun(folder, tuple(mail.uid for mail in mails), known, reading)

    def _source(self, folder: str, uid: str) -> str:
        name = self._options.name
        return f"imap:{name}/{folder}#{uid}" if folder else f"pop3:{name}#{uid}"

    def finish(
        self, begun: Begun, position: MailboxPosition | None, failed: Sequence[MailboxMail] = ()
    ) -> Taken:
        """Commit what was begun, and that the folder was read as far as ``position``. ``failed`` could not be fetched."""
        stored: list[Prepared] = []
        mails: list[MailboxMail] = []
        left: dict[str, None] = {}
        for uid, prepared in zip(begun.uids, begun.reading.result(), strict=True):
            key = prepared.message.identity
            kind = begun.known.get(key, prepared.parsed and prepared.parsed.kind)
            if kind is Kind.NOT_A_REPORT and self._options.others == "leave":
                left[key] = None
                if self._left is not None:
                    mails.append(MailboxMail(uid, self._left))
                continue
            stored.append(prepared)
            if self._task is not None:
                mails.append(MailboxMail(uid, self._task, unparsed=kind in {Kind.UNPARSED, None}))
        if begun.folder:
            mails = in_sets(mails)
        note = MailboxNote(
            self._options.name,
            begun.folder,
            position,
            (*mails, *failed),
            tuple(key for key in left if key not in begun.known),
        )
        return Taken(self._keeping.commit(stored, note), len(left), mails)

    def note(self, folder: str, position: MailboxPosition) -> None:
        """Keep how far a folder was read."""
        self._keeping.commit([], MailboxNote(self._options.name, folder, position))
