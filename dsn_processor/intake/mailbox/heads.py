"""What the head of a mail tells before anybody reads it: whom the mail was for, and whether it says that it is a report."""

import re
from collections.abc import Sequence
from functools import lru_cache

from dsn_processor.facts import Envelope
from dsn_processor.parse.fields import HEADER_LIMIT, unfold
from dsn_processor.patterns import pattern

_MOST = 20
_REPORT = pattern(
    rb"\ncontent-type[ \t]*+:[ \t]*+(?:\n[ \t]++)?multipart/report\b([^\n]*+(?:(?=\n[ \t])\n[^\n]*+)*+)",
    re.IGNORECASE,
)
_OURS = pattern(
    rb"[;\s]report-type\s*+=\s*+\"?(?:delivery-status|disposition-notification|feedback-report)\b",
    re.IGNORECASE,
)


def head_of(raw: bytes) -> bytes:
    """A mail's own header block: a line feed before each field. What a returned mail says further down is not in it."""
    head = raw[:HEADER_LIMIT]
    if b"\r\n" in head[:1_000]:
        end = head.find(b"\r\n\r\n")
        head = (head if end < 0 else head[:end]).replace(b"\r\n", b"\n")
    return b"\n" + head.partition(b"\n\n")[0]


def says_report(head: bytes) -> bool:
    """Whether a mail says in its header that it is a report (RFC 6522) of a kind that we read: what people write is never,
    nor are the reports of other protocols.
    """
    said = _REPORT.search(head)
    return said is not None and _OURS.search(said[1]) is not None


def envelope_of(head: bytes, headers: Sequence[str]) -> Envelope:
    """The envelope recipients that the trace ``headers`` in a mail's head tell, each once, in the order of the headers' names.

    Where a header stands several times all count, the topmost first: each server that passed the mail on wrote one, and any of
    them may be the one that saw the address we gave out.
    """
    found: dict[str, list[str]] = {}
    for name, value in _fields(tuple(headers)).findall(head):
        address = unfold(value.decode("utf-8", "surrogateescape")).strip("<>").strip()
        if "@" in address and address.isprintable() and " " not in address:
            found.setdefault(name.decode().lower(), []).append(address)
    told = dict.fromkeys(address for header in headers for address in found.get(header.lower(), ()))
    return Envelope(recipients=tuple(told)[:_MOST])


@lru_cache(maxsize=64)
def _fields(headers: tuple[str, ...]) -> re.Pattern[bytes]:
    """These fields, their names and folded values: all others are passed over."""
    names = b"|".join(re.escape(name.encode()) for name in headers)
    return re.compile(rb"\n(" + names + rb")[ \t]*+:([^\n]*+(?:(?=\n[ \t])\n[^\n]*+)*+)", re.IGNORECASE)
