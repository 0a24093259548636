"""The returned message: the headers a report gives back (RFC 6522 section 3), as a part or quoted in its text."""

import re

from dsn_processor.facts import ReturnedMessage
from dsn_processor.parse.dates import iso_date
from dsn_processor.parse.fields import HEADER_LIMIT, VALUE_LIMIT, decode_words, unfold
from dsn_processor.parse.mime import Part
from dsn_processor.patterns import pattern

#: Part types that hold a message or its headers.
RETURNED_TYPES = frozenset(
    {
        "message/rfc822",
        "text/rfc822-headers",
        "text/rfc822",
        "message/rfc822-headers",
        "message/global",
        "message/global-headers",
        "message/partial",
    }
)

# What a line begins with that parts a notice from the message quoted below it. Few lines do: most texts need neither be
# folded nor searched for the rest. A row of Sendmail's parts nothing.
_PARTING = pattern(
    r"\n[ \t>]*+(?=[-*=TtYyAaCcOoRrUuMmBbHh][-*=HhOo RrLlEeNn])(?=-{2,}+(?! ?(?ai:transcript of session follows"
    r"|the following addresses had (?:permanent fatal|transient non-fatal) errors) -++\n)"
    r"|\*\*\*|===|[Tt](?ai:he (?:[orut]|me|he|fi))|[Yy](?ai:our (?:[oru]|m\w+ [rbfs]))|[Aa](?ai: copy of )"
    r"|[Cc](?ai:opy of )|[Oo](?ai:riginal |ld )|[Rr](?ai:e(?:turned |jected |ceived:|turn-path:))"
    r"|[Uu](?ai:ndelivered )|[Mm](?ai:essage header)|[Bb](?ai:elow this line )|[Hh](?ai:eader))"
)
# Such a line from there on, in lower case. Rows of signs are taken whole, since a search would try every length of them
# with all that may follow.
_SEPARATOR = pattern(
    r"(?:-{2,}+[ ]?(?:this is a copy of (?:the|your) (?:original )?message|below this line is a copy of the message|"
    r".{0,40}original message|.{0,30}original header|.{0,40}returned (?:message|mail)|"
    r"unsent message|enclosed is|message header|forwarded message|included is|undelivered message|"
    r".{0,30}message text follows|.{0,30}message follows|transcript of message|.{0,30}ursprüngliche|.{0,30}rejected message|"
    r".{0,30}header.{0,10}follow|.{0,20}text of (?:your|the) message).{0,200}"
    r"|\*{3,}+[ ]?.{0,40}original message.{0,100}"
    r"|={3,}+[ ]?.{0,40}original message.{0,100}"
    r"|(?:the |your |a copy of the )?(?:original|returned|rejected|undelivered|old) (?:mail|message)(?:'s)?(?: headers?| text)?(?: (?:is|are|was))?"
    r"(?: (?:attached|below|as follows|follows|included|received was))?(?: below)?[ ]?[:.]?"
    r"|(?:the )?(?:original )?message headers? follows?[:.]?"
    r"|original message (?:headers|follows|header).{0,60}"
    r"|(?:a )?copy of (?:the|your) (?:original )?(?:message|mail)(?: header)?.{0,80}:"
    r"|below this line is .{0,80}"
    r"|your (?:original )?(?:message|mail) (?:reads|begins|read|follows|started).{0,40}[:.]"
    r"|(?:the )?headers? (?:of|from|for) (?:the|your) (?:original )?message.{0,60}"
    r"|the (?:first|top) .{0,40} lines? of (?:the|your) .{0,60}"
    r"|the text of the message was.{0,40}"
    r"|received:[ ]?(?:from|by) .{0,200}"
    r"|return-path:[ ]?<.{0,200}"
    r")(?=\n|\Z)"
)
_HEADER_START = pattern(
    r"\n(?=[ \t>]{0,8}(?:Received|Return-Path|Message-ID|From|Date|X-[\w-]{1,40}|DKIM-Signature|Subject|To|MIME-Version):)",
    re.IGNORECASE,
)
_MSG_ID = pattern(r"<([^<>\s]{1,998})>")
_USUAL_ID = pattern(r"<([!-;=?-~]{1,998})>")  # in ASCII, which the engine looks up in half the time
# The fields that identify a message: of the many in a header, no others are looked at, and most need three letters for it.
# The first letter of each tells them apart.
_IDENTIFYING = pattern(
    r"\n(?=([MmFfTtSsDdRr])[EeRrOoUuAa][^Cc])(?i:message-id|from|to|subject|date|return-path)[ \t]*+:[ \t]*+"
    r"(.*+(?:\n[ \t].*(?:\n[ \t].*)*|))",
    re.ASCII,
)
_LETTERS = frozenset("MFTSDR")


def message_id(value: str | None) -> str | None:
    """The msg-id without its angle brackets, which are not part of it (RFC 5322 section 3.6.4). It may be folded."""
    if not value:
        return None
    if usual := _USUAL_ID.match(value):
        return usual[1]
    value = unfold(value)
    match = _MSG_ID.search(value)
    return match[1] if match else value.strip("<> \t") or None


def returned_from_part(part: Part) -> ReturnedMessage | None:
    """Read the header block that a returned part holds."""
    return _returned("\n" + part.header_within(HEADER_LIMIT).decode("latin-1"))


def _returned(block: str) -> ReturnedMessage | None:
    """Read a header block that begins with a line end; None where no field that identifies a message is in it."""
    found = _IDENTIFYING.findall(block)
    if not found:
        return None
    found.reverse()  # a field's first value is the last that is kept
    first = dict(found)
    if not _LETTERS.issuperset(first):
        first = {letter.upper(): value for letter, value in found}
    get = first.get
    sender = get("R")
    # Past the constructor of a named tuple, which takes twice as long: in the order of ReturnedMessage.
    return tuple.__new__(
        ReturnedMessage,
        (
            message_id(get("M")),
            _text(get("F")),
            _text(get("T")),
            _text(get("S")),
            iso_date(get("D")),
            None if sender is None else unfold(sender).strip("<> "),
        ),
    )


def _text(value: str | None) -> str | None:
    if value is None or ("\n" not in value and value.isascii() and "=?" not in value):
        return value and value[:VALUE_LIMIT].strip()
    return decode_words(unfold(value))


def split_text(text: str) -> tuple[str, str]:
    """Part a plain-text report: (the report's own words, the returned message quoted below them)."""
    position = 0
    while match := _PARTING.search(text, position):
        position = match.end()
        end = text.find("\n", position)
        if _SEPARATOR.match(_lower(text[position : end if end >= 0 else None])):
            own = text[: match.start() + 1]
            # A separator with nothing before it separates nothing.
            if own.strip():
                return own, text[match.start() + 1 :]
    return text, ""


def _lower(text: str) -> str:
    """``text`` with those letters in lower case that separators are made of: all others cost fifteen times as much."""
    if text.isascii():
        return text.lower()
    return text.encode("utf-8", "surrogatepass").lower().decode("utf-8", "surrogatepass").replace("Ü", "ü")


def returned_from_text(quoted: str) -> ReturnedMessage | None:
    """Find and read the header block in the quoted end of a plain-text report."""
    match = _HEADER_START.search("\n" + quoted)
    if match is None:
        return None
    block = quoted[match.start() : match.start() + HEADER_LIMIT]
    first = block.split("\n", 1)[0]
    indent = first[: len(first) - len(first.lstrip(" \t>"))]
    if indent:
        block = "\n".join([line.removeprefix(indent) for line in block.split("\n")])
    end = block.find("\n\n")
    return _returned("\n" + (block if end < 0 else block[:end]))
