"""Automatic replies (RFC 3834) and challenges: mail that a program wrote in answer, and that reports no delivery."""

from dsn_processor.parse.mail import Mail
from dsn_processor.parse.replies import find_reply_code
from dsn_processor.parse.signals import has_copy
from dsn_processor.parse.words import (
    ABSENCES,
    AUTO_PREFIXES,
    SAYS_AUTO,
    SAYS_CHALLENGE,
    SAYS_CHALLENGE_HINT,
    SAYS_NOTICE,
    contains,
    titled,
)
from dsn_processor.parse.writer import (
    has_forward_subject,
    has_return_path,
    is_answer,
    is_automatic,
    is_daemon,
    is_listed,
    is_marked_answer,
    is_marked_challenge,
    is_null_sender,
    is_person,
    is_tracked,
    untagged,
)

_AUTO_PRECEDENCE = frozenset({"auto_reply", "auto-reply"})
_LOW_PRECEDENCE = _AUTO_PRECEDENCE | {"bulk", "junk"}
_HEAD = 4_000  # characters of a text in which its writer says to be away


def is_challenge(mail: Mail) -> bool:
    """A challenge wants the sender to do something before a mail is let in. A server's reply that wants the same came
    back with a mail that was refused.
    """
    if is_marked_challenge(mail):
        return not is_listed(mail)
    if mail.status_parts or is_listed(mail) or is_person(mail):
        return False
    said = mail.said | mail.titled
    asked = bool(said & SAYS_CHALLENGE)
    if not asked and said & SAYS_CHALLENGE_HINT:
        asked = is_automatic(mail) or is_null_sender(mail) or _precedence(mail) in _AUTO_PRECEDENCE
    return asked and find_reply_code(mail.folded_head) is None


def is_auto_reply(mail: Mail) -> bool:
    """RFC 3834 section 5's field says so, or one of its older cousins, or the subject does."""
    fields = mail.fields
    submitted = (fields.raw("auto-submitted") or "no").split(";")[0].split("(")[0].strip().lower()
    if submitted.startswith("auto-replied") and mail.titled & SAYS_NOTICE and is_daemon(mail):
        return False  # QUIRK: Exim tells the postmaster so that a message is frozen
    if submitted.startswith("auto-replied") or is_marked_answer(mail):
        return True
    precedence = _precedence(mail)
    if precedence in _AUTO_PRECEDENCE:
        return True
    if is_listed(mail):
        return False
    subject = untagged(mail.subject).casefold()
    if subject.startswith(AUTO_PREFIXES) and (":" in subject or "：" in subject):
        return True  # the subject that it answers follows
    answers = is_answer(mail) or has_forward_subject(mail)
    if is_null_sender(mail) and answers and not has_copy(mail):
        return True  # RFC 3834 section 3.3: nothing else answers from the null sender
    automatic = (
        submitted not in {"", "no"} or "x-auto-response-suppress" in fields or precedence in _LOW_PRECEDENCE
    )
    if automatic and answers and not is_tracked(mail):
        return True
    if titled(subject) & SAYS_AUTO:
        return automatic or is_null_sender(mail) or _says_absent(mail)
    return (automatic or is_null_sender(mail) or answers) and _says_absent(mail)


def _says_absent(mail: Mail) -> bool:
    """Its writer says to be away, in a mail that no person's program wrote and that quotes nothing."""
    if is_person(mail) or (has_return_path(mail) and not is_automatic(mail)):
        return False
    head = mail.text[:_HEAD]
    return "\n>" not in head and contains(head.casefold(), ABSENCES)


def _precedence(mail: Mail) -> str:
    return (mail.fields.raw("precedence") or "").strip().lower()
