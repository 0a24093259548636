"""One mail opened up: its tree sorted into the roles that a report's parts play (RFC 6522)."""

import re
from typing import Any

from dsn_processor.facts import Defect, Envelope, ReturnedMessage
from dsn_processor.parse.dsn import STATUS_LIMIT, STATUS_TYPES, StatusFields, read_status, read_tidy_status
from dsn_processor.parse.html import html_to_text
from dsn_processor.parse.lazy import cached_property
from dsn_processor.parse.mime import Part, parse_mime
from dsn_processor.parse.returned import RETURNED_TYPES, returned_from_part, returned_from_text, split_text
from dsn_processor.parse.words import said, titled
from dsn_processor.patterns import pattern

TEXT_LIMIT = 256_000  # bytes of text that are decoded
HEAD = 6_000  # characters of a notice in which it says what it is
LINE_LIMIT = 1_000  # characters of a line that are looked at
_STRETCHES = 20  # of a text in which line ends are looked for

_LONG_LINE = pattern(rf"^([^\n]{{{LINE_LIMIT}}})[^\n]+", re.MULTILINE)
# The returned message below the fields, the delimiter between them being lost.
_RETURNED_BELOW = pattern(rb"\ncontent-type:[ \t]*(?:message/rfc822|text/rfc822-headers)", re.IGNORECASE)
STATUS_TYPE = "message/delivery-status"
FEEDBACK_TYPE = "message/feedback-report"
DISPOSITION_TYPE = "message/disposition-notification"
_NO_ENVELOPE = Envelope()


class Mail:
    """The roles of a mail's parts: notice text, status, returned message, feedback, disposition.

    Texts are decoded when first asked for.
    """

    def __init__(self, raw: bytes, envelope: Envelope | None = None) -> None:
        self.envelope = envelope or _NO_ENVELOPE
        self.defects: list[Defect] = []
        self.parts = parse_mime(raw, self.defects)
        self.root = root = self.parts[0]
        self.fields = fields = root.facts.fields
        self.from_ = fields.text("from") or ""
        self.subject = fields.text("subject") or ""
        self.sort_parts()

    def sort_parts(self) -> None:
        """Find out what each part is, by its type."""
        self.seen: dict[str, Any] = {}
        self.status_parts: list[Part] = []
        self.returned_part: Part | None = None
        self.feedback_part: Part | None = None
        self.disposition_part: Part | None = None
        self.text_parts: list[Part] = []
        for part in self.parts:
            kind = part.content_type
            if kind in STATUS_TYPES:
                self.status_parts.append(part)
            elif kind in RETURNED_TYPES and part is not self.root:
                self.returned_part = self.returned_part or part
            elif kind.startswith("text/") or (not part.children and kind.startswith("multipart/")):
                self.text_parts.append(part)
            elif kind == FEEDBACK_TYPE:
                self.feedback_part = self.feedback_part or part
            elif kind == DISPOSITION_TYPE:
                self.disposition_part = self.disposition_part or part

    @cached_property
    def text(self) -> str:
        """The words of the first text part, plain rather than HTML, long lines cut."""
        for part in self.text_parts:
            if part.content_type != "text/html":
                text = _plain_blanks(clip_lines(part.text(TEXT_LIMIT)))
                if text and not text.isspace():
                    return text
                break
        html = next((part for part in self.text_parts if part.content_type == "text/html"), None)
        return clip_lines(html_to_text(html.text(TEXT_LIMIT))) if html else ""

    @cached_property
    def _split(self) -> tuple[str, str]:
        return split_text(self.text)

    @property
    def notice(self) -> str:
        """The report's own words: its text without the returned message quoted in it."""
        return self._split[0]

    @cached_property
    def folded_head(self) -> str:
        """The beginning of the report's own words, in which it says what it is, casefolded."""
        return self.notice[:HEAD].casefold()

    @cached_property
    def said(self) -> int:
        """What its beginning says, as words.said() tells it."""
        return said(self.folded_head)

    @cached_property
    def titled(self) -> int:
        """What its subject calls it, as words.titled() tells it."""
        return titled(self.folded_subject)

    @property
    def quotes_message(self) -> bool:
        """A copy of a message follows its own words."""
        return bool(self._split[1])

    @cached_property
    def returned(self) -> ReturnedMessage | None:
        """The returned message's headers, from its part or from the text's end."""
        if self.returned_part is not None:
            return returned_from_part(self.returned_part)
        return returned_from_text(self._split[1]) if self._split[1] else None

    def look_at_notice(self) -> None:
        """Decode the text, and part the report's own words from what they quote."""
        self._split  # noqa: B018  kept from the first look on

    def look_at_returned(self) -> None:
        """Read the returned message's headers, where its part is not still to be found."""
        if self.feedback_part is None:
            self.returned  # noqa: B018

    @cached_property
    def status_fields(self) -> StatusFields:
        if not self.status_parts:
            return StatusFields({}, [])
        if len(self.status_parts) == 1:
            tidy = read_tidy_status(self.status_parts[0].body(STATUS_LIMIT).decode("latin-1"))
            if tidy is not None:
                return tidy
        texts = [_status_text(part.body(STATUS_LIMIT)) for part in self.status_parts]
        return read_status("\n\n".join(texts)[:STATUS_LIMIT], self.defects)

    @cached_property
    def folded_from(self) -> str:
        return self.from_.casefold()

    @cached_property
    def folded_subject(self) -> str:
        return self.subject.casefold()


def _status_text(body: bytes) -> str:
    """The status fields, carried as latin-1. QUIRK: gateways that convert every part to UTF-16."""
    if body.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in body[:100]:
        big = body.startswith((b"\xfe\xff", b"\x00"))
        body = body.decode("utf-16be" if big else "utf-16le", "replace").removeprefix("\ufeff").encode()
    if match := _RETURNED_BELOW.search(body):
        body = body[: match.start() + 1]
    return body.decode("latin-1")


def _plain_blanks(text: str) -> str:
    """Spaces for tabs and no-break spaces, and none at the ends of lines."""
    text = text.replace("\t", " ")
    if not text.isascii():
        text = text.replace("\xa0", " ")
    return "\n".join([line.rstrip() for line in text.split("\n")]) if " \n" in text else text


def clip_lines(text: str) -> str:
    """Text whose lines end at ``LINE_LIMIT`` characters."""
    if len(text) <= LINE_LIMIT or _has_short_lines(text) or max(map(len, text.split("\n"))) <= LINE_LIMIT:
        return text
    return _LONG_LINE.sub(r"\1", text)


def _has_short_lines(text: str) -> bool:
    """A line ends in each stretch of half of ``LINE_LIMIT``, as in nearly all texts."""
    half = LINE_LIMIT // 2
    for start in range(0, min(len(text), _STRETCHES * half), half):
        if text.find("\n", start, start + half) < 0:
            return False
    return len(text) <= _STRETCHES * half
