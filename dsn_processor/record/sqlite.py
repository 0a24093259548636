"""Opens the SQLite file: one writer, many readers.

WAL with synchronous=FULL: what was committed outlives a power cut. One writer alone, held by a lock beside the file:
SQLite up to 3.51.2 can damage a WAL where a checkpoint races another connection's commit
(sqlite.org/wal.html#walresetbug). Readers are opened read-only, and cannot checkpoint.
"""

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import StaticPool

from dsn_processor.errors import ConfigurationError, StoreError
from dsn_processor.record.columns import JSON_ENCODER
from dsn_processor.record.faults import busy, told

_SHAPE = "give it as sqlite:///relative/path.db or sqlite:////absolute/path.db"
_BUSY_SECONDS = 5.0
_POLL_SECONDS = 0.02
_CHECKED_BYTES = 256 * 2**20

_PRAGMAS = ("foreign_keys=ON", "mmap_size=0")
_WRITER_PRAGMAS = (
    "cache_size=-16384",  # kibibytes: pages of the indexes are met again and again
    "synchronous=FULL",
    "secure_delete=ON",  # an erased mail is gone from the file, not only from the index
    "wal_autocheckpoint=2000",
    f"journal_size_limit={64 * 2**20}",
)
_READER_PRAGMAS = ("query_only=ON",)


def file_of(url: str) -> Path:
    """The file that ``url`` names. Raises ConfigurationError where it names none we can use."""
    try:
        parsed: URL = make_url(url)
    except ArgumentError:
        raise ConfigurationError(f"{url!r} is no database URL: {_SHAPE}") from None
    shown = parsed.render_as_string(hide_password=True)
    if parsed.drivername not in {"sqlite", "sqlite+pysqlite"}:
        raise ConfigurationError(f"{shown}: only SQLite databases can be used so far: {_SHAPE}")
    if parsed.host or parsed.query:
        raise ConfigurationError(f"{shown}: a host or options have no meaning here: {_SHAPE}")
    if parsed.database in {None, "", ":memory:"}:
        raise ConfigurationError(f"{shown} names no file, so nothing would be kept: {_SHAPE}")
    assert parsed.database is not None
    return Path(parsed.database)


def make_file(path: Path) -> None:
    """Where there is none, make the empty database, readable by its owner alone, before SQLite would make it readable by all."""
    if not path.parent.is_dir():
        raise StoreError(f"{path}: the folder {path.parent} does not exist: make it, or name another file")
    if path.is_dir():
        raise StoreError(f"{path} is a folder: name a file in it")
    with told(str(path)):
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
        except FileExistsError:
            return
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def inode(path: Path) -> tuple[int, int] | None:
    """What tells the file that has this name now from every other; None where there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def check_file(path: Path) -> None:
    """Raise StoreError unless there is a file to read."""
    if not path.exists():
        raise StoreError(
            f"there is no database {path}: `dsn-processor replay PATH` makes one, --db URL names another"
        )
    if not path.is_file():
        raise StoreError(f"{path} is no file: name a database")


@contextmanager
def writer_lock(path: Path, wait: float) -> Iterator[None]:
    """Hold the one right to write, waiting up to ``wait`` seconds for it. Raises StoreBusyError after that.

    The lock is on a file beside the database, never on the database itself: closing any descriptor of that would
    drop SQLite's own locks. It bears the name behind all links, so that whoever comes by another one meets the same
    lock. The system releases it when its holder dies; the file stays, and in it the number of the last holder's process.
    """
    deadline = time.monotonic() + wait
    with told(str(path)):
        lock = os.open(f"{os.path.realpath(path)}-lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        while not _locked(lock):
            if time.monotonic() >= deadline:
                holder = os.pread(lock, 20, 0).decode("ascii", "replace").strip()
                raise busy(str(path), holder if holder.isdecimal() else "")
            time.sleep(_POLL_SECONDS)
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(lock)


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def connect(path: Path, *, readonly: bool) -> Connection:
    """Open the existing file. Transactions of the writer begin IMMEDIATE: none fails half-way for want of the lock."""
    uri = f"file:{quote(str(path.absolute()))}?mode={'ro' if readonly else 'rw'}"

    def dial() -> sqlite3.Connection:
        # isolation_level None: SQLAlchemy's "begin" below says BEGIN, and Python's driver does not meddle with DDL.
        connection = sqlite3.connect(
            uri, uri=True, isolation_level=None, timeout=_BUSY_SECONDS, check_same_thread=False
        )
        for pragma in (*_PRAGMAS, *(_READER_PRAGMAS if readonly else _WRITER_PRAGMAS)):
            connection.execute(f"PRAGMA {pragma}")
        return connection

    engine = create_engine(
        "sqlite://",
        creator=dial,
        poolclass=StaticPool,
        json_serializer=JSON_ENCODER.encode,
        hide_parameters=True,  # errors are logged; what mails say is not
    )
    _begin_with(engine, "BEGIN" if readonly else "BEGIN IMMEDIATE")
    return engine.connect()


def use_wal(connection: Connection) -> None:
    """Let readers read while the writer writes. Kept in the file; so it waits until the file is known to be ours."""
    driver = connection.connection.dbapi_connection
    assert driver is not None
    driver.execute("PRAGMA page_size=8192")  # of a new file: mails fill larger pages better
    driver.execute("PRAGMA journal_mode=WAL")


def check_sound(connection: Connection, path: Path) -> None:
    """Raise StoreError where SQLite finds the file damaged. A large one is not looked through: that takes minutes."""
    if path.stat().st_size > _CHECKED_BYTES:
        return
    found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
    if found != "ok":
        raise StoreError(f"{path}: the database is damaged ({found}); restore it from a backup")


def disconnect(connection: Connection) -> None:
    """Close for good. The last one to leave writes the WAL back into the file."""
    connection.close()
    connection.engine.dispose()


def _begin_with(engine: Engine, statement: str) -> None:
    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(statement)
