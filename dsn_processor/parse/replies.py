"""SMTP replies as they stand in reports: reply code (RFC 5321 4.2), enhanced code (RFC 3463), the command refused."""

import re
from typing import NamedTuple

#: Longest reply text that is looked at, in characters.
REPLY_LIMIT = 10_000

# An enhanced code stands alone: not in an IP address, a version, a date or a name. "#5.1.1" and "5.01.01" are met.
_STATUS = re.compile(r"(?<![\w.:/-])#?([245])\.(\d{1,3})\.(\d{1,3})(?![\w/-]|\.\d)")
# "550-5.1.1": the hyphen that continues a reply is the one hyphen allowed before a code.
_CODE_AND_STATUS = re.compile(
    r"(?<![\w.:/+-])([45][0-5]\d)(?:[ \t]+|-|:[ ]|,[ ]ERROR_CODE[ ]:)[ \t]?(?:\(?#)?([245])\.(\d{1,3})\.(\d{1,3})(?![\w/-]|\.\d)"
)
_CODE_AT_START = re.compile(r"[\s<\"'(]*(?:smtp[;:]?\s*)?(?:#?[245]\.\d{1,3}\.\d{1,3}\s+smtp;\s*)?([245][0-5]\d)(?![\w.:/])")
# Words after which a bare reply code is a reply code and not an amount.
_CODE_IN_TEXT = re.compile(
    r"(?:\bsaid:|\bsays?:|\brepl(?:y|ied)(?: (?:was|with))?:|\brespon(?:ded|se)(?: (?:with|was|from [^\n:]{1,120}))?:?|\breturned(?: the following)?:?|"
    r"error(?: message| code| text)?(?: (?:was|is))?[ ]?:?|code(?: was)?[ ]?:?|\bstatus:?|\bgot:|<<<|\bsmtp;|\bmessage:|\bdata:|\]:|\)[ ]?:|>:|"
    r"\bfailed(?: with)?:|\bresult:|\breason:?|\brejected(?: your message)?:?|\bwith:|\banswer:|\bserver:|\brecipient:|\bdetails:|"
    r"\bdiagnostic(?: text)?:|>\.\.\.|\w\.\w{2,63}:|\bproblem|^)"
    r"[ \t\n\"'(\[|>]{0,40}(?<![\d.])([45][0-5]\d)(?=[ \t\-\"')\]:;,.#\n]|$)(?![.:]\d)(?![ \t]*(?:[kmg]?b(?:ytes)?|messages|seconds?|recipients|users|days?|hours?|times)\b)",
    re.IGNORECASE | re.MULTILINE,
)
_CONTINUATION = re.compile(r"\n[ \t]*(?:<<<[ \t]*)?(?:smtp;[ \t]*)?([245]\d\d)[- ][ \t]?(?:#?([245]\.\d{1,3}\.\d{1,3})[ \t]+)?", re.IGNORECASE)
_SPACES = re.compile(r"\s+")

_COMMAND = re.compile(
    r"(?:in (?:reply|response) to|after(?: sending)?|during|in|command was:?|>>>|command:|(?:unable|failed) to)\s+(?:the\s+|initial\s+|pipelined\s+|sending\s+)?\"?"
    r"(end of data|end of message|MAIL FROM|MAIL|RCPT TO|RCPT|DATA|EHLO|HELO|LHLO|STARTTLS|AUTH|initial connection|connection|connect)\b",
    re.IGNORECASE,
)
_VERBS = {
    "end of data": "EOD",
    "end of message": "EOD",
    "mail from": "MAIL",
    "rcpt to": "RCPT",
    "helo": "EHLO",
    "lhlo": "EHLO",
    "initial connection": "CONNECT",
    "connection": "CONNECT",
    "connect": "CONNECT",
}


class Reply(NamedTuple):
    """A reply taken apart. ``text`` is the whole on one line, codes of continuation lines taken out."""

    reply_code: int | None
    status: str | None
    text: str


def parse_reply(text: str) -> Reply:
    """Take a reply or an error text apart; codes that it does not state are None."""
    text = text[:REPLY_LIMIT]
    return Reply(find_reply_code(text), find_status(text), join_lines(text))


def join_lines(text: str) -> str:
    """Join a multi-line reply by single spaces, without the codes that continuation lines repeat."""
    if "\n" in text:
        text = _CONTINUATION.sub("\n", text) if _CONTINUATION.search(text) else text
        return _SPACES.sub(" ", text).strip()
    if "  " in text or "\t" in text:
        return _SPACES.sub(" ", text).strip()
    return text.strip()


# Sendmail's transcript: what the server said ("<<< 550 ...") before what it was turned into ("554 <a@b>... 550 ...").
_CODE_HEARD = re.compile(r"^[ \t]*<<<[ \t]*([45][0-5]\d)\b|^[45]\d\d [^\n]{1,300}\.\.\.[ ]([45][0-5]\d)[ ]", re.MULTILINE)


def find_reply_code(text: str) -> int | None:
    """The SMTP reply code that ``text`` states. A number counts only at the start, before an enhanced code, or after
    words that announce a reply, the start of a line among them: ask before lines are joined.
    """
    if "... " in text or "<<<" in text:
        if match := _CODE_HEARD.search(text):
            return int(match[1] or match[2])
    if match := _CODE_AT_START.match(text):
        return int(match[1])
    if match := _CODE_AND_STATUS.search(text):
        return int(match[1])
    if match := _CODE_IN_TEXT.search(text):
        return int(match[1])
    return None


def find_reply(text: str) -> str | None:
    """The reply that stands in a longer text: from its code to the end of its paragraph, with the lines that go on
    with the same code behind blank ones.
    """
    match = _CODE_AND_STATUS.search(text) or _CODE_IN_TEXT.search(text)
    if match is None:
        return None
    paragraphs = text[match.start(1) : match.start(1) + REPLY_LIMIT].split("\n\n")
    code = match[1]
    end = 1
    while end < len(paragraphs) and paragraphs[end].lstrip().startswith((code + "-", code + " ")):
        end += 1
    return "\n".join(paragraphs[:end])


def find_status(text: str) -> str | None:
    """The enhanced status code that ``text`` states, the most specific of several, in canonical form ("5.1.1")."""
    if match := _CODE_AND_STATUS.search(text):
        found = canonical_status(match[2], match[3], match[4])
        if not found.endswith(".0.0"):
            return found
    fallback = None
    for match in _STATUS.finditer(text):
        found = canonical_status(*match.groups())
        if not found.endswith(".0.0"):
            return found
        fallback = fallback or found
    return fallback


def canonical_status(class_: str, subject: str, detail: str) -> str:
    """"5.01.01" and "5.1.1" are one code (RFC 3463 section 2: no leading zeros)."""
    return f"{class_}.{int(subject)}.{int(detail)}"


def find_command(text: str) -> str | None:
    """The SMTP command that was refused, if the text says so: CONNECT, EHLO, STARTTLS, AUTH, MAIL, RCPT, DATA, EOD."""
    match = _COMMAND.search(text)
    if match is None:
        return None
    words = match[1].lower()
    return _VERBS.get(words, words.upper())
