"""Who may come in, and how often: connections at once, and connections and mails a minute, for each client address.

An IPv6 client is its /64 network: one host has as many addresses as it likes.
"""

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address
from operator import itemgetter
from typing import Literal

from dsn_processor.intake.smtp.options import SmtpOptions, networks

_MINUTE = 60.0
_MOST_COUNTED = 100_000  # clients in one minute's count; more than these are not counted

#: Why a client has to come again later.
Excess = Literal["total", "client", "rate"]


class Admission:
    """Counts what comes in at one listener. A ``place`` is what a client is counted as; None is not counted for itself:
    a unix socket, a trusted network.
    """

    def __init__(self, options: SmtpOptions, clock: Callable[[], float]) -> None:
        self.open = 0
        self._room = options.max_connections
        self._open_by_place: dict[str, int] = {}
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

    def place(self, client: str | None) -> str | None:
        """What ``client`` is counted as; it is None itself where nobody can tell it."""
        if client is None or self.trusts(client):
            return None
        if ":" not in client:
            return client
        address = _mapped(client)
        if isinstance(address, IPv6Address) and not address.is_loopback:
            return f"{int(address) >> 64:x}::/64"
        return str(address)

    def excess(self, place: str | None) -> Excess | None:
        """Why no connection may come in there, if so. One more of those that tried this minute is counted."""
        if place is not None:
            if self._open_by_place.get(place, 0) >= self._options.max_connections_per_ip:
                return "client"
            if not _here(place) and not self._connections.spend(place, self._options.connections_per_minute):
                return "rate"
        return "total" if self.open >= self._most else None

    def enter(self, place: str | None) -> None:
        """Count a connection. It has to leave()."""
        self.open += 1
        if place is not None:
            self._open_by_place[place] = self._open_by_place.get(place, 0) + 1

    def leave(self, place: str | None) -> None:
        self.open -= 1
        if place is not None:
            left = self._open_by_place[place] - 1
            if left:
                self._open_by_place[place] = left
            else:
                del self._open_by_place[place]

    def crowd(self, place: str | None) -> str | None:
        """Who has the most connections, and would still have as many as ``place`` if one of them were its own."""
        if not self._open_by_place:
            return None
        crowd, most = max(self._open_by_place.items(), key=itemgetter(1))
        return crowd if most >= (self._open_by_place.get(place, 0) if place else 0) + 2 else None

    @property
    def pressed(self) -> bool:
        """Whether there is little room left, so that nobody should dawdle."""
        return self.open * 10 >= self._most * 9

    @property
    def _most(self) -> int:
        return min(self._options.max_connections, self._room)

    def mail(self, place: str | None) -> bool:
        """Whether one more mail may come from there now."""
        return place is None or _here(place) or self._mails.spend(place, self._options.mails_per_minute)


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


def _mapped(client: str) -> IPv4Address | IPv6Address:
    """The address, of IPv4 where it is one written as IPv6 (RFC 4291 section 2.5.5.2)."""
    address = ip_address(client.partition("%")[0])
    return getattr(address, "ipv4_mapped", None) or address


def _here(place: str) -> bool:
    """The machine itself: its own relay brings the mail of all the world."""
    return place.startswith("127.") or place == "::1"
