"""Who refused us and where to ask, read from the diagnostic of a block."""

import re
from collections.abc import Iterator
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
# Which checks of the sender a refusal may be about, and the words that name each.
_CHECKS = {
    Reason.AUTH_FAILED: (
        ("spf", ("spf", "sender policy framework")),
        ("dkim", ("dkim", "domainkeys")),
        ("dmarc", ("dmarc",)),
        ("arc", ("arc",)),
    ),
    Reason.PTR_MISSING: (
        ("ptr", ("ptr", "reverse", "rdns", "fcrdns", "your hostname", "your host name")),
        ("helo", ("helo", "ehlo")),
    ),
}
# RFC 7372 and 8617 name the check in the code; Google uses some of these numbers otherwise, but then says it in words.
_CHECK_OF = {"20": "dkim", "21": "dkim", "22": "dkim", "23": "spf", "24": "spf", "25": "ptr", "29": "arc"}


def find_block(
    reason: Reason,
    text: str,
    lists: tuple[BlockList, ...],
    *,
    status: str | None = None,
    remote_mta: str | None = None,
) -> Block | None:
    """What ``text`` says about a refusal for ``reason``; None where the reason is no block or nothing is said."""
    if reason not in _MECHANISMS or not text:
        return None
    text = text[:_LIMIT]
    mechanism = _MECHANISMS[reason]
    ip = _find_ip(text, remote_mta or "")
    url = _find_url(text, ip)
    found = _find_list(text, lists, reason)
    name = found[0] if found else None
    if found and found[1] == "ip" and reason in {Reason.IP_BLOCKLISTED, Reason.REPUTATION}:
        mechanism = "dnsbl"
    if not (ip or url or name or mechanism):
        return None
    authentication = _find_authentication(reason, text, status)
    return Block(ip=ip, list=name, url=url, mechanism=mechanism, authentication=authentication)


def _find_ip(text: str, remote_mta: str) -> str | None:
    """The client's IP, which is ours: not that of the server that answers, nor what a list answered (127.0.0.2)."""
    rest = None
    for ip, start, end in _ips(text):
        before = text[max(0, start - 60) : start].casefold()
        if ip in remote_mta or _servers_own().search(before):
            continue
        if _clients().search(before) or _accused().match(text[end : end + 60].casefold()):
            return ip
        rest = rest or ip
    return rest


def _ips(text: str) -> Iterator[tuple[str, int, int]]:
    for match in _ipv4().finditer(text):
        parts = match[1].split(".")
        if match[2]:  # asked of a list, the address stands backwards before the zone (RFC 5782 section 2.1)
            parts.reverse()
        if all(int(part) < 256 for part in parts) and parts[0] not in _NOBODYS:
            yield ".".join(parts), match.start(1), match.end(1)
    for match in _ipv6().finditer(text):
        if match[0].count(":") == 7 or "::" in match[0]:
            yield match[0].lower(), match.start(), match.end()


_NOBODYS = frozenset({"0", "127"})


def _find_url(text: str, ip: str | None) -> str | None:
    """The page to ask at: of several the one that speaks of the address, else of removal, else the first."""
    urls = [match[0].rstrip(".,;:)]}!") for match in _url().finditer(text)]
    if not urls:
        return None
    return max(urls, key=lambda url: (bool(ip and ip in url), bool(_removal().search(url))))


def _find_list(text: str, lists: tuple[BlockList, ...], reason: Reason) -> tuple[str, str] | None:
    """The zone as it is written where it is a query zone, else the list's name; and what it lists."""
    zones = _zones(lists)
    folded = text.casefold()
    if any(zone in folded for zone in zones):
        for match in _host().finditer(text):
            labels = match[0].casefold().split(".")
            # An address asked of the zone stands before it.
            if len(labels) > 5 and all(label.isdigit() for label in labels[:4]):
                labels = labels[4:]
            for first in range(len(labels) - 1):
                if found := zones.get(".".join(labels[first:])):
                    is_page = labels[0] == "www" or text[: match.start()].endswith("//")
                    return found.name if is_page else ".".join(labels), found.lists
    if reason is not Reason.IP_BLOCKLISTED:
        return None
    for one in lists:
        if one.lists == "ip" and _stands(one.name.casefold(), folded):
            return one.name, one.lists
    unknown = _unknown_list().search(text)
    return (unknown[1].casefold(), "ip") if unknown else None


