"""The one form of an address, and of a message id, to look it up and compare by."""

import unicodedata
from hashlib import sha256

from dsn_processor.patterns import pattern

#: Quoted local parts that need no quotes (RFC 5321 section 4.1.2: dot-string).
_NEEDLESS_QUOTES = pattern(r"\"([\w!#$%&'*+/=?^`{|}~-]++(?:\.[\w!#$%&'*+/=?^`{|}~-]++)*)\"\Z")
_DOTS = str.maketrans(
    "\u3002\uff0e\uff61", "..."
)  # other full stops, as IDNA takes them (RFC 3490 section 3.1)


def canonical_address(address: str) -> str:
    """The form of an address to look it up and compare by, not to write to: letter case folded, the domain in
    Unicode without a trailing dot, quotes that mean nothing taken off. Tags (``+x``) and dots are kept.
    """
    if address.isascii() and '"' not in address and "xn--" not in (folded := address.lower()):
        return folded.strip().rstrip(".")
    local, at, domain = address.strip().rpartition("@")
    if not at:
        return _fold(domain)
    if quoted := _NEEDLESS_QUOTES.match(local):
        local = quoted[1]
    return f"{_fold(local)}@{canonical_domain(domain)}"


def canonical_domain(domain: str) -> str:
    """A domain to compare by: small letters, Unicode instead of ``xn--`` (RFC 5890), no trailing dot."""
    return ".".join(map(_label, _fold(domain).translate(_DOTS).rstrip(".").split(".")))


def bare_id(message_id: str | None) -> str:
    """A message id without angle brackets and blanks (RFC 5322 section 3.6.4); "" where there is none."""
    return (message_id or "").strip().strip("<>").strip()


def reference(message_id: str | None) -> int:
    """What stands for a message id, with or without its angle brackets: 56 bits, never 0. 0 stands for none."""
    sent = bare_id(message_id)
    return hashed(sent, 7) if sent else 0


def hashed(text: str, size: int) -> int:
    """``size`` bytes of the SHA-256 of a text as a number, never 0."""
    return int.from_bytes(sha256(text.encode(errors="surrogatepass")).digest()[:size]) or 1


def _fold(text: str) -> str:
    return unicodedata.normalize("NFC", text.lower())


def _label(label: str) -> str:
    """One label of a domain, its Punycode decoded where that is sound (RFC 3492)."""
    if not label.startswith("xn--") or len(label) > 63 or not label.isascii():
        return label
    try:
        decoded = _fold(label[4:].encode().decode("punycode"))
        sound = (
            decoded.isprintable()
            and not decoded.isascii()
            and decoded.encode("punycode").decode() == label[4:]
        )
    except (UnicodeError, ValueError, OverflowError):
        return label
    return decoded if sound else label
