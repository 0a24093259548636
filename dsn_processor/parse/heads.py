"""Where a header block ends, and what it says about reading the body below it (RFC 2045, RFC 5322 section 2.1)."""

import re
from functools import lru_cache

from dsn_processor.parse.charsets import CR
from dsn_processor.parse.fields import HEADER_LIMIT, Fields, parameter
from dsn_processor.parse.lazy import cached_property
from dsn_processor.patterns import pattern

#: Longest header block that is remembered: reporters write the same few above their parts, mail after mail.
REMEMBERED = 400
BOUNDARY_LIMIT = 1_000

_TYPE = pattern(r"[\s\"']*([\w.+-]{1,80}/[\w.+-]{1,80})")
_ENCODING = pattern(rb"\ncontent-transfer-encoding[ \t]*:\s*\"?([\w-]+)", re.IGNORECASE)
# The boundary and the charset as nearly all write them; anything else is left to ``parameter``.
_CHARSET = pattern(r";\s*charset=\"?([\w.:+-]{1,40})\"?\s*(?:;|\Z)", re.IGNORECASE)
_BOUNDARY = pattern(r";\s*boundary=\"([^\"\\%]{1,200})\"", re.IGNORECASE)
# Behind "Content-Type:", what nearly all reports write: "multipart/report; report-type=delivery-status; boundary=...". A
# boundary without quotes ends the field.
_USUAL_MULTIPART = pattern(
    r"[ \t]*+((?i:multipart)/[A-Za-z]{1,20}+)(?:;[ ]{0,4}+(?:\n[ \t]{1,8}+)?(?i:report-type)=\"?[\w-]{1,40}+\"?)?"
    r";[ ]{0,4}+(?:\n[ \t]{1,8}+)?(?i:boundary)=(?:\"([^\"\\%\n]{1,200}+)\"|([\w.=+-]{1,200}+)\n(?![ \t]))",
    re.ASCII,
)
# The lines of a header block up to one that is odd. Usual names have a look of their own, a simpler one.
_TIDY_LINES = pattern(rb"(?:(?:[A-Za-z-]++:|[ \t]++\S|[!-9;-~]++:).*+\n)*")
# A line of a header block that is neither a field nor the continuation of one: the empty line before it is lost, or it
# is the empty line with blanks added to it.
_NO_FIELD = pattern(rb"^(?![!-9;-~]+[ \t]*:|[ \t]+\S|>?From )[^\n]*\n?", re.MULTILINE)
_NO_FIELD_LIMIT = 8
_FOLDING = (b" ", b"\t")
_FIELD_NAME = pattern(rb"[!-9;-~]+[ \t]*:")
# Such a line, or a field's name with blanks behind it; quickly found.
_ODD_LINE = pattern(r"\n(?![!-9;-~]+:|[ \t]+\S|>?From (?![ \t]*:))[^\n]")
# What shows that the header block goes on behind such a line: junk stands in the middle of many a header.
_ROOT_FIELD = pattern(
    rb"^(?:from|to|subject|date|message-id|received|return-path|auto-submitted|mime-version|content-[a-z-]{1,30})[ \t]*:",
    re.IGNORECASE | re.MULTILINE,
)
_PART_FIELD = pattern(rb"^(?:content-[a-z-]{1,30}|mime-version)[ \t]*:", re.IGNORECASE | re.MULTILINE)
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


class DoubtError(Exception):
    """The line ends of a mail are not CRLF throughout, or something else in it asks for a closer look."""


class Head:
    """What a part's header block says. ``block`` has LF for line ends, also before it. ``content_type`` is in lower case,
    "" where none is stated. ``odd`` tells a line that may be no field; ``length`` counts the block's bytes up to the first
    field that belongs into the body. ``stated`` is the Content-Type field where it is known already.
    """

    def __init__(
        self,
        block: bytes,
        fields: Fields,
        content_type: str,
        boundary: bytes,
        odd: bool,
        length: int,
        stated: str | None = None,
    ) -> None:
        self.block = block
        self.fields = fields
        self.content_type = content_type
        self.boundary = boundary
        self.odd = odd
        self.length = length
        self._stated = stated

    def without_body(self) -> "Head":
        """The head without the fields that belong into the body."""
        block = self.block[: self.length]
        return Head(block, self.fields, self.content_type, self.boundary, self.odd, self.length, self._stated)

    @property
    def stated_type(self) -> str:
        """The Content-Type field with its parameters, unfolded, undecoded; "" where there is none."""
        if self._stated is None:
            self._stated = self.fields.raw("content-type") or ""
        return self._stated

    @cached_property
    def charset(self) -> str | None:
        """The charset that the Content-Type field states."""
        value = self.stated_type
        plain = _CHARSET.search(value)
        return plain[1] if plain else parameter(value, "charset")

    @cached_property
    def encoding(self) -> bytes:
        """The transfer encoding, in lower case; b"" where none is stated."""
        field = _ENCODING.search(self.block)
        return field[1].lower() if field else b""


