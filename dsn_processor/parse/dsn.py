"""Delivery status notifications (RFC 3464, and RFC 6533's message/global-delivery-status)."""

import re
from functools import lru_cache
from typing import NamedTuple

from dsn_processor.facts import Defect, RecipientReport
from dsn_processor.parse.addresses import is_address, original_address, typed_address
from dsn_processor.parse.charsets import decode
from dsn_processor.parse.dates import iso_date
from dsn_processor.parse.fields import VALUE_LIMIT, unfold
from dsn_processor.parse.replies import canonical_status, find_reply_code, find_status, join_lines
from dsn_processor.patterns import pattern
from dsn_processor.terms import Action

STATUS_TYPES = frozenset(
    {"message/delivery-status", "message/global-delivery-status", "text/delivery-status"}
)
STATUS_LIMIT = 1_000_000  # bytes of a delivery-status part that are read
BLOCK_LIMIT = 10_000  # recipient blocks that are read

# A field with its folded lines. QUIRK: lines of a reply that lost their indentation begin with its code, or hold words
# and no colon.
_FIELD = pattern(
    r"^[ \t]{0,3}([A-Za-z][\w-]{1,60})[ \t]*:[ \t]*(.*(?:\n(?:[ \t]+|[245]\d\d[- ]|(?=[A-Za-z(<][^:\n]+$)).*)*)",
    re.MULTILINE,
)
_NAME = pattern(r"([A-Za-z][\w-]{1,60})[ \t]*\Z")
_TIDY_VALUE = 4_000  # characters of a value that is looked at line by line
# ... and those behind a blank line go on all the same.
_GOES_ON = pattern(r"[ \t]*[245]\d\d[- ].*(?:\n[ \t]+.*)*")
_BLANK_LINES = pattern(r"\n[ \t]*\n\s*")
_STATUS = pattern(r"\s*#?([245])\.(\d{1,3})\.(\d{1,3})(?!\d)")
# Cisco's own words before the reply it heard: "5.1.0 - Unknown address error 550-..."
_CISCO = pattern(r"\s*smtp;\s*\d\.\d\.\d - ", re.IGNORECASE)
_STATUS_COMMENT = pattern(r"\d[ \t]+\(([^()]*[A-Za-z][^()]*)\)\s*\Z")
# "rfc822; bob@example.net", as nearly all write it.
_USUAL_ADDRESS = pattern(
    r"(?:rfc822|RFC822);[ ]{0,2}([A-Za-z0-9_.=-]{1,64}@[A-Za-z0-9.-]{1,200}[A-Za-z0-9])\Z"
)
_WORD = pattern(r"[A-Za-z]+")
_NAMING = frozenset({"original-recipient", "final-recipient"})
_IDENTIFYING = _NAMING | {"action"}
_RECIPIENT_FIELDS = _IDENTIFYING | {
    "status",
    "diagnostic-code",
    "remote-mta",
    "last-attempt-date",
    "will-retry-until",
}
_USUAL_ACTIONS = {action.value: action for action in Action}
_ACTIONS = {
    **_USUAL_ACTIONS,
    "failure": Action.FAILED,
    "fail": Action.FAILED,
    "error": Action.FAILED,  # QUIRK: OpenSMTPD
    "deferred": Action.DELAYED,
    "delay": Action.DELAYED,
    "delivery": Action.DELIVERED,
    "deliverable": Action.DELIVERED,
}
_VAGUE = frozenset({None, "2.0.0", "4.0.0", "5.0.0"})  # statuses that tell no more than the action
_BY_CLASS = {"2": Action.DELIVERED, "4": Action.DELAYED, "5": Action.FAILED}

# The names that most reporters write, as they write them.
_USUAL_KEYS = {
    spelt: name.lower()
    for name in ("Reporting-MTA", "Received-From-MTA", "Remote-MTA", "Arrival-Date", "Original-Recipient",
                 "Final-Recipient", "X-Actual-Recipient", "Action", "Status", "Diagnostic-Code", "Last-Attempt-Date",
                 "Will-Retry-Until", "X-Postfix-Queue-ID", "X-Postfix-Sender")
    for spelt in (name, name.lower(), name.capitalize())
}  # fmt: skip
_FOLDING = (" ", "\t")

