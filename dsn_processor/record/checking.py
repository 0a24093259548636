"""The statements that say who may be mailed. Nothing here writes."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import Select, and_, case, func, literal, select, text
from sqlalchemy.engine import Connection

from dsn_processor.record.columns import storable
from dsn_processor.record.rows import LOOKUP_LIMIT
from dsn_processor.record.tables import metadata
from dsn_processor.terms import BounceType, Kind, Standing, SuppressionKind

_event = metadata.tables["recipient_event"]
_suppression = metadata.tables["suppression"]

_PAGE = 5_000
_CHECK = text(
    "SELECT address, kind, reason, until FROM json_each(:addresses) AS asked JOIN suppression ON suppression.address = asked.value "
    "WHERE NOT proposed AND NOT held AND (until IS NULL OR until > :now)"
)


class SuppressionRow(NamedTuple):
    """One reason why an address gets no mail, or might not."""

    address: str
    kind: SuppressionKind
    standing: Standing
    at: datetime
    until: datetime | None
    reason: str
    cause: str
    tier: int
    author: str


class SuppressionFilter(NamedTuple):
    """Which to list, as of ``now``; None asks for all. ``address`` and ``domain`` are canonical."""

    now: datetime
    standing: Standing | None = None
    kind: SuppressionKind | None = None
    address: str | None = None
    domain: str | None = None
    limit: int | None = None


class Denial(NamedTuple):
    """Why an address may not be mailed. ``until`` is UTC, as the database has it; None is for good."""

    kind: str
    reason: str
    until: str | None


def check(connection: Connection, addresses: Sequence[str], now: datetime) -> dict[str, Denial]:
    """Of these addresses those that are suppressed. Asked for a million at a time, so rows are taken as they are; and looked
    up in the index's own order, so that a page of it is read once and not for each address.
    """
    asked = sorted([storable(one)[:LOOKUP_LIMIT] for one in addresses])
    given = {"addresses": json.dumps(asked), "now": now.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")}
    return {
        address: Denial(kind, reason, until)
        for address, kind, reason, until in connection.execute(_CHECK, given)
    }


def suppressions(connection: Connection, wanted: SuppressionFilter) -> Iterator[SuppressionRow]:
    found = _listed(wanted)
    with connection.execute(found, execution_options={"yield_per": _PAGE}) as rows:
        for row in rows:
            standing = Standing(row.standing)
            yield SuppressionRow(row.address, SuppressionKind(row.kind), standing, *row[3:])


def count(connection: Connection, now: datetime) -> dict[str, int]:
    standing = _standing(now).label("standing")
    rows = connection.execute(select(standing, func.count()).select_from(_suppression).group_by(standing))
    return {row[0]: row[1] for row in rows}


def failed_since(since: datetime) -> Select[Any]:
    """The addresses that mail failed for in a way that passes."""
    return (
        select(func.coalesce(_event.c.mailed_address, _event.c.canonical))
        .where(
            _event.c.occurred_at >= since,
            _event.c.kind == Kind.FAILED.value,
            _event.c.bounce_type == BounceType.SOFT.value,
        )
        .distinct()
    )


def _listed(wanted: SuppressionFilter) -> Select[Any]:
    standing = _standing(wanted.now)
    columns = (_suppression.c[name] for name in ("at", "until", "reason", "cause", "tier", "author"))
    found = select(_suppression.c.address, _suppression.c.kind, standing.label("standing"), *columns)
    for condition, value in (
        (standing, wanted.standing),
        (_suppression.c.kind, wanted.kind),
        (_suppression.c.address, wanted.address),
        (_suppression.c.domain, wanted.domain),
    ):
        if value is not None:
            found = found.where(condition == value)
    return found.order_by(_suppression.c.address, _suppression.c.kind).limit(wanted.limit)


def _standing(now: datetime) -> Any:
    over = and_(_suppression.c.until.is_not(None), _suppression.c.until <= now)
    return case(
        (_suppression.c.proposed, literal(Standing.PROPOSED.value)),
        (over, literal(Standing.EXPIRED.value)),
        (_suppression.c.held, literal(Standing.HELD.value)),
        else_=literal(Standing.ACTIVE.value),
    )
