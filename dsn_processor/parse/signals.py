"""Whether a mail without a delivery-status part is a report at all: who wrote it, what it is called, what it says."""

import re

from dsn_processor.parse.mail import Mail
from dsn_processor.parse.words import (
    AUTO_SUBJECTS,
    DAEMONS,
    DELAYS,
    FINAL,
    NOTICES,
    SUBJECTS,
    SUCCESSES,
    TEXTS,
    contains,
)
from dsn_processor.terms import Action

_HEAD = 6_000  # characters of a notice in which it says what it is
_FORWARDED = re.compile(
    r"\s*(?:fwd?|wg|tr|rv|re|aw|sv|vs|i|r|rif|enc|odp|ответ|回复|答复|转发|轉寄)(?:\[\d+\])?\s*[:：]",
    re.IGNORECASE,
)
# A number that a help desk gives: "[#12345] ...", "[Ticket 12345] ...".
_TICKET = re.compile(r"\s*(?:\w{1,5}:\s*)?\[(?:[\w .-]{0,30}#|ticket\b[ :-]{0,3}|case\b[ :-]{0,3})\w{2,30}\]")
_REPORT_TYPE = re.compile(rb"^content-type:[ \t]*multipart/report", re.IGNORECASE | re.MULTILINE)
_AUTHORITY = ("x-failed-recipients", "x-postfix-queue-id", "x-mailer-daemon", "x-ms-exchange-message-is-ndr")


def report_score(mail: Mail) -> int:
    """How strongly a mail looks like a delivery report: 3 and more is one, under 2 is none."""
    fields, subject = mail.fields, mail.subject.casefold()
    score = 0
    if any(name in fields for name in _AUTHORITY):
        score += 3
    daemon = is_daemon(mail)
    if daemon:
        score += 2
    if is_null_sender(mail):
        score += 1
    if contains(subject, SUBJECTS):
        score += 1
    if contains(mail.notice[:_HEAD].casefold(), TEXTS):
        score += 1
    if (fields.raw("auto-submitted") or "no").lower().startswith("auto-"):
        score += 1
    if "delivery-status" in (fields.raw("content-type") or "").lower():
        score += 2
    if contains(subject, NOTICES):
        score -= 4
    if not daemon and ("list-unsubscribe" in fields or "list-id" in fields):
        score -= 2
    if _FORWARDED.match(subject) and (not daemon or _is_answer(mail)):
        score -= 3
    if not daemon and _TICKET.match(subject):
        score -= 2
    return score


def _is_answer(mail: Mail) -> bool:
    """A postmaster's own letter: it answers a report, and nothing came back with it."""
    answers = "in-reply-to" in mail.fields or "references" in mail.fields
    return answers and contains(mail.subject.casefold(), SUBJECTS) and not came_back(mail)


def is_daemon(mail: Mail) -> bool:
    """The mail's From names a program that returns mail."""
    return contains(mail.from_.casefold(), DAEMONS)


def came_back(mail: Mail) -> bool:
    """A proof beside words that a program returned a mail: lures copy the words of reports, but want an answer."""
    automatic = (mail.fields.raw("auto-submitted") or "no").lower().startswith("auto-")
    return is_null_sender(mail) or automatic or mail.returned is not None or bool(mail.status_parts)


def looks_returned(mail: Mail) -> bool:
    """Who wrote it or what it is called says that mail came back, whatever marks of an automatic reply it bears."""
    if contains(mail.subject.casefold(), AUTO_SUBJECTS) and not contains(mail.subject.casefold(), SUBJECTS):
        return False
    return (
        is_daemon(mail) or "x-failed-recipients" in mail.fields or contains(mail.subject.casefold(), SUBJECTS)
    )


def wrapped_report(mail: Mail) -> bytes | None:
    """QUIRK: gateways that add a footer to a report by wrapping it whole into a message/rfc822 part."""
    part = mail.returned_part
    if part is None or mail.status_parts or mail.root.content_type != "multipart/mixed":
        return None
    if mail.root.children[0] is not part or not is_daemon(mail):
        return None
    inner = part.body(part.end - part.start)
    return inner if _REPORT_TYPE.search(inner, 0, _HEAD) else None


def is_damaged(mail: Mail) -> bool:
    """A mail of several parts, by its type or its author a report, none of whose parts is machine-readable by type."""
    if not mail.root.children or mail.status_parts or mail.feedback_part or mail.disposition_part:
        return False
    kind = (mail.fields.raw("content-type") or "").lower()
    return "report" in kind or is_null_sender(mail) or is_daemon(mail)


def is_forward(mail: Mail) -> bool:
    """A person's forward of or answer to a report, which is no report."""
    return _FORWARDED.match(mail.subject) is not None and not is_daemon(mail) and not is_null_sender(mail)


def is_null_sender(mail: Mail) -> bool:
    """The mail came from the null sender (RFC 5321 section 4.5.5), as the envelope or a Return-Path field tells."""
    if mail.envelope.sender is not None:
        return mail.envelope.sender == ""
    return (mail.fields.raw("return-path") or "-").replace(" ", "").lower() in {"<>", "", "<mailer-daemon>"}


def text_action(mail: Mail) -> Action:
    """What a report in plain text says became of the mail."""
    subject, words = mail.subject.casefold(), mail.notice[:_HEAD].casefold()
    if contains(subject, DELAYS) or "delay" in subject or subject.startswith("warning: could not send"):
        return Action.DELAYED
    if contains(words, DELAYS) and not contains(words, FINAL):
        return Action.DELAYED
    if contains(words, SUCCESSES) and not contains(words, ("not ", "fail", "error", "unable")):
        return Action.DELIVERED
    return Action.FAILED
