"""What an operator can set of the listeners. Sizes are in octets, times in seconds."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network

from dsn_processor.intake.smtp.recipients import Recipients
from dsn_processor.listening import ListenAddress, listen_address
from dsn_processor.units import Mode, Seconds, Size

Network = IPv4Network | IPv6Network

_HOST_NAME = re.compile(r"[A-Za-z0-9_.:\[\]-]{1,255}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpOptions:
    """The SMTP listener, and what LMTP has in common with it: who may send what to whom, and how much of it.

    ``recipients`` are addresses, domains and patterns; none means anybody, allowed only while just this machine can
    connect. A mail over ``size_limit`` is kept as its head; one over ``size_maximum`` is refused.
    ``connections_per_minute`` and ``mails_per_minute`` count for each client address beyond this machine; 0 is no limit.
    ``trusted_networks`` are spared the limits per address, and may speak PROXY where ``proxy_protocol`` is on.
    """

    listen: tuple[str, ...] = ("127.0.0.1:2525",)
    hostname: str = ""
    recipients: tuple[str, ...] = ()
    size_limit: Size = 10_000_000
    size_maximum: Size = 100_000_000
    max_recipients: int = 100
    max_connections: int = 1_000
    max_connections_per_ip: int = 100
    connections_per_minute: int = 600
    mails_per_minute: int = 6_000
    command_timeout: Seconds = 300.0
    data_timeout: Seconds = 180.0
    min_data_rate: Size = 500
    session_timeout: Seconds = 1_800.0
    store_timeout: Seconds = 60.0
    tls_handshake_timeout: Seconds = 30.0
    max_errors: int = 20
    max_junk: int = 100
    refuse_bare_newline: bool = False
    tls_certificate: str = ""
    tls_key: str = ""
    proxy_protocol: bool = False
    trusted_networks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        addresses = [listen_address(text) for text in self.listen]
        if any(address.path for address in addresses):
            raise ValueError("smtp listens on TCP alone: unix sockets are for lmtp")
        Recipients(self.recipients)
        check_reach("smtp", addresses, self.recipients)
        if self.hostname and not _HOST_NAME.fullmatch(self.hostname):
            raise ValueError(f"hostname is {self.hostname!r}: write a name such as mx.example.com")
        if not 1_000 <= self.size_limit <= self.size_maximum <= 1_000_000_000:
            raise ValueError("size_limit has to be from 1 kB to size_maximum, and that 1 GB at most")
        _check_bounds(self)
        if self.tls_key and not self.tls_certificate:
            raise ValueError("tls_key is set without tls_certificate: name the certificate's file, too")
        if self.proxy_protocol and not networks(self.trusted_networks):
            raise ValueError("proxy_protocol needs trusted_networks: name the networks of your proxies")
        networks(self.trusted_networks)


@dataclass(frozen=True, slots=True, kw_only=True)
class LmtpOptions:
    """The LMTP listener; all else is as the SMTP options say. ``socket_mode`` is the mode of a unix socket."""

    listen: tuple[str, ...] = ()
    socket_mode: Mode = 0o660

    def __post_init__(self) -> None:
        for text in self.listen:
            listen_address(text)
        if not 0 <= self.socket_mode <= 0o777:
            raise ValueError("socket_mode has to be a file mode such as 0o660")


def check_together(smtp: SmtpOptions, lmtp: LmtpOptions) -> None:
    """Raises ValueError where the two do not fit: ``recipients`` are told by one and needed by both."""
    check_reach("lmtp", [listen_address(text) for text in lmtp.listen], smtp.recipients)


def networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Raises ValueError where one is no network."""
    try:
        return tuple(ip_network(text, strict=False) for text in texts)
    except ValueError as error:
        raise ValueError(f"trusted_networks: {error}; write networks such as 192.0.2.0/24") from None


def check_reach(name: str, addresses: Sequence[ListenAddress], recipients: Sequence[str]) -> None:
    """Raises ValueError where others than this machine may send to anybody."""
    if not recipients and (open_ones := [str(address) for address in addresses if not address.local]):
        raise ValueError(
            f"{name} listens on {', '.join(open_ones)}, where other machines get, without recipients: "
            'name the addresses or domains to take mail for, as in recipients = ["bounces@example.com"]'
        )


# name, least, most
_BOUNDS = (
    ("max_recipients", 1, 1_000),
    ("max_connections", 1, 100_000),
    ("max_connections_per_ip", 1, 100_000),
    ("connections_per_minute", 0, 10_000_000),
    ("mails_per_minute", 0, 10_000_000),
    ("command_timeout", 0.05, 3_600),
    ("data_timeout", 0.05, 3_600),
    ("min_data_rate", 1, 1_000_000),
    ("session_timeout", 0.05, 86_400),
    ("store_timeout", 0.05, 590),  # a sender waits ten minutes for the answer (RFC 5321 section 4.5.3.2.6)
    ("tls_handshake_timeout", 0.05, 300),
    ("max_errors", 1, 10_000),
    ("max_junk", 1, 10_000),
)


def _check_bounds(options: SmtpOptions) -> None:
    for name, least, most in _BOUNDS:
        if not least <= getattr(options, name) <= most:
            raise ValueError(f"{name} has to be from {least} to {most}")
