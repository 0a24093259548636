"""Where a refresh token is kept: a file that its owner alone may read, replaced as a whole."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dsn_processor.errors import MailboxError

_LONGEST = 16_000  # characters of a token
_LOCK_SECONDS = 90.0  # longer than a server is waited for
_STEP_SECONDS = 0.05


def read_secret(path: str, what: str) -> str:
    """The one line that a file holds, without its end. Raises MailboxError; ``what`` names the file there."""
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123  paths may hold bytes that are no text
            text = file.read(_LONGEST + 1).rstrip("\r\n")
    except OSError as error:
        raise MailboxError(f"{what} {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise MailboxError(f"{what} {path} is no UTF-8 text") from None
    if not text:
        raise MailboxError(f"{what} {path} is empty")
    if len(text) > _LONGEST or not text.isprintable():
        raise MailboxError(f"{what} {path} has to hold one line")
    return text


def keep(path: str, token: str) -> None:
    """Put ``token`` in place of what the file held. When this returns it is on disk. Raises OSError.

    The file has mode 0600, and the owner of what was there before, or of the folder: root may log in for a server.
    """
    target = Path(os.path.realpath(path))
    owner = (target if target.exists() else target.parent).stat()
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(descriptor, 0o600)
            with suppress(PermissionError):
                os.fchown(descriptor, owner.st_uid, owner.st_gid)
            file.write(f"{token}\n")
            file.flush()
            os.fsync(descriptor)
        draft.replace(target)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def unwritable(path: str) -> str:
    """Why ``keep`` would fail; "" where nothing speaks against it."""
    folder = Path(os.path.realpath(path)).parent
    if not folder.is_dir():
        return f"{path} cannot be written: there is no folder {folder}; make it, for the server's user alone"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"{path} cannot be written: this user may not write to {folder}; run it as the server's user"
    return ""


@contextmanager
def held(path: str) -> Iterator[None]:
    """Hold the file against other processes that would use the same token: where a server gives another one each time,
    the second to use the first has none. A missing file cannot be held; whoever reads it next will tell. Raises
    MailboxError where another process does not let go.
    """
    descriptor = _lock(path)
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _lock(path: str) -> int | None:
    deadline = time.monotonic() + _LOCK_SECONDS
    while time.monotonic() < deadline:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):  # noqa: PTH116  as above
                return descriptor
        os.close(descriptor)  # another process has it, or it was replaced meanwhile
        time.sleep(_STEP_SECONDS)
    raise MailboxError(f"{path} is held by another process: look for one that hangs")
