"""SQLAlchemy's and the system's errors, told as ours: what happened to which database, and what to do."""

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, InterfaceError, ProgrammingError

from dsn_processor.errors import StoreBusyError, StoreError, StoreFullError

_ADVICE = {
    sqlite3.SQLITE_FULL: "the disk is full; nothing of the last step was stored: make room and run this again",
    sqlite3.SQLITE_NOTADB: "this file is no SQLite database; name another file, or move it away",
    sqlite3.SQLITE_CORRUPT: "the database is damaged; restore it from a backup, or try `sqlite3 FILE .recover`",
    sqlite3.SQLITE_READONLY: "the file or its folder cannot be written; check owner and permissions",
    sqlite3.SQLITE_CANTOPEN: "the file or its folder cannot be opened or written; check owner and permissions",
    sqlite3.SQLITE_IOERR: "the disk reports an error; nothing of the last step was stored: check disk and file system",
    sqlite3.SQLITE_PERM: "access is refused; check owner and permissions",
    sqlite3.SQLITE_AUTH: "access is refused; check owner and permissions",
}
_OF_VALUES = (
    *(DataError, IntegrityError, InterfaceError, ProgrammingError),
    *(sqlite3.DataError, sqlite3.IntegrityError, sqlite3.InterfaceError, sqlite3.ProgrammingError),
)


@contextmanager
def told(name: str) -> Iterator[None]:
    """Raise database and system errors of the block as StoreError about the database ``name``. What is wrong with
    the values alone is a fault of ours in one mail, and passes.
    """
    try:
        yield
    except _OF_VALUES:
        raise
    except DBAPIError as error:
        raise store_error(name, error.orig or error) from error
    except (sqlite3.Error, OSError) as error:
        raise store_error(name, error) from error


def store_error(name: str, error: BaseException) -> StoreError:
    code = getattr(error, "sqlite_errorcode", None)
    primary = None if code is None else code & 0xFF  # the extended codes keep their family in the low byte
    if primary in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return busy(name)
    if primary in _ADVICE:
        kind = StoreFullError if primary == sqlite3.SQLITE_FULL else StoreError
        return kind(f"{name}: {error}: {_ADVICE[primary]}")
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return StoreFullError(f"{name}: {error}: {_ADVICE[sqlite3.SQLITE_FULL]}")
    return StoreError(f"{name}: {error}")


def busy(name: str, process: str = "") -> StoreBusyError:
    """Somebody else writes: the ``process`` of this number, where that is known."""
    who = f" (process {process})" if process else ""
    return StoreBusyError(
        f"{name} is in use: another dsn-processor{who} is writing to it; wait until that ends, or stop it, and run this "
        "again"
    )