def read_head(block: bytes) -> Head:
    """Read a header block that begins with the line end before it."""
    return _remembered(block) if len(block) <= REMEMBERED else _read(block)


def read_crlf_head(lines: bytes) -> Head:
    """Read a header block with CRLF for line ends. Raises DoubtError where another one stands between, or a line is odd."""
    return _crlf_remembered(lines) if len(lines) <= REMEMBERED else _read_crlf(lines)


def _read_crlf(lines: bytes) -> Head:
    block = _with_lf(lines)
    if block.count(b"\n") != len(lines) - len(block) or len(block) > HEADER_LIMIT:
        raise DoubtError
    head = _read(block)
    if head.odd or head.length < len(block):
        raise DoubtError
    return head


def read_long_head(raw: bytes, start: int, line_end: bytes) -> tuple[Head, int] | None:
    """Read a mail's own header block, which begins at ``start``, and tell where it stops: before an empty line that ends with
    ``line_end``. None where there is none, or a line is odd. Lines above CRLF may have LF, as who took the mail in wrote them.
    Raises DoubtError where a CR stands alone.
    """
    match = _TIDY_LINES.match(raw, start, start + HEADER_LIMIT + 2)
    stop = match.end() if match else start
    if not raw.startswith(line_end, stop) or stop - start > HEADER_LIMIT:
        return None
    block = b"\n" + raw[start:stop]
    head = _read(_with_lf(block) if CR in block else block, odd=False)
    return (head, stop) if head.length == len(head.block) else None


def _with_lf(lines: bytes) -> bytes:
    """``lines`` with LF for CRLF. Raises DoubtError where a CR stands elsewhere."""
    block = lines.replace(b"\r", b"")  # several times as quick as to look for both
    if lines.count(b"\r\n") != len(lines) - len(block):
        raise DoubtError
    return block


def _read(block: bytes, *, odd: bool | None = None) -> Head:
    text = block.decode("latin-1")
    if odd is None:
        odd = _ODD_LINE.search(text) is not None
    fields = Fields(text, not odd)
    length = len(block)
    if match := fields.match("content-type", _USUAL_MULTIPART):
        return Head(block, fields, match[1].lower(), _delimiting(match[2] or match[3]), odd, length)
    value = fields.raw("content-type") or ""
    match = _TYPE.match(value)
    kind = match[1].lower() if match else ""
    if kind in _MACHINE_TYPES and (first := _MACHINE_FIELD.search(block)):
        length = first.start() + 1
    if kind and not kind.startswith(_KNOWN_TYPES):
        kind = "text/plain"
    stated = None
    if "boundary" in value.lower():
        plain = _BOUNDARY.search(value)
        stated = plain[1] if plain else parameter(value, "boundary")
    # Only a multipart has a boundary, however its type is spelt.
    if stated and not kind.startswith(("multipart/", "message/")):
        kind = "multipart/mixed"
    return Head(block, fields, kind, _delimiting(stated or ""), odd, length, value)


_remembered = lru_cache(maxsize=1024)(_read)
_crlf_remembered = lru_cache(maxsize=1024)(_read_crlf)


def _delimiting(boundary: str) -> bytes:
    return boundary.rstrip().encode("latin-1", "replace")[:BOUNDARY_LIMIT]


def repaired_span(raw: bytes, start: int, stop: int, body: int, *, is_root: bool) -> tuple[int, int]:
    """The header block's span where its end is blurred: it ends at a delimiter line, at a line of blanks, or where two
    lines follow one another that are no fields, unless fields of a header come after.
    """
    known = _ROOT_FIELD if is_root else _PART_FIELD
    for count, odd in enumerate(_NO_FIELD.finditer(raw, start, stop)):
        if count >= _NO_FIELD_LIMIT or odd.end() == odd.start():
            break
        if odd[0].startswith(b"--") and _PART_FIELD.match(raw, odd.end(), stop):
            return odd.start(), odd.start()
        goes_on = _FIELD_NAME.match(raw, odd.end(), stop) is not None
        if not odd[0].strip():
            text_follows = not goes_on and raw[odd.end() : odd.end() + 1] not in _FOLDING
            field_follows = known.match(raw, odd.end(), stop) is not None
            if text_follows or not (field_follows or (is_root and known.search(raw, odd.end(), stop))):
                return odd.start(), odd.end()
        elif not goes_on and known.search(raw, odd.end(), stop) is None:
            return odd.start(), odd.start()
    return stop, body
