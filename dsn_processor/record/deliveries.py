"""The statements of the outbox: what is due, what came of it, what lies there."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import bindparam, func, select, text, update
from sqlalchemy.engine import Connection

from dsn_processor.notify.attempts import DELAYS, LONGEST_WAIT, Due, Outcome, State, Turn, Wanted, pause_of
from dsn_processor.notify.endpoints import Endpoint
from dsn_processor.record import endpoints
from dsn_processor.record.driving import Inserter, fetch
from dsn_processor.record.tables import metadata

_DROPPED = 500  # rows that are forgotten at a time
_FAR = 1.5 * DELAYS[-1]  # no attempt is due later than that, unless the clock was set back

_delivery = metadata.tables["webhook"]
_endpoint = metadata.tables["endpoint"]
_ADD = Inserter(_delivery, without=["id", "status"], skip=True)
_DELAYED = (
    "SELECT value FROM json_each(?) WHERE EXISTS "
    "(SELECT 1 FROM webhook WHERE endpoint_id = value AND state = 'pending' AND next_at > ?)"
)
# The second about an address that waits for its next attempt waits as long: it need not be looked at until then.
_LAST = (
    "SELECT address, max(next_at) FROM webhook WHERE endpoint_id = ? AND state = 'pending' "
    "AND address IN (SELECT value FROM json_each(?)) GROUP BY address"
)
_DUE = text(
    "SELECT id, endpoint_id, message_id, type, address, attempts, body, content_type, headers FROM webhook AS one "
    "WHERE endpoint_id = :endpoint AND state = 'pending' AND next_at <= :now AND (address = '' OR NOT EXISTS ("
    "SELECT 1 FROM webhook AS before WHERE before.endpoint_id = one.endpoint_id AND before.state = 'pending' "
    "AND before.address = one.address AND before.id < one.id)) ORDER BY next_at, id LIMIT :number"
).columns(**{name: _delivery.c[name].type for name in ("body", "headers")})
_KEEP = (
    update(_delivery)
    .where(_delivery.c.id == bindparam("delivery"))
    .values(
        attempts=_delivery.c.attempts + 1,
        **{name: bindparam(name) for name in ("state", "next_at", "attempted_at", "status", "error")},
    )
)
_PUT_OFF = text(
    "UPDATE webhook SET next_at = :next_at WHERE endpoint_id = :endpoint AND address = :address AND state = 'pending' "
    "AND id > :delivery AND next_at < :next_at"
)
_TOO_FAR = text("UPDATE webhook SET next_at = :now WHERE state = 'pending' AND next_at > :far")
_DROP = text(
    "DELETE FROM webhook WHERE id IN (SELECT id FROM webhook WHERE state != 'pending' AND attempted_at < :before "
    "AND state = :state ORDER BY attempted_at LIMIT :number)"
)
_PENDING = text("SELECT count(*), min(id) FROM webhook WHERE state = 'pending'")
_DEAD = text("SELECT count(*) FROM webhook WHERE state != 'pending' AND state = 'dead'")
_NEXT = text(
    "SELECT min(max(next_at, coalesce(paused_until, 0))) FROM webhook JOIN endpoint ON endpoint.id = endpoint_id "
    "WHERE state = 'pending' AND enabled"
)
_PAUSE = text(
    "UPDATE endpoint SET paused_until = :until WHERE id = :endpoint "
    "AND (paused_until IS NULL OR paused_until NOT BETWEEN :until AND :until + :longest)"
)


class Delivery(NamedTuple):
    """One row of the outbox, without its body. Times are seconds since 1970."""

    id: int
    endpoint: str
    message_id: str
    type: str
    address: str
    state: str
    attempts: int
    created_at: float
    next_at: float
    attempted_at: float | None
    status: int | None
    error: str


class DeliveryFilter(NamedTuple):
    """Which rows; None asks for all."""

    endpoint: str | None = None
    state: State | None = None
    message_id: str | None = None
    since: float | None = None
    until: float | None = None
    limit: int | None = None


class Figures(NamedTuple):
    """How much lies in the outbox; ``oldest`` is when the oldest pending one was made."""

    pending: int = 0
    oldest: float | None = None
    dead: int = 0


def add(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Put into the outbox; what an endpoint was told before, or will be, is left out."""
    if not rows:
        return
    by_endpoint: dict[int, list[dict[str, Any]]] = {}
    for row in rows:
        if row["address"]:
            by_endpoint.setdefault(row["endpoint_id"], []).append(row)
    # Mostly nothing waits but for its turn: that is seen at once, without a look at each address.
    first = min(row["created_at"] for row in rows)
    for (number,) in fetch(connection, _DELAYED, json.dumps(list(by_endpoint)), first):
        some = by_endpoint[number]
        last = dict(fetch(connection, _LAST, number, json.dumps(list({row["address"] for row in some}))))
        for row in some:
            row["next_at"] = max(row["next_at"], last.get(row["address"], 0.0))
    _ADD(connection, rows)


