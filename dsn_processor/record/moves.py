"""What a transaction changed about addresses, seen by the database itself: triggers tell how rows were before.

So it does not matter which statement changed them: a fold, somebody's act, a wave that was held or released. The triggers are
this connection's own, and there only while somebody wants to hear of it.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy.engine import Connection

from dsn_processor.notify.notification import EventType
from dsn_processor.record.columns import time_of
from dsn_processor.record.driving import fetch
from dsn_processor.terms import Deliverability, Standing

#: What is told of what this module sees.
TYPES = frozenset(
    {
        EventType.ADDRESS_SUPPRESSED,
        EventType.ADDRESS_PROPOSED,
        EventType.ADDRESS_REACTIVATED,
        EventType.ADDRESS_AT_RISK,
        EventType.ADDRESS_RECOVERED,
        EventType.DOMAIN_HELD,
        EventType.SENDER_BLOCKED,
    }
)

_Row = dict[str, Any]

# Table -> the columns by which a row of it is known, and those that matter.
_WATCHED = {
    "suppression": (
        ("address", "kind"),
        ("proposed", "held", "until", "reason", "cause", "at", "tier", "author"),
    ),
    "address_state": (("address",), ("deliverability", "strikes", "reason")),
    "wave": (("name",), ("kind", "subject", "addresses", "decision")),
    "alert": (("name",), ("kind", "subject", "number", "raised_at")),
}
# An alert counts with every block, and is raised once a day: its other updates are not noted.
_UPDATE = {"alert": "UPDATE OF raised_at"}
_TIMES = ("at", "until", "raised_at")
_COLUMNS = {table: keys + others for table, (keys, others) in _WATCHED.items()}
_NOW = {
    table: f"SELECT {', '.join(names)} FROM {table} WHERE {names[0]} IN (SELECT value FROM json_each(?))"  # noqa: S608
    for table, names in _COLUMNS.items()
}


class Notes:
    """How the rows were that a transaction touched: what is known of each before it was touched first, None where there was
    none.
    """

    def __init__(self) -> None:
        self._before: dict[str, dict[tuple[str, ...], _Row | None]] = {table: {} for table in _WATCHED}

    def add(self, table: str, there: int, *values: Any) -> None:
        """Called by the triggers. ``values`` are those of all columns of a row that was ``there``, else of its key alone."""
        rows = self._before[table]
        key = values[: len(_WATCHED[table][0])]
        if key not in rows:
            rows[key] = _row(table, values) if there else None

    def clear(self) -> None:
        for rows in self._before.values():
            rows.clear()

    def of(self, table: str) -> Mapping[tuple[str, ...], _Row | None]:
        """By key, in the order in which they were touched."""
        return self._before[table]

    def __bool__(self) -> bool:
        return any(self._before.values())

    def addresses(self) -> set[str]:
        """Of which something was touched."""
        return {key[0] for table in ("suppression", "address_state") for key in self._before[table]}


class Now(NamedTuple):
    """What the tables say of addresses now: their states, and their suppressions by kind."""

    states: Mapping[str, _Row]
    suppressions: Mapping[str, Mapping[str, _Row]]


class Move(NamedTuple):
    """``type`` is told of ``address``, "" where it is a wave or an alert. ``row`` is that, or the suppression, as it is or was."""

    type: EventType
    address: str
    standing: str
    row: Mapping[str, Any] | None
    state: Mapping[str, Any]


def watch(connection: Connection, notes: Notes) -> None:
    """Have changes noted from now on."""
    driver = connection.connection.dbapi_connection
    assert driver is not None
    driver.create_function("note_before", -1, notes.add)
    for table, (keys, _) in _WATCHED.items():
        old, new = (
            ", ".join(f"{row}.{name}" for name in names)
            for row, names in (("OLD", _COLUMNS[table]), ("NEW", keys))
        )
        update = _UPDATE.get(table, "UPDATE")
        for event, values in (("DELETE", f"1, {old}"), (update, f"1, {old}"), ("INSERT", f"0, {new}")):
            connection.exec_driver_sql(
                f"CREATE TEMP TRIGGER see_{table}_{event[:6]} AFTER {event} ON main.{table} "
                f"BEGIN SELECT note_before('{table}', {values}); END"
            )


def unwatch(connection: Connection) -> None:
    for table in _WATCHED:
        for event in ("DELETE", "INSERT", "UPDATE"):
            connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS temp.see_{table}_{event}")


def now_of(connection: Connection, addresses: Iterable[str]) -> Now:
    """What the tables say of these."""
    some = sorted(addresses)
    if not some:
        return Now({}, {})
    given = json.dumps(some)
    states = {row[0]: _row("address_state", row) for row in fetch(connection, _NOW["address_state"], given)}
    suppressions: dict[str, dict[str, _Row]] = {}
    for row in fetch(connection, _NOW["suppression"], given):
        suppressions.setdefault(row[0], {})[row[1]] = _row("suppression", row)
    return Now(states, suppressions)


def moves(connection: Connection, notes: Notes, now: Now) -> Iterator[Move]:
    """What has changed, in the order in which it did. ``now`` is of the addresses in ``notes``, or of more."""
    yield from _suppressions(notes, now)
    yield from _states(notes, now)
    yield from _waves(connection, notes)
    yield from _blocks(connection, notes)


def _suppressions(notes: Notes, now: Now) -> Iterator[Move]:
    at = datetime.now(UTC)
    for (address, kind), old in notes.of("suppression").items():
        current = now.suppressions.get(address, {})
        new = current.get(kind)
        before, after = (row and _standing(row) for row in (old, new))
        state = now.states.get(address, {})
        if after is Standing.ACTIVE:
            assert new is not None
            if before is not Standing.ACTIVE or old is None or old["until"] != new["until"]:
                yield Move(EventType.ADDRESS_SUPPRESSED, address, after.value, new, state)
        elif old is not None and before is Standing.ACTIVE and _lasts(old, at):
            if not any(_standing(one) is Standing.ACTIVE and _lasts(one, at) for one in current.values()):
                yield Move(EventType.ADDRESS_REACTIVATED, address, (after or "none"), new or old, state)
        elif after is Standing.PROPOSED and before is not Standing.PROPOSED:
            yield Move(EventType.ADDRESS_PROPOSED, address, after.value, new, state)


def _states(notes: Notes, now: Now) -> Iterator[Move]:
    for (address,), old in notes.of("address_state").items():
        state = now.states.get(address, {})
        before, after = ((row or {}).get("deliverability", Deliverability.OK.value) for row in (old, state))
        if before == Deliverability.OK and after == Deliverability.AT_RISK:
            yield Move(EventType.ADDRESS_AT_RISK, address, "none", None, state)
        elif before == Deliverability.AT_RISK and after == Deliverability.OK:
            yield Move(EventType.ADDRESS_RECOVERED, address, "none", None, state)


def _waves(connection: Connection, notes: Notes) -> Iterator[Move]:
    fresh = [name for (name,), old in notes.of("wave").items() if old is None]
    for wave in _named(connection, "wave", fresh):
        if not wave["decision"]:
            yield Move(EventType.DOMAIN_HELD, "", Standing.HELD.value, wave, {})


def _blocks(connection: Connection, notes: Notes) -> Iterator[Move]:
    """Alerts of blocks that were raised. Those of waves are told as that."""
    quiet = [name for (name,), old in notes.of("alert").items() if old is None or old["raised_at"] is None]
    for alert in _named(connection, "alert", quiet):
        if alert["kind"] == "blocks" and alert["raised_at"]:
            yield Move(EventType.SENDER_BLOCKED, "", "", alert, {})


def _named(connection: Connection, table: str, names: Sequence[str]) -> list[_Row]:
    """The rows of these names that are there, in order."""
    if not names:
        return []
    rows = {row[0]: _row(table, row) for row in fetch(connection, _NOW[table], json.dumps(names))}
    return [rows[name] for name in names if name in rows]


def _standing(row: Mapping[str, Any]) -> Standing:
    if row["proposed"]:
        return Standing.PROPOSED
    return Standing.HELD if row["held"] else Standing.ACTIVE


def _lasts(row: Mapping[str, Any], now: datetime) -> bool:
    return row["until"] is None or row["until"] > now


def _row(table: str, values: Iterable[Any]) -> _Row:
    """By column, with times as such."""
    row = dict(zip(_COLUMNS[table], values, strict=True))
    for name in _TIMES:
        if row.get(name) is not None:
            row[name] = time_of(row[name])
    return row
