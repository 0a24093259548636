"""What an operator can set of webhooks. Endpoints themselves are in the database: `dsn-processor webhooks add`."""

import ipaddress
from dataclasses import dataclass

from dsn_processor.units import Seconds

_DAY = 86_400.0
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookOptions:
    """Where webhooks may go: over https unless ``allow_http``, to one of ``ports``, to addresses of the public Internet and
    those in ``allow_networks``. An attempt takes ``timeout`` seconds at most; ``concurrency`` of them run at a time for
    each endpoint. What was delivered is kept for ``keep`` seconds, what was given up for ``keep_dead``.
    """

    allow_http: bool = False
    allow_networks: tuple[str, ...] = ()
    ports: tuple[str, ...] = ("443", "8443")
    timeout: Seconds = 15.0
    concurrency: int = 8
    keep: Seconds = 7 * _DAY
    keep_dead: Seconds = 30 * _DAY

    def __post_init__(self) -> None:
        self.networks()
        self.port_numbers()
        if not 1.0 <= self.timeout <= 120.0:
            raise ValueError("timeout has to be from 1s to 120s")
        if not 1 <= self.concurrency <= 100:
            raise ValueError("concurrency has to be a number from 1 to 100")
        if self.keep < 0 or self.keep_dead < 0:
            raise ValueError("keep and keep_dead have to be no less than 0")

    def networks(self) -> tuple[IpNetwork, ...]:
        """Raises ValueError."""
        try:
            return tuple(map(ipaddress.ip_network, self.allow_networks))
        except ValueError as error:
            raise ValueError(f"allow_networks: {error}: write 10.1.2.0/24 or fd00:1::/64, say") from None

    def port_numbers(self) -> frozenset[int]:
        """Raises ValueError."""
        if not self.ports or not all(
            one.isascii() and one.isdecimal() and 0 < int(one) < 65_536 for one in self.ports
        ):
            raise ValueError('ports has to be a list of port numbers in quotes: ["443", "8443"]')
        return frozenset(map(int, self.ports))
