"""Bytes to text whatever the label says. Nothing here raises; what cannot be decoded becomes U+FFFD."""

from dsn_processor.patterns import pattern

_ALIASES = {
    "ansi_x3.4-1968": "cp1252",
    "us-ascii": "ascii",
    "ascii": "ascii",
    "iso-8859-1": "cp1252",
    "iso8859-1": "cp1252",
    "latin1": "cp1252",
    "latin-1": "cp1252",
    "gb2312": "gb18030",
    "gb_2312-80": "gb18030",
    "gbk": "gb18030",
    "x-gbk": "gb18030",
    "cp936": "gb18030",
    "ks_c_5601-1987": "cp949",
    "ks_c_5601": "cp949",
    "euc-kr": "cp949",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "sjis": "cp932",
    "x-sjis": "cp932",
    "windows-31j": "cp932",
    "iso-2022-jp": "iso2022_jp_ext",
    "iso-2022-jp-ms": "iso2022_jp_ext",
    "cp50220": "iso2022_jp_ext",
    "iso-8859-8-i": "iso8859-8",
    "iso-8859-8-e": "iso8859-8",
    "big5": "big5hkscs",
    "x-big5": "big5hkscs",
    "unicode-1-1-utf-8": "utf-8",
    "utf8": "utf-8",
    "x-mac-roman": "mac-roman",
    "macintosh": "mac-roman",
    "tis-620": "cp874",
}
# The codecs mail may name. An allow-list, since Python also knows codecs that are no charsets (idna, unicode_escape).
_ALLOWED = frozenset(
    [
        *(
            "ascii",
            "utf-7",
            "utf-8",
            "utf-8-sig",
            "utf-16",
            "utf-16le",
            "utf-16be",
            "utf-32",
            "mac-roman",
            "mac-cyrillic",
        ),
        *("koi8-r", "koi8-t", "koi8-u", "gb18030", "big5hkscs", "euc-jp", "hz", "hz-gb-2312"),
        *[f"cp{number}" for number in (437, 850, 852, 855, 866, 874, 932, 949)],
        *[f"{prefix}{number}" for prefix in ("", "cp", "windows-") for number in range(1250, 1259)],
        *[f"{prefix}{number}" for prefix in ("iso8859-", "iso-8859-") for number in range(1, 17)],
        *[
            f"{prefix}{language}"
            for prefix in ("iso2022-", "iso2022_", "iso-2022-", "iso-2022_")
            for language in ("jp", "jp_ext", "jp-1", "jp-2", "jp-3", "kr")
        ],
    ]
)
#: Bytes as numbers: bytes look for one ten times as soon as for ``b"\r"``, at which they raise and catch an error first.
CR, ESC, NUL, COLON = b"\r\x1b\0:"
_WIDE = frozenset({"utf-16", "utf-16le", "utf-16be", "utf-32"})
_ESCAPE_JP = pattern(rb"\x1b\$[@B]")


def decode(data: bytes, charset: str | None = None) -> str:
    """Decode by the label if it is one and fits, else by what the bytes look like."""
    if data.isascii() and (charset is None or charset in {"us-ascii", "utf-8", "ascii"}) and ESC not in data:
        return data.decode("ascii")
    label = _codec(charset)
    if label in _WIDE and data.isascii() and NUL not in data:
        return data.decode("ascii")  # one byte a character, whatever the label says
    if label not in {None, "ascii"}:
        try:
            return data.decode(label or "ascii")
        except (UnicodeError, LookupError, ValueError):
            pass
    if _ESCAPE_JP.search(data):
        return data.decode("iso2022_jp_ext", "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        pass
    if label in {None, "ascii", "utf-8"}:
        return data.decode("cp1252", "replace")
    return data.decode(label or "cp1252", "replace")


def decode_8bit(text: str) -> str:
    """Raw 8-bit header text, carried as latin-1, in its likely charset (RFC 6532 says UTF-8)."""
    return text if text.isascii() else decode(text.encode("latin-1", "replace"))


def _codec(charset: str | None) -> str | None:
    if charset is None:
        return None
    name = charset.strip(" \"'").lower()
    name = _ALIASES.get(name, name)
    return name if name in _ALLOWED else None
