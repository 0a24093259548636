"""What a transaction changed about addresses, seen by the database itself: triggers note how rows were before.

So it does not matter which statement changed them: a fold, somebody's act, a wave that was held or released. The triggers are
this connection's own, and there only while somebody wants to hear of it.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import select, text
from sqlalchemy.engine import Connection

from dsn_processor.notify.notification import EventType
from dsn_processor.record.tables import metadata
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

_suppression = metadata.tables["suppression"]
_state = metadata.tables["address_state"]
_wave = metadata.tables["wave"]
_alert = metadata.tables["alert"]

# Table -> the columns by which a row of it is known, and those that matter. The first note of a row in a transaction is how
# it was before.
_WATCHED = {
    "suppression": (
        ("address", "kind"),
        ("proposed", "held", "until", "reason", "cause", "at", "tier", "author"),
    ),
    "address_state": (("address",), ("deliverability",)),
    "wave": (("name",), ()),
    "alert": (("name",), ("raised_at",)),
}
_MOVED = {
    table: text(f"SELECT * FROM moved_{table} ORDER BY rowid")  # noqa: S608  names of our own
    for table in _WATCHED
}


class Move(NamedTuple):
    """``type`` is told of ``address``, "" where it is a wave or an alert. ``row`` is that, or the suppression, as it is or was."""

    type: EventType
    address: str
    standing: str
    row: Mapping[str, Any] | None
    state: Mapping[str, Any]


_OF_ADDRESSES = ("suppression", "address_state")


def watch(connection: Connection) -> None:
    """Have changes noted from now on."""
    for statement in _statements():
        connection.exec_driver_sql(statement)


def unwatch(connection: Connection) -> None:
    for table in _WATCHED:
        connection.exec_driver_sql(f"DROP TABLE IF EXISTS temp.moved_{table}")
        for event in ("delete", "insert", "update"):
            connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS temp.see_{table}_{event}")


def _statements() -> Iterator[str]:
    for table, (keys, others) in _WATCHED.items():
        columns = ", ".join((*keys, *others))
        unique = ", ".join(keys)
        yield f"CREATE TEMP TABLE moved_{table} ({columns}, was INTEGER, UNIQUE ({unique}))"
        old = ", ".join(f"OLD.{name}" for name in (*keys, *others))
        new = ", ".join([*(f"NEW.{name}" for name in keys), *("NULL" for _ in others)])
        for event, values in (("delete", f"{old}, 1"), ("update", f"{old}, 1"), ("insert", f"{new}, 0")):
            note = f"INSERT OR IGNORE INTO moved_{table} VALUES ({values})"  # noqa: S608  as above
            yield f"CREATE TEMP TRIGGER see_{table}_{event} AFTER {event.upper()} ON main.{table} BEGIN {note}; END"


def moves(connection: Connection) -> list[Move]:
    """What has changed since this was asked last, in the order in which it did."""
    before = {
        table: [_as_it_was(row._asdict()) for row in connection.execute(statement)]
        for table, statement in _MOVED.items()
    }
    if not any(before.values()):
        return []
    addresses = list(dict.fromkeys(row["address"] for table in _OF_ADDRESSES for row in before[table]))
    states = {row["address"]: row for row in _some(connection, _state, addresses)}
    found = [
        *_suppressions(connection, before["suppression"], states),
        *_states(before["address_state"], states),
    ]
    found += _waves(connection, before["wave"])
    found += _blocks(connection, before["alert"])
    for table in _WATCHED:
        connection.exec_driver_sql(f"DELETE FROM temp.moved_{table}")  # noqa: S608
    return found


def _suppressions(
    connection: Connection, moved: list[dict[str, Any]], states: Mapping[str, dict[str, Any]]
) -> Iterator[Move]:
    now = datetime.now(UTC)
    addresses = list(dict.fromkeys(row["address"] for row in moved))
    current: dict[str, dict[str, dict[str, Any]]] = {one: {} for one in addresses}
    for row in _some(connection, _suppression, addresses):
        current[row["address"]][row["kind"]] = row
    for old in moved:
        address = old["address"]
        new = current[address].get(old["kind"])
        before = _standing(old) if old["was"] else None
        after = _standing(new) if new else None
        state = states.get(address, {})
        if after is Standing.ACTIVE:
            assert new is not None
            if before is not Standing.ACTIVE or old["until"] != new["until"]:
                yield Move(EventType.ADDRESS_SUPPRESSED, address, after.value, new, state)
        elif before is Standing.ACTIVE and _lasts(old, now):
            others = current[address].values()
            if not any(_standing(one) is Standing.ACTIVE and _lasts(one, now) for one in others):
                yield Move(EventType.ADDRESS_REACTIVATED, address, (after or "none"), new or old, state)
        elif after is Standing.PROPOSED and before is not Standing.PROPOSED:
            yield Move(EventType.ADDRESS_PROPOSED, address, after.value, new, state)


def _states(moved: list[dict[str, Any]], states: Mapping[str, dict[str, Any]]) -> Iterator[Move]:
    for old in moved:
        address = old["address"]
        state = states.get(address, {})
        before = old["deliverability"] if old["was"] else Deliverability.OK.value
        after = state.get("deliverability", Deliverability.OK.value)
        if before == Deliverability.OK and after == Deliverability.AT_RISK:
            yield Move(EventType.ADDRESS_AT_RISK, address, "none", None, state)
        elif before == Deliverability.AT_RISK and after == Deliverability.OK:
            yield Move(EventType.ADDRESS_RECOVERED, address, "none", None, state)


def _waves(connection: Connection, moved: list[dict[str, Any]]) -> Iterator[Move]:
    for old in moved:
        wave = connection.execute(select(_wave).where(_wave.c.name == old["name"])).one_or_none()
        if wave is not None and not old["was"] and not wave.decision:
            yield Move(EventType.DOMAIN_HELD, "", Standing.HELD.value, wave._asdict(), {})


def _blocks(connection: Connection, moved: list[dict[str, Any]]) -> Iterator[Move]:
    """Alerts of blocks that were raised. Those of waves are told as that."""
    for old in moved:
        alert = connection.execute(select(_alert).where(_alert.c.name == old["name"])).one_or_none()
        if alert is not None and alert.kind == "blocks" and alert.raised_at and not old["raised_at"]:
            yield Move(EventType.SENDER_BLOCKED, "", "", alert._asdict(), {})


def _some(connection: Connection, table: Any, addresses: list[str]) -> Iterator[dict[str, Any]]:
    for start in range(0, len(addresses), 500):
        part = addresses[start : start + 500]
        for row in connection.execute(select(table).where(table.c.address.in_(part))):
            yield row._asdict()


def _standing(row: Mapping[str, Any]) -> Standing:
    if row["proposed"]:
        return Standing.PROPOSED
    return Standing.HELD if row["held"] else Standing.ACTIVE


def _lasts(row: Mapping[str, Any], now: datetime) -> bool:
    return row["until"] is None or row["until"] > now


def _as_it_was(row: dict[str, Any]) -> dict[str, Any]:
    """A note has times as SQLite keeps them."""
    for name in ("at", "until"):
        if isinstance(row.get(name), str):
            row[name] = datetime.fromisoformat(row[name]).replace(tzinfo=UTC)
    return row
