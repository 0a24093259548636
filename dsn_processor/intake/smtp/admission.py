"""Who may come in, and how often: connections at once, and connections and mails a minute, for each client address.

An IPv6 client is its /64 network: one host has as many addresses as it likes.
"""

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Literal

from dsn_processor.intake.smtp.options import SmtpOptions, networks

_MINUTE = 60.0
_MOST_COUNTED = 100_000  # clients in one minute's count; more than these are not counted

#: Why a client has to come again later.
Excess = Literal["total", "client", "rate"]


class Admission:
    """Counts what comes in at one listener. A ``client`` is None where nobody can tell it: a unix socket."""

    def __init__(self, options: SmtpOptions, clock: Callable[[], float]) -> None:
        self.open = 0
        self._room = options.max_connections
        self._clock = clock
        self._open_by_client: dict[str, int] = {}
        self._connections = Rate(clock)
        self._mails = Rate(clock)
        self.configure(options)

    def configure(self, options: SmtpOptions) -> None:
        """Take other limits from now on. Who is in stays in."""
        self._options = options
        self._trusted = networks(options.trusted_networks)

    def make_do(self, room: int) -> None:
        """There are descriptors for ``room`` connections: let no more in, whatever the options say."""
        self._room = room

    def trusts(self, client: str | None) -> bool:
        """Whether ``client`` is in a trusted network."""
        if client is None or not self._trusted:
            return False
        address = _mapped(client)
        return any(address in network for network in self._trusted)

    def enter(self, client: str | None) -> Excess | None:
        """Let a connection in, or tell why not. What is let in has to leave()."""
        if self.open >= min(self._options.max_connections, self._room):
            return "total"
        key = _key(client)
        if key is not None and not self.trusts(client):
            if self._open_by_client.get(key, 0) >= self._options.max_connections_per_ip:
                return "client"
            if not _here(key) and not self._connections.spend(key, self._options.connections_per_minute):
                return "rate"
        self.open += 1
        if key is not None:
            self._open_by_client[key] = self._open_by_client.get(key, 0) + 1
        return None

    def leave(self, client: str | None) -> None:
        self.open -= 1
        key = _key(client)
        if key is not None:
            left = self._open_by_client[key] - 1
            if left:
                self._open_by_client[key] = left
            else:
                del self._open_by_client[key]

    def mail(self, client: str | None) -> bool:
        """Whether one more mail of ``client`` may come now."""
        key = _key(client)
        return (
            key is None
            or _here(key)
            or self._mails.spend(key, self._options.mails_per_minute)
            or self.trusts(client)
        )


class Rate:
    """How often each key came in the running minute."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._since = clock()
        self._counts: dict[str, int] = {}

    def spend(self, key: str, most: int) -> bool:
        """Count ``key`` once more; False where that would be more than ``most`` this minute (0: any number)."""
        if not most:
            return True
        now = self._clock()
        if now - self._since >= _MINUTE:
            self._since = now
            self._counts.clear()
        count = self._counts.get(key, 0)
        if count >= most:
            return False
        if count or len(self._counts) < _MOST_COUNTED:
            self._counts[key] = count + 1
        return True


def _key(client: str | None) -> str | None:
    if client is None or ":" not in client:
        return client
    address = _mapped(client)
    if isinstance(address, IPv6Address) and not address.is_loopback:
        return f"{int(address) >> 64:x}::/64"
    return str(address)


def _mapped(client: str) -> IPv4Address | IPv6Address:
    """The address, of IPv4 where it is one written as IPv6 (RFC 4291 section 2.5.5.2)."""
    address = ip_address(client.partition("%")[0])
    return getattr(address, "ipv4_mapped", None) or address


def _here(key: str) -> bool:
    """The machine itself: its own relay brings the mail of all the world."""
    return key.startswith("127.") or key == "::1"
