"""Reports in plain text, by the shapes that most of them share: an address at the start of a line with its trouble
behind or below it, a label such as "Recipient:", an SMTP reply that names the address, or a sentence with it.
"""

import re
from collections.abc import Callable, Container, Iterator
from typing import NamedTuple

from dsn_processor.parse.addresses import MADE_FROM, addresses_in, bare_address, is_address, made_from
from dsn_processor.parse.lazy import cached_property
from dsn_processor.parse.mail import Mail
from dsn_processor.parse.signals import came_back
from dsn_processor.parse.transcript import HEARD
from dsn_processor.parse.words import contains
from dsn_processor.patterns import pattern

SIZE, LINES = 64_000, 2_000  # characters and lines of a notice that are looked at
CHUNK = 3_000  # characters of text kept for one recipient
_QUOTES = " \t<[\"'"
_BULLETS = " \t<[\"'>*-|"
UNDERSCORES = 4  # in a line without blanks: they stand for them
VALUE = 2_000  # characters of a field in which addresses are looked for
SENTENCES = 20  # recipients believed when only running text names them

_ADDRESS = r"(?:\"[^\"\n@<>]{1,64}\"|[\w!#$%&'*+/=?^`{|}~.-]{1,128})@(?:\[[\w.:]{2,60}\]|[\w-]{1,63}(?:\.[\w-]{1,63}){0,12})(?!-?\w)"
# The patterns below match single lines, from their first letter to the last. A set with letters beyond latin-1 takes ten
# times as long to compile as any other, so these stand apart.
# What may begin a line has no other sign before its "@" and the right one behind the address: to ask for that first
# spares most lines the trying of every blank.
_MAY_START = (
    r"[^<>@:]*+<?[^<>@]*+@(?:[^\s:;,(<-]*+(?:$|[:;,(<-]|\s(?:$|[\s(<:;,.-]|on )|(?<=on)\s)|\S*\.\.\.)"
)
_AT_START = pattern(
    rf"(?![ \t]*(?:[245]\d\d[- ]|\())[ \t>]{{0,40}}+(?={_MAY_START})(?:[-*·+][ \t]{{1,4}}|•[ \t]{{1,4}}|\d{{1,3}}[.)][ \t]{{1,4}}|\|)?(?:[^<>@:]{{1,60}}[ \t])?[<\"'(\[]?(?:smtp:|mailto:|rfc822;[ ]?)?(?P<address>{_ADDRESS})[>\"')\]]?"
    r"(?:[ \t]*(?:\((?:generated|expanded|reason|was|from)[^)]{0,300}\)?|<[^<>]{1,300}>|on .{1,60}))*"
    r"(?P<rest>[ \t]*(?:\.\.\.|[:;,(-]|\s*$|[ \t]{2,}).*)",
    re.IGNORECASE,
)
_LABELLED = pattern(
    r"[ \t*>|-]{0,12}(?:final-|original-|failed |intended |e-?mail |mail |envelope |the )?"
    r"(?:recipient'?s?(?: address(?:es)?)?(?:\(s\))?|to|rcpt-to|宛先|[\w ]{3,40})"
    rf"[ \t]*(?:[:=;][ \t]*|：[ \t]*)(?:rfc822;|mailto:|smtp:)?[ \t]*[<\"'\[]?(?P<address>{_ADDRESS})(?P<rest>.*)",
    re.IGNORECASE,
)
_IN_REPLY = pattern(
    rf"[ \t>]{{0,20}}(?:<<<[ \t]*)?[45]\d\d[- ](?:#?[245]\.\d{{1,3}}\.\d{{1,3}}[ ])?[^<@]{{0,80}}?<?(?P<address>{_ADDRESS})>?(?P<rest>.*)"
)
# "There was an error delivering your mail to <a@example.net>.": dma.
_DELIVERING = pattern(
    rf"[^<@]{{0,60}}\bdelivering your (?:mail|message|e-?mail) to <(?P<address>{_ADDRESS})>(?P<rest>.*)"
)
_BARE_START = pattern(rf"[ \t>]{{0,40}}<?(?P<address>{_ADDRESS})>?(?P<rest>[ \t].*)")
_ORIGINAL = pattern(r"[ \t]*original (?:address|recipient)", re.IGNORECASE)
_NEXT = pattern(rf"[>\"')\]]{{0,2}}[ \t]{{0,8}}[,;][ \t]{{0,8}}[<\"'\[]?(?P<address>{_ADDRESS})")
_CODE = pattern(r"\b[245]\.\d{1,3}\.\d|\b[45]\d\d\b")
# In lower case: without regard to case every letter would be tried for all of them.
_BOILER = pattern(
    r"postmaster|mailer-daemon|help ?desk|contact|support|question|please (?:call|e-?mail|send|forward)|report (?:it|this)|https?://|for (?:assistance|help)|wenden sie|administrator|message-id|references:|"
    r"^\s*(?:from|by|via)\b|\bfrom:|\bsender\b|\bvon:|reply-to|unsubscribe|return-path|envelope-from|\bsubject:|mail from"
)
_ALIKE = str.maketrans("İıſ", "iis")  # letters that differ from ASCII's in nothing but their case
# One of these is in whatever it finds: one pass for all of them is quicker than a try at every letter.
_BOILER_WORDS = (
    "postmaster", "mailer-daemon", "help", "contact", "support", "question", "please ", "report ", "http", "for ", "wenden sie",
    "administrator", "message-id", "references:", "from", "by", "via", "sender", "von:", "reply-to",
    "unsubscribe", "return-path", "envelope-from", "subject:",
)  # fmt: skip
_BY = pattern(r"\bby[ \t<\"']*\Z", re.IGNORECASE)  # "Scanned by gateway@example.net"
# Whom to ask, rather than who failed, where a sentence names one.
_ROLE = pattern(r"(?:postmaster|abuse|support|help|admin|webmaster|info)@", re.IGNORECASE)
_END = pattern(
    r"[ \t]*(?:-{3,}|={3,}|\*{3,}|_{3,}|message (?:headers|contents|id)\b|original message|return-path:|received:|subject:|technical details|content-type:|reporting-mta:)",
    re.IGNORECASE,
)
_END_BEGINS = "-=*_morstc"
_OTHERS = ("from", "to", "reply-to", "sender", "return-path", "delivered-to", "x-original-to", "errors-to")


