"""What a transaction has to tell about events: gathered while it writes, put into words at its end, when it is known what the
events meant for addresses.
"""

import base64
import hashlib
import json
import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy.engine import Connection

from dsn_processor.facts import NO_CORRELATION
from dsn_processor.moments import believable
from dsn_processor.notify.describing import (
    Decision,
    Event,
    Report,
    address_data,
    blocks_data,
    concerned,
    event_data,
    quarantined_data,
    reclassified_data,
    report_data,
    wave_data,
)
from dsn_processor.notify.notification import OF_KIND, EventType, Notification
from dsn_processor.policy.effect import counts
from dsn_processor.policy.happenings import Known
from dsn_processor.policy.options import PolicyOptions
from dsn_processor.policy.retrying import Failure, retry_of
from dsn_processor.policy.schedule import Retry
from dsn_processor.record import queries
from dsn_processor.record.columns import storable, time_of
from dsn_processor.record.driving import fetch
from dsn_processor.record.entries import NewReport
from dsn_processor.record.moves import Move, Now
from dsn_processor.record.rows import LOOKUP_LIMIT
from dsn_processor.terms import BounceType, Kind, Mode, Scope

_ARRIVALS = "SELECT id, source, received_at FROM message WHERE id IN (SELECT value FROM json_each(?))"
_CAN_STRIKE = ({BounceType.HARD, BounceType.SOFT}, {Scope.RECIPIENT, Scope.DOMAIN})


class Told(NamedTuple):
    """An event to be told; of one that is read otherwise now, what was told ``before``. ``event`` None: it was withdrawn."""

    event: Event | None
    report: Report
    mode: Mode
    before: Event | None = None

    @property
    def about(self) -> Event:
        about = self.event or self.before
        assert about is not None
        return about


class Chosen(NamedTuple):
    """What somebody wants to hear, and the address that it is kept in order by."""

    type: EventType
    told: Told
    address: str


def stable_id(what: str, identity: str) -> str:
    """The id of a notification that is made of the same thing at most once."""
    digest = hashlib.sha256(f"{what}:{identity}".encode()).digest()
    return "msg_" + base64.b32encode(digest[:15]).decode("ascii").lower()


def new_id() -> str:
    """The id of a notification about a change: there may be another like it later."""
    return "msg_" + base64.b32encode(secrets.token_bytes(15)).decode("ascii").lower()


def key_of(event: Event) -> str:
    """The address that events are kept in order by, as tables have it."""
    return storable(concerned(event))[:LOOKUP_LIMIT]


def chosen(told: Iterable[Told], wanted: Collection[EventType]) -> list[Chosen]:
    """Those of the ``wanted`` types, in order."""
    return [
        Chosen(type_, one, key_of(one.about)) for one in told if (type_ := _type(one)) in wanted and type_
    ]


def retried(events: Iterable[Chosen]) -> list[str]:
    """The addresses of which one has to know all to say when they are tried again."""
    return sorted({one.address for one in events if _retried(one.told.about)})


def of_events(
    events: Iterable[Chosen], now: Now, known: Mapping[str, Known], options: PolicyOptions
) -> Iterator[Notification]:
    """In order. ``now`` is of their addresses, or of more; ``known`` of the ``retried`` ones."""
    decide = _Deciding(now, known, options)
    for type_, one, address in events:
        about, decision = one.about, decide(one, address)
        fresh = one.before is None
        yield Notification(
            id=stable_id("event", about.identity) if fresh else new_id(),
            type=type_,
            at=about.occurred_at,
            address=address,
            data=event_data(about, one.report, decision)
            if fresh
            else reclassified_data(one.before, one.event, one.report, decision),
        )


