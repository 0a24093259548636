"""Tell what a file holds, by its name first and by its first bytes where the name says nothing."""

import re
from enum import Enum

from dsn_processor.patterns import pattern

#: How much of a file is looked at.
HEAD = 4096


class Format(Enum):
    MAIL = "mail"
    MBOX = "mbox"
    TAR = "tar"
    ZIP = "zip"
    PACKED = "packed"  # gzip, bzip2, xz: around a tar, an mbox or one mail
    OTHER = "other"


ARCHIVES = frozenset({Format.TAR, Format.ZIP, Format.PACKED})

_SUFFIXES = {
    ".eml": Format.MAIL,
    ".mbox": Format.MBOX,
    ".tar": Format.TAR,
    ".zip": Format.ZIP,
    ".tgz": Format.PACKED,
    ".tbz2": Format.PACKED,
    ".txz": Format.PACKED,
    ".gz": Format.PACKED,
    ".bz2": Format.PACKED,
    ".xz": Format.PACKED,
}
_MAGIC = (
    (b"PK\x03\x04", Format.ZIP),
    (b"PK\x05\x06", Format.ZIP),  # an empty one
    (b"\x1f\x8b\x08", Format.PACKED),
    (b"BZh", Format.PACKED),
    (b"\xfd7zXZ\x00", Format.PACKED),
)

_FIELD = rb"[!-9;-~]+[ \t]*:"
_BEGINS_WITH_FIELD = pattern(_FIELD)
# The second line of an mbox is a field of the first mail, or a From line quoted by an earlier mbox.
_BEGINS_LIKE_MBOX = pattern(rb"From [^\n]*\n(?:>?From |" + _FIELD + rb")")
# RFC 5322 section 3.6 and RFC 5321 section 4.4: a mail has at least one of these near its top.
_FIELD_OF_A_MAIL = pattern(
    rb"^(?:from|to|date|subject|received|return-path|message-id|mime-version)[ \t]*:",
    re.IGNORECASE | re.MULTILINE,
)
_HEADER_END = pattern(rb"\r?\n\r?\n")


def by_name(name: str) -> Format | None:
    """What the name alone says, or None."""
    dot = name.rfind(".")
    return None if dot < 0 else _SUFFIXES.get(name[dot:].lower())


def by_content(head: bytes) -> Format:
    """What the first bytes say; ``OTHER`` where they don't look like mail."""
    for magic, found in _MAGIC:
        if head.startswith(magic):
            return found
    if head[257:262] == b"ustar":
        return Format.TAR
    return Format.MBOX if _BEGINS_LIKE_MBOX.match(head) else mail_or_other(head)


def mail_or_other(head: bytes) -> Format:
    if _BEGINS_WITH_FIELD.match(head) is None:
        return Format.OTHER
    end = _HEADER_END.search(head)
    header = head if end is None else head[: end.start()]
    return Format.MAIL if _FIELD_OF_A_MAIL.search(header) else Format.OTHER
