"""Whether a mail without a delivery-status part is a report at all: who wrote it, what it is called, what it says."""

import re

from dsn_processor.parse.fields import Fields
from dsn_processor.parse.lazy import once
from dsn_processor.parse.mail import HEAD, Mail
from dsn_processor.parse.words import (
    AUTO_PREFIXES,
    DENIALS,
    GOODS,
    OPENINGS,
    SAYS_AUTO,
    SAYS_DELAYED,
    SAYS_FAILED,
    SAYS_FINAL,
    SAYS_NOTICE,
    SAYS_RETURNED,
    SAYS_SUCCESS,
    TEXTS,
    contains,
    titled,
)
from dsn_processor.parse.writer import (
    carries_report,
    has_forward_subject,
    has_mail_program,
    has_return_path,
    is_answer,
    is_automatic,
    is_daemon,
    is_listed,
    is_marked_report,
    is_null_sender,
    is_service,
    is_tracked,
    untagged,
)
from dsn_processor.patterns import pattern
from dsn_processor.terms import Action

_OPENING = 64  # characters in which a mail system introduces itself
# A number that a help desk gives: "[#12345] ...", "[Ticket 12345] ...".
_TICKET = pattern(r"\s*(?:\w{1,5}:\s*)?\[(?:[\w .-]{0,30}#|ticket\b[ :-]{0,3}|case\b[ :-]{0,3})\w{2,30}\]")
_REPORT_TYPE = pattern(rb"^content-type:[ \t]*multipart/report", re.IGNORECASE | re.MULTILINE)
_QUOTED = pattern(r"^> [^\n]*", re.MULTILINE)
# What reports never bring along: archives (aggregate reports, worms), calendars, programs.
_CARGO = frozenset({"text/calendar", "text/xml", "application/xml"})
_ARCHIVE = pattern(
    r"application/(?:x-)?(?:zip|gzip|zip-compressed|gzip-compressed|msdownload|tlsrpt.*|rar.*|7z.*)"
)
_PROGRAM = pattern(r"name\*?=.{0,200}\.(?:zip|exe|scr|pif|cmd|com|bat|htm|html|gz)\b", re.IGNORECASE)


def report_score(mail: Mail) -> int:
    """How strongly a mail looks like a delivery report: 3 and more is one, under 2 is none."""
    score = 0
    if is_marked_report(mail):
        score += 3
    if is_daemon(mail):
        score += 2
    if is_null_sender(mail):
        score += 1
    if mail.titled & SAYS_RETURNED:
        score += 1
    if says_failed(mail):
        score += 1
    if is_automatic(mail):
        score += 1
    if "delivery-status" in mail.root.facts.stated_type.lower():
        score += 2
    if mail.returned_part is not None and is_service(mail) and _opens_as_report(mail):
        score += 1  # QUIRK: Mailman 3 rejects a post under the post's own subject
    return score - _doubts(mail)


def _doubts(mail: Mail) -> int:
    """How strongly a mail looks like anything else."""
    doubts = 0
    subject, told = mail.folded_subject, mail.titled
    label, colon, _ = subject.partition(":")
    if colon and (of_label := titled(label)) & SAYS_RETURNED:
        subject, told = label, of_label  # "Undeliverable: Your order": the rest is the returned mail's
    if told & SAYS_NOTICE:
        doubts += 4
    if mail.returned_part is None and _has_cargo(mail):
        doubts += 4
    if is_daemon(mail):
        return doubts + 3 * _is_letter(mail)
    if carries_report(mail):
        doubts += 4
    if is_null_sender(mail):
        return doubts + 3 * (has_forward_subject(mail) and not says_failed(mail))
    proved = has_copy(mail) or is_marked_report(mail)
    if not proved:
        # Nobody to return it to, and nothing returned: its words are all it has.
        doubts += 2 * has_return_path(mail) + 2 * contains(subject, GOODS)
        doubts += not (is_automatic(mail) or is_service(mail) or _opens_as_report(mail))
        doubts += 2 * is_listed(mail)
    if has_forward_subject(mail) or (is_answer(mail) and not is_automatic(mail)):
        doubts += 3
    return doubts + 2 * (_TICKET.match(untagged(subject)) is not None) + 2 * is_tracked(mail)


