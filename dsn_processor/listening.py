"""Where to listen: how addresses are written, and TCP sockets opened."""

import errno
import socket
from ipaddress import ip_address
from typing import NamedTuple

from dsn_processor.errors import ConfigurationError

BACKLOG = 512


class ListenAddress(NamedTuple):
    """Where to listen: a host ("" is every address) and a port, or the ``path`` of a unix socket."""

    host: str = ""
    port: int = 0
    path: str = ""

    @property
    def local(self) -> bool:
        """Whether nobody but this machine gets there."""
        if self.path:
            return True
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host or '*'}:{self.port}"


def listen_address(text: str) -> ListenAddress:
    """``127.0.0.1:2525``, ``[::1]:2525``, ``*:25``, ``mx.example.com:25`` or ``unix:/run/bounces/lmtp``."""
    if text.startswith("unix:"):
        if not text.removeprefix("unix:").startswith("/"):
            raise ValueError(f"{text!r} is no unix socket: write unix:/path/to/socket")
        return ListenAddress(path=text.removeprefix("unix:"))
    if text.startswith("/"):
        raise ValueError(f"{text!r} is no address to listen on: write unix:{text} for a unix socket")
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535 or "/" in host:
        raise ValueError(f"{text!r} is no address to listen on: write HOST:PORT, as in 127.0.0.1:2525")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(f"{text!r} has an IPv6 address without brackets: write [{host}]:{port}")
    return ListenAddress(host="" if host == "*" else host, port=int(port))


def open_tcp(address: ListenAddress) -> list[socket.socket]:
    """Listening sockets: one, or for a name or every address one of each family. Raises OSError."""
    found = socket.getaddrinfo(
        address.host or None, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    opened: list[socket.socket] = []
    port = address.port
    try:
        for family, kind, protocol, _, where in dict.fromkeys(found):
            one = socket.socket(family, kind, protocol)
            opened.append(one)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.bind((where[0], port, *where[2:]))
            port = one.getsockname()[1]  # of port 0, the same one in each family
            one.listen(BACKLOG)
    except OSError:
        for one in opened:
            one.close()
        raise
    return opened


def cannot_listen(address: ListenAddress, error: OSError) -> ConfigurationError:
    """What to tell where an address cannot be had, and what to do."""
    if error.errno == errno.EADDRINUSE:
        advice = "end what listens there, or choose another address"
    elif error.errno == errno.EACCES and address.port and address.port < 1024:
        advice = "ports below 1024 need CAP_NET_BIND_SERVICE, or a socket that systemd opens"
    else:
        advice = "choose another address"
    return ConfigurationError(f"cannot listen on {address}: {error.strerror or error}; {advice}")
