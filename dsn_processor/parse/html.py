"""HTML to the text a reader sees, roughly and in linear time."""

import re

from dsn_processor.patterns import pattern

_HIDDEN = pattern(r"<(style|script|head|title)\b", re.IGNORECASE)
_BREAK = pattern(
    r"<\s*(?:br|/?p|/?div|/?tr|/?li|/?h[1-6]|/?table|hr|/?ul|/?blockquote|/?pre)\b[^<>]{0,1000}>",
    re.IGNORECASE,
)
_CELL = pattern(r"</t[dh]\b[^<>]{0,100}>", re.IGNORECASE)
# `[^<>]*` stops at the next "<": a run of "<" costs one look each.
# "<user@example.com>" written in the clear is no tag.
_TAG = pattern(r"<(?![^<>\s@\"=]+@[^<>\s\"=]+>)[!/?a-zA-Z][^<>]*>")
_BLANKS = pattern(r"[ \t\xa0]+")


def html_to_text(html: str) -> str:
    """Text with a line for each block; an address in angle brackets written as an entity survives."""
    text = html.replace("\n", " ")
    text = _drop_hidden(text)
    text = _BREAK.sub("\n", text)
    text = _CELL.sub(" ", text)
    text = _TAG.sub("", text)
    if "&" in text:
        text = _unescape(text)
    # With this letter in its set the pattern would take ten times as long to compile.
    text = _BLANKS.sub(" ", text.replace("\u200b", " "))
    return "\n".join([line.strip() for line in text.split("\n")]).strip()


def _drop_hidden(text: str) -> str:
    kept, position = [], 0
    folded = text.lower()
    for match in _HIDDEN.finditer(text):
        if match.start() < position:
            continue
        close = folded.find(f"</{match[1].lower()}", match.end())
        if close < 0:
            break
        kept.append(text[position : match.start()])
        position = close
    kept.append(text[position:])
    return "".join(kept)


def _unescape(text: str) -> str:
    from html import unescape  # noqa: PLC0415  its entity table is loaded only where HTML is met

    try:
        return unescape(text)
    except ValueError:  # a number of thousands of digits
        return text