class Found(NamedTuple):
    """A recipient in a notice: the ``words`` beside and below its address, and the address it was made from."""

    address: str
    words: str
    original: str | None = None


class Lines:
    """The lines of a notice, and the numbers of those that may name somebody."""

    def __init__(self, notice: str) -> None:
        self.text = notice[:SIZE]
        self.all = self.text.split("\n")[:LINES]
        self.naming = [number for number, line in enumerate(self.all) if "@" in line]

    @cached_property
    def replies(self) -> dict[int, re.Match[str]]:
        """Those of them that are replies, by their numbers."""
        return {number: match for number in self.naming if (match := _IN_REPLY.match(self.all[number]))}


class Others:
    """Addresses that a notice mentions for another reason, folded: its writer's, its reader's, the sender's. ``wanted``
    are none of them. Nearly no address that is asked for stands in the header at all: only then the fields are read.
    """

    def __init__(self, mail: Mail, wanted: frozenset[str] = frozenset()) -> None:
        self._mail = mail
        self._wanted = wanted
        returned = mail.returned
        self._senders = (returned.envelope_sender or "", returned.from_ or "") if returned else ()
        known = "\n".join([*self._senders, *mail.envelope.recipients]).casefold()
        self._anywhere = f"{mail.fields.folded}\n{known}"

    def __contains__(self, folded: object) -> bool:
        if not isinstance(folded, str) or folded not in self._anywhere or folded in self._wanted:
            return False
        for text in self._texts:
            if _names(text, folded):
                returned = self._mail.returned
                return returned is None or not _names(returned.to or "", folded)
        return False

    @cached_property
    def _texts(self) -> list[str]:
        values = [value for name in _OTHERS if (value := self._mail.fields.raw(name))]
        return [*values, *self._senders, *self._mail.envelope.recipients]


def _names(text: str, folded: str) -> bool:
    """Whether ``folded`` is one of the addresses in a field."""
    text = text[:VALUE]
    return folded in text.casefold() and folded in [one.casefold() for one in addresses_in(text)]


Shape = Callable[[Lines, Container[str]], list[Found]]


