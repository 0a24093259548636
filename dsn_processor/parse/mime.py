"""The MIME tree over bytes (RFC 2046): linear, iterative, bounded. Bodies are found by boundary search and decoded
only when somebody looks at them. A message/* part is a leaf: what it holds is somebody else's mail.
"""

import binascii
import re

from dsn_processor.facts import Defect
from dsn_processor.parse.charsets import COLON, CR, NUL, decode
from dsn_processor.parse.fields import HEADER_LIMIT
from dsn_processor.parse.heads import (
    DoubtError,
    Head,
    read_crlf_head,
    read_head,
    read_long_head,
    repaired_span,
)
from dsn_processor.patterns import pattern

DEPTH_LIMIT = 10
PART_LIMIT = 100
LOOKALIKE_LIMIT = 10_000  # lines that begin like a delimiter and are none

_BOUNDARY_GUESS = pattern(
    rb"^--([^\s-][^\n]{0,199}|-[^\n]{1,199})\n+(?=Content-[A-Za-z-]+:)", re.MULTILINE | re.IGNORECASE
)
_ENVELOPE_LINE = pattern(rb">?From [^\n]*\n+")
_LOST_PART = pattern(rb"^content-type:[ \t]*\w+/", re.IGNORECASE | re.MULTILINE)
# Where a mail with no usable Content-Type begins with the first delimiter all the same.
_BARE_MULTIPART = pattern(
    rb"\s{0,200}(?:this is [^\n]{0,40}(?:mime|multi-?part)[^\n]*\n(?:[^\n-][^\n]*\n|\n){0,3})?"
    rb"--([^\s-][^\n]{0,199}|-[^\n]{1,199})\n+(?=Content-[A-Za-z-]+:)",
    re.IGNORECASE,
)
_ENCODED = (b"base64", b"quoted-printable")
_USUAL_PARTS = 20  # of a multipart
_CLOSING = pattern(rb"--[ \t]*(?:\r?\n|\Z)")
_ODD_BEGINNINGS = (b"\r", b"\n", b"\xef\xbb\xbf")
_BARE_LOOK = 4_000  # bytes of a body in which the first delimiter stands
_BLANK_SOFT_BREAK = pattern(rb"=[ \t]+\n")  # with what transports add (RFC 2045 section 6.7)


