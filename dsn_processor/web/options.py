"""What an operator can set of the web server."""

import ipaddress
from dataclasses import dataclass
from typing import NamedTuple


class WebAddress(NamedTuple):
    """Where to listen: a host and a TCP port. Port 0 lets the system choose."""

    host: str
    port: int

    @property
    def local(self) -> bool:
        """Whether only this machine gets there."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebOptions:
    """Where metrics and health are served; ``listen`` "none" switches that off. Nothing there tells of a mail, but
    figures are nobody else's business either: the default is this machine alone.
    """

    listen: str = "127.0.0.1:8025"

    def __post_init__(self) -> None:
        self.address()

    def address(self) -> WebAddress | None:
        """None where the web server is off. Raises ValueError."""
        if self.listen in {"none", ""}:
            return None
        host, colon, port = self.listen.rpartition(":")
        if (
            not colon
            or not port.isascii()
            or not port.isdigit()
            or int(port) > 65535
            or not host
            or "/" in host
        ):
            raise ValueError(f'listen is {self.listen!r}: write HOST:PORT, as in "127.0.0.1:8025", or "none"')
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            raise ValueError(f"listen has an IPv6 address without brackets: write [{host}]:{port}")
        return WebAddress("" if host == "*" else host, int(port))
