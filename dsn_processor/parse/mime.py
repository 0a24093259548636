"""The MIME tree over bytes (RFC 2046): linear, iterative, bounded. Bodies are found by boundary search and decoded
only when somebody looks at them. A message/* part is a leaf: what it holds is somebody else's mail.
"""

import binascii
import re

from dsn_processor.facts import Defect
from dsn_processor.parse.charsets import decode
from dsn_processor.parse.fields import HEADER_LIMIT, parameter, unfold
from dsn_processor.patterns import pattern

DEPTH_LIMIT = 10
PART_LIMIT = 100
BOUNDARY_LIMIT = 1_000
LOOKALIKE_LIMIT = 10_000  # lines that begin like a delimiter and are none

_TYPE = pattern(r"[\s\"']*([\w.+-]{1,80}/[\w.+-]{1,80})")
# From the line end before the field: the engine leaps from one to the next, where "^" would try every character.
_CONTENT_TYPE = pattern(rb"\ncontent-type[ \t]*:(.*(?:\n[ \t].*)*)", re.IGNORECASE)
_ENCODING = pattern(rb"\ncontent-transfer-encoding[ \t]*:\s*\"?([\w-]+)", re.IGNORECASE)
# The boundary and the charset as nearly all write them; anything else is left to ``parameter``.
_CHARSET = pattern(r";\s*charset=\"?([\w.:+-]{1,40})\"?\s*(?:;|\Z)", re.IGNORECASE)
_BOUNDARY = pattern(r";\s*boundary=\"([^\"\\%]{1,200})\"", re.IGNORECASE)
_BOUNDARY_GUESS = pattern(
    rb"^--([^\s-][^\n]{0,199}|-[^\n]{1,199})\n+(?=Content-[A-Za-z-]+:)", re.MULTILINE | re.IGNORECASE
)
_ENVELOPE_LINE = pattern(rb">?From [^\n]*\n+")
# A line of a header block that is neither a field nor the continuation of one: the empty line before it is lost, or it
# is the empty line with blanks added to it.
_NO_FIELD = pattern(rb"^(?![!-9;-~]+[ \t]*:|[ \t]+\S|>?From )[^\n]*\n?", re.MULTILINE)
_NO_FIELD_LIMIT = 8
_LOST_PART = pattern(rb"^content-type:[ \t]*\w+/", re.IGNORECASE | re.MULTILINE)
_FOLDING = (b" ", b"\t")
_FIELD_NAME = pattern(rb"[!-9;-~]+[ \t]*:")
_ODD_LINE = pattern(rb"\n(?![!-9;-~]+[ \t]*:|[ \t]+\S|>?From )[^\n]")  # such a line, quickly found
# What shows that the header block goes on behind such a line: junk stands in the middle of many a header.
_ROOT_FIELD = pattern(
    rb"^(?:from|to|subject|date|message-id|received|return-path|auto-submitted|mime-version|content-[a-z-]{1,30})[ \t]*:",
    re.IGNORECASE | re.MULTILINE,
)
_PART_FIELD = pattern(rb"^(?:content-[a-z-]{1,30}|mime-version)[ \t]*:", re.IGNORECASE | re.MULTILINE)
# Where a mail with no usable Content-Type begins with the first delimiter all the same.
_BARE_MULTIPART = pattern(
    rb"\s{0,200}(?:this is [^\n]{0,40}(?:mime|multi-?part)[^\n]*\n(?:[^\n-][^\n]*\n|\n){0,3})?"
    rb"--([^\s-][^\n]{0,199}|-[^\n]{1,199})\n+(?=Content-[A-Za-z-]+:)",
    re.IGNORECASE,
)
# Parts that hold fields, and the fields that show that the empty line between the part's header and them is lost.
_MACHINE_TYPES = ("message/delivery-status", "message/global-delivery-status", "message/feedback-report", "message/disposition-notification")  # fmt: skip
_MACHINE_FIELD = pattern(
    rb"\n(?:reporting-(?:mta|ua)|(?:original|final)-recipient|original-envelope-id|action|status|diagnostic-code|arrival-date"
    rb"|feedback-type|user-agent|disposition)[ \t]*:",
    re.IGNORECASE,
)
_KNOWN_TYPES = (
    "text/",
    "multipart/",
    "message/",
    "application/",
    "image/",
    "audio/",
    "video/",
    "font/",
    "model/",
)
_ENCODED = (b"base64", b"quoted-printable")
_SOFT_BREAK = pattern(rb"=[ \t]*\n")


