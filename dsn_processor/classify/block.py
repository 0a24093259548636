"""Who refused us and where to ask, read from the diagnostic of a block."""

import re
from functools import cache, lru_cache

from dsn_processor.classify.rules import BlockList
from dsn_processor.facts import Block
from dsn_processor.terms import Reason

_MECHANISMS = {
    Reason.IP_BLOCKLISTED: "provider_list",
    Reason.REPUTATION: "reputation",
    Reason.RATE_LIMITED: "rate",
    Reason.AUTH_FAILED: "auth",
    Reason.PTR_MISSING: "auth",
    Reason.TRANSPORT_SECURITY: "auth",
    Reason.SPAM_CONTENT: "content",
    Reason.VIRUS: "content",
    Reason.PROHIBITED_ATTACHMENT: "content",
    Reason.CONTENT_FORMAT: "content",
    Reason.POLICY: None,
    Reason.SENDER_REJECTED: None,
}
_LIMIT = 4096


def find_block(reason: Reason, text: str, lists: tuple[BlockList, ...]) -> Block | None:
    """What ``text`` says about a refusal for ``reason``; None where the reason is no block or nothing is said."""
    if reason not in _MECHANISMS or not text:
        return None
    text = text[:_LIMIT]
    mechanism = _MECHANISMS[reason]
    ip = _find_ip(text)
    url = match[0].rstrip(".,;:)]}") if (match := _url().search(text)) else None
    found = _find_list(text, lists)
    name = found[0] if found else None
    if found and found[1] == "ip" and reason in {Reason.IP_BLOCKLISTED, Reason.REPUTATION}:
        mechanism = "dnsbl"
    return Block(ip=ip, list=name, url=url, mechanism=mechanism) if ip or url or name or mechanism else None


def _find_ip(text: str) -> str | None:
    for match in _ipv4().finditer(text):
        if all(int(part) < 256 for part in match[0].split(".")) and not match[0].startswith(("0.", "127.")):
            return match[0]
    for match in _ipv6().finditer(text):
        if match[0].count(":") == 7 or "::" in match[0]:
            return match[0].lower()
    return None


def _find_list(text: str, lists: tuple[BlockList, ...]) -> tuple[str, str] | None:
    """The zone as it is written where it is a query zone, else the list's name; and what it lists."""
    zones = _zones(lists)
    folded = text.casefold()
    if not any(zone in folded for zone in zones):
        return None
    for match in _host().finditer(text):
        labels = match[0].casefold().split(".")
        for first in range(len(labels) - 1):
            if found := zones.get(".".join(labels[first:])):
                return (match[0].casefold() if labels[0] != "www" else found.name), found.lists
    return None


@lru_cache(maxsize=4)
def _zones(lists: tuple[BlockList, ...]) -> dict[str, BlockList]:
    return {zone: one for one in lists for zone in one.zones}


# Compiled at the first block only: most mails need none of them, and compiling costs a start several milliseconds.


@cache
def _ipv4() -> re.Pattern[str]:
    return re.compile(r"(?<![\w.-])(?:\d{1,3}\.){3}\d{1,3}(?![\w-]|\.\d)")


@cache
def _ipv6() -> re.Pattern[str]:
    return re.compile(
        r"(?<![\w:.])[0-9a-f]{1,4}:[0-9a-f:]{1,34}(?:(?:\.\d{1,3}){3})?(?![\w:])", re.IGNORECASE
    )


@cache
def _url() -> re.Pattern[str]:
    return re.compile(r"https?://[^\s<>\"']{3,300}", re.IGNORECASE)


@cache
def _host() -> re.Pattern[str]:
    return re.compile(r"(?<![\w.@-])[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63}){1,8}(?![\w-])", re.IGNORECASE)