def find_recipients(mail: Mail, notice: str) -> list[Found]:
    """The recipients a notice names, by the strongest shape that names any."""
    lines = Lines(notice)
    named: list[str] = []
    if failed := mail.fields.raw("x-failed-recipients"):
        named = [address for one in re.split(r"[,\s]+", failed) if is_address(address := bare_address(one))]
    wanted = frozenset([address.casefold() for address in named])
    found = _first_shape(_SHAPES, lines, Others(mail, wanted), wanted)
    if not found and came_back(mail):
        # A sender may have written to itself: then only the report's writer is no recipient.
        writer = frozenset(address.casefold() for address in addresses_in(mail.from_))
        found = _first_shape(_SHAPES[:4], lines, writer, wanted)
    if replies := {one.address.casefold(): one.words for one in _in_replies(lines, frozenset())}:
        found = [
            one._replace(words=f"{one.words}\n{said}".strip()[:CHUNK])
            if (said := replies.get(one.address.casefold())) and said not in one.words
            else one
            for one in found
        ]
    if named:
        known = {one.address.casefold() for one in found}
        found += [Found(address, "") for address in named if address.casefold() not in known]
    return _once(found)


def _first_shape(
    shapes: tuple[Shape, ...], lines: Lines, excluded: Container[str], wanted: frozenset[str]
) -> list[Found]:
    if not lines.naming:
        return []
    for shape in shapes:
        found = shape(lines, excluded)
        if wanted:
            found = [one for one in found if one.address.casefold() in wanted]
        if found:
            return found
    return []


def _at_line_start(lines: Lines, excluded: Container[str]) -> list[Found]:
    found: list[Found] = []
    asides: list[Found] = []
    for match, before, words in _chunks(lines, _AT_START):
        address = match["address"]
        bare = not before.strip(_BULLETS)
        if _allowed(address, excluded) and (bare or not _names_another(before)):
            # "Questions? help@example.net" names whom to ask; it counts only where nobody else is named.
            aside = not bare and _ROLE.match(address) and any(letter.isalpha() for letter in before)
            (asides if aside else found).append(Found(address, words, made_from(words)))
    return found or asides


def _names_another(before: str) -> bool:
    """The words before an address say that it is not the recipient's."""
    return _is_boiler(before) or _BY.search(before) is not None


def _is_boiler(text: str) -> bool:
    folded = (text if text.isascii() else text.translate(_ALIKE)).lower()
    return contains(folded, _BOILER_WORDS) and _BOILER.search(folded) is not None


def _chunks(lines: Lines, pattern: re.Pattern[str]) -> Iterator[tuple[re.Match[str], str, str]]:
    """Each line that ``pattern`` matches, with what stands before the address on it, and the words behind the address and
    on the lines that belong to it.
    """
    for number in lines.naming:
        line = lines.all[number]
        match = pattern.match(line)
        if match is None:
            continue
        words = []
        if (before := line[: match.start("address")]) and _CODE.search(before):
            words.append(before.strip(" \t<"))
        if rest := match["rest"].strip(" \t:;,.->]\"'"):
            words.append(rest)
        if "ed from" in (low := line.lower()) or "ed by" in low:
            origin = MADE_FROM.search(line)
            words += [origin[0]] if origin else []
        words += _below(lines.all, number + 1, pattern)
        yield match, before, "\n".join(words)[:CHUNK]


def _below(lines: list[str], start: int, pattern: re.Pattern[str]) -> list[str]:
    """The lines under an address that tell its trouble: to the next address or the end of the paragraph; the next
    paragraph too where the address stands alone, or a colon announces it.
    """
    words: list[str] = []
    for line in lines[start : start + 60]:
        said = line.strip()
        if not said:
            if words and not words[-1].endswith(":"):
                break
            continue
        if "@" in line and pattern.match(line):
            # "The following recipients did not receive your message:" introduces what follows.
            return words[:-1] if words and words[-1].endswith(":") else words
        if said[0].casefold() in _END_BEGINS and _END.match(line):
            break
        words.append(said if " " in said else _spaced(said))
    return words


def _spaced(line: str) -> str:
    """A line without blanks. QUIRK: some qmail writes replies as "Remote_host_said:_550_5.1.1_User_unknown"."""
    return line.replace("_", " ") if line.count("_") >= UNDERSCORES else line


