"""Reports that carry no readable delivery-status part."""

import re

from dsn_processor.facts import Defect, RecipientReport
from dsn_processor.parse.addresses import addresses_in
from dsn_processor.parse.dialects.notification import read_notification
from dsn_processor.parse.dialects.plain import Found, Others, find_recipients
from dsn_processor.parse.dsn import read_status, recipient_reports
from dsn_processor.parse.explain import with_explanations
from dsn_processor.parse.fallback import flufl_recipients
from dsn_processor.parse.html import html_to_text
from dsn_processor.parse.mail import HEAD, TEXT_LIMIT, Mail, clip_lines
from dsn_processor.parse.mime import Part
from dsn_processor.parse.replies import (
    find_command,
    find_host,
    find_reply,
    find_reply_code,
    find_status,
    join_lines,
    without_octals,
)
from dsn_processor.parse.returned import split_text
from dsn_processor.parse.signals import came_back, text_action
from dsn_processor.parse.words import TEXTS, contains
from dsn_processor.parse.writer import is_daemon
from dsn_processor.patterns import pattern
from dsn_processor.terms import Action

STATUS_IN_TEXT = 100_000  # characters of delivery-status fields read from a text
_RECIPIENT_FIELD = pattern(
    r"^.{0,3}(?:final|original)-recipient.{0,2}:.{0,2}(?:rfc822|utf-8).{0,2};", re.IGNORECASE | re.MULTILINE
)
# A header block in a text that begins with a trace field and calls what follows a report.
_REPORT_HEAD = pattern(
    r"^(?:Return-Path|Received|From|Date):[^\n]*\n(?:[^\n]+\n){0,60}?Content-Type:[ \t]*multipart/report",
    re.IGNORECASE | re.MULTILINE,
)
OTHER_PARTS = 4  # text parts in which a report is looked for
STATUS_FILE = 20_000  # bytes of an attached file that may be a delivery status
NOTICE = 6_000  # characters of a notice that may explain a recipient


def read_plain_report(mail: Mail) -> tuple[RecipientReport, ...]:
    """The recipients of a report in plain text, by the first reader that finds any."""
    for reader in (
        read_notification, _status_in_text, _plain, _in_other_parts, _quoted_report, _in_subject, _returned_to, _flufl
    ):  # fmt: skip
        reports = reader(mail)
        if reports:
            return tuple(reports)
    return ()


def _status_in_text(mail: Mail) -> list[RecipientReport]:
    """Delivery-status fields in a part of another type, or in the text."""
    for part in [*mail.text_parts, *_attached(mail)]:
        first = part in mail.text_parts[:1]
        text = mail.notice if first else part.text(TEXT_LIMIT)
        folded = mail.folded_head if first and len(text) <= HEAD else text.lower()
        if "-recipient" not in folded:
            continue
        if not first:
            text = split_text(text)[0]
        match = _RECIPIENT_FIELD.search(text)
        if match is None:
            continue
        start = text.rfind("\n\n", 0, match.start()) + 1
        reports = recipient_reports(
            read_status(text[start : start + STATUS_IN_TEXT], mail.defects), mail.defects
        )
        if reports:
            mail.defects.append(Defect("status_in_text"))
            return with_explanations(reports, mail)
    return []


def _attached(mail: Mail) -> list[Part]:
    """QUIRK: gateways that attach the delivery status as a file of no particular type."""
    if mail.status_parts or len(mail.parts) == 1:
        return []
    files = [part for part in mail.parts if part.content_type == "application/octet-stream"]
    return [part for part in files[:OTHER_PARTS] if part.end - part.start <= STATUS_FILE]


def _plain(mail: Mail) -> list[RecipientReport]:
    return _reports(mail, mail.notice)


