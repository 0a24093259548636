"""Whether a returned header carries a DKIM signature of ours (RFC 6376): it does so only in mail that we sent.

A report returns the header of our mail, seldom its body. What is signed is the header and a hash of the body, so that the
header alone can be checked: by public keys that the configuration has, as DNS would give them. Nobody is asked.
"""

import re
from collections.abc import Iterator, Mapping

from dsn_processor.patterns import pattern

_SEARCHED = 2**20  # bytes of a mail that are looked through
_BLOCK = 65_536  # bytes of a header
_BLOCKS, _SIGNATURES = 3, 5
_FIELD = pattern(rb"\r\ndkim-signature[ \t]*:", re.IGNORECASE)
_ALGORITHMS = {b"rsa-sha256", b"ed25519-sha256"}
_RECORD = pattern(r"([\w.-]+\._domainkey\.[\w.-]+?)\.?\s+(v\s*=\s*DKIM1\b.*\bp\s*=.+)", re.DOTALL)


def parse_key(text: str) -> tuple[str, str]:
    """``selector._domainkey.example.com v=DKIM1; k=rsa; p=...``: the name and the text of its TXT record. Raises ValueError."""
    found = _RECORD.fullmatch(text.strip())
    if found is None:
        raise ValueError(
            "a DKIM key is the name and the text of its TXT record: selector._domainkey.example.com v=DKIM1; p=..."
        )
    return found[1].lower(), found[2].replace('"', "")


def returned_signature(raw: bytes, keys: Mapping[str, str]) -> str | None:
    """The name of the key that signed a header inside this mail; None where none of ours did."""
    for block in _headers_inside(raw):
        if name := _signed_by(block, keys):
            return name
    return None


def _headers_inside(raw: bytes) -> Iterator[bytes]:
    """Header blocks with signatures, that of the mail itself left out: whoever sent it signed that one."""
    if b"dkim-signature" not in raw[:_SEARCHED].lower():
        return
    text = raw[:_SEARCHED].replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    end = text.find(b"\r\n\r\n")
    for _ in range(_BLOCKS):
        if end < 0 or (found := _FIELD.search(text, end)) is None:
            return
        start = text.rfind(b"\r\n\r\n", 0, found.start() + 2) + 4
        end = text.find(b"\r\n\r\n", found.start() + 2)
        yield text[start : end if end >= 0 else None][:_BLOCK]


def _signed_by(block: bytes, keys: Mapping[str, str]) -> str | None:
    import dkim  # noqa: PLC0415  only where there are keys
    from dkim.util import parse_tag_value  # noqa: PLC0415

    try:
        mail = dkim.DKIM(block + b"\r\n\r\n")
        fields = [field for field in mail.headers if field[0].lower() == b"dkim-signature"]
    except Exception:  # noqa: BLE001  what it does not understand is not signed by us
        return None
    for field in fields[:_SIGNATURES]:
        try:
            tags = parse_tag_value(field[1])
            name = b"%s._domainkey.%s" % (tags[b"s"], tags[b"d"])
            record = keys.get(name.decode("ascii").lower())
            if record is None or tags[b"a"] not in _ALGORITHMS:
                continue
            names = [one.strip().lower() for one in tags[b"h"].split(b":")]
            header_alone = {tag: value for tag, value in tags.items() if tag != b"bh"}
            if b"from" in names and mail.verify_sig(
                header_alone, names, field, _Record(record.encode("ascii"))
            ):
                return name.decode("ascii").lower()
        except Exception:  # noqa: BLE001, S112  as above
            continue
    return None


class _Record:
    """Stands in for DNS."""

    def __init__(self, record: bytes) -> None:
        self._record = record

    def __call__(self, name: bytes, timeout: int = 5) -> bytes:  # noqa: ARG002  as the library calls it
        return self._record
