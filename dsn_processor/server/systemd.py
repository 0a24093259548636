"""What systemd gives a service and hears from it (sd_notify(3), sd_listen_fds(3)). Nothing happens where it is not there."""

import os
import socket
from collections.abc import Mapping, MutableMapping
from contextlib import suppress

_FIRST = 3  # SD_LISTEN_FDS_START


def notify(words: str, environment: Mapping[str, str] = os.environ) -> None:
    """Tell the service manager, where one listens: READY=1, RELOADING=1, STOPPING=1, STATUS=..."""
    address = environment.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as manager:
        manager.sendto(words.encode(), address)


def handed_sockets(environment: MutableMapping[str, str] = os.environ) -> dict[str, list[socket.socket]]:
    """The sockets that are open already, by the name they have in the unit (FileDescriptorName=). Taken once: children
    must not believe that they are theirs.
    """
    own = environment.pop("LISTEN_PID", "") == str(os.getpid())
    count, names = environment.pop("LISTEN_FDS", "0"), environment.pop("LISTEN_FDNAMES", "")
    found: dict[str, list[socket.socket]] = {}
    if own and count.isdecimal():
        named = names.split(":")
        for at in range(int(count)):
            descriptor = _FIRST + at
            os.set_inheritable(descriptor, False)
            name = named[at] if at < len(named) else ""
            found.setdefault(name, []).append(socket.socket(fileno=descriptor))
    return found
