"""The statements that read. Typed facts come out."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import BindParameter, ColumnElement, Select, bindparam, func, or_, select
from sqlalchemy.engine import Connection

from dsn_processor.facts import Envelope, Reading
from dsn_processor.record.columns import time_of
from dsn_processor.record.driving import fetch
from dsn_processor.record.entries import EventFilter, Stats, StoredEvent, StoredMessage, StoredReport
from dsn_processor.record.packing import unpack
from dsn_processor.record.rows import LOOKUP_LIMIT, event_fact, message_fact, parsed_fact
from dsn_processor.record.tables import metadata
from dsn_processor.terms import Kind, MessageState, Trust

_Value = TypeVar("_Value")

_PARAMETERS = 10_000  # a statement of SQLite 3.32 and later takes 32,766
_PAGE = 500

_counter = metadata.tables["counter"]
_event = metadata.tables["recipient_event"]
_message = metadata.tables["message"]
_report = metadata.tables["report"]

_message_columns = [column for column in _message.c if column.name not in {"codec", "raw"}]
_events = (
    select(_event, _message.c.source, _report.c.reporting_mta, _report.c.arrival_date)
    .join(_message, _message.c.id == _event.c.message_id)
    .join(_report, _report.c.message_id == _event.c.message_id)
)


# Built once: an expression holds itself in cycles, and with it the thousands of identities it was given.
_SOME: BindParameter[Any] = bindparam("identities", expanding=True)
_KNOWN_MAILS = "SELECT identity, id FROM message WHERE identity IN (SELECT value FROM json_each(?))"
_STORED_EVENTS = "SELECT identity, occurred_at, trust FROM recipient_event WHERE identity IN (SELECT value FROM json_each(?))"
_KNOWN_EVENTS = select(_event.c.identity).where(_event.c.identity.in_(_SOME))
_REPORTED = select(_report.c.message_id).where(
    _report.c.message_id.in_(bindparam("messages", expanding=True))
)
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_RAWS = select(_message.c.id, _message.c.codec, _message.c.raw, _message.c.size).where(
    _message.c.id.in_(_IDS)
)
_ENVELOPES = select(_message.c.id, _message.c.envelope_sender, _message.c.envelope_recipients).where(
    _message.c.id.in_(_IDS)
)
_EARLIER_EVENTS = _KNOWN_EVENTS.where(_event.c.message_id < bindparam("before"))
WITH_IDENTITY = _event.c.identity.in_(_SOME)


def known(connection: Connection, identities: Sequence[str]) -> dict[str, int]:
    return dict(fetch(connection, _KNOWN_MAILS, json.dumps(identities)))


def stored_events(connection: Connection, identities: Sequence[str]) -> dict[str, tuple[datetime, Trust]]:
    """Of these events, those that are stored: when each happened, and how far it is proven."""
    rows = fetch(connection, _STORED_EVENTS, json.dumps(identities))
    return {identity: (time_of(at), Trust(trust)) for identity, at, trust in rows}


def events_earlier(connection: Connection, identities: Sequence[str], message_id: int) -> set[str]:
    """Of these events, those of mails before this one."""
    found: set[str] = set()
    for part in parts(identities):
        found.update(connection.scalars(_EARLIER_EVENTS, {"identities": part, "before": message_id}))
    return found


def with_identities(connection: Connection, identities: Sequence[str]) -> list[StoredEvent]:
    """These events, those of them that are stored."""
    found: list[StoredEvent] = []
    for part in parts(identities):
        rows = connection.execute(_events.where(WITH_IDENTITY), {"identities": part})
        found.extend(map(event_fact, rows))
    return found


def message(connection: Connection, message_id: int) -> StoredMessage | None:
    row = connection.execute(select(*_message_columns).where(_message.c.id == message_id)).one_or_none()
    return None if row is None else message_fact(row)


def waiting(connection: Connection, limit: int, besides: Collection[int]) -> list[StoredMessage]:
    """Asks for as many more as are ``besides``: those are few, and most of them the oldest. A mail that was begun
    before comes after all that were not: were it tried first after each restart, a server that is killed again and
    again would blame the same innocent mails each time.
    """
    wanted = select(*_message_columns).where(_message.c.state == MessageState.RECEIVED.value)
    for chosen in (
        wanted.where(_message.c.attempts == 0).order_by(_message.c.id),
        wanted.where(_message.c.attempts > 0).order_by(_message.c.attempts, _message.c.id),
    ):
        rows = connection.execute(chosen.limit(limit + len(besides)))
        if found := [message_fact(row) for row in rows if row.id not in besides][:limit]:
            return found
    return []


def backlog(connection: Connection) -> tuple[int, datetime | None]:
    waits = _message.c.state == MessageState.RECEIVED.value
    number = count_messages(connection, MessageState.RECEIVED)
    if not number:
        return 0, None
    return number, connection.scalar(
        select(_message.c.received_at).where(waits).order_by(_message.c.id).limit(1)
    )


def count_messages(connection: Connection, state: MessageState) -> int:
    wanted = select(func.count()).select_from(_message).where(_message.c.state == state.value)
    return connection.scalar(wanted) or 0


def reported(connection: Connection, message_ids: Sequence[int]) -> set[int]:
    found: set[int] = set()
    for part in parts(message_ids):
        found.update(connection.scalars(_REPORTED, {"messages": part}))
    return found


def raw(connection: Connection, message_id: int) -> bytes | None:
    wanted = select(_message.c.codec, _message.c.raw, _message.c.size).where(_message.c.id == message_id)
    row = connection.execute(wanted).one_or_none()
    return None if row is None else unpack(row.codec, row.raw, row.size)


def raws(connection: Connection, message_ids: Sequence[int]) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    for part in parts(message_ids):
        rows = connection.execute(_RAWS, {"ids": part})
        found.update((row.id, unpack(row.codec, row.raw, row.size)) for row in rows)
    return found


def envelopes(connection: Connection, message_ids: Sequence[int]) -> dict[int, Envelope]:
    found: dict[int, Envelope] = {}
    for part in parts(message_ids):
        for id_, sender, recipients in connection.execute(_ENVELOPES, {"ids": part}):
            found[id_] = Envelope(sender, tuple(recipients or ()))
    return found


def report(connection: Connection, message_id: int) -> StoredReport | None:
    stored = message(connection, message_id)
    if stored is None:
        return None
    row = connection.execute(select(_report).where(_report.c.message_id == message_id)).one_or_none()
    if row is None:
        return StoredReport(message=stored, reading=None, events=(), rules=None, repeated=0)
    mine = connection.execute(_events.where(_event.c.message_id == message_id).order_by(_event.c.id))
    events = tuple(map(event_fact, mine))
    reading = Reading(
        parsed=parsed_fact(row, tuple(event.recipient for event in events)),
        verdicts=tuple(event.verdict for event in events),
    )
    return StoredReport(
        message=stored, reading=reading, events=events, rules=row.rules, repeated=row.repeated
    )


def message_ids(connection: Connection, after: int, state: MessageState | None) -> Sequence[int]:
    """The next page of ids."""
    wanted = select(_message.c.id).where(_message.c.id > after).order_by(_message.c.id).limit(_PAGE)
    if state is not None:
        wanted = wanted.where(_message.c.state == state.value)
    return connection.scalars(wanted).all()


def events(connection: Connection, wanted: EventFilter) -> Iterator[StoredEvent]:
    found = _filtered(_events, wanted).order_by(_event.c.id.desc())
    if wanted.limit is not None:
        found = found.limit(wanted.limit)
    with connection.execute(found, execution_options={"yield_per": _PAGE}) as rows:
        yield from map(event_fact, rows)


def count_events(connection: Connection, wanted: EventFilter) -> int:
    return connection.scalar(_filtered(select(func.count()).select_from(_event), wanted)) or 0


def stats(connection: Connection) -> Stats:
    states = _tally(connection, _message.c.state)
    unparsed = select(func.count()).select_from(_report).where(_report.c.kind == Kind.UNPARSED.value)
    duplicates = select(_counter.c.value).where(_counter.c.name == "duplicates")
    by_kind = _tally(connection, _event.c.kind)
    return Stats(
        mails=sum(states.values()),
        pending=states.get(MessageState.RECEIVED, 0),
        quarantined=states.get(MessageState.QUARANTINED, 0),
        unparsed=connection.scalar(unparsed) or 0,
        duplicates=connection.scalar(duplicates) or 0,
        events=sum(by_kind.values()),
        by_kind=by_kind,
        by_type=_tally(connection, _event.c.bounce_type),
        by_reason=_tally(connection, _event.c.reason),
    )


def _filtered(statement: Select[Any], wanted: EventFilter) -> Select[Any]:
    conditions: list[ColumnElement[bool]] = [
        column == value
        for column, value in (
            (_event.c.kind, wanted.kind),
            (_event.c.bounce_type, wanted.bounce_type),
            (_event.c.reason, wanted.reason),
            (_event.c.domain, wanted.domain and wanted.domain[:LOOKUP_LIMIT]),
        )
        if value is not None
    ]
    if wanted.address is not None:
        address = wanted.address[:LOOKUP_LIMIT]
        conditions.append(or_(_event.c.canonical == address, _event.c.mailed_address == address))
    if wanted.since is not None:
        conditions.append(_event.c.occurred_at >= wanted.since)
    return statement.where(*conditions)


def _tally(connection: Connection, column: ColumnElement[str]) -> Mapping[str, int]:
    """How often each value occurs, the most frequent first; NULL is left out."""
    number = func.count()
    wanted = (
        select(column, number).where(column.is_not(None)).group_by(column).order_by(number.desc(), column)
    )
    return {row[0]: row[1] for row in connection.execute(wanted)}


def parts(values: Sequence[_Value]) -> Iterator[Sequence[_Value]]:
    """Portions that one statement can take."""
    for start in range(0, len(values), _PARAMETERS):
        yield values[start : start + _PARAMETERS]
