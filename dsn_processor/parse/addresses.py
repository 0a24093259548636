"""Addresses as reports write them: typed (RFC 3464 2.3), xtext (RFC 3461 4), unitext (RFC 6533 3), and in plain text."""

import re

from dsn_processor.patterns import pattern

ADDRESS_LIMIT = 1_000

_COMMENT = pattern(r"\([^()]{0,500}\)")
_ANGLE = pattern(r"<([^<>]{1,1000})>")
_XTEXT = pattern(r"\+([0-9A-F]{2})")
_XTEXT_WHOLE = pattern(r"(?:[^+]|\+[0-9A-F]{2})*\Z")
_UNITEXT = pattern(r"\\x\{([0-9A-Fa-f]{1,6})\}")
_SOURCE_ROUTE = pattern(r"@[^:@\s]+(?:,@[^:@\s]+)*:(?=[^\s]+@)")

_ATEXT = r"[\w!#$%&'*+/=?^`{|}~.-]"
#: An address in running text. ``\w`` takes in the letters of every script (RFC 6531).
_IN_TEXT = pattern(
    rf"(?:\"[^\"\n@<>]{{1,64}}\"|{_ATEXT}{{1,128}})@(?:\[[\w.:]{{2,60}}\]|[\w-]{{1,63}}(?:\.[\w-]{{1,63}}){{0,12}})"
)
_VALID = pattern(
    rf"(?:\"[^\"\x00-\x1f]{{1,64}}\"|{_ATEXT}{{1,256}})@(?:\[[\w.:]{{2,60}}\]|[\w.-]{{1,255}})\Z"
)

#: What an alias or a list turned into the address that failed: "(generated from a@example.net)", as Exim and Sendmail say.
MADE_FROM = pattern(rf"\b(?:generated|expanded) (?:from|by):?[ ]?<?({_IN_TEXT.pattern})>?", re.IGNORECASE)


def made_from(words: str) -> str | None:
    """The address that the failed one was made from, if ``words`` say so."""
    if "generated" not in words and "expanded" not in words:
        return None
    match = MADE_FROM.search(words)
    return match[1] if match else None


def typed_address(value: str) -> tuple[str | None, str]:
    """``rfc822; <a@example.net>`` -> ("rfc822", "a@example.net"). A missing type is None; "" where no address is."""
    value = value[:ADDRESS_LIMIT]
    kind, semicolon, rest = value.partition(";")
    if not semicolon or "@" in kind:
        return None, bare_address(value)
    kind = kind.strip().lower()
    address = bare_address(rest)
    if kind in {"utf-8", "rfc822"} and "\\x{" in address:
        address = unitext_decode(address)
    return kind, address


def bare_address(text: str) -> str:
    """The address alone: display name, comments, angle brackets and source route taken off (RFC 5321 section 4.1.1.3)."""
    text = text.strip()
    if "<" in text:
        match = _ANGLE.search(text)
        text = match[1].strip() if match else text.replace("<", " ").strip()
    if "(" in text:
        text = _COMMENT.sub("", text).strip() or text
    if text.startswith("@") and (match := _SOURCE_ROUTE.match(text)):
        text = text[match.end() :]
    if text[:7].lower() == "mailto:":
        text = text[7:]
    if text[:5].lower() == "smtp:":
        text = text[5:]
    text = text.strip(" \t\r\n,;>\"'") if not text.startswith('"') else text.strip(" \t\r\n,;>")
    if " " in text and not text.startswith('"'):
        text = next((word for word in text.split() if "@" in word), text.split()[0]).strip(",;:")
    return text.rstrip(".")


def original_address(value: str, others: frozenset[str]) -> str:
    """The address of an Original-Recipient field. Its xtext is decoded only if every "+" begins a valid "+HH" and the
    result is an address; where both forms could be meant, the one that another part of the report names wins.
    """
    _, plain = typed_address(value)
    if "+" not in plain or not _XTEXT_WHOLE.match(plain):
        return plain
    decoded = _XTEXT.sub(lambda m: chr(int(m[1], 16)), plain)
    if plain.casefold() in others:
        return plain
    return decoded if is_address(decoded) else plain


def unitext_decode(text: str) -> str:
    r"""Decode ``\x{HEX}`` (RFC 6533 section 3); what is no character stays as it is."""

    def character(match: re.Match[str]) -> str:
        point = int(match[1], 16)
        return match[0] if point > 0x10FFFF or 0xD800 <= point <= 0xDFFF else chr(point)

    return _UNITEXT.sub(character, text)


def is_address(text: str) -> bool:
    """Whether ``text`` is one mailbox: local part, "@", and a domain or address literal."""
    return len(text) <= ADDRESS_LIMIT and _VALID.match(text) is not None


def addresses_in(text: str) -> list[str]:
    """The addresses in running text, in order, each once (compared without letter case)."""
    seen: dict[str, str] = {}
    if "@" not in text:
        return []
    for match in _IN_TEXT.finditer(text):
        address = match[0].strip(".'`\"*=") if not match[0].startswith('"') else match[0]
        if "@" in address and not address.startswith("@"):
            seen.setdefault(address.casefold(), address)
    return list(seen.values())
