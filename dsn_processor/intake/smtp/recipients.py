"""Which recipients are ours: addresses, domains and patterns, compared as addresses are everywhere (identity.py)."""

from collections.abc import Sequence

from dsn_processor.canonical import canonical_address, canonical_domain


class Recipients:
    """``bounces@example.com``, ``example.com`` or ``@example.com`` (all of the domain), and with ``*`` for any text:
    ``bounces+*@example.com``, ``*@*.example.com``, ``*.example.com``. None at all is anybody.

    postmaster is always ours (RFC 5321 section 4.5.1). Raises ValueError where an entry is none of these.
    """

    def __init__(self, entries: Sequence[str] = ()) -> None:
        self._anybody = not entries
        addresses, patterns = set(), []
        for entry in entries:
            local, at, domain = entry.strip().rpartition("@")
            if not domain or any(mark in entry for mark in '<>," \t') or "@" in local:
                raise ValueError(
                    f"recipients has {entry!r}: write an address, a domain, or a pattern such as bounces+*@example.com"
                )
            if at and local and "*" not in entry:
                addresses.add(canonical_address(entry))
            else:
                patterns.append((canonical_address(local) if local else "*", canonical_domain(domain)))
        self._addresses = frozenset(addresses)
        self._domains = frozenset(domain for local, domain in patterns if local == "*" and "*" not in domain)
        self._patterns = tuple(
            (local.split("*"), domain.split("*")) for local, domain in patterns if domain not in self._domains
        )

    def take(self, address: str) -> bool:
        """Whether mail for ``address`` is ours."""
        if self._anybody:
            return True
        canonical = canonical_address(address)
        if canonical in self._addresses:
            return True
        local, _, domain = canonical.rpartition("@")
        if domain in self._domains or local == "postmaster" or (not local and domain == "postmaster"):
            return True
        return any(_fits(local, locals_) and _fits(domain, domains) for locals_, domains in self._patterns)


def _fits(text: str, pieces: Sequence[str]) -> bool:
    """Whether ``text`` is the pieces in order with anything between them: linear, whatever the pattern."""
    if len(pieces) == 1:
        return text == pieces[0]
    first, last = pieces[0], pieces[-1]
    if len(text) < len(first) + len(last) or not text.startswith(first) or not text.endswith(last):
        return False
    at, end = len(first), len(text) - len(last)
    for piece in pieces[1:-1]:
        found = text.find(piece, at, end)
        if found < 0:
            return False
        at = found + len(piece)
    return True
