"""Puts one notification, or many at once, into a message that people read. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from dsn_processor.notify.notification import EventType, Notification
from dsn_processor.notify.people import delisting
from dsn_processor.notify.people.wanting import occasion_of
from dsn_processor.notify.people.wording import fill, values
from dsn_processor.safe import safe

#: What a template may name besides what wording.py has: the occasion in words, and all that there is to tell.
NAMES = ("what", "details")
TITLE = "${what}: ${email}"
MESSAGE = "${details}"

_SHOWN = 20  # of what is alike in a digest
_LINE = 500  # characters
#: An occasion, for one and for many.
_LABELS = {
    "hard_bounce": ("Hard bounce", "hard bounces"),
    "soft_bounce": ("Soft bounce", "soft bounces"),
    "block": ("Block", "blocks"),
    "undetermined": ("Undetermined bounce", "undetermined bounces"),
    "delayed": ("Delay", "delays"),
    "complaint": ("Complaint", "complaints"),
    "suppressed": ("Suppressed", "suppressed addresses"),
    "proposed": ("Proposed suppression", "proposed suppressions"),
    "at_risk": ("At risk", "addresses at risk"),
    "reactivated": ("Reactivated", "reactivated addresses"),
    "held": ("Held wave", "held waves"),
    "sender_blocked": ("Sender blocked", "alerts that we are blocked"),
    "quarantine": ("Mail for a person", "mails for a person"),
    "": ("Test", "tests"),
}
_COMMANDS = {
    "hard_bounce": "dsn-processor events --type hard",
    "soft_bounce": "dsn-processor events --type soft",
    "block": "dsn-processor events --type block",
    "suppressed": "dsn-processor suppressions list",
    "proposed": "dsn-processor suppressions list",
    "quarantine": "dsn-processor quarantine list",
}


class Message(NamedTuple):
    title: str
    body: str


def compose(
    notifications: Sequence[Notification],
    on: Sequence[str],
    title: str = TITLE,
    message: str = MESSAGE,
    *,
    digest: bool = False,
) -> Message:
    """``on`` are the occasions that those who read it chose. One alone is told by its templates, unless it is a digest."""
    if len(notifications) == 1 and not digest:
        [one] = notifications
        more = {"what": _LABELS[occasion_of(one, on) or ""][0], "details": "\n".join(_details(one))}
        told = Message(fill(title, one, more), fill(message, one, more))
        return told._replace(title=told.title.removesuffix(": "))
    return _summed_up(notifications, on)


def _summed_up(notifications: Sequence[Notification], on: Sequence[str]) -> Message:
    by_occasion: dict[str, list[Notification]] = {}
    for one in notifications:
        by_occasion.setdefault(occasion_of(one, on) or "", []).append(one)
    parts, lines = [], []
    for occasion, some in by_occasion.items():
        single, many = _LABELS[occasion]
        counted = f"{len(some)} {single.lower() if len(some) == 1 else many}"
        parts.append(counted)
        lines.append(f"{counted[0].upper()}{counted[1:]}:")
        lines += [f"- {line}" for line in (_blocks(some) if occasion == "block" else _lines(some, occasion))]
        lines.append("")
    return Message(", ".join(parts), "\n".join(lines).rstrip())


def _lines(some: Sequence[Notification], occasion: str) -> Iterator[str]:
    told = Counter(map(_line, some))
    for line, times in list(told.items())[:_SHOWN]:
        yield line if times == 1 else f"{line} ({times} times)"
    if len(told) > _SHOWN:
        command = _COMMANDS.get(occasion, "dsn-processor events")
        yield f"and {len(told) - _SHOWN} more: `{command}`"


def _line(one: Notification) -> str:
    data, known = one.data, values(one)
    if one.type is EventType.DOMAIN_HELD:
        return f"{data.get('addresses')} addresses of {safe(data.get('subject'))}: `{data.get('decide')}`"
    if one.type is EventType.SENDER_BLOCKED:
        about = safe(data.get("subject")).replace("_", " ")
        return f"{data.get('blocks')} blocks on {data.get('day')}, {about}: `{data.get('look')}`"
    if one.type is EventType.REPORT_QUARANTINED:
        return f"mail {data.get('mail_id')}: {safe(data.get('error'))}"[:_LINE]
    if one.type is EventType.REPORT_UNPARSED:
        return f"mail {data.get('mail_id')}: no recipient can be told from it"
    return f"{known['email']}: {known['reason']}" if known["reason"] else known["email"]


def _blocks(some: Sequence[Notification]) -> Iterator[str]:
    """Grouped by what is listed where: the same listing refuses every mail."""
    groups: dict[tuple[str, ...], list[Notification]] = {}
    for one in some:
        groups.setdefault(_listing(one), []).append(one)
    for _, group in list(groups.items())[:_SHOWN]:
        domains = Counter(values(one)["domain"] for one in group)
        where = ", ".join(domain for domain, _ in domains.most_common(5)) + (
            ", ..." if len(domains) > 5 else ""
        )
        mails = "1 mail" if len(group) == 1 else f"{len(group)} mails"
        yield f"{mails} to {where}: {'; '.join(_refusal(group[0]))}"
    if len(groups) > _SHOWN:
        yield f"and {len(groups) - _SHOWN} more: `{_COMMANDS['block']}`"


def _listing(one: Notification) -> tuple[str, ...]:
    known = values(one)
    by = () if known["list"] else (known["domain"],)
    return (known["reason"], known["ip"], known["list"], *by)


def _refusal(one: Notification) -> Iterator[str]:
    """Who is refused, by whom, and where to ask."""
    known, block = values(one), one.data.get("block") or {}
    yield known["reason"] or "refused"
    if known["ip"] and known["list"]:
        yield f"{known['ip']} is listed by {known['list']}"
    elif known["ip"] or known["list"]:
        yield f"listed: {known['ip']}" if known["ip"] else f"list: {known['list']}"
    if checks := block.get("authentication"):
        yield f"failed: {', '.join(map(safe, checks))}"
    if page := delisting.page(one.data):
        yield f"ask to be taken off at {safe(page)}"


def _details(one: Notification) -> Iterator[str]:
    data, known = one.data, values(one)
    if one.type is EventType.WEBHOOK_TEST:
        yield safe(data.get("text") or "This is a test: nothing happened.")
        return
    if "recipient" not in data or one.type is EventType.REPORT_UNPARSED:
        yield _line(one)
        if data.get("mail_id"):
            yield f"`dsn-processor show {data['mail_id']}`"
        return
    words = [known["reason"], known["type"], known["status"]]
    if data.get("type") == "block":
        yield from _refusal(one)
    elif any(words):
        yield ", ".join(word for word in words if word)
    if known["description"]:
        yield known["description"]
    if one.type is EventType.COMPLAINT_RECEIVED:
        yield f"The recipient complained ({safe((data.get('feedback') or {}).get('feedback_type') or 'abuse')})."
    yield from _about(known, data)


def _about(known: Mapping[str, str], data: Mapping[str, Any]) -> Iterator[str]:
    for label, name in (
        ("Subject", "subject"),
        ("Stream", "stream"),
        ("Campaign", "campaign"),
        ("Message-ID", "message_id"),
    ):
        if known[name]:
            yield f"{label}: {known[name]}"
    action = (data.get("policy") or {}).get("action")
    if action and action != "none":
        yield f"Done: {_DONE.get(action, safe(action))}"
    if known["mail_id"]:
        yield f"`dsn-processor show {known['mail_id']}`"


_DONE = {
    "suppress": "the address is suppressed",
    "propose": "its suppression is proposed",
    "hold": "its suppression is held for a person",
    "strike": "a strike against the address",
}
