"""The statements that write: lists of rows through Core, inside the transaction that the store has begun."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Update, bindparam, delete, select, update
from sqlalchemy.engine import Connection

from dsn_processor.facts import NO_CORRELATION, Envelope
from dsn_processor.record.columns import stored_time, time_of
from dsn_processor.record.driving import Inserter, drive, fetch
from dsn_processor.record.entries import NewEvent, NewMessage, NewReport
from dsn_processor.record.queries import WITH_IDENTITY, events_earlier, parts, stored_events
from dsn_processor.record.rows import correlation_columns, event_row, message_row, report_row
from dsn_processor.record.tables import metadata
from dsn_processor.terms import Kind, MessageState, Mode, Trust

_counter = metadata.tables["counter"]
_event = metadata.tables["recipient_event"]
_message = metadata.tables["message"]
_report = metadata.tables["report"]

# Built once: to build one takes as long as to run it.
_COUNT = (
    update(_counter)
    .where(_counter.c.name == bindparam("counter"))
    .values(value=_counter.c.value + bindparam("number"))
    .returning(_counter.c.value)
)
_ADD_MESSAGES, _ADD_REPORTS = Inserter(_message), Inserter(_report)
_ADD_EVENTS, _PUT_EVENTS = Inserter(_event, without=["id"]), Inserter(_event)
_ONE = update(_message).where(_message.c.id == bindparam("message"))
_CLAIM = _ONE.values(attempts=_message.c.attempts + 1)
_UNCLAIM = _ONE.values(attempts=_message.c.attempts - 1)
_RELEASE = _ONE.values(state=MessageState.RECEIVED.value, attempts=0, last_error=None)
_CORRELATION = [_event.c.proved_by, *(_event.c[name] for name in correlation_columns(NO_CORRELATION))]
_KEPT = [_event.c.id, _event.c.canonical, *_CORRELATION]
_STORED_TRUST = select(
    *(_event.c[name] for name in ("id", "identity", "message_id", "trust", "canonical", "mailed_address"))
).where(WITH_IDENTITY)
_ATTEMPTS = "SELECT identity, at, trust FROM attempt WHERE identity IN (SELECT value FROM json_each(?))"
_NOTE = "INSERT INTO attempt (identity, at, trust) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
_TRUST = list(Trust)
_PROCESSED = _ONE.values(state=MessageState.PROCESSED.value, last_error=None)


def add_messages(connection: Connection, messages: Sequence[NewMessage]) -> list[int]:
    if not messages:
        return []
    last = count(connection, "message_id", len(messages))
    ids = range(last - len(messages) + 1, last + 1)
    _ADD_MESSAGES(connection, [message_row(*pair) for pair in zip(ids, messages, strict=True)])
    return list(ids)


class Added(NamedTuple):
    """The identities of the events that reports brought: those that are ``new``, and those of which they tell ``more``: another attempt,
    or a better proof of one.
    """

    new: set[str]
    more: set[str]


def add_reports(connection: Connection, reports: Sequence[NewReport], modes: Mapping[int, Mode]) -> Added:
    """``modes`` are those of the mails by their ids."""
    known = stored_events(connection, [event.identity for report in reports for event in report.events])
    seen = set(known)
    report_rows, event_rows, again = [], [], []
    for report in reports:
        fresh = _first_of_each(report.events, seen)
        known.update((event.identity, _told(event)) for event in fresh)
        if len(fresh) < len(report.events):
            first = set(map(id, fresh))
            again += [event for event in report.events if id(event) not in first]
        report_rows.append(report_row(report, len(report.events) - len(fresh), modes[report.message_id]))
        event_rows += [event_row(report.message_id, event) for event in fresh]
    _ADD_REPORTS(connection, report_rows)
    _ADD_EVENTS(connection, event_rows)
    return Added({row["identity"] for row in event_rows}, _note_attempts(connection, again, known))


def _told(event: NewEvent) -> tuple[datetime, Trust]:
    return event.occurred_at, (event.correlation or NO_CORRELATION).trust


def _note_attempts(
    connection: Connection, events: Sequence[NewEvent], known: Mapping[str, tuple[datetime, Trust]]
) -> set[str]:
    """Reports that tell what others told before: perhaps of another attempt at the same message. With the first of them
    what was there before, ``known``, is noted as well. Returns the identities of those that told more.
    """
    failed = [event for event in events if event.kind is Kind.FAILED]
    if not failed:
        return set()
    noted: dict[str, set[tuple[datetime, Trust]]] = {}
    for identity, at, trust in fetch(connection, _ATTEMPTS, json.dumps([event.identity for event in failed])):
        noted.setdefault(identity, set()).add((time_of(at), Trust(trust)))
    rows = []
    for event in failed:
        told, first = _told(event), known[event.identity]
        mine = noted.get(event.identity)
        if mine is None:
            if told == first:
                continue
            mine = noted[event.identity] = {first}
            rows.append((event.identity, *first))
        if told not in mine:
            mine.add(told)
            rows.append((event.identity, *told))
    if rows:
        drive(connection, _NOTE, [(identity, stored_time(at), trust.value) for identity, at, trust in rows])
    return {identity for identity, _, _ in rows}


def replace_report(connection: Connection, report: NewReport, mode: Mode) -> None:
    mine = _event.c.message_id == report.message_id
    kept: dict[str, list[Any]] = {}
    before = select(*_KEPT).where(mine).order_by(_event.c.id)
    for old in connection.execute(before):
        kept.setdefault(old.canonical, []).append(old)
    connection.execute(delete(_event).where(mine))
    connection.execute(delete(_report).where(_report.c.message_id == report.message_id))
    told = [event.identity for event in report.events]
    fresh = _first_of_each(report.events, events_earlier(connection, told, report.message_id))
    for part in parts([event.identity for event in fresh]):
        connection.execute(delete(_event).where(WITH_IDENTITY), {"identities": part})
    rows = [event_row(report.message_id, event) for event in fresh]
    for row, event in zip(rows, fresh, strict=True):
        if same := kept.get(row["canonical"]):
            first = same.pop(0)
            row["id"] = first.id
            if event.correlation is None or first.proved_by is not None:
                row.update((column.name, getattr(first, column.name)) for column in _CORRELATION)
    _ADD_REPORTS(connection, [report_row(report, len(report.events) - len(fresh), mode)])
    _PUT_EVENTS(connection, [row for row in rows if "id" in row])
    _ADD_EVENTS(connection, [row for row in rows if "id" not in row])
    set_state(connection, report.message_id, MessageState.PROCESSED, None)


def strengthen(
    connection: Connection, message_id: int, events: Sequence[NewEvent], concerned: set[str]
) -> set[str]:
    """``concerned`` gets the addresses that the events were about, and are now."""
    proofs = {
        event.identity: event.correlation
        for event in events
        if event.correlation is not None and event.correlation.trust is not Trust.UNPROVED
    }
    changed = set()
    for part in parts(list(proofs)):
        for row in connection.execute(_STORED_TRUST, {"identities": part}).all():
            correlation = proofs[row.identity]
            proves_more = _TRUST.index(correlation.trust) < _TRUST.index(Trust(row.trust))
            if proves_more and row.message_id != message_id:
                values = {**correlation_columns(correlation), "proved_by": message_id}
                connection.execute(update(_event).where(_event.c.id == row.id).values(values))
                changed.add(row.identity)
                concerned |= {row.mailed_address or row.canonical, values["mailed_address"] or row.canonical}
    return changed


def count(connection: Connection, name: str, number: int) -> int:
    """Add to a counter. Returns what it stands at now."""
    return int(connection.execute(_COUNT, {"counter": name, "number": number}).scalar_one())


def count_attempt(connection: Connection, message_id: int) -> int:
    raised = update(_message).where(_message.c.id == message_id).values(attempts=_message.c.attempts + 1)
    return int(connection.execute(raised.returning(_message.c.attempts)).scalar_one())


def claim(connection: Connection, message_ids: Sequence[int]) -> None:
    _each(connection, _CLAIM, message_ids)


def unclaim(connection: Connection, message_ids: Sequence[int]) -> None:
    _each(connection, _UNCLAIM, message_ids)


def release(connection: Connection, message_ids: Sequence[int]) -> None:
    _each(connection, _RELEASE, message_ids)


def set_processed(connection: Connection, message_ids: Sequence[int]) -> None:
    _each(connection, _PROCESSED, message_ids)


def _each(connection: Connection, statement: Update, message_ids: Sequence[int]) -> None:
    if message_ids:
        connection.execute(statement, [{"message": message_id} for message_id in message_ids])


def readdress(connection: Connection, message_id: int, envelope: Envelope) -> None:
    connection.execute(
        update(_message)
        .where(_message.c.id == message_id)
        .values(envelope_sender=envelope.sender, envelope_recipients=envelope.recipients or None)
    )
    was_read = _message.c.state == MessageState.PROCESSED.value
    connection.execute(_RELEASE.where(was_read), {"message": message_id})


def set_state(connection: Connection, message_id: int, state: MessageState, error: str | None) -> None:
    connection.execute(
        update(_message).where(_message.c.id == message_id).values(state=state.value, last_error=error)
    )


def _first_of_each(events: Iterable[NewEvent], seen: set[str]) -> list[NewEvent]:
    """The events whose identity is not among ``seen``, each identity once. Adds them to ``seen``."""
    fresh = []
    for event in events:
        if event.identity not in seen:
            seen.add(event.identity)
            fresh.append(event)
    return fresh
