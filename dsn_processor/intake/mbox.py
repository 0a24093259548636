"""Split an mbox (RFC 4155; mboxo and mboxrd) into mails, a piece of the file at a time."""

import re
from collections.abc import Callable, Iterator

from dsn_processor.patterns import pattern

_PIECE = 2**20
# A From line is told from prose by its time of day, and by a field after it, or a blank line before it and a year.
_FROM_LINE = pattern(rb"\nFrom ([^\n]{0,1000})\n")
_TIME = pattern(rb"\d:[0-5]\d")
_YEAR = pattern(rb"\b[12]\d{3}\b")
_FIELD_FOLLOWS = pattern(rb">?From |[!-9;-~]{1,900}[ \t]{0,9}:")
_BEFORE_FIRST = pattern(rb"[\r\n]*From [^\n]*\n")
#: No From line with the line after it is longer than this, as far as we care.
_LOOKAHEAD = 2048
# mboxrd takes one ">" off; mboxo quotes "From " alone, and reads the same.
_QUOTED = pattern(rb"^>(?=>*From )", re.MULTILINE)


def split(read: Callable[[int], bytes], limit: int) -> Iterator[tuple[bytes, bool]]:
    """Yield each mail of an mbox, un-quoted and without its From line, and whether it was cut at ``limit`` bytes.

    ``read(n)`` gives the next bytes of the file, b"" at its end. Holds one mail and one piece in memory.
    """
    buffer = bytearray(read(_PIECE))
    first = _BEFORE_FIRST.match(buffer)
    begin = first.end() if first else 0  # where the mail in hand begins
    scan = max(begin - 1, 0)  # where to look on: at the newline before a From line
    head: bytes | None = None  # a mail over the limit, while we look for its end
    more = True
    while more:
        piece = read(_PIECE)
        more = bool(piece)
        horizon = len(buffer) - _LOOKAHEAD if more else len(buffer)
        while (found := _next_from_line(buffer, scan, begin, horizon)) is not None:
            yield from _mail(buffer[begin : found[0] + 1] if head is None else head, limit)
            head, scan, begin = None, found[1] - 1, found[1]
        scan = max(scan, horizon)
        if head is None and scan - begin > limit + _LOOKAHEAD:
            head = bytes(buffer[begin : begin + limit + _LOOKAHEAD + 1])  # more than the limit for sure
        # Two bytes before ``scan`` stay, to see a blank line there.
        spent = max(min(begin if head is None else scan, scan - 2), 0)
        del buffer[:spent]
        begin, scan = max(begin - spent, 0), scan - spent
        buffer += piece
    yield from _mail(buffer[begin:] if head is None else head, limit)


def _next_from_line(buffer: bytearray, scan: int, begin: int, horizon: int) -> tuple[int, int] | None:
    """Where the newline before the next From line stands, and where the line after it begins."""
    while 0 <= (at := buffer.find(b"\nFrom ", scan)) < horizon:
        line = _FROM_LINE.match(buffer, at)
        if line is not None and _TIME.search(line[1]):
            blank_before = at < begin or buffer[at - 1] == 0x0A or buffer[max(at - 2, 0) : at] == b"\n\r"
            if _FIELD_FOLLOWS.match(buffer, line.end()) or (blank_before and _YEAR.search(line[1])):
                return at, line.end()
        scan = at + 1
    return None


def _mail(text: bytes | bytearray, limit: int) -> Iterator[tuple[bytes, bool]]:
    """None where two From lines follow each other, else the mail without the blank line that ends it in an mbox."""
    blank = 1 if text.endswith(b"\n\n") else 2 if text.endswith(b"\n\r\n") else 0
    end = len(text) - blank
    mail = bytes(text[: min(end, limit)])
    if b">From " in mail:
        mail = _QUOTED.sub(b"", mail)
    if mail.strip(b"\r\n"):
        yield mail, end > limit
