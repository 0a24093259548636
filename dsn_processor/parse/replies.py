"""SMTP replies as they stand in reports: reply code (RFC 5321 4.2), enhanced code (RFC 3463), the command refused."""

import re
from typing import NamedTuple

from dsn_processor.lines import one_line
from dsn_processor.parse.charsets import decode
from dsn_processor.patterns import pattern

#: Longest reply text that is looked at, in characters.
REPLY_LIMIT = 10_000

# An enhanced code stands alone: not in an IP address, a version, a date or a name. "#5.1.1" and "5.01.01" are met.
# The look-behinds stand after the first digit: so the engine skips to the next digit at once.
_STATUS = pattern(r"([245])(?<![\w./-].)(?<!\d:.)\.(\d{1,3})\.(\d{1,3})(?![\w/-]|\.\d)")
# "550-5.1.1": the hyphen that continues a reply is the one hyphen allowed before a code. 571 is no code of RFC 5321, but
# filters refuse with it.
_CODE_AND_STATUS = pattern(
    r"([45](?:[0-5]\d|71))(?<![\w./+-]...)(?<!\d:...)(?:[ \t]+|-|:[ ]|,[ ]ERROR_CODE[ ]:)[ \t]?(?:\(?#)?([245])\.(\d{1,3})\.(\d{1,3})(?![\w/-]|\.\d)"
)
_CODE_AT_START = pattern(
    r"[\s<\"'(]*(?:smtp[;:]?\s*)?(?:#?[245]\.\d{1,3}\.\d{1,3}\s+smtp;\s*)?([245](?:[0-5]\d|71))(?![\w.:/])"
)
_USUAL_CODES = {f"{code} ": code for code in (421, 450, 451, 452, 550, 551, 552, 553, 554)}  # at the start
# A bare number of the right shape, and neither an amount nor a part of something longer ...
_CODE_ALONE = pattern(
    r"([45](?:[0-5]\d|71))(?<![\w.+/]...)(?=[ \t\-\"')\]:;,.#\n]|$)(?![.:]\d)"
    r"(?![ \t]*(?:[kmgKMG]?[bB](?:ytes)?|messages|seconds?|recipients|users|days?|hours?|times)\b)"
)
# ... is a reply code after words that announce one, or where a line begins.
_ANNOUNCING = (
    "said:", "says:", "say:", "reply:", "replied:", "reply was:", "replied with:", "response:", "responded:", "responded with:", "responded with", "response was:", "response was",
    "returned:", "returned", "returned the following:", "error:", "error :", "error", "error message:", "error code:", "error code", "error text:", "error was:", "error is:", "code:", "code :", "code",
    "code was:", "was:", "is:", "status:", "status", "got:", "<<<", "smtp;", "message:", "data:", "]:", "):", ") :", ">:", "failed:", "failed with:", "result:", "reason:", "reason", "rejected:",
    "rejected your message:", "rejected", "with:", "answer:", "answered:", "smtp:", "server:", "recipient:", "details:", "diagnostic:", "diagnostic text:", ">...", "problem", "mail+rcpt", "data closing",
    "grund:", "fehler:", "fehlermeldung:", "raison:", "cause:", "erreur:", "motif:", "motivo:", "razón:", "causa:", "erro:", "errore:",
    "said", "replied", "answered", "servers:", "serveur:", "servidor:", "antwort:", "mailservers:", "réponse:", "respuesta:", "resposta:", "risposta:", "antwoord:", "svar:", "odpowiedź:", "odpověď:",
    "fejl:", "fejlkode:", "feil:", "fel:", "felkod:", "chyba:", "kód:", "kod:", "kodu:", "błąd:", "hiba:", "virhe:", "syy:", "fehlercode:", "código:", "codice:", "yanıt:", "yanıtı:", "σφάλμα:",
    "сервера:", "ответ:", "код:", "サーバー:", "応答:", "コード:", "代码:", "信息:", "응답:", "코드:",
    "fout:", "reden:", "orsak:", "årsag:", "powód:", "důvod:", "neden:", "hata:", "причина:", "ошибка:", "原因:", "理由:", "エラー:", "错误:", "오류:",
    "내용:", "사유:",
)  # fmt: skip
_QUOTED = pattern(r"-['\"]")  # "421-'Service not available'": so Cisco ESA quotes a reply
_LOOK_BACK = 60  # characters before a number that may announce it
_BETWEEN = " \t\n\"'([|>"

