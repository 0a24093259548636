"""Parts of a report whose type or delimiter was damaged on the way, known again by the fields they hold.

Asked only where a program wrote the mail and none of its parts is machine-readable by its type.
"""

import re

from dsn_processor.facts import Defect
from dsn_processor.parse.mail import DISPOSITION_TYPE, FEEDBACK_TYPE, STATUS_TYPE, Mail
from dsn_processor.parse.mime import Part
from dsn_processor.parse.returned import RETURNED_TYPES
from dsn_processor.patterns import pattern

_LOOK = 4_000  # bytes of a part in which its fields show
_SEARCH = 256_000  # bytes of a text in which a part that ran into it is looked for
_PARTS = 10  # parts that are looked at

_FIRST = pattern(
    rb"\s*(?:reporting-(?:mta|ua)|original-envelope-id|(?:final|original)-recipient|arrival-date|received-from-mta"
    rb"|dsn-gateway|feedback-type|user-agent|version)[ \t]*:",
    re.IGNORECASE,
)
_ROLES = (
    (pattern(rb"\nfeedback-type[ \t]*:", re.IGNORECASE), FEEDBACK_TYPE),
    (pattern(rb"\ndisposition[ \t]*:", re.IGNORECASE), DISPOSITION_TYPE),
    (pattern(rb"\n(?:final|original)-recipient[ \t]*:", re.IGNORECASE), STATUS_TYPE),
)
# The header of a part that ran into the one before it, with what is left of the delimiter line and the line end before it.
_RAN_IN = pattern(
    rb"\n([^\n]{0,6}--[^\n]*\n)?content-type:[ \t]*(?:message/(?:(?:global-)?delivery-status|feedback-report"
    rb"|disposition-notification|rfc822)|text/rfc822-headers)",
    re.IGNORECASE,
)
_HEADER = pattern(
    rb"\s*(?:return-path|received|message-id|from|date|to|subject|mime-version|dkim-signature)[ \t]*:",
    re.IGNORECASE,
)


def salvage(mail: Mail) -> None:
    """Give the parts of a report the roles that their fields show."""
    found = False
    for part in [part for part in mail.parts if not part.children][:_PARTS]:
        for piece in _pieces(part):
            kind = _shown_type(piece)
            found = found or kind is not None
            piece.content_type = kind or piece.content_type
            if piece is not part:
                mail.parts.append(piece)
    if found:
        mail.defects.append(Defect("part_recognised_by_its_fields"))
        mail.sort_parts()


def salvage_returned(mail: Mail) -> None:
    """The last part of a complaint is what it is about, whatever its type says (RFC 5965 section 2)."""
    last = mail.parts[-1]
    if last is not mail.root and last is not mail.feedback_part and _HEADER.match(_start(last)):
        mail.returned_part = last


def _pieces(part: Part) -> list[Part]:
    """The part, and the parts that ran into its text."""
    pieces = [part]
    if not part.content_type.startswith("text/"):
        return pieces
    if b"content-type:" not in part.raw[part.start : min(part.end, part.start + _SEARCH)].lower():
        return pieces
    while len(pieces) < _PARTS:
        last = pieces[-1]
        match = _RAN_IN.search(part.raw, last.start - 1, min(last.end, last.start + _SEARCH))
        if match is None:
            break
        piece = Part(part.raw, match.end(1) if match[1] else match.start() + 1, last.end, part.depth)
        last.end = match.start() + 1
        pieces.append(piece)
    return pieces


def _shown_type(part: Part) -> str | None:
    if part.content_type in RETURNED_TYPES:
        return None
    start = b"\n" + _start(part)
    if _FIRST.match(start):
        for field, kind in _ROLES:
            if field.search(start):
                return kind
    return None


def _start(part: Part) -> bytes:
    start = part.body(_LOOK)
    return (
        start.replace(b"\0", b"").lstrip(b"\xff\xfe")
        if start[:2] in {b"\xff\xfe", b"\xfe\xff"} or b"\0" in start
        else start
    )
