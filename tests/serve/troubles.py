"""What can befall a store while a server runs on it. Each is a context manager: the trouble lasts as long as the block."""

import resource
import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager

from serve.harness import Serve
from serve.tracing import traced

Trouble = Callable[[Serve], AbstractContextManager[None]]


#: System calls that fail, and how.
FAILING = {
    "EIO on fdatasync": ("fdatasync", "EIO"),
    "ENOSPC on fdatasync": ("fdatasync", "ENOSPC"),
    "EIO on writing": ("pwrite64", "EIO"),
    "ENOSPC on writing": ("pwrite64", "ENOSPC"),
    "EROFS on writing": ("pwrite64", "EROFS"),
}


def failing(calls: str, error: str) -> Trouble:
    """The kernel answers ``error`` to each of these system calls."""

    @contextmanager
    def trouble(serve: Serve) -> Iterator[None]:
        with traced(serve.pid, serve.folder / "trace", f"trace={calls}", f"inject={calls}:error={error}"):
            yield

    return trouble


@contextmanager
def locked(serve: Serve) -> Iterator[None]:
    """Another process holds the write lock of the database, against all rules."""
    with closing(sqlite3.connect(serve.database, isolation_level=None, timeout=60)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


@contextmanager
def moved_away(serve: Serve) -> Iterator[None]:
    """The database lies elsewhere for a while."""
    away = serve.folder / "away"
    away.mkdir()
    names = [f"{serve.database.name}{end}" for end in ("", "-wal", "-shm")]
    for name in names:
        (serve.database.parent / name).rename(away / name)
    yield
    for name in names:
        serve.database.with_name(name).unlink(missing_ok=True)
        (away / name).rename(serve.database.parent / name)


@contextmanager
def deleted(serve: Serve) -> Iterator[None]:
    """The database is deleted; a backup, made the moment before, is put in its place."""
    backup = serve.folder / "backup.db"
    with serve.paused():  # so that no mail is taken between the two
        with closing(sqlite3.connect(serve.database)) as source, closing(sqlite3.connect(backup)) as target:
            source.backup(target)
        for end in ("", "-wal", "-shm"):
            serve.database.with_name(f"{serve.database.name}{end}").unlink(missing_ok=True)
    yield
    backup.rename(serve.database)


@contextmanager
def full(serve: Serve) -> Iterator[None]:
    """No byte is free on the disk of the database."""
    ballast = serve.database.parent / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
    yield
    ballast.unlink()


@contextmanager
def no_descriptors(serve: Serve) -> Iterator[None]:
    """The server has as many files and connections open as it may. New connections find nobody to take them."""
    before = resource.prlimit(serve.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(serve.pid, resource.RLIMIT_NOFILE, (serve.descriptors(), before[1]))
    with ExitStack() as closing_all:
        for _ in range(50):
            closing_all.enter_context(socket.create_connection(serve.smtp, 10))
        yield
    resource.prlimit(serve.pid, resource.RLIMIT_NOFILE, before)
