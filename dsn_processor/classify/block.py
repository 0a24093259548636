"""Who refused us and where to ask, read from the diagnostic of a block."""

import re

from dsn_processor.classify.rules import BlockList
from dsn_processor.classify.words import Words
from dsn_processor.facts import Block
from dsn_processor.patterns import holds, pattern
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
#: The reasons that a block is looked for with.
BLOCK_REASONS = _MECHANISMS.keys()
_LIMIT = 4096
# The look-behind stands after the first digit: so the engine skips to the next digit at once.
_IPV4 = pattern(r"([0-9](?<![\w.-].)\d{0,2}\.\d{1,3}\.\d{1,3}\.\d{1,3})(?![\w-]|\.\d)(?:(\.)(?=[A-Za-z]))?")
# What stands before the address of the server that answers: "host mx.example.net[", "connect to mx (", ...
_SERVERS_OWN = pattern(
    r"[chrmb](?<!\w.)(?:(?<=c)onnect(?:ed|ion)? to|(?<=r)emote (?:host|server|mta)|(?<=m)ail server at|(?<=b)y server|(?<=r)elay="
    r"|(?<=m)x for [\w.-]{1,40}:?|(?<=h)(?<!client .)(?<!sending .)(?<!your .)ost) (?:[\w.-]{1,50} ?)?[\[(]?\Z"
)
# ... with one of these words.
_SERVERS_WORDS = ("host", "connect", "remote ", "server", "relay=", "mx for ")
# What stands before the address of the client.
_CLIENTS = pattern(
    r"(?:c(?<!\w.)lient(?: host)?|i(?<!\w.)p(?: address)?(?: is)?|f(?<!\w.)rom|y(?<!\w.)our (?:host|server)|s(?<!\w.)ender"
    r"|a(?<!\w.)ddress|i(?<!\w.)p[=/]|=|\?|query/\w{2}/)[ :]{0,2}[\w.-]{0,50} ?[\[(<:]{0,2}\Z"
)
# What stands behind the address of the client.
_ACCUSED = pattern(
    r"[\])>]{0,2}[ :]{1,2}(?:is|has|was|are|not|does|in|on|listed|blocked|found|rejected|blacklisted|banned)\b"
)
_REMOVAL = pattern(
    r"delist|unblock|remov|lookup|query|listed|blocked|reputation|check|rbl|dnsbl|bl\b|postmaster",
    re.IGNORECASE,
)
# The zone of a list that nobody told us of: where a folded block names it.
_UNKNOWN_LIST = pattern(
    r"(?:blocked (?:using|by)|listed (?:in|at|on|by)|found in|rbl on|black ?list)[ :]+((?:[a-z0-9_-]{1,63}\.){1,6}[a-z]{2,24})\b"
)
_IPV6_COLONS = 7  # of an address written in full
_IPV6 = pattern(r"(?<![\w:.])[0-9a-f]{1,4}:[0-9a-f:]{1,34}(?:(?:\.\d{1,3}){3})?(?![\w:])", re.IGNORECASE)
# A set of letters to begin with, which the engine leaps to.
_URL = pattern(r"[hHwW](?:(?<=[hH])[tT]{2}[pP][sS]?://|(?<=[wW])(?<![\w./@-].)[wW]{2}\.)[^\s<>\"']{3,300}")
_HOST = pattern(r"[a-z0-9_-](?<![\w.@-].)[a-z0-9_-]{0,62}(?:\.[a-z0-9_-]{1,63}){1,8}(?![\w-])")  # folded
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


class BlockLists:
    """The public blocklists made searchable: one pass over a text for all zones and names."""

    def __init__(self, lists: tuple[BlockList, ...]) -> None:
        self.zones = {zone: one for one in lists for zone in one.zones}
        self.of_addresses = {one.name.casefold(): one for one in lists if one.lists == "ip"}
        self._words = Words(self.zones.keys() | self.of_addresses.keys())

    def mentioned(self, folded: str) -> set[str]:
        """The zones and the names that stand anywhere in ``folded``, text without letter case."""
        return {word for _, word in self._words.found(folded)}


