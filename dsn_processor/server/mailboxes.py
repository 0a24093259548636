"""What is kept of mailboxes, on the control socket: named tuples are JSON's lists, times are text."""

from datetime import datetime
from typing import Any

from dsn_processor.record.entries import AccountStatus, MailboxMail, MailboxNote, MailboxPosition
from dsn_processor.terms import MailboxTask


def note_of(words: list[Any]) -> MailboxNote:
    """Raises ValueError, TypeError where the words are no note."""
    account, folder, position, mails, left = words
    place = None if position is None else position_of(position)
    return MailboxNote(account, folder, place, tuple(map(mail_of, mails)), tuple(left))


def position_of(words: list[Any]) -> MailboxPosition:
    uid_validity, last_uid = words
    return MailboxPosition(uid_validity, last_uid)


def mail_of(words: list[Any]) -> MailboxMail:
    uid, task, unparsed, attempts = words
    return MailboxMail(uid, MailboxTask(task), unparsed, attempts)


def status_words(status: AccountStatus) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in status._asdict().items()
    }


def status_of(words: dict[str, Any]) -> AccountStatus:
    times = {
        name: value and datetime.fromisoformat(value) for name, value in words.items() if name.endswith("_at")
    }
    return AccountStatus(**{**words, **times})
