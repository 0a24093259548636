"""Which lines of a mail its answer rests on: a change to another line must not change the answer."""

import binascii
import re
from typing import NamedTuple

from dsn_processor.facts import Reading
from dsn_processor.parse.mail import Mail
from dsn_processor.parse.mime import Part
from dsn_processor.reading import read

#: An overlap of so many characters makes a line part of what an evidence quotes.
OVERLAP = 12
CHARSETS = ("utf-8", "cp1252", "iso2022_jp", "cp932", "euc-jp", "gb18030", "koi8-r", "cp1251")

_STRUCTURE = re.compile(rb"(?i)(?:--\S|content-(?:type|transfer-encoding)\s*:|mime-version\s*:)")
_PARAMETER = re.compile(rb"(?i)\s+(?:boundary|report-type|charset|type)\s*=")
_TELLING = {
    "status": (b"status:",),
    "action": (b"action:", b"status:"),
    "smtp_command": (b">>>",),
}


class Answer(NamedTuple):
    """What must be kept. ``types`` runs beside the recipients: (address, bounce type)."""

    kind: str
    recipients: tuple[str, ...]
    types: tuple[tuple[str, str | None], ...]


def answer(reading: Reading) -> Answer:
    pairs = sorted(
        (one.address.casefold(), verdict.bounce_type.value if verdict else "")
        for one, verdict in zip(reading.parsed.recipients, reading.verdicts, strict=True)
    )
    return Answer(reading.parsed.kind.value, tuple(address for address, _ in pairs), tuple(pairs))


class Lines(NamedTuple):
    """A mail's lines without their ends, and the numbers of those that are evidence or hold the MIME tree together."""

    lines: list[bytes]
    evidence: frozenset[int]
    structure: frozenset[int]


def look_at(raw: bytes) -> Lines:
    """Mark the lines of ``raw`` (LF line ends). Strict: From, Subject and the frame of a notice are no evidence."""
    lines = raw.split(b"\n")
    reading = read(raw)
    addresses = [one.address.casefold() for one in reading.parsed.recipients]
    texts = [
        proof.text
        for verdict in reading.verdicts
        if verdict
        for proof in verdict.evidence
        if proof.source in {"text", "diagnostic_code"} or len(proof.text) >= OVERLAP
    ]
    grams = frozenset(gram for text in texts for gram in _grams(_folded(text)))
    sources = {proof.source for verdict in reading.verdicts if verdict for proof in verdict.evidence}
    labels = tuple(label for source in sources for label in _TELLING.get(source, ()))
    codes = tuple(
        str(one.reply_code).encode()
        for one in reading.parsed.recipients
        if one.reply_code and "reply_code" in sources
    )
    encoded = _encoded_lines(raw)
    evidence, structure = set(), set()
    for number, line in enumerate(lines):
        if _STRUCTURE.match(line) or _PARAMETER.match(line):
            structure.add(number)
        words = line.lower().lstrip()
        if (
            number in encoded
            or words.startswith((b"action:", *labels))
            or (codes and any(code in line for code in codes))
            or _says(line, addresses, grams)
        ):
            evidence.add(number)
    return Lines(lines, frozenset(evidence), frozenset(structure))


def _says(line: bytes, addresses: list[str], grams: frozenset[str]) -> bool:
    forms = {line}
    if b"=" in line:
        forms.add(binascii.a2b_qp(line))
    for form in forms:
        for charset in CHARSETS if not form.isascii() or b"\x1b" in form else CHARSETS[:1]:
            text = form.decode(charset, "replace")
            folded = text.casefold()
            if any(address in folded for address in addresses) or not grams.isdisjoint(_grams(_folded(text))):
                return True
    return False


def _folded(text: str) -> str:
    return re.sub(r"\W+", "", text.casefold())


def _grams(text: str) -> list[str]:
    width = OVERLAP if text.isascii() else OVERLAP // 3
    return [text[at : at + width] for at in range(len(text) - width + 1)]


def _encoded_lines(raw: bytes) -> frozenset[int]:
    """Lines of base64 bodies: nothing can be told of them by looking."""
    numbers: set[int] = set()
    for part in encoded_parts(raw):
        first = raw.count(b"\n", 0, part.start)
        numbers.update(range(first, first + raw.count(b"\n", part.start, part.end) + 1))
    return frozenset(numbers)


def encoded_parts(raw: bytes) -> list[Part]:
    return [
        part
        for part in Mail(raw).parts
        if not part.children and re.search(r"(?im)^content-transfer-encoding:\s*base64", part.head)
    ]
