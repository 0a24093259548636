"""Waves of suppressions: counted by domain and hour, and by server and hour; held, released, undone."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import text
from sqlalchemy.engine import Connection

from dsn_processor.policy.guard import is_wave, name_of
from dsn_processor.policy.options import PolicyOptions
from dsn_processor.record.columns import stored_time
from dsn_processor.record.driving import drive, fetch

_COUNTED = "guarded AND NOT proposed"
_MANY_BLOCKS = 50  # refusals of one kind in a day that a person should hear of

_COLUMNS = {"domain": "domain", "mx": "remote_mta"}
# CROSS JOIN: the given ones first, each looked up in the index of its column.
_COUNTS = {
    kind: f"""SELECT {column}, hour, count(*) AS number FROM json_each(?) AS given CROSS JOIN suppression
    ON {column} = json_extract(given.value, '$[0]') AND hour = json_extract(given.value, '$[1]')
    WHERE {_COUNTED} GROUP BY {column}, hour HAVING number > ?"""  # noqa: S608
    for kind, column in _COLUMNS.items()
}
_NAMED = "SELECT name FROM wave WHERE name IN (SELECT value FROM json_each(?))"
_ADDRESSES = {
    kind: text(f"SELECT address FROM suppression WHERE {_COUNTED} AND {column} = :subject AND hour = :hour")  # noqa: S608
    for kind, column in _COLUMNS.items()
}
_DOMAINS = text(
    f"SELECT DISTINCT domain FROM suppression WHERE {_COUNTED} AND remote_mta = :subject AND hour = :hour"  # noqa: S608
)
# Of two waves that a suppression is in, one released is enough.
_IN_WAVE = """EXISTS (SELECT 1 FROM wave WHERE decision = '{}' AND wave.hour = suppression.hour AND (
    (wave.kind = 'domain' AND wave.subject = suppression.domain)
    OR (wave.kind = 'mx' AND wave.subject = suppression.remote_mta)))"""
_HELD = f"({_IN_WAVE.format('')} AND NOT {_IN_WAVE.format('released')})"
_HOLD = {
    kind: text(
        f"UPDATE suppression SET held = NOT held WHERE {_COUNTED} AND {column} = :subject AND hour = :hour AND held != {_HELD}"  # noqa: S608
    )
    for kind, column in _COLUMNS.items()
}
# Of a server's wave that is a domain's as well one alert is enough.
_TOLD = text(
    f"""SELECT EXISTS (SELECT 1 FROM wave WHERE kind = 'domain' AND wave.hour = :hour AND wave.subject IN (
    SELECT domain FROM suppression WHERE {_COUNTED} AND remote_mta = :subject AND hour = :hour))"""  # noqa: S608
)
_KNOWN = text("SELECT coalesce(sum(addresses), 0) FROM sent_domain WHERE domain = :domain")
_MET = text("SELECT count(DISTINCT canonical) FROM recipient_event WHERE domain = :domain")
_KEEP = text(
    "INSERT INTO wave (name, kind, subject, hour, addresses, decision) VALUES (:name, :kind, :subject, :hour, :addresses, '') "
    "ON CONFLICT (name) DO UPDATE SET addresses = excluded.addresses"
)
_FORGET = text("DELETE FROM wave WHERE name = :name AND decision = ''")
_DECIDE = text("UPDATE wave SET decision = :decision WHERE name = :name")
_LIST = text(
    "SELECT wave.*, (SELECT count(*) FROM suppression WHERE held AND suppression.hour = wave.hour AND guarded AND NOT proposed "
    "AND CASE wave.kind WHEN 'domain' THEN suppression.domain ELSE suppression.remote_mta END = wave.subject) "
    "FROM wave ORDER BY hour DESC, name"
)
_SET_ALERT = text(
    "INSERT INTO alert (name, kind, subject, number) VALUES (:name, :kind, :subject, :number) "
    "ON CONFLICT (name) DO UPDATE SET number = excluded.number"
)
_COUNT_BLOCKS = (
    "INSERT INTO alert (name, kind, subject, number) VALUES (?, 'blocks', ?, ?) "
    "ON CONFLICT (name) DO UPDATE SET number = number + excluded.number"
)
_RAISE = "UPDATE alert SET raised_at = ? WHERE name = ? AND raised_at IS NULL AND number > ?"
_ALERTS = text(
    "SELECT name, kind, subject, number, raised_at FROM alert WHERE raised_at IS NOT NULL ORDER BY raised_at DESC"
)

_Hour = tuple[str, str, int]  # of a domain or a server (mx), by its name


class Wave(NamedTuple):
    """``subject`` is a domain, or a server (``kind`` mx). ``decision`` is "" where somebody is to look at it; ``held`` of its
    ``addresses`` wait for that.
    """

    name: str
    kind: str
    subject: str
    hour: int
    addresses: int
    decision: str
    held: int


class Alert(NamedTuple):
    """Something for a person to look at: what, about whom, how often."""

    name: str
    kind: str
    subject: str
    number: int
    raised_at: datetime

    def __str__(self) -> str:
        what = "blocks" if self.kind == "blocks" else "suppressions held"
        return f"{self.number} {what} about {self.subject}, since {self.raised_at:%Y-%m-%d %H:%M} UTC"


def watch(connection: Connection, rows: Iterable[Mapping[str, Any]], options: PolicyOptions) -> None:
    """See whether the hours that these suppressions are in hold too many."""
    touched: set[_Hour] = set()
    for row in rows:
        if row["guarded"] and not row["proposed"]:
            touched.add(("domain", row["domain"], row["hour"]))
            if row["remote_mta"]:
                touched.add(("mx", row["remote_mta"], row["hour"]))
    many = _counted(connection, touched, options.wave_least)
    named = _named(connection, touched)
    looked_at = sorted(one for one in touched if one in many or (named and name_of(*one) in named))
    for one in looked_at:
        _weigh(connection, one, many.get(one, 0), options)
    for kind, subject, hour in looked_at:
        connection.execute(_HOLD[kind], {"subject": subject, "hour": hour})


def _named(connection: Connection, hours: Iterable[_Hour]) -> set[str]:
    """The names of those of these hours that are waves by now."""
    if not fetch(connection, "SELECT 1 FROM wave LIMIT 1"):
        return set()
    return {name for [name] in fetch(connection, _NAMED, json.dumps([name_of(*one) for one in hours]))}


def _counted(connection: Connection, hours: Iterable[_Hour], least: int) -> dict[_Hour, int]:
    """How many suppressions there are in each of these hours that has more than ``least``."""
    given: dict[str, list[tuple[str, int]]] = {kind: [] for kind in _COLUMNS}
    for kind, subject, hour in hours:
        given[kind].append((subject, hour))
    return {
        (kind, subject, hour): number
        for kind, some in given.items()
        if some
        for subject, hour, number in fetch(connection, _COUNTS[kind], json.dumps(some), least)
    }


def _weigh(connection: Connection, one: _Hour, number: int, options: PolicyOptions) -> None:
    kind, subject, hour = one
    where = {"subject": subject, "hour": hour}
    name = name_of(kind, subject, hour)
    if number <= options.wave_least or not is_wave(number, _known(connection, kind, where), options):
        connection.execute(_FORGET, {"name": name})
        return
    connection.execute(_KEEP, {"name": name, "kind": kind, **where, "addresses": number})
    if kind == "domain" or not connection.scalar(_TOLD, where):
        words = {"name": name, "kind": "suppressions_held", "subject": subject, "number": number}
        connection.execute(_SET_ALERT, words)
        _raise(connection, [name], 0)


def _known(connection: Connection, kind: str, where: Mapping[str, Any]) -> int:
    """How many addresses there are: those mailed, where that is told, else those that were reported."""
    domains: Sequence[str] = [where["subject"]]
    if kind == "mx":
        domains = connection.scalars(_DOMAINS, where).all()
    found = 0
    for domain in domains:
        given = {"domain": domain}
        found += connection.scalar(_KNOWN, given) or connection.scalar(_MET, given) or 0
    return found


def count_blocks(connection: Connection, blocks: Mapping[tuple[str, str], int]) -> None:
    """Count refusals of us by what they are about, a listed IP or a reason, and by the day. A person should hear of many."""
    if not blocks:
        return
    rows = [(f"blocks:{subject}@{day}", subject, number) for (subject, day), number in blocks.items()]
    drive(connection, _COUNT_BLOCKS, rows)
    _raise(connection, [name for name, _, _ in rows], _MANY_BLOCKS)


def _raise(connection: Connection, names: Iterable[str], least: int) -> None:
    now = stored_time(datetime.now(UTC))
    drive(connection, _RAISE, [(now, name, least) for name in names])


def find(connection: Connection, name: str) -> Wave | None:
    return next((wave for wave in waves(connection) if wave.name == name), None)


def decide(connection: Connection, wave: Wave, decision: str) -> list[str]:
    """Settle a wave: released or undone. Returns the addresses in it."""
    where = {"subject": wave.subject, "hour": wave.hour}
    addresses = list(connection.scalars(_ADDRESSES[wave.kind], where))
    connection.execute(_DECIDE, {"name": wave.name, "decision": decision})
    connection.execute(_HOLD[wave.kind], where)
    return addresses


def waves(connection: Connection) -> list[Wave]:
    return [Wave(*row) for row in connection.execute(_LIST)]


def alerts(connection: Connection) -> list[Alert]:
    return [
        Alert(
            row.name,
            row.kind,
            row.subject,
            row.number,
            datetime.fromisoformat(row.raised_at).replace(tzinfo=UTC),
        )
        for row in connection.execute(_ALERTS)
    ]
