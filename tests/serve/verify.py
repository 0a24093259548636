"""Does the store hold what was promised? Asked of the file by SQL alone, beside the program that wrote it.

I1  every acknowledged mail is there once, byte for byte
I2  there is no report and no event without its mail
I3  each mail's events are there once, and say what the mail said
I5  the database is whole
I6  no good mail was put aside
"""

import sqlite3
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from hashlib import sha256
from pathlib import Path

from serve.harness import PATIENCE, wait
from serve.mails import DOMAIN, Mail

from dsn_processor.record.packing import unpack


def waiting(database: Path) -> int:
    """How many mails are stored and not yet processed."""
    with _reading(database) as connection:
        return connection.execute("SELECT count(*) FROM message WHERE state = 'received'").fetchone()[0]


def count(database: Path) -> int:
    """How many mails are stored."""
    with _reading(database) as connection:
        return connection.execute("SELECT count(*) FROM message").fetchone()[0]


def duplicates(database: Path) -> int:
    """How many mails were met again, and not stored again."""
    with _reading(database) as connection:
        row = connection.execute("SELECT value FROM counter WHERE name = 'duplicates'").fetchone()
        return row[0] if row else 0


def wait_processed(database: Path) -> None:
    """Wait until every mail is processed, however many they are, as long as they get fewer."""
    before = waiting(database)
    while before:
        wait(lambda before=before: waiting(database) < before, "mails wait for ever to be processed")
        before = waiting(database)


def stored(database: Path) -> Counter[bytes]:
    """SHA-256 of each stored mail."""
    with _reading(database) as connection:
        rows = connection.execute("SELECT codec, raw, size FROM message")
        return Counter(sha256(unpack(*row)).digest() for row in rows)


def lost(database: Path, acknowledged: Mapping[str, Mail]) -> list[str]:
    """The tokens of those mails that are not in the store exactly once (I1)."""
    found = stored(database)
    return [token for token, mail in acknowledged.items() if found[sha256(mail.raw).digest()] != 1]


def faults(database: Path, acknowledged: Mapping[str, Mail], *, processed: bool = True) -> list[str]:
    """Everything that is not as it must be. ``processed``: the mails' events must be there by now."""
    said = [f"I1: {token} is not there once" for token in lost(database, acknowledged)]
    with _reading(database) as connection:
        said += [f"I2: {row}" for row in connection.execute("PRAGMA foreign_key_check")]
        said += [f"I5: {word}" for (word,) in connection.execute("PRAGMA integrity_check") if word != "ok"]
        said += [
            f"I6: mail {number} is {state}: {error}"
            for number, state, error in connection.execute(
                "SELECT id, state, last_error FROM message WHERE state = 'quarantined' OR (? AND state != 'processed')",
                [processed],
            )
        ]
        if processed:
            said += _events(connection, acknowledged)
    return said


def _events(connection: sqlite3.Connection, acknowledged: Mapping[str, Mail]) -> list[str]:
    events = Counter(
        connection.execute(
            "SELECT address, kind, status, bounce_type, reason FROM recipient_event"
        ).fetchall()
    )
    wanted = {(f"{token}@{DOMAIN}", "failed", "5.1.1", "hard", "user_unknown") for token in acknowledged}
    twice = [f"I3: {number} x {event}" for event, number in events.items() if number != 1]
    return twice + [f"I3: no {event}" for event in wanted - events.keys()]


def _reading(database: Path) -> closing[sqlite3.Connection]:
    return closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=PATIENCE))
