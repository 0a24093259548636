"""A notice's own words about each recipient of a delivery-status part: what the machine-readable fields leave out."""

from bisect import bisect_right
from collections import Counter

from dsn_processor.facts import RecipientReport
from dsn_processor.parse.addresses import is_address, made_from
from dsn_processor.parse.dsn import merged_status
from dsn_processor.parse.mail import Mail
from dsn_processor.parse.replies import find_command, find_reply_code, without_octals
from dsn_processor.parse.transcript import heard_in_full, replies_in_full, without_translation
from dsn_processor.terms import Action

WORDS = 3_000  # characters kept for one recipient
LINES_ABOVE = 4  # lines in brackets above the one that names the recipient
NAMED = 300  # recipients of one report whose words are looked for
REPLY = 40  # characters of a reply by which its words are known
_BRACKETS = " \t<([\"'"
_TOLD = frozenset({Action.FAILED, Action.DELAYED})


def with_explanations(reports: list[RecipientReport], mail: Mail) -> list[RecipientReport]:
    """The reports, each with the notice's words about it and the command, codes and host only those tell."""
    if len(reports) == 1:
        if reports[0].action not in _TOLD:
            return reports
        notice = mail.notice
        report = heard_in_full(reports[0], notice)
        return [_explained(report, _words_from(report, notice))]
    if _TOLD.isdisjoint([report.action for report in reports]):
        return reports
    reports = replies_in_full(reports, mail.notice)
    return [
        _explained(report, words) if report.action in _TOLD else report
        for report, words in zip(reports, _words_about_each(reports, mail.notice), strict=True)
    ]


def _explained(report: RecipientReport, words: str) -> RecipientReport:
    # Taken apart and put together past the constructor: _replace takes several times as long.
    (
        address, original, action, status, code, told, kind, explanation, host, command, last, until, category, origin,
    ) = report  # fmt: skip
    words = without_translation(words)
    made = made_from(words)
    if made and not is_address(address):
        # QUIRK: Exim names the file that it could not write to, and the address in its notice only.
        address = made
    elif made and made.casefold() == address.casefold():
        made = None
    return tuple.__new__(
        RecipientReport,
        (
            address,
            original or made,
            action,
            merged_status(status, words),
            code or find_reply_code(words),
            told,
            kind,
            without_octals(f"{explanation}\n{words}" if explanation else words),
            host,
            command or (told and find_command(told)) or find_command(words),
            last,
            until,
            category,
            origin,
        ),
    )


def _words_from(report: RecipientReport, notice: str) -> str:
    """All that follows the first mention of the only recipient; the whole notice where it is not mentioned."""
    folded = notice.casefold()
    for address in (report.address, report.original):
        if address and (position := folded.find(address.casefold())) >= 0 and len(folded) == len(notice):
            start = _beginning(notice, position)
            if not notice[start:position].rstrip().endswith(";"):  # not a field: "Final-Recipient: rfc822;"
                if not report.diagnostic_code:
                    start = _sentence_above(notice, start, position + len(address))
                return notice[start : start + WORDS]
    return notice[:WORDS]


def _beginning(notice: str, position: int) -> int:
    """Where the words about an address begin: its line, or the first above "(expanded from: <address>)" that is not
    indented, as Sendmail names what failed and why before whom it was made from.
    """
    start = notice.rfind("\n", 0, position) + 1
    for _ in range(LINES_ABOVE):
        if (
            start == 0
            or not notice.startswith((" ", "\t"), start)
            or not notice[start:position].lstrip().startswith("(")
        ):
            break
        start = notice.rfind("\n", 0, start - 1) + 1
    return start


def _sentence_above(notice: str, start: int, end: int) -> int:
    """Where the paragraph above an address begins that stands alone in its own, if it is a sentence: InterMail and
    its kin tell the reason first, and then whom it is about.
    """
    line_end = notice.find("\n", end)
    if not notice[end : line_end if line_end >= 0 else len(notice)].strip(" \t\r>).,"):
        above = notice[:start].rstrip()
        if above.endswith(".") and notice.count("\n", len(above), start) >= 2:
            return max(above.rfind("\n\n"), start - WORDS, 0)
    return start


def _words_about_each(reports: list[RecipientReport], notice: str) -> list[str]:
    """For each recipient the paragraph that names it, up to the line that names another; the next paragraph too where
    the address stands alone in its own. "" for one that is not named, and for all beyond the first few hundred.
    """
    folded = notice.casefold()
    if len(folded) != len(notice):
        return [""] * len(reports)
    starts = []
    for report in reports[:NAMED]:
        position = folded.find(report.address.casefold())
        starts.append(_beginning(notice, position) if position >= 0 else -1)
    borders = sorted(set(starts))
    if len(borders) < len(starts):
        starts, borders = _parted(reports[:NAMED], starts, notice)
    words = []
    for report, start in zip(reports, starts, strict=False):
        if start < 0:
            words.append("")
            continue
        after = bisect_right(borders, start)
        border = borders[after] if after < len(borders) else len(notice)
        end = notice.find("\n\n", start, border)
        if 0 <= end < start + len(report.address) + 12:
            end = notice.find("\n\n", _after_blank(notice, end), border)
        words.append(notice[start : end if end >= 0 else border][:WORDS])
    return words + [""] * (len(reports) - len(words))


def _parted(reports: list[RecipientReport], starts: list[int], notice: str) -> tuple[list[int], list[int]]:
    """Where the words about each begin, and all places where words about one begin, where several reports are about one
    address. QUIRK: Exim reports all members of an alias as the alias. Each report takes the mention with its reply, and
    one without any a mention that holds none, best one that names nobody else.
    """
    folded = notice.casefold()
    addresses = {report.address.casefold() for report in reports}
    mentions = {address: _mentions(folded, notice, address) for address in addresses}
    borders = sorted({start for found in mentions.values() for start in found})
    shared = Counter(start for found in mentions.values() for start in found)
    ends = [*borders[1:], len(notice)][: len(borders)]
    said = {
        start: " ".join(notice[start : min(end, start + WORDS)].split())
        for start, end in zip(borders, ends, strict=True)
    }
    parted = []
    for report, first in zip(reports, starts, strict=True):
        reply = " ".join((report.diagnostic_code or "").split())[:REPLY]
        own = [
            start
            for start in mentions[report.address.casefold()]
            if (reply in said[start] if reply else find_reply_code(said[start]) is None)
        ]
        own.sort(key=shared.__getitem__)
        free = [start for start in own if start not in parted]
        parted.append(free[0] if free else first)
    return parted, borders


def _mentions(folded: str, notice: str, address: str) -> list[int]:
    """Where words about an address begin, for its first few hundred mentions: those with no word before them on their
    line, but "(generated from ".
    """
    found: dict[int, None] = {}
    position = first = folded.find(address)
    while position >= 0 and len(found) < NAMED:
        before = notice[notice.rfind("\n", 0, position) + 1 : position].strip(_BRACKETS)
        if not before or made_from(f"{before}<{address}>"):
            found[_beginning(notice, position)] = None
        position = folded.find(address, position + len(address))
    return list(found) or ([_beginning(notice, first)] if first >= 0 else [])


def _after_blank(notice: str, position: int) -> int:
    while notice.startswith("\n", position):
        position += 1
    return position
