"""Where a header block ends, and what it says about reading the body below it (RFC 2045, RFC 5322 section 2.1)."""

import re
from functools import lru_cache
from typing import NamedTuple

from dsn_processor.parse.fields import parameter, unfold
from dsn_processor.patterns import pattern

#: Longest header block that is remembered: reporters write the same few above their parts, mail after mail.
REMEMBERED = 400

_TYPE = pattern(r"[\s\"']*([\w.+-]{1,80}/[\w.+-]{1,80})")
# From the line end before the field: the engine leaps from one to the next, where "^" would try every character.
_CONTENT_TYPE = pattern(rb"\ncontent-type[ \t]*:(.*(?:\n[ \t].*)*)", re.IGNORECASE)
_ENCODING = pattern(rb"\ncontent-transfer-encoding[ \t]*:\s*\"?([\w-]+)", re.IGNORECASE)
# The boundary and the charset as nearly all write them; anything else is left to ``parameter``.
_CHARSET = pattern(r";\s*charset=\"?([\w.:+-]{1,40})\"?\s*(?:;|\Z)", re.IGNORECASE)
_BOUNDARY = pattern(r";\s*boundary=\"([^\"\\%]{1,200})\"", re.IGNORECASE)
# A line of a header block that is neither a field nor the continuation of one: the empty line before it is lost, or it
# is the empty line with blanks added to it.
_NO_FIELD = pattern(rb"^(?![!-9;-~]+[ \t]*:|[ \t]+\S|>?From )[^\n]*\n?", re.MULTILINE)
_NO_FIELD_LIMIT = 8
_FOLDING = (b" ", b"\t")
_FIELD_NAME = pattern(rb"[!-9;-~]+[ \t]*:")
# Such a line, or a field's name with blanks behind it; quickly found.
_ODD_LINE = pattern(rb"\n(?![!-9;-~]+:|[ \t]+\S|>?From )[^\n]")
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


class Head(NamedTuple):
    """What a part's header block says. ``content_type`` is in lower case, "" where none is stated; ``value`` is the
    field it stands in. ``odd`` tells a line that may be no field; ``length`` counts the block's bytes up to the first
    field that belongs into the body. ``encoding`` is b"" where none is stated, None where nobody looked.
    """

    content_type: str
    value: str
    boundary: str | None
    odd: bool
    length: int
    encoding: bytes | None


def read_head(block: bytes) -> Head:
    """Read a header block that begins with the line end before it."""
    if len(block) <= REMEMBERED:
        return _remembered(block)
    return Head(*_read(block), None)


def _read(block: bytes) -> tuple[str, str, str | None, bool, int]:
    field = _CONTENT_TYPE.search(block)
    value = unfold(field[1].decode("latin-1")) if field else ""
    match = _TYPE.match(value)
    kind = match[1].lower() if match else ""
    length = len(block)
    if kind in _MACHINE_TYPES and (first := _MACHINE_FIELD.search(block)):
        length = first.start() + 1
    if kind and not kind.startswith(_KNOWN_TYPES):
        kind = "text/plain"
    boundary = None
    if "boundary" in value.lower():
        plain = _BOUNDARY.search(value)
        boundary = plain[1] if plain else parameter(value, "boundary")
    return kind, value, boundary, _ODD_LINE.search(block) is not None, length


@lru_cache(maxsize=1024)
def _remembered(block: bytes) -> Head:
    return Head(*_read(block), encoding_of(block))


@lru_cache(maxsize=1024)
def charset_of(value: str) -> str | None:
    """The charset that a Content-Type field states."""
    plain = _CHARSET.search(value)
    return plain[1] if plain else parameter(value, "charset")


def encoding_of(block: bytes) -> bytes:
    """The transfer encoding that a header block states, in lower case; b"" where it states none."""
    field = _ENCODING.search(block)
    return field[1].lower() if field else b""


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
