"""Return-path tokens: the address that a report comes back to says, and proves, whom the mail was sent to.

A token is 50 letters and digits, the same in capitals: ``t1`` and in base32 these 30 bytes:

    1  key id                      which of our keys made it
    2  expiry                      days since 1970-01-01, the last on which it counts
    8  HMAC(key, recipient)        of the canonical address: whom it is for
    2  SHA-256(stream)             0: no stream
    7  SHA-256(message id)         0: no message id; what the registry of sends looks up by
    10 HMAC(key, all before)       that it is ours

What it says of the recipient is keyed, so that nobody can look for an address that answers to the same. Nothing in it can
be read back: not the address, not the message id; the registry of sends knows those.
"""

import base64
import hmac
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import NamedTuple, Self

from dsn_processor.canonical import canonical_address, hashed, reference
from dsn_processor.patterns import pattern

MARK = "t1"
LENGTH = 50
LOCAL_PART_LIMIT = 64  # octets (RFC 5321 section 4.5.3.1.1)
VALID_DAYS = 30
SECRET_LENGTH = 16  # characters at least

_EPOCH = date(1970, 1, 1)
_SIGNED, _MAC = 20, 10  # bytes
_TOKEN_LABEL, _RECIPIENT_LABEL = b"dsn-processor token 1\0", b"dsn-processor recipient 1\0"
# A letter or digit before it would make it the end of another word, but to look back there would keep the search from
# hopping. "=", as SRS and BATV write, parts words, too.
_SHAPE = pattern(rb"[tT]1[A-Za-z2-7]{48}(?![A-Za-z0-9])")
_MOST = 100  # tokens looked at in one mail
_SEARCHED = 2**20  # bytes of a mail in which tokens are looked for


class Key(NamedTuple):
    """A secret that tokens are made with, and the number that they name it by, 0 to 255."""

    id: int
    secret: bytes

    @classmethod
    def parse(cls, text: str) -> Self:
        """``1:SECRET``, as ``dsn-processor token keygen`` writes it. Raises ValueError."""
        number, colon, secret = text.strip().partition(":")
        if not colon or not number.isascii() or not number.isdecimal() or int(number[:4]) > 255:
            raise ValueError(
                "a key is a number from 0 to 255, a colon and a secret: `token keygen` makes one"
            )
        if len(secret) < SECRET_LENGTH:
            raise ValueError(f"the secret of key {number} has to have {SECRET_LENGTH} characters or more")
        return cls(int(number), secret.encode())

    def __repr__(self) -> str:
        return f"Key(id={self.id})"

    def recipient(self, canonical: str) -> bytes:
        """What a token says of its recipient, 8 bytes."""
        words = _RECIPIENT_LABEL + canonical.encode(errors="surrogatepass")
        return hmac.digest(self.secret, words, "sha256")[:8]

    def mac(self, signed: bytes) -> bytes:
        return hmac.digest(self.secret, _TOKEN_LABEL + signed, "sha256")[:_MAC]


class Token(NamedTuple):
    """A token that one of our keys made. ``message`` is the ``reference`` of the message id, 0 where it names none."""

    key: Key
    expires: date
    recipient: bytes
    stream: int
    message: int
    text: str

    def names(self, canonical: str) -> bool:
        """Whether it was made for this recipient."""
        return hmac.compare_digest(self.recipient, self.key.recipient(canonical))

    def names_stream(self, name: str) -> bool:
        return self.stream == _stream(name)

    def late(self, day: date) -> bool:
        return day > self.expires


def mint(
    key: Key, recipient: str, *, expires: date, message_id: str | None = None, stream: str | None = None
) -> str:
    """The token of one mail to one recipient."""
    signed = b"".join(
        (
            bytes([key.id]),
            (expires - _EPOCH).days.to_bytes(2),
            key.recipient(canonical_address(recipient)),
            _stream(stream).to_bytes(2),
            reference(message_id).to_bytes(7),
        )
    )
    return MARK + base64.b32encode(signed + key.mac(signed)).decode().lower()


def verify(keys: Mapping[int, Key], token: str) -> Token | None:
    """Read a token that stands alone; None where no key of ours made it. Whether it is ``late`` is its own to say."""
    if len(token) != LENGTH or not token.isascii() or token[:2].lower() != MARK:
        return None
    try:
        content = base64.b32decode(token[2:], casefold=True)
    except ValueError:
        return None
    signed, mac = content[:_SIGNED], content[_SIGNED:]
    key = keys.get(signed[0])
    if key is None or not hmac.compare_digest(mac, key.mac(signed)):
        return None
    return Token(
        key,
        _EPOCH + timedelta(days=int.from_bytes(signed[1:3])),
        signed[3:11],
        int.from_bytes(signed[11:13]),
        int.from_bytes(signed[13:]),
        token.lower(),
    )


def shaped(texts: Iterable[bytes]) -> list[str]:
    """What looks like a token in these texts, in small letters, each once: whoever made it."""
    found: dict[str, None] = {}
    for text in texts:
        for match in _SHAPE.finditer(text, 0, _SEARCHED):
            if text[max(0, match.start() - 1) : match.start()].isalnum():
                continue
            found[match[0].decode().lower()] = None
            if len(found) == _MOST:
                return list(found)
    return list(found)


def _stream(name: str | None) -> int:
    return hashed(name, 2) if name else 0