Group = dict[str, str]


class StatusFields(NamedTuple):
    """The fields of a delivery-status part: lower-case name -> unfolded value."""

    message: Group
    recipients: list[Group]


def read_tidy_status(text: str) -> StatusFields | None:
    """The fields of a part that is as RFC 3464 section 2.1 has it, as nearly all are: the message's block, a blank line
    before each recipient's, no field twice in any. None where a line leaves doubt.
    """
    message: Group = {}
    recipients: list[Group] = []
    group: Group | None = message
    key = ""  # of the field that a folded line goes on with
    usual = _USUAL_KEYS.get
    for line in text.strip("\n").split("\n"):
        name, colon, value = line.partition(":")
        known = usual(name)
        if known is None:
            if not line:
                group = None
                continue
            if line[0] in _FOLDING:
                if not (group and _goes_on(group, key, line)):
                    return None
                continue
            known = _key(name)
        if known is None or not colon or len(value) > _TIDY_VALUE:
            return None
        key = known
        if not group and _begins_recipient(key, recipients):
            group = {}
            recipients.append(group)
        elif group is None or key in group or (group is message and key in _RECIPIENT_FIELDS):
            return None
        group[key] = value.lstrip(" \t") if key == "diagnostic-code" else value.strip()
    # Past the constructor of a named tuple, which takes twice as long.
    return tuple.__new__(StatusFields, (message, recipients)) if len(recipients) <= BLOCK_LIMIT else None


def _goes_on(group: Group, key: str, line: str) -> bool:
    """Add a folded line to the value that it goes on with; False where that leaves doubt."""
    value = group[key]
    if line.isspace() or len(value) + len(line) > _TIDY_VALUE:
        return False
    group[key] = f"{value}\n{line}" if key == "diagnostic-code" else f"{value} {line.strip()}".strip()
    return True


def _begins_recipient(key: str, before: list[Group]) -> bool:
    """A block that begins with ``key`` is a recipient's. Exim and Sun begin it with Action."""
    return key in _NAMING or (key == "action" and (not before or "action" in before[-1]))


@lru_cache(maxsize=1024)
def _key(name: str) -> str | None:
    """A field's name in lower case; None where it is none, or the first of another part's header."""
    match = _NAME.match(name)
    key = match[1].lower() if match else None
    return None if key == "content-type" else key


def read_status(text: str, defects: list[Defect]) -> StatusFields:
    """Sort the fields into the message's and each recipient's.

    Blank lines part the blocks (RFC 3464 section 2.1), but some reporters leave them out and others put one in the
    middle of a block, so a repeated identifying field also begins a block, and a block without any continues one.
    """
    status = StatusFields({}, [])
    current: Group | None = None
    for block in _BLANK_LINES.split(text.strip("\n")):
        fresh = True
        if current is not None and "diagnostic-code" in current and (rest := _GOES_ON.match(block)):
            current["diagnostic-code"] = f"{current['diagnostic-code']}\n{rest[0]}"[:VALUE_LIMIT]
        pairs = [_named_value(*pair) for pair in _FIELD.findall(block)]
        group = dict(pairs)
        if len(group) == len(
            pairs
        ):  # no field twice, as in nearly all blocks: they are one recipient's or the message's
            first = next(iter(group), "")
            split = current is not None and _mergeable(current, first) and current.keys().isdisjoint(group)
            if first in _NAMING and len(status.recipients) < BLOCK_LIMIT and not split:
                current = group
                status.recipients.append(group)
                continue
            if current is None and not status.message and _IDENTIFYING.isdisjoint(group):
                status.message.update(group)
                continue
        for key, value in pairs:
            if key in _IDENTIFYING and (current is None or key in current or (fresh and key != "action")):
                if current is None or key in current or not _mergeable(current, key):
                    if len(status.recipients) >= BLOCK_LIMIT:
                        defects.append(Defect("recipient_blocks_exceeded", f"{BLOCK_LIMIT} blocks"))
                        return status
                    current = {}
                    status.recipients.append(current)
                fresh = False
            target = current if current is not None and (key in _RECIPIENT_FIELDS or not fresh) else None
            if target is None:
                target = status.message if current is None or key not in _RECIPIENT_FIELDS else current
            if key in target and key == "status":
                defects.append(Defect("duplicate_field", "Status"))
            target.setdefault(key, value)
    _lend_message_fields(status)
    return status