class Part:
    """One node: its header block, with the line end before it, and its body as a span of the whole mail's bytes."""

    __slots__ = ("children", "content_type", "depth", "end", "facts", "raw", "start")

    def __init__(
        self, raw: bytes, start: int, end: int, depth: int, default_type: str = "text/plain"
    ) -> None:
        self.raw = raw
        self.end = end
        self.depth = depth
        self.children: list[Part] = []
        #: What the header block says.
        self.facts = facts = self._read_head(start)
        self.content_type = facts.content_type or default_type
        if not (depth or facts.content_type) and self._is_bare_multipart():
            self.content_type = "multipart/mixed"

    def _read_head(self, start: int) -> Head:
        """Find the header block that begins at ``start``, and the body behind it."""
        raw, end = self.raw, self.end
        if not self.depth and (found := read_long_head(raw, start, b"\n")):
            head, stop = found
            self.start = stop + 1
            return head
        blank = raw.find(b"\n\n", start - 1 if start else 0, end)
        stop, self.start = (end, end) if blank < 0 else (blank + 1, blank + 2)
        block = raw[start - 1 : stop] if start else b"\n" + raw[:stop]
        head = read_head(block)
        if head.odd or len(block) > HEADER_LIMIT:
            stop = min(stop, start + HEADER_LIMIT)
            stop, self.start = repaired_span(raw, start, stop, self.start, is_root=not self.depth)
            head = read_head(raw[start - 1 : stop] if start else b"\n" + raw[:stop])
        if head.length < len(head.block):
            self.start = start - 1 + head.length
            head = head.without_body()
        return head

    def _is_bare_multipart(self) -> bool:
        if "boundary" in self.facts.stated_type.lower():
            return False
        return _BARE_MULTIPART.match(self.raw, self.start, self.end) is not None

    @property
    def head(self) -> str:
        """The header block, carried as latin-1."""
        return self.facts.block[1:].decode("latin-1")

    def body(self, limit: int) -> bytes:
        """At most ``limit`` bytes of the body with its transfer encoding undone (RFC 2045 section 6)."""
        encoding = self.facts.encoding
        if encoding == b"base64":
            return lf_lines(_decode_base64(self._lines(limit * 3 // 2 + 4))[:limit])
        if encoding == b"quoted-printable":
            data = _BLANK_SOFT_BREAK.sub(b"=\n", self._lines(limit * 3))
            return lf_lines(binascii.a2b_qp(data)[:limit])
        return self._lines(limit)

    def header_within(self, limit: int) -> bytes:
        """The header block at the beginning of the body."""
        if self.facts.encoding in _ENCODED:
            return self.body(limit).lstrip(b"\n").partition(b"\n\n")[0]
        return self._header_lines(limit)

    def text(self, limit: int) -> str:
        """The body as text in its declared or likely charset."""
        return decode(self.body(limit), self.facts.charset)

    def _lines(self, limit: int) -> bytes:
        """At most ``limit`` bytes of the body as it came, with LF for line ends."""
        return self.raw[self.start : min(self.end, self.start + limit)]

    def _header_lines(self, limit: int) -> bytes:
        raw, begin = self.raw, self.start
        while raw[begin : begin + 1] == b"\n":
            begin += 1
        end = raw.find(b"\n\n", begin, self.end)
        return raw[begin : min(self.end if end < 0 else end, begin + limit)]

    def spans(self, defects: list[Defect]) -> list[tuple[int, int]]:
        """Where the parts of a multipart begin and end."""
        usual = self._usual_spans()
        return _spans(self, defects) if usual is None else usual

    def _usual_spans(self) -> list[tuple[int, int]] | None:
        return _usual_spans(self, b"\n") if self.facts.boundary else None


class CrlfPart(Part):
    """A part of a mail whose line ends are CRLF: they are brought to LF where somebody looks, since the longest part, the
    returned message, is hardly looked at. Where its bounds leave any doubt DoubtError is raised.
    """

    __slots__ = ()

    def _read_head(self, start: int) -> Head:
        raw = self.raw
        if not self.depth:
            found = read_long_head(raw, start, b"\r\n")
            if found is None:
                raise DoubtError
            head, stop = found
            self.start = stop + 2
            return head
        blank = raw.find(b"\r\n\r\n", start - 2, self.end)
        stop, self.start = (self.end, self.end) if blank < 0 else (blank + 2, blank + 4)
        return read_crlf_head(raw[start - 2 : stop])

    def _is_bare_multipart(self) -> bool:
        beginning = self.raw[self.start - 1 : self.start + _BARE_LOOK]
        if b"\n--" in beginning and _BARE_MULTIPART.match(lf_lines(beginning[1:])):
            raise DoubtError
        return False

    def _lines(self, limit: int) -> bytes:
        return lf_lines(self.raw[self.start : min(self.end, self.start + 3 * limit)])[:limit]

    def _header_lines(self, limit: int) -> bytes:
        raw, begin = self.raw, self.start
        while raw[begin : begin + 2] == b"\r\n":
            begin += 2
        end = raw.find(b"\r\n\r\n", begin, self.end)
        block = lf_lines(raw[begin : min(self.end if end < 0 else end, begin + 3 * limit)])
        return block.lstrip(b"\n").partition(b"\n\n")[0][:limit]

    def _usual_spans(self) -> list[tuple[int, int]]:
        boundary = self.facts.boundary
        spans = _usual_spans(self, b"\r\n")
        if not (spans and boundary):
            raise DoubtError
        for _, end in spans:
            if self.raw[end - 1] == CR:
                raise DoubtError
        return spans


def _crlf_parts(raw: bytes, defects: list[Defect]) -> list[Part] | None:
    """The parts of a mail that has CRLF for line ends, None where there is any doubt."""
    if raw.startswith(_ODD_BEGINNINGS) or NUL in raw:
        return None
    start = _after_envelope_lines(raw)
    if raw.startswith(b"\r", start):
        return None
    found: list[Defect] = []
    try:
        parts = _tree(CrlfPart(raw, start, len(raw), 0), found)
    except DoubtError:
        return None
    defects += found
    return parts


def _after_envelope_lines(raw: bytes) -> int:
    """Where the header begins: behind an mbox's line, also quoted."""
    start = 0
    if raw.startswith((b"From ", b">From ")):
        while match := _ENVELOPE_LINE.match(raw, start):
            start = match.end()
    return start


def parse_mime(raw: bytes, defects: list[Defect]) -> list[Part]:
    """The parts of a mail, in its order, the root first. What is over a limit stays unparsed and is named in ``defects``.

    Mail has CRLF for line ends (RFC 5322 section 2.3), or LF as many stores keep it. What has neither throughout is brought
    to LF as a whole.
    """
    if CR in raw:
        if parts := _crlf_parts(raw, defects):
            return parts
        raw = lf_lines(raw)
    raw = without_nul(raw)
    if raw.startswith(_ODD_BEGINNINGS):
        raw = raw.removeprefix(b"\xef\xbb\xbf").lstrip(b"\n")
    start = _after_envelope_lines(raw)
    return _tree(Part(raw, start, len(raw), 0), defects)


def lf_lines(raw: bytes) -> bytes:
    """``raw`` with LF for every line end: CRLF, CR, and the CRCRLF that careless gateways make."""
    if CR not in raw:
        return raw
    text = raw.replace(b"\r", b"")  # several times as quick as to look for both
    if raw.count(b"\r\n") == len(raw) - len(text):
        return text
    return raw.replace(b"\r\r\n", b"\n").replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def without_nul(raw: bytes) -> bytes:
    """``raw`` without NUL, which no mail may hold (RFC 5322 section 4)."""
    return raw.replace(b"\0", b"") if NUL in raw else raw


def _tree(root: Part, defects: list[Defect]) -> list[Part]:
    """The root and all parts below it, which are of its class."""
    parts = [root]
    for place, part in enumerate(parts, 1):
        if part.content_type[:10] != "multipart/":
            continue
        depth = part.depth + 1
        if depth > DEPTH_LIMIT:
            defects.append(Defect("mime_depth_exceeded", f"{DEPTH_LIMIT} levels"))
            continue
        default = "message/rfc822" if part.content_type == "multipart/digest" else "text/plain"
        spans = part.spans(defects)
        room = PART_LIMIT - len(parts)
        kind, raw, children = type(part), part.raw, part.children
        for begin, end in spans[:room]:
            children.append(kind(raw, begin, end, depth, default))
        parts[place:place] = children
        if len(spans) > room:
            defects.append(Defect("mime_parts_exceeded", f"{PART_LIMIT} parts"))
            return parts
    return parts


def _usual_spans(part: Part, line_end: bytes) -> list[tuple[int, int]] | None:
    """The spans between a multipart's delimiter lines where these are beyond doubt, as nearly all are: each stands behind
    ``line_end``, and the boundary nowhere else; else None.
    """
    raw, start, end = part.raw, part.start, part.end
    delimiter = b"--" + part.facts.boundary
    width, length = len(line_end), len(delimiter)
    at = raw.find(delimiter, start, end)
    if at < 0 or raw[at - width : at] != line_end:
        return None
    if at > start and COLON in raw[start:at] and _LOST_PART.search(lf_lines(raw[start:at])):
        return None
    spans: list[tuple[int, int]] = []
    after = at + length
    while raw[after : after + width] == line_end and len(spans) < _USUAL_PARTS:
        after += width
        at = raw.find(delimiter, after, end)
        if at <= after or raw[at - width : at] != line_end:
            return None
        spans.append((after, at - width))
        after = at + length
    closes = raw[after : after + 2 + width] == b"--" + line_end or _CLOSING.match(raw, after, end)
    return spans if closes else None


def _spans(part: Part, defects: list[Defect]) -> list[tuple[int, int]]:
    """The spans between a multipart's delimiter lines (RFC 2046 section 5.1.1)."""
    raw, boundary = part.raw, part.facts.boundary
    found = _delimiters(raw, part.start, part.end, boundary) if boundary else []
    if not found:
        guess = _BOUNDARY_GUESS.search(raw, part.start, part.end)
        if guess is None:
            defects.append(Defect("boundary_not_found"))
            return []
        defects.append(Defect("boundary_guessed"))
        found = _delimiters(raw, part.start, part.end, guess[1].rstrip())
    # A part in what should be the preamble lost its delimiter.
    if found and (lost := _LOST_PART.search(raw, part.start, found[0][0])):
        found.insert(0, (lost.start(), lost.start(), False))
    spans: list[tuple[int, int]] = []
    for index, (_, after, closes) in enumerate(found):
        if closes:
            break
        if index + 1 < len(found):
            spans.append((after, found[index + 1][0]))
        else:
            defects.append(Defect("closing_boundary_missing"))
            spans.append((after, part.end))
    return spans


def _delimiters(raw: bytes, start: int, end: int, boundary: bytes) -> list[tuple[int, int, bool]]:
    """(end of what is before, begin of what is after, closes) of each delimiter line."""
    found: list[tuple[int, int, bool]] = []
    needle = b"\n--" + boundary
    position = start - 1 if raw.startswith(needle[1:], start) and start > 0 else raw.find(needle, start, end)
    looked = 0
    while position >= 0 and len(found) <= PART_LIMIT and looked < LOOKALIKE_LIMIT:
        looked += 1
        line_end = raw.find(b"\n", position + 1, end)
        rest = raw[position + len(needle) : line_end if line_end >= 0 else end].strip()
        # A longer boundary that begins like this one belongs to another part.
        if rest in {b"", b"--"}:
            found.append((max(position, start), line_end + 1 if line_end >= 0 else end, rest == b"--"))
            if rest == b"--":
                break
        position = raw.find(needle, position + len(needle), end)
    return found


def _decode_base64(data: bytes) -> bytes:
    """Decode what is base64 and leave out what is not: footers in the clear, a cut last line."""
    try:
        return binascii.a2b_base64(data)
    except binascii.Error:
        pass
    blank = data.strip().find(b"\n\n")
    kept = data.strip()[:blank] if blank > 0 else data
    kept = re.sub(rb"[^A-Za-z0-9+/]", b"", kept)
    return binascii.a2b_base64(kept[: len(kept) // 4 * 4])