def _find_authentication(reason: Reason, text: str, status: str | None) -> tuple[str, ...]:
    folded = text.casefold()
    named = tuple(
        check
        for check, words in _CHECKS.get(reason, ())
        if any(_stands(word, folded) and not _passed(word, folded) for word in words)
    )
    if named or reason not in _CHECKS:
        return named
    coded = _CHECK_OF.get((status or "").removeprefix("5.7.").removeprefix("4.7."))
    return (coded,) if coded else ()


def _stands(word: str, text: str) -> bool:
    """Whether ``word`` stands in ``text`` as a word of its own, and not in a host's name."""
    start = text.find(word)
    while start >= 0:
        end = start + len(word)
        before, after = text[max(0, start - 1) : start], text[end : end + 2]
        in_name = (
            (before in "-.@" and before) or after[:1] == "-" or (after[:1] == "." and after[1:].isalnum())
        )
        if not (before.isalnum() or after[:1].isalnum() or in_name):
            return True
        start = text.find(word, end)
    return False


def _passed(word: str, text: str) -> bool:
    return any(f"{word}{by}pass" in text for by in ("=", " = ", ": ", " "))


@lru_cache(maxsize=4)
def _zones(lists: tuple[BlockList, ...]) -> dict[str, BlockList]:
    return {zone: one for one in lists for zone in one.zones}


# Compiled at the first block only: most mails need none of them, and compiling costs a start several milliseconds.


@cache
def _ipv4() -> re.Pattern[str]:
    return re.compile(r"(?<![\w.-])((?:\d{1,3}\.){3}\d{1,3})(?![\w-]|\.\d)(?:(\.)(?=[a-z]))?", re.IGNORECASE)


@cache
def _servers_own() -> re.Pattern[str]:
    """What stands before the address of the server that answers: "host mx.example.net[", "connect to mx (", ..."""
    return re.compile(
        r"(?:\b(?:connect(?:ed|ion)? to|remote (?:host|server|mta)|mail server at|by server|relay=|mx for [\w.-]{1,40}:?)"
        r"|(?<!client )(?<!sending )(?<!your )\bhost) (?:[\w.-]{1,50} ?)?[\[(]?\Z"
    )


@cache
def _clients() -> re.Pattern[str]:
    """What stands before the address of the client."""
    return re.compile(
        r"(?:\bclient(?: host)?|\bip(?: address)?(?: is)?|\bfrom|\byour (?:host|server)|\bsender|\baddress|\bip[=/]|=|\?|query/\w{2}/)[ :]{0,2}[\w.-]{0,50} ?[\[(<:]{0,2}\Z"
    )


@cache
def _accused() -> re.Pattern[str]:
    """What stands behind the address of the client."""
    return re.compile(
        r"[\])>]{0,2}[ :]{1,2}(?:is|has|was|are|not|does|in|on|listed|blocked|found|rejected|blacklisted|banned)\b"
    )


@cache
def _removal() -> re.Pattern[str]:
    return re.compile(
        r"delist|unblock|remov|lookup|query|listed|blocked|reputation|check|rbl|dnsbl|bl\b|postmaster",
        re.IGNORECASE,
    )


@cache
def _unknown_list() -> re.Pattern[str]:
    """The zone of a list that nobody told us of: where a block names it."""
    return re.compile(
        r"(?:blocked using|(?:black|block)?listed (?:in|at|on|by)|found in|rbl on|black ?list|blocked by)[ :]+((?:[a-z0-9_-]{1,63}\.){1,6}[a-z]{2,24})\b",
        re.IGNORECASE,
    )


@cache
def _ipv6() -> re.Pattern[str]:
    return re.compile(
        r"(?<![\w:.])[0-9a-f]{1,4}:[0-9a-f:]{1,34}(?:(?:\.\d{1,3}){3})?(?![\w:])", re.IGNORECASE
    )


@cache
def _url() -> re.Pattern[str]:
    return re.compile(r"(?:https?://|(?<![\w./@-])www\.)[^\s<>\"']{3,300}", re.IGNORECASE)


@cache
def _host() -> re.Pattern[str]:
    return re.compile(r"(?<![\w.@-])[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63}){1,8}(?![\w-])", re.IGNORECASE)