def _named_value(name: str, value: str) -> tuple[str, str]:
    """A field as it is kept: the lines of a reply stay apart, their codes are still to be read."""
    key = name.lower()
    if key == "diagnostic-code":
        return key, value[:VALUE_LIMIT]
    return key, unfold(value) if "\n" in value or len(value) > VALUE_LIMIT else value.strip()


def _mergeable(current: Group, key: str) -> bool:
    """Whether a new block goes on with the recipient before it, a blank line having split it."""
    return key not in current and (
        key == "action" or _NAMING.issuperset(current)
    )  # named so far, and no more


def _lend_message_fields(status: StatusFields) -> None:
    """QUIRK: reporters that put a recipient's fields before its Final-Recipient, in the message's block."""
    strays = [key for key in ("action", "status", "diagnostic-code", "remote-mta") if key in status.message]
    if strays and len(status.recipients) == 1:
        for key in strays:
            status.recipients[0].setdefault(key, status.message[key])


def recipient_reports(status: StatusFields, defects: list[Defect]) -> list[RecipientReport]:
    """One report for each recipient block, a recipient named twice with the same fate once."""
    groups = status.recipients
    others: frozenset[str] = frozenset()
    for group in groups:
        if "+" in group.get("original-recipient", ""):  # it may be xtext
            others = _final_addresses(groups)
            break
    found = [report for group in groups if (report := _recipient(group, others, defects)) is not None]
    if len(found) < 2:
        return found
    reports: dict[tuple[str, Action | None, str | None], RecipientReport] = {}
    for report in found:
        reports.setdefault((report.address.casefold(), report.action, report.status), report)
    return list(reports.values())


def _final_addresses(groups: list[Group]) -> frozenset[str]:
    return frozenset(
        typed_address(group["final-recipient"])[1].casefold()
        for group in groups
        if "final-recipient" in group
    )


def _recipient(group: Group, others: frozenset[str], defects: list[Defect]) -> RecipientReport | None:
    get = group.get
    final = get("final-recipient")
    original = get("original-recipient")
    if original is not None:
        usual = _USUAL_ADDRESS.match(original)
        original = usual[1] if usual else original_address(_decoded(original), others)
    if final is not None and (usual := _USUAL_ADDRESS.match(final)):
        address = usual[1]
    else:
        address = _unusual_address(final, original, group, defects)
        if not address:
            defects.append(Defect("recipient_without_address"))
            return None
    diagnostic_type, diagnostic = diagnostic_code(group)
    status = get("status")
    stated = stated_status(status)
    told = stated
    if diagnostic and stated in _VAGUE:
        told = merged_status(stated, diagnostic)
        if told in _VAGUE and "\n" in (lines := get("diagnostic-code", "")):
            told = merged_status(stated, lines)  # the code on a later line, which joining takes out
    # Past the constructor of a named tuple, which takes twice as long: in the order of RecipientReport.
    return tuple.__new__(
        RecipientReport,
        (
            address,
            original or None,
            _USUAL_ACTIONS.get(get("action", "")) or _action(get("action"), stated, defects),
            told,
            _reply_code(status, diagnostic),
            diagnostic,
            diagnostic_type,
            "" if diagnostic else _status_comment(status),
            host_name(get("remote-mta")),
            None,
            iso_date(attempt) if (attempt := get("last-attempt-date")) else None,
            iso_date(until) if (until := get("will-retry-until")) else None,
            get("x-powermta-bouncecategory"),
            "delivery-status",
        ),
    )


def _unusual_address(
    final: str | None, original: str | None, group: Group, defects: list[Defect]
) -> str | None:
    final = _decoded(final or "")
    kind, address = typed_address(final) if final else (None, "")
    if final and kind is None:
        defects.append(Defect("address_type_missing", final[:80]))
    return address if is_address(address) else _other_address(group, original) or address