def _in_other_parts(mail: Mail) -> list[RecipientReport]:
    """QUIRK: gateways that put a banner of their own before the report, as a part."""
    if mail.status_parts:
        return []
    for part in mail.text_parts[1:OTHER_PARTS]:
        text = clip_lines(part.text(TEXT_LIMIT))
        notice = split_text(html_to_text(text) if part.content_type == "text/html" else text)[0]
        if contains(notice[:NOTICE].casefold(), TEXTS) and (reports := _reports(mail, notice)):
            return reports
    return []


def _reports(mail: Mail, notice: str) -> list[RecipientReport]:
    found = find_recipients(mail, notice)
    action = text_action(mail)
    # Where the addresses stand in a bare list, what the notice says is said of all of them.
    if len(found) > 1 and {one.words for one in found} == {""}:
        first = _report(found[0], _unlisted(notice[:NOTICE], found), action, alone=True)
        return [first._replace(address=one.address, original=one.original) for one in found]
    return [_report(one, notice, action, alone=len(found) == 1) for one in found]


def _unlisted(notice: str, found: list[Found]) -> str:
    """The notice without the lines that hold nothing but an address."""
    addresses = {one.address.casefold() for one in found}
    lines = notice.split("\n")
    return "\n".join([line for line in lines if line.strip(" <>\"',;:").casefold() not in addresses])


def _quoted_report(mail: Mail) -> list[RecipientReport]:
    """QUIRK: relays that write a letter of their own above a report that they quote whole."""
    if not came_back(mail):
        return []
    match = _REPORT_HEAD.search(mail.text) if "multipart/report" in mail.text.lower() else None
    if match is None:
        return []
    inner = Mail(mail.text[match.start() :].encode("utf-8"))
    if not is_daemon(inner) or not inner.status_parts:
        return []
    mail.defects.append(Defect("report_quoted"))
    return with_explanations(recipient_reports(inner.status_fields, mail.defects), inner)


def _in_subject(mail: Mail) -> list[RecipientReport]:
    """Only the subject names the recipient: "Your message to list@example.net was rejected"."""
    if mail.status_parts:
        return []
    others = Others(mail)
    addresses = [one for one in addresses_in(mail.subject) if one.casefold() not in others]
    if len(addresses) != 1:
        return []
    return [_report(Found(addresses[0], ""), mail.notice, text_action(mail), alone=True)]


def _report(found: Found, notice: str, action: Action, *, alone: bool) -> RecipientReport:
    notice = notice[:NOTICE] if alone else ""
    words = found.words
    code = find_reply_code(words)
    if alone and code is None and (reply := find_reply(notice)):
        words = f"{words}\n{reply}" if words else reply
        code = find_reply_code(words)
    return RecipientReport(
        address=found.address,
        original=found.original,
        action=action,
        status=_failure(find_status(words)) or _failure(find_status(notice)),
        reply_code=code,
        diagnostic_code=join_lines(words) or None,
        explanation=without_octals(notice),
        remote_mta=find_host(words) or find_host(notice),
        smtp_command=find_command(words) or find_command(notice),
        origin="dialect:plain",
    )


def _failure(status: str | None) -> str | None:
    """A status of class 2 in free text is a version number or another step of a dialogue."""
    return None if status is None or status[0] == "2" else status


def _returned_to(mail: Mail) -> list[RecipientReport]:
    """The report names nobody; the returned message went to one address."""
    if mail.status_parts or mail.returned is None or not mail.returned.to:
        return []
    addresses = addresses_in(mail.returned.to)
    if len(addresses) != 1:
        return []
    mail.defects.append(Defect("recipient_from_returned_message"))
    return [_report(Found(addresses[0], ""), mail.notice, text_action(mail), alone=True)]


def _flufl(mail: Mail) -> list[RecipientReport]:
    if not came_back(mail):
        return []  # its patterns also fit mail that only speaks of failures
    found = flufl_recipients(mail)
    return [
        _report(Found(address, ""), mail.notice, action, alone=len(found) == 1)._replace(origin="flufl")
        for address, action in found
    ]