class Part:
    """One node: its header block, and its body as a span of the whole mail's bytes. Of the fields only those that say
    how to read the body are looked for.
    """

    __slots__ = (
        "_begin",
        "_head_end",
        "_type",
        "boundary",
        "children",
        "content_type",
        "depth",
        "end",
        "raw",
        "start",
    )

    def __init__(
        self, raw: bytes, start: int, end: int, depth: int, default_type: str = "text/plain"
    ) -> None:
        self.raw = raw
        self.depth = depth
        self.end = end
        self.children: list[Part] = []
        self.boundary: str | None = None
        self._begin = start
        self._head_end, self.start = _header_span(raw, start, end, _PART_FIELD if depth else _ROOT_FIELD)
        field = _CONTENT_TYPE.search(raw, start - 1, self._head_end)
        self._type = value = unfold(field[1].decode("latin-1")) if field else ""
        match = _TYPE.match(value)
        kind = match[1].lower() if match else default_type
        self.content_type = kind if kind.startswith(_KNOWN_TYPES) else "text/plain"
        if self.content_type in _MACHINE_TYPES and (
            first := _MACHINE_FIELD.search(raw, start - 1, self._head_end)
        ):
            self.start = self._head_end = first.start() + 1
        if "boundary" in value.lower():
            plain = _BOUNDARY.search(value)
            self.boundary = plain[1] if plain else parameter(value, "boundary")
            # Only a multipart has a boundary, however its type is spelt.
            if self.boundary and not self.content_type.startswith(("multipart/", "message/")):
                self.content_type = "multipart/mixed"
        elif not depth and match is None and _BARE_MULTIPART.match(raw, self.start, end):
            self.content_type = "multipart/mixed"

    @property
    def head(self) -> str:
        """The header block, carried as latin-1."""
        return self.raw[self._begin : self._head_end].decode("latin-1")

    def body(self, limit: int) -> bytes:
        """At most ``limit`` bytes of the body with its transfer encoding undone (RFC 2045 section 6)."""
        encoding = self._encoding()
        if encoding == b"base64":
            data = self.raw[self.start : min(self.end, self.start + limit * 3 // 2 + 4)]
            return lf_lines(_decode_base64(data)[:limit])
        if encoding == b"quoted-printable":
            data = self.raw[self.start : min(self.end, self.start + limit * 3)]
            return lf_lines(binascii.a2b_qp(_SOFT_BREAK.sub(b"=\n", data))[:limit])
        return self.raw[self.start : min(self.end, self.start + limit)]

    def header_within(self, limit: int) -> bytes:
        """The header block at the beginning of the body."""
        if self._encoding() in _ENCODED:
            return self.body(limit).lstrip(b"\n").partition(b"\n\n")[0]
        begin = self.start
        while self.raw.startswith(b"\n", begin):
            begin += 1
        end = self.raw.find(b"\n\n", begin, self.end)
        return self.raw[begin : min(self.end if end < 0 else end, begin + limit)]

    def _encoding(self) -> bytes:
        field = _ENCODING.search(self.raw, self._begin - 1, self._head_end)
        return field[1].lower() if field else b""

    def text(self, limit: int) -> str:
        """The body as text in its declared or likely charset."""
        plain = _CHARSET.search(self._type)
        return decode(self.body(limit), plain[1] if plain else parameter(self._type, "charset"))


def lf_lines(raw: bytes) -> bytes:
    """``raw`` with LF for every line end: CRLF, CR, and the CRCRLF that careless gateways make."""
    if b"\r" not in raw:
        return raw
    if b"\r\r" in raw:
        raw = raw.replace(b"\r\r\n", b"\n")
    raw = raw.replace(b"\r\n", b"\n")
    return raw.replace(b"\r", b"\n") if b"\r" in raw else raw


def parse_mime(raw: bytes, defects: list[Defect]) -> list[Part]:
    """The parts of a mail whose line ends are LF, in its order, the root first. What is over a limit stays unparsed and
    is named in ``defects``.
    """
    raw = b"\n" + raw  # so that every header block follows a line end
    start = 1
    while match := _ENVELOPE_LINE.match(raw, start):  # mbox's line, also quoted
        start = match.end()
    root = Part(raw, start, len(raw), 0)
    parts: list[Part] = []
    count, stack = 1, [root]
    while stack:
        part = stack.pop()
        parts.append(part)
        if not part.content_type.startswith("multipart/"):
            continue
        if part.depth >= DEPTH_LIMIT:
            defects.append(Defect("mime_depth_exceeded", f"{DEPTH_LIMIT} levels"))
            continue
        default = "message/rfc822" if part.content_type == "multipart/digest" else "text/plain"
        for begin, end in _spans(part, defects):
            if count >= PART_LIMIT:
                defects.append(Defect("mime_parts_exceeded", f"{PART_LIMIT} parts"))
                return [*parts, *part.children, *reversed(stack)]
            part.children.append(Part(raw, begin, end, part.depth + 1, default))
            count += 1
        stack.extend(reversed(part.children))
    return parts


def _header_span(raw: bytes, start: int, end: int, known: re.Pattern[bytes]) -> tuple[int, int]:
    """Where the header block ends, and where the body begins (RFC 5322 section 2.1: after the first empty line)."""
    if raw.startswith(b"\n", start):
        return start, min(start + 1, end)
    blank = raw.find(b"\n\n", start, end)
    stop, body = (end, end) if blank < 0 else (blank + 1, blank + 2)
    stop = min(stop, start + HEADER_LIMIT)
    if _ODD_LINE.search(raw, max(0, start - 1), stop):
        return _repaired_span(raw, start, stop, body, known)
    return stop, body


def _repaired_span(raw: bytes, start: int, stop: int, body: int, known: re.Pattern[bytes]) -> tuple[int, int]:
    """The header block's span where its end is blurred: it ends at a delimiter line, at a line of blanks, or where two
    lines follow one another that are no fields, unless fields of a header come after.
    """
    for count, odd in enumerate(_NO_FIELD.finditer(raw, start, stop)):
        if count >= _NO_FIELD_LIMIT or odd.end() == odd.start():
            break
        if odd[0].startswith(b"--") and _PART_FIELD.match(raw, odd.end(), stop):
            return odd.start(), odd.start()
        goes_on = _FIELD_NAME.match(raw, odd.end(), stop) is not None
        if not odd[0].strip():
            text_follows = not goes_on and raw[odd.end() : odd.end() + 1] not in _FOLDING
            field_follows = known.match(raw, odd.end(), stop) is not None
            if text_follows or not (
                field_follows or (known is _ROOT_FIELD and known.search(raw, odd.end(), stop))
            ):
                return odd.start(), odd.end()
        elif not goes_on and known.search(raw, odd.end(), stop) is None:
            return odd.start(), odd.start()
    return stop, body


def _spans(part: Part, defects: list[Defect]) -> list[tuple[int, int]]:
    """The spans between a multipart's delimiter lines (RFC 2046 section 5.1.1)."""
    raw, spans = part.raw, []
    boundary = (part.boundary or "").rstrip().encode("latin-1", "replace")[:BOUNDARY_LIMIT]
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