def _other_address(group: Group, original: str | None) -> str | None:
    """Where Final-Recipient holds no address (absent, a display name, an X.400 name): the next best field."""
    if original and is_address(original):
        return original
    for name in (
        "x-actual-recipient",
        "x-supplementary-recipient",
        "x-original-recipient",
        "final-recipient",
    ):
        address = typed_address(_decoded(group.get(name, "")))[1]
        if is_address(address):
            return address
    return None


def _decoded(value: str) -> str:
    if value.isascii() and "\x1b" not in value:
        return value
    return decode(value.encode("latin-1", "replace"))  # QUIRK: Domino writes ISO-2022-JP as it is


def diagnostic_code(group: Group) -> tuple[str | None, str | None]:
    """(type, text on one line) of the Diagnostic-Code (RFC 3464 section 2.3.6), or of the field that stands for it."""
    value = group.get("diagnostic-code")
    # QUIRK: Cisco ESA writes Status 5.0.0 and puts the reply into a field of its own.
    extra = group.get("x-supplementary-info")
    if (
        extra
        and find_reply_code(extra)
        and (not value or _CISCO.match(value) or find_reply_code(value) is None)
    ):
        value = extra.strip("<> ")
    if not value or value.isspace():
        return None, None
    kind, semicolon, text = value.partition(";")
    kind = kind.strip().lower()
    if not semicolon or len(kind) > 30 or " " in kind:
        kind, text = "", value
    text = join_lines(_decoded(text))
    return kind or None, text or None


def _reply_code(status: str | None, diagnostic: str | None) -> int | None:
    if diagnostic and (code := find_reply_code(diagnostic)):
        return code
    # QUIRK: "Status: 5.1.1 (550 ...)" and "Status: 553 Exceeded maximum size".
    return _code_in_status(status) if status else None


@lru_cache(maxsize=512)
def _code_in_status(status: str) -> int | None:
    return find_reply_code(status.rpartition("(")[2])


@lru_cache(maxsize=512)
def stated_status(value: str | None) -> str | None:
    """The Status field's code in canonical form (RFC 3464 section 2.3.4), its comment left out."""
    match = _STATUS.match(value) if value else None
    if match is None:
        return find_status(value) if value else None
    return canonical_status(*match.groups())


def _status_comment(value: str | None) -> str:
    """The words of "4.4.3 (example.net: host name lookup failure)", a comment after the code (RFC 3464 section 2.3.4)."""
    match = _STATUS_COMMENT.search(value) if value and "(" in value else None
    return match[1] if match else ""


def merged_status(stated: str | None, diagnostic: str | None) -> str | None:
    """The Status field, unless it is absent or x.0.0 and the diagnostic states a more specific code."""
    if stated is not None and not stated.endswith(".0.0"):
        return stated
    told = find_status(diagnostic) if diagnostic else None
    if told is None or (stated is not None and (told.endswith(".0.0") or told[0] == "2")):
        return stated
    return told


def _action(value: str | None, status: str | None, defects: list[Defect]) -> Action:
    match = _WORD.search(value) if value else None
    action = _ACTIONS.get(match[0].lower()) if match else None
    if action is None:
        defects.append(Defect("action_missing" if not value else "action_unknown", (value or "")[:80]))
        return _BY_CLASS.get((status or "5")[0], Action.FAILED)
    if match and match[0].lower() != action.value:
        defects.append(Defect("action_unknown", (value or "")[:80]))
    return action


@lru_cache(maxsize=512)
def host_name(value: str | None) -> str | None:
    """The host of an MTA-name field: ``dns; mx.example.net (192.0.2.1)`` -> ``mx.example.net``."""
    if not value:
        return None
    _, semicolon, name = value.partition(";")
    name = (name if semicolon else value).strip().strip("<>")
    return bare_host(name) or None


def bare_host(name: str) -> str:
    return (
        name.split("(", maxsplit=1)[0].strip().split(" ")[0].rstrip(".").removeprefix("[").rstrip("]")
        if name
        else ""
    )