def _in_replies(lines: Lines, excluded: Container[str]) -> list[Found]:
    found: list[Found] = []
    if not lines.replies:
        return found
    heard: list[str] = []  # the dialogue above the line, which says what the server answered
    for number, line in enumerate(lines.all):
        match = lines.replies.get(number)
        if line.lstrip().startswith((">>>", "<<<")) and not (
            match and _allowed(match["address"], excluded) and not heard
        ):
            heard.append(line.strip())
        elif match and _allowed(match["address"], excluded):
            found.append(Found(match["address"], "\n".join([*heard[-4:], _turned(line.strip(), heard)])))
            heard = []
        elif not line.startswith(" "):
            heard = []
    return found


def _turned(line: str, heard: list[str]) -> str:
    """QUIRK: under the reply it heard Sendmail writes what it turned that into: "User unknown" for any 550. Where the
    reply has words of its own, only the codes and the address of its translation count.
    """
    kept, dots, _ = line.partition("... ")
    return kept if dots and any(HEARD.match(one) for one in heard) else line


def _delivering(lines: Lines, excluded: Container[str]) -> list[Found]:
    if "delivering your " not in lines.text:
        return []
    return [
        Found(match["address"], words)
        for match, _, words in _chunks(lines, _DELIVERING)
        if _allowed(match["address"], excluded)
    ]


def _bare_start(lines: Lines, excluded: Container[str]) -> list[Found]:
    return [
        Found(match["address"], words)
        for match, _, words in _chunks(lines, _BARE_START)
        if _allowed(match["address"], excluded) and not _is_boiler(match["rest"])
    ]


def _labelled(lines: Lines, excluded: Container[str]) -> list[Found]:
    found: list[Found] = []
    for match, label, words in _chunks(lines, _LABELLED):
        if not _allowed(match["address"], excluded) or _is_boiler(label):
            continue
        one = Found(match["address"], f"{label.strip(_QUOTES)} {words}".strip())
        if found and _ORIGINAL.match(label) and not found[-1].original:
            one = _same(found.pop(), one)
        found.append(one)
        found += [
            one._replace(address=address)
            for address in _further(match["rest"])
            if _allowed(address, excluded)
        ]
    return found


def _further(rest: str) -> list[str]:
    """The addresses of a list that goes on behind the first: "Unknown: a@example.net, b@example.net"."""
    addresses = []
    while match := _NEXT.match(rest):
        addresses.append(match["address"])
        rest = rest[match.end() :]
    return addresses


def _same(final: Found, stated: Found) -> Found:
    """One recipient named twice, as "Recipient address:" and "Original address:". A name without a domain of its own
    ("jdoe@ims-ms-daemon") is only how the server calls its mailbox.
    """
    words = f"{final.words}\n{stated.words}".strip()[:CHUNK]
    address = final.address if "." in final.address.rpartition("@")[2] else stated.address
    return Found(address, words, stated.address)


def _in_sentences(lines: Lines, excluded: Container[str]) -> list[Found]:
    found = []
    for number in lines.naming:
        line = lines.all[number]
        if _is_boiler(line):
            continue
        words = "\n".join([line.strip(), *_below(lines.all, number + 1, _AT_START)])[:CHUNK]
        found += [
            Found(address, words)
            for address in addresses_in(line)
            if _allowed(address, excluded)
            and not _ROLE.match(address)
            and not _BY.search(line, 0, line.find(address))
        ]
    return found[:SENTENCES]


#: The shapes, the strongest first.
_SHAPES: tuple[Shape, ...] = (
    _at_line_start, _delivering, _in_replies, _labelled, _bare_start, _in_sentences
)  # fmt: skip


def _allowed(address: str, excluded: Container[str]) -> bool:
    folded = address.casefold().strip(".")
    # "W32.Netsky.P@mm" is how virus scanners name a worm that mails itself.
    return (
        folded not in excluded
        and not folded.startswith("mailer-daemon@")
        and not folded.endswith(("@mm", "@m"))
    )


def _once(found: list[Found]) -> list[Found]:
    """Each address once; of several mentions the one with words, they being joined."""
    merged: dict[str, Found] = {}
    for one in found:
        address = one.address.strip(".'`\"") if not one.address.startswith('"') else one.address
        folded = address.casefold()
        before = merged.get(folded)
        if before is None:
            merged[folded] = one if address == one.address else one._replace(address=address)
        elif one.words and one.words not in before.words:
            words = f"{before.words}\n{one.words}".strip()[:CHUNK]
            merged[folded] = Found(before.address, words, before.original or one.original)
    return list(merged.values())
