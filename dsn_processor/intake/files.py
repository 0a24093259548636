"""Open and read regular files, and nothing else: no link is followed, no FIFO waited for."""

import errno
import os
import stat

_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC

_SPECIAL = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
    stat.S_IFLNK: "a symbolic link",
}


class NotRegularError(Exception):
    """What was opened is no regular file. Left alone on purpose."""


def open_file(name: str, folder: int | None = None) -> tuple[int, int]:
    """Descriptor and size of the regular file ``name`` (relative to the descriptor ``folder``, if given).

    The kind is looked at after opening, on the descriptor: nobody can swap the file in between. O_NONBLOCK keeps a
    FIFO without a writer from holding us up. Raises OSError and NotRegularError.
    """
    try:
        descriptor = os.open(name, _FILE, dir_fd=folder)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise NotRegularError("is a symbolic link, not followed") from None
        if error.errno == errno.ENXIO:
            raise NotRegularError("is a socket or a device, not read") from None
        raise
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise NotRegularError(f"is {describe(status.st_mode)}, not read")
    return descriptor, status.st_size


def open_folder(name: str, folder: int | None = None) -> int:
    """Descriptor of a folder. Raises OSError and NotRegularError (a link took its place)."""
    try:
        return os.open(name, _FOLDER, dir_fd=folder)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENOTDIR}:
            raise NotRegularError("is a symbolic link, not followed") from None
        raise


def describe(mode: int) -> str:
    return _SPECIAL.get(stat.S_IFMT(mode), "no regular file")


def read_head(descriptor: int, size: int, limit: int) -> tuple[bytes, bool]:
    """Up to ``limit`` bytes of a file of about ``size`` bytes, and whether there is more."""
    want = min(size, limit) + 1  # one more, so that a short read says that this is all
    data = os.read(descriptor, want)
    if len(data) == want or len(data) < size:  # it grows while we read, or a read came back short
        parts = [data]
        have = len(data)
        while have <= limit and (data := os.read(descriptor, min(2**20, limit + 1 - have))):
            parts.append(data)
            have += len(data)
        data = b"".join(parts)
    if len(data) > limit:
        return data[:limit], True
    return data, False


def printable_path(path: str) -> str:
    r"""``path`` as text that can be written anywhere: bytes that are no UTF-8 shown as ``\xHH``."""
    if path.isascii():
        return path
    try:
        path.encode()
    except UnicodeEncodeError:
        return os.fsencode(path).decode("utf-8", "backslashreplace")
    return path


def complaint(error: OSError) -> str:
    return f"cannot be read: {error.strerror or error}"
