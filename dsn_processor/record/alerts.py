"""What a person should hear of: alerts since a time, and waves that nobody has decided upon. Nothing here writes."""

from datetime import UTC, datetime

from sqlalchemy import text
from sqlalchemy.engine import Connection

from dsn_processor.record.waves import Alert

_SINCE = text(
    "SELECT name, kind, subject, number, raised_at FROM alert WHERE raised_at > :since ORDER BY raised_at"
)
_LAST = text("SELECT max(raised_at) FROM alert")
_UNDECIDED = text("SELECT count(*) FROM wave WHERE decision = ''")


def since(connection: Connection, when: datetime) -> list[Alert]:
    """The alerts raised after that time, the oldest first."""
    rows = connection.execute(_SINCE, {"since": when.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")})
    return [Alert(row.name, row.kind, row.subject, row.number, _time(row.raised_at)) for row in rows]


def last(connection: Connection) -> datetime | None:
    """When the newest alert was raised."""
    text_ = connection.scalar(_LAST)
    return None if text_ is None else _time(text_)


def undecided(connection: Connection) -> int:
    """How many waves wait for somebody to release or undo them."""
    return connection.scalar(_UNDECIDED) or 0


def _time(stored: str) -> datetime:
    return datetime.fromisoformat(stored).replace(tzinfo=UTC)