def find_block(
    reason: Reason,
    text: str,
    lists: BlockLists,
    *,
    status: str | None = None,
    remote_mta: str | None = None,
) -> Block | None:
    """What ``text`` says about a refusal for ``reason``, one of ``BLOCK_REASONS``; None where it says nothing."""
    if not text:
        return None
    text = text[:_LIMIT]
    mechanism = _MECHANISMS[reason]
    folded = text.casefold()
    ip = _find_ip(text, remote_mta or "")
    url = _find_url(text, ip) if "://" in text or "www." in folded else None
    found = _find_list(folded, lists, reason)
    name = found[0] if found else None
    if found and found[1] == "ip" and reason in {Reason.IP_BLOCKLISTED, Reason.REPUTATION}:
        mechanism = "dnsbl"
    if not (ip or url or name or mechanism):
        return None
    authentication = _find_authentication(reason, folded, status)
    return Block(ip=ip, list=name, url=url, mechanism=mechanism, authentication=authentication)


def _find_ip(text: str, remote_mta: str) -> str | None:
    """The client's IP, which is ours: not that of the server that answers, nor what a list answered (127.0.0.2)."""
    rest = None
    servers: list[str] | None = None
    for ip, start, end in _ips(text):
        if servers is None:
            servers = _BETWEEN_NAMES.split(remote_mta)
        before = text[max(0, start - 60) : start].casefold()
        if ip in servers or (holds(before, _SERVERS_WORDS) and _SERVERS_OWN.search(before)):
            continue
        if _ACCUSED.match(text[end : end + 60].casefold()) or _CLIENTS.search(before):
            return ip
        rest = rest or ip
    return rest


def _ips(text: str) -> list[tuple[str, int, int]]:
    found = []
    for match in _IPV4.finditer(text):
        parts = match[1].split(".")
        if match[2]:  # asked of a list, the address stands backwards before the zone (RFC 5782 section 2.1)
            parts.reverse()
        if max(map(int, parts)) < 256 and parts[0] not in _NOBODYS:
            found.append((".".join(parts), match.start(1), match.end(1)))
    if "::" in text or text.count(":") >= _IPV6_COLONS:
        found += [
            (match[0].lower(), match.start(), match.end())
            for match in _IPV6.finditer(text)
            if match[0].count(":") == _IPV6_COLONS or "::" in match[0]
        ]
    return found


_BETWEEN_NAMES = pattern(r"[\s\[\]();,]+")
_NOBODYS = frozenset({"0", "127"})


def _find_url(text: str, ip: str | None) -> str | None:
    """The page to ask at: of several the one that speaks of the address, else of removal, else the first."""
    urls = [match[0].rstrip(".,;:)]}!") for match in _URL.finditer(text)]
    if len(urls) < 2:
        return urls[0] if urls else None
    return max(urls, key=lambda url: (bool(ip and ip in url), bool(_REMOVAL.search(url))))


def _find_list(folded: str, lists: BlockLists, reason: Reason) -> tuple[str, str] | None:
    """The zone as it is written where it is a query zone, else the list's name; and what it lists."""
    zones = lists.zones
    mentioned = lists.mentioned(folded)
    if not mentioned.isdisjoint(zones):
        for match in _HOST.finditer(folded):
            labels = match[0].split(".")
            # An address asked of the zone stands before it.
            if len(labels) > 5 and all(label.isdigit() for label in labels[:4]):
                labels = labels[4:]
            for first in range(len(labels) - 1):
                if found := zones.get(".".join(labels[first:])):
                    is_page = labels[0] == "www" or folded.endswith("//", 0, match.start())
                    return found.name if is_page else ".".join(labels), found.lists
    if reason is not Reason.IP_BLOCKLISTED:
        return None
    if mentioned:
        for name, one in lists.of_addresses.items():
            if name in mentioned and _stands(name, folded):
                return one.name, one.lists
    unknown = _UNKNOWN_LIST.search(folded)
    return (unknown[1], "ip") if unknown else None


def _find_authentication(reason: Reason, folded: str, status: str | None) -> tuple[str, ...]:
    if reason not in _CHECKS:
        return ()
    named = [check for check, words in _CHECKS[reason] if _is_named(words, folded)]
    if named:
        return tuple(named)
    coded = _CHECK_OF.get((status or "").removeprefix("5.7.").removeprefix("4.7."))
    return (coded,) if coded else ()


def _is_named(words: tuple[str, ...], text: str) -> bool:
    """Whether the check of these words is spoken of, and was not passed."""
    for word in words:  # noqa: SIM110  see patterns.holds
        if word in text and _stands(word, text) and not _passed(word, text):
            return True
    return False


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