def turn(
    connection: Connection,
    known: Mapping[int, Endpoint],
    outcomes: Sequence[Outcome],
    wanted: Mapping[int, Wanted],
    now: float,
) -> Turn:
    """Keep what came of attempts, and tell what is due."""
    if outcomes:
        connection.execute(
            _KEEP,
            [
                {
                    "delivery": one.due.id,
                    "state": one.state.value,
                    "next_at": one.at if one.next_at is None else one.next_at,
                    "attempted_at": one.at,
                    "status": one.answer.status,
                    "error": one.answer.error,
                }
                for one in outcomes
            ],
        )
    for one in outcomes:
        if one.next_at is not None and one.due.address:
            where = {"endpoint": one.due.endpoint, "address": one.due.address, "delivery": one.due.id}
            connection.execute(_PUT_OFF, {**where, "next_at": one.next_at})
    due = [
        one
        for number, some in wanted.items()
        if number in known and known[number].enabled
        for one in _due(connection, number, some, now)
    ]
    return Turn(known, due)


def _due(connection: Connection, number: int, wanted: Wanted, now: float) -> Iterator[Due]:
    most = wanted.number + len(wanted.besides)
    left = wanted.number
    for row in connection.execute(_DUE, {"endpoint": number, "now": now, "number": most}):
        if row.id not in wanted.besides and left > 0:
            left -= 1
            values = row._asdict()
            yield Due(
                values.pop("id"), values.pop("endpoint_id"), **(values | {"headers": row.headers or {}})
            )


def hasten(connection: Connection, number: int, now: float) -> None:
    """Have all that waits for an endpoint tried now."""
    pending = (_delivery.c.endpoint_id == number) & (_delivery.c.state == State.PENDING.value)
    connection.execute(update(_delivery).where(pending).values(next_at=now))


def replay(connection: Connection, wanted: DeliveryFilter, now: float) -> int:
    """Have these delivered once more, the same body under the same id. Returns how many."""
    rows = _filtered(select(_delivery.c.id), wanted).where(_delivery.c.state != State.PENDING.value)
    again = (
        update(_delivery)
        .where(_delivery.c.id.in_(rows))
        .values(state=State.PENDING.value, attempts=0, next_at=now, error="", status=None)
    )
    return connection.execute(again).rowcount


def deliveries(connection: Connection, wanted: DeliveryFilter) -> Iterator[Delivery]:
    """The newest first."""
    columns = [_endpoint.c.name if name == "endpoint" else _delivery.c[name] for name in Delivery._fields]
    rows = _filtered(select(*columns), wanted).order_by(_delivery.c.id.desc()).limit(wanted.limit)
    for row in connection.execute(rows):
        yield Delivery(*row)


def body(connection: Connection, number: int) -> bytes | None:
    """What is sent, byte for byte."""
    found: bytes | None = connection.scalar(select(_delivery.c.body).where(_delivery.c.id == number))
    return found


def clean(connection: Connection, now: float, keep: float, keep_dead: float) -> int:
    """Forget some of what was delivered, or given up, long ago. Returns how many."""
    connection.execute(_TOO_FAR, {"now": now, "far": now + _FAR})
    return sum(
        connection.execute(
            _DROP, {"before": now - seconds, "state": state.value, "number": _DROPPED}
        ).rowcount
        for state, seconds in ((State.DELIVERED, keep), (State.DEAD, keep_dead))
    )


def figures(connection: Connection) -> Figures:
    pending, first = connection.execute(_PENDING).one()
    dead = connection.scalar(_DEAD) or 0
    oldest = (
        connection.scalar(select(_delivery.c.created_at).where(_delivery.c.id == first)) if pending else None
    )
    return Figures(pending, oldest, dead)


def counts(connection: Connection) -> dict[int, dict[str, int]]:
    """By endpoint and state."""
    found: dict[int, dict[str, int]] = {}
    by = (_delivery.c.endpoint_id, _delivery.c.state)
    for number, state, many in connection.execute(select(*by, func.count()).group_by(*by)):
        found.setdefault(number, {})[state] = many
    return found


def next_at(connection: Connection) -> float | None:
    """When the next attempt is due; None where nothing waits."""
    found: float | None = connection.scalar(_NEXT)
    return found


def disable(connection: Connection, outcomes: Sequence[Outcome]) -> bool:
    """Ask no more those who said that they are gone for good. Returns whether there were any."""
    gone = {one.due.endpoint for one in outcomes if one.gone}
    for number in gone:
        why = f"it answered 410 on {time.strftime('%Y-%m-%d', time.gmtime(outcomes[0].at))}"
        endpoints.change(connection, number, {"enabled": False, "why": why})
    return bool(gone)


def pause(connection: Connection, outcomes: Sequence[Outcome]) -> bool:
    """Keep until when receivers want to be left alone. Returns whether there are any."""
    asked = [(one, seconds) for one in outcomes if (seconds := pause_of(one.answer))]
    for one, seconds in asked:
        connection.execute(
            _PAUSE, {"endpoint": one.due.endpoint, "until": one.at + seconds, "longest": LONGEST_WAIT}
        )
    return bool(asked)


def _filtered(statement: Any, wanted: DeliveryFilter) -> Any:
    statement = statement.join(_endpoint, _endpoint.c.id == _delivery.c.endpoint_id)
    if wanted.endpoint is not None:
        statement = statement.where(_endpoint.c.name == wanted.endpoint)
    if wanted.state is not None:
        statement = statement.where(_delivery.c.state == wanted.state.value)
    if wanted.message_id is not None:
        statement = statement.where(_delivery.c.message_id == wanted.message_id)
    if wanted.since is not None:
        statement = statement.where(_delivery.c.created_at >= wanted.since)
    if wanted.until is not None:
        statement = statement.where(_delivery.c.created_at < wanted.until)
    return statement
