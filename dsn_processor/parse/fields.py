"""Header fields (RFC 5322 section 2.2) and their values: unfolding, encoded words (RFC 2047), parameters (RFC 2231)."""

import binascii
import re
from collections.abc import Iterable, Iterator

from dsn_processor.parse.charsets import decode, decode_8bit
from dsn_processor.patterns import pattern

HEADER_LIMIT = 100_000  # characters of a header block that are read
FIELD_LIMIT = 1_000  # fields of a header block that are read
VALUE_LIMIT = 10_000  # characters of a value that are read
ENCODED_WORD_LIMIT = 200  # encoded words decoded in one value

# One field with its folded lines. Each alternative consumes what it matches once: linear.
_FIELD = pattern(r"^([!-9;-~]+)[ \t]*:[ \t]*(.*(?:\n[ \t].*)*)", re.MULTILINE)
_FOLDING = (" ", "\t")
# What follows a field's name, with its folded lines.
_VALUE = pattern(r"[ \t]*+(.*+(?:\n[ \t].*+)*)")
_BLANKS_BEHIND = pattern(r"\n[!-9;-~]+[ \t]+:")
_ENCODED_WORD = pattern(r"=\?([^?\s=]{1,60})\?([BbQq])\?([^?\n]{0,2000})\?=")
_Q_ESCAPE = pattern(rb"=([0-9A-Fa-f]{2})")
_PARAMETER = pattern(
    r";\s*([!#$&+.^_`{|}~\w%'*-]{1,80})\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"?|([^\s;\"]*))", re.DOTALL
)


def name_pattern(names: Iterable[str], more: str = "") -> re.Pattern[str]:
    """A pattern of fields by their names in lower case, each followed by ``more``. Its group is the name. Some names have
    to begin with "x-": what the engine looks at once for all of these.
    """
    extended: list[str] = []
    others: list[str] = []
    for name in names:
        (extended if name.startswith("x-") else others).append(name)
    either = "|".join([*others, f"x-(?:{'|'.join(name[2:] for name in extended)})"])
    return pattern(rf"\n((?:{either}){more})[ \t]*:")


class _Needles(dict[str, str]):
    """What a block is searched for, by the name of a field: put together once."""

    def __missing__(self, name: str) -> str:
        needle = self[name] = f"\n{name}:"
        return needle


_NEEDLES = _Needles()


class Fields:
    """The fields of one header block, found by search when asked for: of the many in a header few are looked at.

    ``tidy`` tells that no name of the block has blanks behind it, which a search would miss.
    """

    __slots__ = ("_block", "_first", "_lower")

    def __init__(self, block: str, tidy: bool = False) -> None:
        if len(block) > HEADER_LIMIT:
            block = block[:HEADER_LIMIT]
        if block[:1] != "\n":
            block = "\n" + block
        self._block = block
        self._lower = lower = block.lower()
        self._first: dict[str, str] | None = None
        blanks = not tidy and (" :" in block or "\t:" in block) and _BLANKS_BEHIND.search(block)
        if blanks or len(lower) != len(block):  # a few letters become two
            self._first = self._split()

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Names and raw values, in their order."""
        return _FIELD.findall(self._block)[:FIELD_LIMIT]

    def _split(self) -> dict[str, str]:
        return {name.lower(): value for name, value in reversed(self.pairs)}

    def __contains__(self, name: str) -> bool:
        return _NEEDLES[name] in self._lower if self._first is None else name in self._first

    @property
    def folded(self) -> str:
        """The whole block, casefolded."""
        return self._lower if self._lower.isascii() else self._block.casefold()

    def named(self, names: re.Pattern[str]) -> list[str]:
        """The names of the fields that a pattern of ``name_pattern`` knows, in lower case."""
        return names.findall(self._lower)

    def match(self, name: str, value: re.Pattern[str]) -> re.Match[str] | None:
        """Match a field's first value, folded as it came; None where a name of the block has blanks behind it."""
        if self._first is not None:
            return None
        needle = _NEEDLES[name]
        start = self._lower.find(needle)
        return None if start < 0 else value.match(self._block, start + len(needle))

    def raw(self, name: str) -> str | None:
        """The first value of a field (``name`` in lower case), unfolded, undecoded."""
        if self._first is not None:
            value = self._first.get(name)
            return None if value is None else unfold(value)
        needle = _NEEDLES[name]
        start = self._lower.find(needle)
        if start < 0:
            return None
        block = self._block
        start += len(needle)
        end = block.find("\n", start)
        if 0 <= end < start + VALUE_LIMIT and block[end + 1 : end + 2] not in _FOLDING:
            return block[start:end].strip()
        match = _VALUE.match(block, start)
        assert match is not None  # an empty value matches, too
        return unfold(match[1])

    def text(self, name: str) -> str | None:
        """The first value of a field as text: encoded words and raw 8-bit decoded."""
        value = self.raw(name)
        return value if value is None or ("=?" not in value and value.isascii()) else decode_words(value)

    def all(self, name: str) -> Iterator[str]:
        """Every value of a field, unfolded."""
        return (unfold(value) for key, value in self.pairs if key.lower() == name)


def unfold(value: str) -> str:
    """One line of at most ``VALUE_LIMIT`` characters (RFC 5322 section 2.2.3)."""
    if len(value) > VALUE_LIMIT:
        value = value[:VALUE_LIMIT]
    if "\n" not in value:
        return value.strip()
    return " ".join([line.strip() for line in value.split("\n")]).strip()


def decode_words(value: str) -> str:
    """Text of a header value that may hold encoded words (RFC 2047) or raw 8-bit characters (carried as latin-1)."""
    if "=?" not in value:
        return value if value.isascii() else decode_8bit(value)
    out: list[str] = []
    pending, charset, end = b"", "", 0
    for count, match in enumerate(_ENCODED_WORD.finditer(value)):
        if count >= ENCODED_WORD_LIMIT:
            break
        between = value[end : match.start()]
        label = match[1].partition("*")[0].lower()  # RFC 2231 section 5: charset*language
        # A multi-byte character may be split over adjacent words of one charset: join the bytes first.
        if pending and (label != charset or between.strip()):
            out.append(decode(pending, charset))
            pending = b""
        if between.strip() or not (end or out or pending):
            out.append(decode_8bit(between))
        pending += _word_bytes(match[2], match[3])
        charset, end = label, match.end()
    if pending:
        out.append(decode(pending, charset))
    out.append(decode_8bit(value[end:]))
    return "".join(out).strip()


def _word_bytes(encoding: str, text: str) -> bytes:
    data = text.encode("latin-1", "replace")
    if encoding in "Qq":
        return _Q_ESCAPE.sub(lambda m: bytes([int(m[1], 16)]), data.replace(b"_", b" "))
    return base64_bytes(data)


def base64_bytes(data: bytes) -> bytes:
    """Decode base64 and forgive wrong padding, foreign characters and a cut end."""
    try:
        return binascii.a2b_base64(data + b"===")
    except binascii.Error:
        try:
            return binascii.a2b_base64(data[: len(data) // 4 * 4])
        except binascii.Error:
            return b""


def parameter(value: str, name: str) -> str | None:
    """A parameter of a structured field such as Content-Type (RFC 2045 section 5.1), continued and charset-tagged
    forms included (RFC 2231 sections 3 and 4).
    """
    pieces: dict[int, tuple[bool, str]] = {}
    for match in _PARAMETER.finditer(";" + value.partition(";")[2]):
        key, _, rest = match[1].lower().partition("*")
        if key != name:
            continue
        text = match[3] if match[2] is None else re.sub(r"\\(.)", r"\1", match[2])
        if not rest and not match[1].endswith("*"):
            return decode_8bit(text)
        number = rest.rstrip("*")
        pieces.setdefault(
            int(number) if number.isdigit() and len(number) < 4 else 0, (match[1].endswith("*"), text)
        )
    if not pieces:
        return None
    ordered = [pieces[number] for number in sorted(pieces)]
    if not ordered[0][0]:
        return "".join(text for _, text in ordered)
    charset, _, rest = ordered[0][1].partition("'")
    head = rest.partition("'")[2]
    from urllib.parse import unquote_to_bytes  # noqa: PLC0415  rare, and it brings much along

    data = b"".join(unquote_to_bytes(text) for _, text in [(True, head), *ordered[1:]])
    return decode(data, charset)
