"""What can be learned of a machine without changing it."""

import errno
import fcntl
import os
import socket
import stat
from pathlib import Path

from dsn_processor.listening import ListenAddress


def file_system(folder: Path, mounts: str = "/proc/self/mountinfo") -> str:
    """The type of the file system that holds ``folder``; "" where that cannot be told."""
    try:
        lines = Path(mounts).read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return ""
    best = ("", "")
    for line in lines:
        fields, _, rest = line.partition(" - ")
        point = fields.split()[4].replace("\\040", " ")
        if folder.is_relative_to(point) and len(point) >= len(best[0]):
            best = (point, rest.split()[0])
    return best[1]


def taken(address: ListenAddress) -> OSError | None:
    """Why the address cannot be listened on now."""
    try:
        if address.path:
            return _taken_path(address.path)
        found = socket.getaddrinfo(
            address.host or None, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        for family, kind, protocol, _, where in found:
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind(where)
    except OSError as error:
        return error
    return None


def _taken_path(path: str) -> OSError | None:
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(5)
            probe.connect(path)
    except (FileNotFoundError, ConnectionRefusedError):
        folder = os.path.dirname(path)
        if not os.path.isdir(folder):
            return FileNotFoundError(errno.ENOENT, f"there is no folder {folder}")
        return (
            None if os.access(folder, os.W_OK) else PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        )
    return OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def locked(path: Path) -> bool:
    """Whether somebody holds the one right to write to the database."""
    try:
        lock = os.open(f"{os.path.realpath(path)}-lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def mode(path: str | Path) -> int:
    """Permission bits; 0 where there is no such file."""
    try:
        return stat.S_IMODE(os.stat(path).st_mode)
    except OSError:
        return 0