def of_mails(
    connection: Connection, mails: Sequence[tuple[NewReport, Kind | None]], wanted: Collection[EventType]
) -> Iterator[Notification]:
    """Of mails that name no recipient, each with the kind that it was before."""
    some = [
        (type_, report)
        for report, before in mails
        if (type_ := OF_KIND.get(report.parsed.kind)) in wanted and type_ and report.parsed.kind is not before
    ]
    if not some:
        return
    ids = json.dumps([report.message_id for _, report in some])
    arrivals = {id_: (source, time_of(at)) for id_, source, at in fetch(connection, _ARRIVALS, ids)}
    for type_, report in some:
        source, received_at = arrivals[report.message_id]
        yield Notification(
            id=stable_id("mail", f"{report.message_id} {type_.value}"),
            type=type_,
            at=received_at,
            address="",
            data=report_data(Report(report.message_id, report.parsed), source),
        )


def of_quarantined(connection: Connection, mails: Sequence[tuple[int, str | None]]) -> Iterator[Notification]:
    """Of mails that were put aside for a person, each with why."""
    now = datetime.now(UTC)
    for number, error in mails:
        message = queries.message(connection, number)
        assert message is not None
        yield Notification(
            id=new_id(),
            type=EventType.REPORT_QUARANTINED,
            at=now,
            address="",
            data=quarantined_data(number, message.source, error),
        )


def of_moves(moved: Iterable[Move], wanted: Collection[EventType]) -> Iterator[Notification]:
    """Of addresses, waves and alerts."""
    now = datetime.now(UTC)
    for one in moved:
        if one.type in wanted:
            yield Notification(id=new_id(), type=one.type, at=now, address=one.address, data=_moved_data(one))


def _moved_data(one: Move) -> dict[str, Any]:
    match one.type:
        case EventType.DOMAIN_HELD:
            return wave_data(one.row or {})
        case EventType.SENDER_BLOCKED:
            return blocks_data(one.row or {})
    return address_data(one.address, one.state, one.row, one.standing)


def differs(before: Event, after: Event) -> bool:
    """Whether the answer is another one, as far as it matters to those who were told."""
    return _answer(before) != _answer(after)


def _answer(event: Event) -> tuple[object, ...]:
    verdict = event.verdict
    judged = verdict and (verdict.bounce_type, verdict.reason, verdict.scope)
    return event.kind, event.recipient.address, event.recipient.status, judged


def _type(told: Told) -> EventType | None:
    return OF_KIND.get(told.about.kind) if told.before is None else EventType.EVENT_RECLASSIFIED


class _Deciding:
    """What events meant, by what stands in the tables at the transaction's end."""

    def __init__(self, now: Now, known: Mapping[str, Known], options: PolicyOptions) -> None:
        self._now = now
        self._known = known
        self._options = options

    def __call__(self, told: Told, address: str) -> Decision:
        event = told.about
        if told.event is None:
            return Decision()
        verdict = event.verdict
        state = self._now.states.get(address)
        strikes = state["strikes"] if state else 0.0
        action = self._action(address, event.identity)
        types, scopes = _CAN_STRIKE
        if action == "none" and strikes and event.kind is Kind.FAILED and verdict is not None:
            trust = (event.correlation or NO_CORRELATION).trust
            if verdict.bounce_type in types and verdict.scope in scopes and counts(told.mode, trust):
                action = "strike"
        return Decision(action, strikes, self._retry(told, address))

    def _action(self, address: str, identity: str) -> str:
        """What it did as the cause of a suppression."""
        action = "none"
        for row in self._now.suppressions.get(address, {}).values():
            if row["cause"] == identity:
                action = "propose" if row["proposed"] else "hold" if row["held"] else "suppress"
        return action

    def _retry(self, told: Told, address: str) -> Retry | None:
        event = told.about
        verdict = event.verdict
        if verdict is None:
            return None
        failure = Failure(
            event.identity,
            address,
            event.occurred_at,
            event.kind,
            verdict.bounce_type,
            verdict.reason,
            verdict.scope,
            since=believable((told.report.parsed.arrival_date,), event.occurred_at),
        )
        return retry_of(failure, self._known.get(failure.address), self._options)


def _retried(event: Event) -> bool:
    return (
        event.kind is Kind.FAILED
        and event.verdict is not None
        and event.verdict.bounce_type is BounceType.SOFT
    )
