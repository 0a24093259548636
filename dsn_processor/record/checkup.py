"""Looks a database over without changing it."""

import sqlite3
import time
from pathlib import Path
from typing import NamedTuple, cast

from dsn_processor.record import schema, sqlite
from dsn_processor.record.faults import told

#: Releases that have the mend of a fault which can damage the WAL where a checkpoint races another connection's commit
#: (sqlite.org/wal.html#walresetbug): this one and later, and two older lines.
_MENDED = (3, 51, 3)
_MENDED_LINES = ((3, 50, 7), (3, 44, 6))


class Checkup(NamedTuple):
    """A database: bytes of the file and of its WAL, its schema (None: empty, ``behind``: the next writer brings it up to
    date), what is wrong with its pages (None: nothing), and whether there was time to look at all of them.
    """

    size: int
    wal_size: int
    schema: str | None
    behind: bool
    trouble: str | None
    complete: bool


def examine(path: Path, *, seconds: float) -> Checkup:
    """Look at the pages of the database for ``seconds`` at most. Raises StoreError where it cannot be read, or is
    another program's or a newer version's.
    """
    sqlite.check_file(path)
    with told(str(path)):
        connection = sqlite.connect(path, readonly=True)
        try:
            found = schema.version(connection, str(path))
            if found not in {None, schema.HEAD}:
                schema.check_known(str(found), str(path))
            driver = cast("sqlite3.Connection", connection.connection.dbapi_connection)
            trouble, complete = _quick_check(driver, time.monotonic() + seconds)
        finally:
            sqlite.disconnect(connection)
    wal = path.with_name(f"{path.name}-wal")
    return Checkup(
        size=path.stat().st_size,
        wal_size=wal.stat().st_size if wal.exists() else 0,
        schema=found,
        behind=found not in {None, schema.HEAD},
        trouble=trouble,
        complete=complete,
    )


def _quick_check(driver: sqlite3.Connection, deadline: float) -> tuple[str | None, bool]:
    driver.set_progress_handler(lambda: time.monotonic() > deadline, 10_000)
    try:
        [[answer]] = driver.execute("PRAGMA quick_check(1)").fetchall()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
        return None, False
    finally:
        driver.set_progress_handler(None, 0)
    return (None if answer == "ok" else str(answer)), True


def sqlite_release() -> tuple[str, bool]:
    """The version of SQLite, and whether it has the mend of the WAL fault."""
    number = sqlite3.sqlite_version_info
    mended = number >= _MENDED or any(number[:2] == line[:2] and number >= line for line in _MENDED_LINES)
    return sqlite3.sqlite_version, mended