_OCTALS = pattern(r"(?:\\[23][0-7]{2})+")

# A command that something introduces: a blank stands before it, which the engine leaps to. Few words begin with three
# characters as these do.
_COMMANDS = (
    r"(end of data|end of message|mail from|mail(?= command)|mail(?= from)|rcpt|data|ehlo|helo|lhlo|starttls|auth"
    r"|initial connection|connection|connect)\b"
)
_COMMAND = pattern(_COMMANDS.replace("(?= command)", ""))
_INTRODUCED = pattern(rf" (?=[\"acdehilmrs][acdehilmnorstu][acdehilnoptu])\"?{_COMMANDS}")
# What introduces a command that was refused, and the words that may stand between.
_REFUSING = (
    "in reply to", "in response to", "after", "after sending", "during", "in", "following", "command was", "command was:",
    ">>>", "command:", "sent:", "unable to", "failed to", "like our", "our final",
)  # fmt: skip
_FILLING = ("the", "initial", "pipelined", "sending", "our", "final")
_FILLERS = 3  # of them at most
_VERBS = {
    "end of data": "EOD",
    "end of message": "EOD",
    "mail from": "MAIL",
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
    return one_line(without_octals(text))


def without_octals(text: str) -> str:
    r"""QUIRK: Exim writes bytes beyond ASCII as "Empf\303\244nger"."""
    return _OCTALS.sub(_unescaped, text) if "\\" in text else text


def _unescaped(match: re.Match[str]) -> str:
    return decode(bytes(int(octal, 8) for octal in match[0].split("\\")[1:]))


# Sendmail's transcript: what the server said ("<<< 550 ...") before what it was turned into ("554 <a@b>... 550 ...").
_CODE_HEARD = pattern(
    r"\n(?:[ \t]*+<<<[ \t]*([45](?:[0-5]\d|71))\b|[45]\d\d [^\n]{1,300}\.\.\.[ ]([45](?:[0-5]\d|71))[ ])"
)


def find_reply_code(text: str) -> int | None:
    """The SMTP reply code that ``text`` states. A number counts only at the start, before an enhanced code, or after
    words that announce a reply, the start of a line among them: ask before lines are joined.
    """
    if ("... " in text or "<<<" in text) and (match := _CODE_HEARD.search("\n" + text)):
        return int(match[1] or match[2])
    if code := _USUAL_CODES.get(text[:4]):
        return code
    if (not text[:1].isalpha() or text[0] == "s") and (match := _CODE_AT_START.match(text)):
        return int(match[1])
    if _may_hold_status(text) and (match := _CODE_AND_STATUS.search(text)):
        return int(match[1])
    match = _announced_code(text)
    return int(match[1]) if match else None


def _announced_code(text: str) -> re.Match[str] | None:
    for match in _CODE_ALONE.finditer(text):
        before = text[max(0, match.start() - _LOOK_BACK) : match.start()]
        if _is_announced(before) or _QUOTED.match(text, match.end()):
            return match
    return None


def _is_announced(before: str) -> bool:
    words = before.rstrip(_BETWEEN).replace("：", ":").replace(" :", ":")
    if (
        not words
        or "\n" in before[len(words) :]
        or before.rstrip(" \t").endswith((">>>", "<<<", "->", "<-", "<--"))
    ):
        return True
    # A host or an address may announce it too: "mx.example.net: 550".
    return words.lower().endswith(_ANNOUNCING) or (words.endswith(":") and "." in words.split()[-1])


def find_reply(text: str) -> str | None:
    """The reply that stands in a longer text: from its code to the end of its paragraph, with the lines that go on
    with the same code behind blank ones.
    """
    match = _CODE_AND_STATUS.search(text) if _may_hold_status(text) else None
    match = match or _announced_code(text)
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
    if not _may_hold_status(text):
        return None
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


def _may_hold_status(text: str) -> bool:
    """Three quick looks spare most texts a slow one."""
    return "5." in text or "4." in text or "2." in text


def canonical_status(class_: str, subject: str, detail: str) -> str:
    """One form for one code: "5.01.01" is "5.1.1" (RFC 3463 section 2: no leading zeros)."""
    return f"{class_}.{int(subject)}.{int(detail)}"


def find_command(text: str) -> str | None:
    """The SMTP command that was refused, if the text says so: CONNECT, EHLO, STARTTLS, AUTH, MAIL, RCPT, DATA, EOD."""
    text = text.lower()
    if "in reply to " in text and (match := _COMMAND.match(text, text.find("in reply to ") + 12)):
        return _verb(match[1])
    line = text.replace("\n", " ").replace("\t", " ")
    if not (  # one of these is in whatever _INTRODUCED finds
        "rcpt" in line or "data" in line or "connect" in line or "mail from" in line or "mail command" in line
        or "helo" in line or "hlo" in line or "auth" in line or "starttls" in line or "end of message" in line
    ):  # fmt: skip
        return None
    for match in _INTRODUCED.finditer(line):
        if _is_refused(text[max(0, match.start(1) - _LOOK_BACK) : match.start(1)]):
            return _verb(match[1])
    return None


def _is_refused(before: str) -> bool:
    """Whether the words before a command say that it was refused."""
    before = before.removesuffix('"')
    for _ in range(_FILLERS + 1):
        words = before.rstrip()
        if len(words) == len(before):
            return False
        if words.endswith(_REFUSING):
            return True
        if not words.endswith(_FILLING):
            return False
        before = words.removesuffix(next(filler for filler in _FILLING if words.endswith(filler)))
    return False


_DOMAIN = r"[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,10}"
# "host mx.example.net [192.0.2.1]", "host: mx.example.net", "while talking to mx.example.net.:", "by mx.example.net. [192.0.2.1]",
# "192.0.2.1 does not like recipient", "mx.example.net [192.0.2.1] did not like our RCPT TO": as Postfix and Exim, GMX,
# Sendmail, Gmail, qmail and DragonFly name who refused. "At host" is where the notice was written. Each pattern begins
# with a literal, which the engine finds faster than the first of many, and has one that is in whatever it finds.
_HOSTS = (
    ("host", pattern(rf"host(?<!\whost)(?<!at host):?[ \n]+({_DOMAIN})\.?[ \n]{{0,6}}(?:[\[(:;]|\n|$)")),
    ("while talking to ", pattern(rf"while talking to ({_DOMAIN})\.?:")),
    (" [", pattern(rf"by (?<!\wby )({_DOMAIN})\.? \[[\w.:]{{2,60}}\]")),
)
_DISLIKING = pattern(
    rf"(?:^|\n)[ \t>]*(?:(\d{{1,3}}(?:\.\d{{1,3}}){{3}}) (?:does not like|failed after)|({_DOMAIN}) \[[\w.:]{{2,60}}\] did not like)"
)


def find_host(text: str) -> str | None:
    """The host that gave the reply, where a notice names it in one of the usual forms."""
    found = [match for word, host in _HOSTS if word in text and (match := host.search(text))]
    if (" not like" in text or " failed after" in text) and (match := _DISLIKING.search(text)):
        found.append(match)
    if not found:
        return None
    first = min(found, key=lambda match: match.start())
    return first[1] or first[2]


def _verb(words: str) -> str:
    return _VERBS.get(words, words.upper())
