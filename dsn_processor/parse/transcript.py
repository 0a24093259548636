"""Sendmail's transcript of a session: what the server said ("<<< 550 5.7.1 ...") and what Sendmail made of that."""

import re

from dsn_processor.facts import RecipientReport
from dsn_processor.parse.addresses import bare_address
from dsn_processor.parse.replies import find_reply_code, join_lines
from dsn_processor.patterns import holds, pattern

#: A reply with words of its own.
HEARD = pattern(r"<<<[ \t]*[45]\d\d[ -](?:#?[245]\.\d{1,3}\.\d{1,3}[ ])?[^\n]{0,200}[A-Za-z]{4}")
# What Sendmail turns a reply into, from its code alone: "User unknown" for any 550, "Service unavailable" for any 554.
_TURNED = pattern(
    r"\n[45]\d\d (?:[45]\.\d{1,3}\.\d{1,3} )?(?:(?:<[^<>\n]{1,320}>|[^\s<>]{1,320})\.\.\. [^\n]*|Service unavailable)$",
    re.MULTILINE,
)
# ... and the server's word on the DATA that Sendmail sent along with the refused RCPT (RFC 2920).
_AFTERWARDS = pattern(
    r"\n[ \t]*+<<<[ \t]*[45]\d\d[^\n]*(?:[Nn](?i:o valid recipients|eed rcpt|o recipients)|[Bb](?i:ad sequence))[^\n]*"
)
_AFTERWARDS_SAYS = ("no valid recipients", "need rcpt", "no recipients", "bad sequence")
_SAID = pattern(r"\n[ \t]*+<<<[ \t]*(([245]\d\d)([ -])[^\n]*)")
# The host, and the reply to no command: its greeting.
_TALKING = pattern(r"\.\.\.(?<![^\n]...) while talking to ([\w.-]{1,255}?)\.?:\n+([ \t]*<<<)?")
_DEFERRED = pattern(r"\n([^\n]{1,330})\.\.\. Deferred: (4\d\d[ -][^\n]*)")


def without_translation(words: str) -> str:
    """The words without Sendmail's translation of a reply that has words of its own, and without what came of it."""
    if "<<<" not in words:
        return words
    lines = "\n" + words  # each behind a line end
    if _may_go_on(words):
        lines = _AFTERWARDS.sub("\n", lines)
    if not HEARD.search(lines):
        return lines[1:] if "<<<" in lines else words
    return _TURNED.sub("\n", lines)[1:]


def _may_go_on(words: str) -> bool:
    """Whether anything of ``_AFTERWARDS`` may be found."""
    return not words.isascii() or holds(words.lower(), _AFTERWARDS_SAYS)


def heard_in_full(report: RecipientReport, notice: str) -> RecipientReport:
    """The report with the host and the reply that stand in the transcript, where its fields hold less.

    QUIRK: of a reply of several lines Sendmail's Diagnostic-Code holds the first; and of a mail that was put off
    nothing, or the answer to a later command ("221 Bye", "554 no valid recipients").
    """
    if "<<<" not in notice:
        return report
    if talk := _TALKING.search(notice):
        greeting = "CONNECT" if talk[2] else None
        report = report._replace(
            remote_mta=report.remote_mta or talk[1], smtp_command=report.smtp_command or greeting
        )
    if report.diagnostic_type not in (None, "smtp"):
        return report
    transient = report.reply_code is not None and 400 <= report.reply_code < 500
    if not transient and (deferred := _deferred(report, notice)):
        said = join_lines(_long_replies(notice).get(" ".join(deferred.split()), deferred))
        return report._replace(diagnostic_code=said, reply_code=find_reply_code(said))
    [report] = replies_in_full([report], notice)
    return report


def replies_in_full(reports: list[RecipientReport], notice: str) -> list[RecipientReport]:
    """The reports, each with all lines of a reply of which its Diagnostic-Code holds the first."""
    if "<<<" not in notice or "-" not in [(report.diagnostic_code or "")[3:4] for report in reports]:
        return reports
    replies = _long_replies(notice)
    return [
        report._replace(diagnostic_code=join_lines(full))
        if (full := replies.get(" ".join((report.diagnostic_code or "").split())))
        else report
        for report in reports
    ]


def _deferred(report: RecipientReport, notice: str) -> str | None:
    """What put this recipient off, who may be one of several in the transcript."""
    if "... Deferred: 4" not in notice:
        return None
    address = report.address.casefold()
    for match in _DEFERRED.finditer("\n" + notice):
        if bare_address(match[1]).casefold() == address:
            return match[2]
    return None


def _long_replies(notice: str) -> dict[str, str]:
    """The replies of several lines in a transcript, by their first line."""
    replies: dict[str, str] = {}
    lines: list[str] = []
    for match in _SAID.finditer("\n" + notice):
        if lines and match[2] != lines[0][:3]:
            _keep(lines, replies)
        lines.append(match[1])
        if match[3] == " ":
            _keep(lines, replies)
    _keep(lines, replies)
    return replies


def _keep(lines: list[str], replies: dict[str, str]) -> None:
    if len(lines) > 1:
        replies.setdefault(" ".join(lines[0].split()), "\n".join(lines))
    lines.clear()
