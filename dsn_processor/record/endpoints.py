"""The statements that keep endpoints."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.engine import Connection

from dsn_processor.notify.endpoints import Endpoint, EndpointKind
from dsn_processor.notify.people.wanting import types_on
from dsn_processor.record.tables import metadata

_endpoint = metadata.tables["endpoint"]
_ALL = select(_endpoint).order_by(_endpoint.c.id)


def endpoints(connection: Connection) -> dict[int, Endpoint]:
    """All, by number."""
    return {row.id: _fact(row) for row in connection.execute(_ALL)}


def add(connection: Connection, endpoint: Endpoint, now: float) -> int:
    """``endpoint``'s id means nothing yet. Returns its number."""
    row = {
        "name": endpoint.name,
        "kind": endpoint.kind.value,
        "url": endpoint.url,
        "format": endpoint.format,
        "events": list(endpoint.events),
        "filters": dict(endpoint.filters) or None,
        "key": endpoint.key,
        "secret": endpoint.secret,
        "previous_secret": "",
        "enabled": endpoint.enabled,
        "why": endpoint.why,
        "created_at": now,
    }
    added = connection.execute(insert(_endpoint).values(row).returning(_endpoint.c.id))
    return int(added.scalar_one())


def change(connection: Connection, number: int, values: Mapping[str, Any]) -> None:
    """``values`` by column."""
    connection.execute(update(_endpoint).where(_endpoint.c.id == number).values(dict(values)))


def remove(connection: Connection, number: int) -> None:
    """And all that was to be delivered there."""
    connection.execute(delete(_endpoint).where(_endpoint.c.id == number))


def know_people(connection: Connection, people: Mapping[str, Mapping[str, Any]], now: float) -> list[str]:
    """Have an endpoint for each of these people, named, with their filters, and none for any others. Returns the names that
    webhooks have.
    """
    known = {one.name: one for one in endpoints(connection).values()}
    for one in known.values():
        if one.kind is EndpointKind.PEOPLE and one.name not in people:
            remove(connection, one.id)
    for name, filters in people.items():
        events = types_on(filters["on"])
        wanted = Endpoint(
            id=0, name=name, kind=EndpointKind.PEOPLE, url="", format="own", events=events, filters=filters
        )
        there = known.get(name)
        if there is None:
            add(connection, wanted, now)
        elif there.kind is EndpointKind.PEOPLE and (there.events, there.filters) != (events, filters):
            change(connection, there.id, {"events": list(events), "filters": dict(filters)})
    return [name for name in people if name in known and known[name].kind is EndpointKind.WEBHOOK]


def rotate(connection: Connection, endpoint: Endpoint, secret: str, until: datetime) -> None:
    """Another secret; the one before is valid, too, until then."""
    change(
        connection,
        endpoint.id,
        {"secret": secret, "previous_secret": endpoint.secret, "previous_until": until},
    )


def _fact(row: Any) -> Endpoint:
    return Endpoint(
        id=row.id,
        name=row.name,
        kind=EndpointKind(row.kind),
        url=row.url,
        format=row.format,
        events=tuple(row.events),
        filters=row.filters or {},
        key=row.key,
        secret=row.secret,
        previous_secret=row.previous_secret,
        previous_until=row.previous_until,
        enabled=row.enabled,
        why=row.why,
        paused_until=row.paused_until or 0.0,
    )
