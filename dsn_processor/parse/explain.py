"""A notice's own words about each recipient of a delivery-status part: what the machine-readable fields leave out."""

from dataclasses import replace

from dsn_processor.facts import RecipientReport
from dsn_processor.parse.addresses import is_address, made_from
from dsn_processor.parse.dsn import merged_status
from dsn_processor.parse.mail import Mail
from dsn_processor.parse.replies import find_command, find_reply_code, join_lines
from dsn_processor.terms import Action

WORDS = 3_000  # characters kept for one recipient
_TOLD = frozenset({Action.FAILED, Action.DELAYED})


def with_explanations(reports: list[RecipientReport], mail: Mail) -> list[RecipientReport]:
    """The reports, each with the notice's words about it and the command, codes and host only those tell."""
    if not any(report.action in _TOLD for report in reports):
        return reports
    notice = mail.notice
    folded = notice.casefold() if len(reports) > 1 or "\n" in notice else notice
    alone = len(reports) == 1
    return [
        _explained(report, _words_about(report, notice, folded, alone=alone), notice[:WORDS] if alone else "")
        if report.action in _TOLD
        else report
        for report in reports
    ]


def _explained(report: RecipientReport, words: str, rest: str) -> RecipientReport:
    told = report.diagnostic_code or ""
    address, origin = report.address, made_from(words)
    if origin and not is_address(address):
        address = origin  # QUIRK: Exim names the file that it could not write to, and the address in its notice only
    elif origin and origin.casefold() == address.casefold():
        origin = None
    return replace(
        report,
        address=address,
        original=report.original or origin,
        explanation=join_lines(words),
        status=merged_status(report.status, words),
        reply_code=report.reply_code or find_reply_code(words) or (find_reply_code(rest) if rest else None),
        smtp_command=find_command(told) or find_command(words),
    )


def _words_about(report: RecipientReport, notice: str, folded: str, *, alone: bool) -> str:
    """The paragraph that names the address, and the next one where the address stands alone in it."""
    position = -1
    for address in (report.address, report.original):
        if address and (position := folded.find(address.casefold())) >= 0:
            break
    if position < 0 or len(folded) != len(notice):
        return notice[:WORDS] if alone else ""
    start = notice.rfind("\n", 0, position) + 1
    end = notice.find("\n\n", position)
    words = notice[start : end if end >= 0 else None]
    if len(words) < len(report.address) + 12 and end >= 0:
        words = notice[start : _next(notice, end)]
    return words[:WORDS]


def _next(notice: str, position: int) -> int | None:
    while notice.startswith("\n", position):
        position += 1
    end = notice.find("\n\n", position)
    return end if end >= 0 else None
