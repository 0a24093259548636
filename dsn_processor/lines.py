"""Replies and notices of several lines, brought to one."""

from dsn_processor.patterns import pattern

# What a line that goes on with a reply begins with: the code again, as reports quote it.
_CONTINUATION = pattern(
    r"\n[ \t]*+(?=[245<Ss])(?:<<<[ \t]*)?(?:[Ss][Mm][Tt][Pp];[ \t]*)?([245]\d\d)[- ][ \t]?(?:#?([245]\.\d{1,3}\.\d{1,3})[ \t]+)?"
)


def one_line(text: str) -> str:
    """``text`` with single spaces, without the codes that the lines of a reply repeat (RFC 5321 section 4.2.1)."""
    if "\n" in text:
        text = _CONTINUATION.sub("\n", text)
    return " ".join(text.split())