@once
def says_failed(mail: Mail) -> bool:
    """Its own words say that a mail was not delivered, not those that it quotes."""
    if "\n> " in mail.folded_head:
        return contains(_QUOTED.sub("", mail.folded_head), TEXTS)
    return bool(mail.said & SAYS_FAILED)


def _opens_as_report(mail: Mail) -> bool:
    """Its first words are those of a mail system; a person writes a word before what it quotes."""
    return contains(mail.notice.lstrip()[:_OPENING].casefold(), OPENINGS)


def has_copy(mail: Mail) -> bool:
    """A copy of a message comes with it, as a part or below its own words."""
    return mail.returned_part is not None or mail.quotes_message


def _has_cargo(mail: Mail) -> bool:
    for part in mail.parts:
        kind = part.content_type
        if kind in _CARGO or (kind.startswith("application/") and _ARCHIVE.fullmatch(kind)):
            return True
        if part is not mail.root and _PROGRAM.search(part.head):
            return True
    return False


def _is_letter(mail: Mail) -> bool:
    """A postmaster's own letter: a person's program wrote it or it answers a report, and nothing came back with it."""
    if came_back(mail):
        return False
    if has_mail_program(mail):
        return True
    return has_forward_subject(mail) and is_answer(mail) and bool(mail.titled & SAYS_RETURNED)


def came_back(mail: Mail) -> bool:
    """A proof beside words that a program returned a mail: lures copy the words of reports, but want an answer."""
    return is_null_sender(mail) or is_automatic(mail) or has_copy(mail) or bool(mail.status_parts)


def looks_returned(mail: Mail) -> bool:
    """Who wrote it or what it is called says that mail came back, whatever marks of an automatic reply it bears."""
    if "x-failed-recipients" in mail.fields:
        return True
    automatic = mail.titled & SAYS_AUTO
    if automatic and mail.folded_subject.startswith(AUTO_PREFIXES):
        return False  # what follows is the subject of the mail that it answers
    if mail.titled & SAYS_RETURNED:
        return True
    return not automatic and (is_daemon(mail) and says_failed(mail))


def is_plainly_report(mail: Mail, score: int) -> bool:
    """A report for certain, though nobody could be found in it."""
    if score < 3 and not (score == 2 and mail.returned_part is not None):
        return False
    if has_copy(mail) or mail.status_parts:
        return True
    said = mail.titled & SAYS_RETURNED or says_failed(mail)
    return bool(said) and is_daemon(mail) and came_back(mail)


def wrapped_report(mail: Mail) -> bytes | None:
    """QUIRK: gateways that add a footer to a report by wrapping it whole into a message/rfc822 part."""
    part = mail.returned_part
    if part is None or mail.status_parts or mail.root.content_type != "multipart/mixed":
        return None
    if mail.root.children[0] is not part:
        return None
    inner = part.body(part.end - part.start)
    if not _REPORT_TYPE.search(inner, 0, HEAD):
        return None
    author = Fields(inner[:HEAD].decode("latin-1")).text("from")
    return inner if is_daemon(mail) or author == mail.from_ else None


def is_damaged(mail: Mail) -> bool:
    """A mail of several parts, by its type or its author a report, none of whose parts is machine-readable by type."""
    if not mail.root.children or mail.status_parts or mail.feedback_part or mail.disposition_part:
        return False
    kind = mail.root.facts.stated_type.lower()
    return "report" in kind or is_null_sender(mail) or is_daemon(mail)


def text_action(mail: Mail) -> Action:
    """What a report in plain text says became of the mail."""
    subject, said = mail.folded_subject, mail.said
    if mail.titled & SAYS_DELAYED or "delay" in subject or subject.startswith("warning: could not send"):
        return Action.DELAYED
    if said & SAYS_DELAYED and not said & SAYS_FINAL:
        return Action.DELAYED
    if said & SAYS_SUCCESS and not contains(mail.folded_head, DENIALS):
        return Action.DELIVERED
    return Action.FAILED
