"""Who wrote a mail: a program that returns mail, another program, or a person."""

import re

from dsn_processor.parse.fields import name_pattern
from dsn_processor.parse.lazy import once
from dsn_processor.parse.mail import Mail
from dsn_processor.parse.words import DAEMONS, MAIL_PROGRAMS, RETURNERS, SERVICES, TRACKERS, contains
from dsn_processor.patterns import pattern

# What gateways write before a subject: "[EXTERNAL]", "*** SPAM ***", "{Spam?}". A number there is a help desk's.
_TAGS = pattern(
    r"(?:\s*(?:\[(?!fwd|mailer-daemon|postmaster)[^\]\d#]{1,30}\]|\{[^}\d#]{1,30}\}|\*{2,}[^*\d#]{1,30}\*{2,}|(?:external|extern|spam|caution)\s*:))*\s*",
    re.IGNORECASE,
)
# What mail programs put before the subject of what they forward or answer, in the languages they speak.
_FORWARDED = pattern(
    r"(?:fwd?|wg|tr|trans|rv|re|aw|sv|vs|vb|vl|vá|i|r|rif|enc|res|odp|pd|fs|ynt|İLT|ilt|απ|σχετ|πρθ|antw|doorgestuurd|doorst|bls|"
    r"továbbítás|továbbítva|weitergeleitet|переслано|пересл|ответ|回复|答复|转发|轉寄|轉發|回覆|転送|返信|전달|회신)"
    r"(?:\[\d+\])?\s*[:：]|\[(?:fwd|mailer-daemon@|postmaster@)",
    re.IGNORECASE,
)
_REWRITTEN = ("+caf_=", "srs0=", "srs0+", "srs1=", "srs1+", "srs0-", "srs1-")
_LIST = name_pattern(("list-unsubscribe", "list-id", "list-post", "x-mailman-version", "mailing-list"))
_TRACKERS = name_pattern(TRACKERS, "[!-9;-~]*")


@once
def is_daemon(mail: Mail) -> bool:
    """The mail's From names a program that returns mail. A name alone beside an ordinary return path is a pretence."""
    sender = mail.folded_from
    if not contains(sender, DAEMONS):
        return False
    name, _, address = sender.rpartition("<")
    if not name or contains(address, DAEMONS):
        return True
    ordinary = has_return_path(mail) or "list-unsubscribe" in mail.fields
    return not ordinary or mail.returned is not None or bool(mail.status_parts)


def is_service(mail: Mail) -> bool:
    """The mail's From is an address that programs use."""
    return contains(mail.folded_from, SERVICES)


@once
def is_null_sender(mail: Mail) -> bool:
    """The mail came from the null sender (RFC 5321 section 4.5.5), as the envelope or a Return-Path field tells."""
    path = _return_path(mail)
    return path is not None and (path == "" or path.startswith("mailer-daemon"))


@once
def has_return_path(mail: Mail) -> bool:
    """The mail is known to have come from somebody to whom mail could be returned: hardly a report. What a forwarder
    wrote over (Gmail's "+caf_=", the Sender Rewriting Scheme) tells nothing.
    """
    path = _return_path(mail)
    return path is not None and path != "" and not is_null_sender(mail) and not contains(path, _REWRITTEN)


def _return_path(mail: Mail) -> str | None:
    if mail.envelope.sender is not None:
        return mail.envelope.sender
    path = mail.fields.raw("return-path")
    return None if path is None else path.replace(" ", "").strip("<>").lower()


@once
def is_automatic(mail: Mail) -> bool:
    """Auto-Submitted says that a program wrote it (RFC 3834 section 5)."""
    return (mail.fields.raw("auto-submitted") or "no").lower().startswith("auto-")


def is_answer(mail: Mail) -> bool:
    """It answers another mail."""
    return "in-reply-to" in mail.fields or "references" in mail.fields


@once
def is_listed(mail: Mail) -> bool:
    """A mailing list or a newsletter sent it."""
    return mail.fields.has_any(_LIST)


def is_tracked(mail: Mail) -> bool:
    """A help desk, a bug tracker or a forum sent it."""
    return mail.fields.has_any(_TRACKERS)


def untagged(subject: str) -> str:
    """A subject without what gateways write before it."""
    first = subject[:1]
    if first.isascii() and first.isalnum() and first not in "eEsScC":  # where no tag begins
        return subject
    return _TAGS.sub("", subject, count=1)


@once
def has_forward_subject(mail: Mail) -> bool:
    """Its subject begins as those of forwarded and answered mail do."""
    return _FORWARDED.match(untagged(mail.subject)) is not None


def is_forward(mail: Mail) -> bool:
    """A person's forward of or answer to a report, which is no report."""
    if is_null_sender(mail) or is_automatic(mail) or is_daemon(mail):
        return False
    return has_forward_subject(mail) or is_person(mail)


@once
def is_person(mail: Mail) -> bool:
    """A mail program in somebody's hands wrote it: it says so, or what it carries is a report itself."""
    if is_null_sender(mail) or is_automatic(mail) or is_daemon(mail):
        return False
    if has_mail_program(mail):
        return True
    return mail.root.content_type != "multipart/report" and carries_report(mail)


@once
def has_mail_program(mail: Mail) -> bool:
    """It names a program that people write mail with."""
    program = mail.fields.raw("user-agent") or mail.fields.raw("x-mailer")
    return program is not None and contains(program.casefold(), MAIL_PROGRAMS)


@once
def carries_report(mail: Mail) -> bool:
    """The message that comes with it is a report itself: forwarded, or sampled by a list manager."""
    returned = mail.returned
    return (
        returned is not None and returned.from_ is not None and contains(returned.from_.casefold(), RETURNERS)
    )
