"""The statements that keep addresses: what is known of them is read, folded (policy/fold.py), and its result written, in the
transaction that brought something new.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import BindParameter, bindparam, case, delete, func, insert, literal, or_, select, union_all
from sqlalchemy.engine import Connection

from dsn_processor.canonical import reference
from dsn_processor.policy.fold import State, Suppression, fold
from dsn_processor.policy.guard import hour_of
from dsn_processor.policy.happenings import Attempt, Happening, Known, ManualAct, Success
from dsn_processor.policy.options import PolicyOptions
from dsn_processor.record import waves
from dsn_processor.record.tables import metadata
from dsn_processor.terms import (
    Act,
    BounceType,
    Finding,
    Kind,
    Mode,
    Reason,
    Scope,
    SuppressionKind,
    Trust,
)

POLICY = "policy"  #: the author of what rules decide
_PAGE = 500  # addresses folded together
_NEWEST = 2_000  # events of one address that are looked at
_MATTER = [Kind.FAILED.value, Kind.DELIVERED.value, Kind.COMPLAINT.value]

_act = metadata.tables["manual_act"]
_address = metadata.tables["sent_address"]
_attempt = metadata.tables["attempt"]
_audit = metadata.tables["audit"]
_event = metadata.tables["recipient_event"]
_report = metadata.tables["report"]
_send = metadata.tables["sent_mail"]
_state = metadata.tables["address_state"]
_suppression = metadata.tables["suppression"]

_SOME: BindParameter[Any] = bindparam("addresses", expanding=True)
_COLUMNS = [
    _event.c[name]
    for name in [
        "identity",
        "occurred_at",
        "kind",
        "bounce_type",
        "reason",
        "scope",
        "confidence",
        "trust",
        "findings",
        "remote_mta",
        "about",
        "sent_message_id",
    ]
]
_complaint = case(
    (_event.c.kind == Kind.COMPLAINT.value, func.json_extract(_report.c.feedback, "$.feedback_type")),
    else_=literal(None),
)
_OF_REPORT = (
    _complaint.label("feedback_type"),
    _report.c.arrival_date,
    func.json_extract(_report.c.returned_message, "$.message_id").label("returned_id"),
)
# Only what may count: events that never do, and unproven ones in strict mode, may be many.
_MAY_COUNT = (
    _event.c.kind.in_(_MATTER),
    or_(
        _report.c.mode != Mode.STRICT.value,
        _event.c.trust.in_([Trust.SIGNED.value, Trust.MATCHED.value]),
    ),
    or_(
        _event.c.bounce_type.is_(None),
        _event.c.bounce_type.in_([BounceType.HARD.value, BounceType.SOFT.value]),
    ),
)


def _happenings(address: Any, *which: Any) -> Any:
    wanted = select(address.label("concerned"), *_COLUMNS, _report.c.mode, *_OF_REPORT)
    return wanted.join(_report, _report.c.message_id == _event.c.message_id).where(*which, *_MAY_COUNT)


_HAPPENINGS = union_all(
    _happenings(_event.c.mailed_address, _event.c.mailed_address.in_(_SOME)),
    _happenings(_event.c.canonical, _event.c.canonical.in_(_SOME), _event.c.mailed_address.is_(None)),
)
_ATTEMPTS = select(_attempt).where(_attempt.c.identity.in_(bindparam("identities", expanding=True)))
_SUCCESSES = (
    select(_address.c.address, _send.c.id, _send.c.reference, _send.c.delivered_at)
    .join(_send, _send.c.address_id == _address.c.id)
    .where(_address.c.address.in_(_SOME), _send.c.delivered_at.is_not(None))
)
_ACTS = select(_act).where(_act.c.address.in_(_SOME))
_STATES = select(_state).where(_state.c.address.in_(_SOME))
_SUPPRESSIONS = select(_suppression).where(_suppression.c.address.in_(_SOME))
_ADD_STATES, _ADD_SUPPRESSIONS, _ADD_AUDIT = insert(_state), insert(_suppression), insert(_audit)
_DROP_STATES = delete(_state).where(_state.c.address.in_(_SOME))
_DROP_SUPPRESSIONS = delete(_suppression).where(_suppression.c.address.in_(_SOME))

_Rows = dict[tuple[str, str], dict[str, Any]]


class By(NamedTuple):
    """Who has addresses folded again, and why."""

    author: str = POLICY
    reason: str = ""


def refold(connection: Connection, addresses: Iterable[str], options: PolicyOptions, by: By) -> int:
    """Fold what is known of these addresses, and keep what comes of it. Returns how many of them changed."""
    changed = 0
    for page in _pages(sorted(set(addresses))):
        states = [fold(known, options) for known in all_known(connection, page)]
        changed += _write(connection, page, states, options, by)
    return changed


def all_known(connection: Connection, addresses: Sequence[str]) -> list[Known]:
    """All that is known of each."""
    given = {"addresses": list(addresses)}
    rows: dict[str, list[Any]] = defaultdict(list)
    for row in connection.execute(_HAPPENINGS, given):
        rows[row.concerned].append(row)
    attempts: dict[str, list[Attempt]] = defaultdict(list)
    failed = [row.identity for some in rows.values() for row in some if row.kind == Kind.FAILED]
    for part in _pages(failed):
        for identity, at, trust in connection.execute(_ATTEMPTS, {"identities": part}):
            attempts[identity].append(Attempt(at, Trust(trust)))
    successes: dict[str, list[Success]] = defaultdict(list)
    for address, id_, about, seconds in connection.execute(_SUCCESSES, given):
        at = datetime.fromtimestamp(seconds, UTC)
        successes[address].append(Success(f"send:{id_}", at, str(about or f"send:{id_}")))
    acts: dict[str, list[ManualAct]] = defaultdict(list)
    for row in connection.execute(_ACTS, given):
        acts[row.address].append(_manual_act(row))
    return [
        Known(
            address,
            tuple(_happening(row, attempts) for row in _newest(rows[address])),
            tuple(successes[address]),
            tuple(acts[address]),
            capped=len(rows[address]) > _NEWEST,
        )
        for address in addresses
    ]


def concerned(connection: Connection) -> Iterator[list[str]]:
    """All addresses that something is known of, page by page."""
    mailed = func.coalesce(_event.c.mailed_address, _event.c.canonical)
    every = union_all(
        select(mailed.label("address")),
        select(_act.c.address),
        select(_state.c.address),
        select(_suppression.c.address),
    ).subquery()
    after = ""
    while True:
        wanted = select(every.c.address).where(every.c.address > after).distinct()
        page = list(connection.scalars(wanted.order_by(every.c.address).limit(_PAGE * 20)))
        if not page:
            return
        yield page
        after = page[-1]


class NewAct(NamedTuple):
    """To be done to a canonical address, at its own time. ``kind`` None is all kinds, ``until`` None for good."""

    address: str
    reason: str
    at: datetime
    kind: SuppressionKind | None = None
    until: datetime | None = None


def add_acts(connection: Connection, act: Act, acts: Sequence[NewAct], author: str) -> None:
    """Keep that somebody did something to addresses."""
    rows = [
        {
            **one._asdict(),
            "act": act.value,
            "kind": one.kind and one.kind.value,
            "author": author,
        }
        for one in acts
    ]
    if rows:
        connection.execute(insert(_act), rows)


def _write(
    connection: Connection, page: Sequence[str], states: Sequence[State], options: PolicyOptions, by: By
) -> int:
    given = {"addresses": list(page)}
    before_states = {row.address: row._asdict() for row in connection.execute(_STATES, given)}
    before: _Rows = {
        (row.address, row.kind): row._asdict() for row in connection.execute(_SUPPRESSIONS, given)
    }
    after: _Rows = {}
    new_states = {}
    for state in states:
        if state._replace(suppressions=()) != State(state.address):
            new_states[state.address] = _state_row(state)
        for one in state.suppressions:
            row = _suppression_row(state.address, one)
            old = before.get((state.address, row["kind"]))
            row["held"] = bool(old and old["held"] and not row["proposed"] and row["guarded"])
            after[state.address, row["kind"]] = row
    stale = [one for one in page if before_states.get(one) != new_states.get(one)]
    moved = {key for key in {*before, *after} if before.get(key) != after.get(key)}
    if stale:
        connection.execute(_DROP_STATES, {"addresses": stale})
        if fresh := [new_states[one] for one in stale if one in new_states]:
            connection.execute(_ADD_STATES, fresh)
    if moved:
        those = {address for address, _ in moved}
        connection.execute(_DROP_SUPPRESSIONS, {"addresses": list(those)})
        if kept := [row for (address, _), row in after.items() if address in those]:
            connection.execute(_ADD_SUPPRESSIONS, kept)
        connection.execute(
            _ADD_AUDIT, [_entry(key, before.get(key), after.get(key), by) for key in sorted(moved)]
        )
        waves.watch(
            connection, [row for key in moved for row in (before.get(key), after.get(key)) if row], options
        )
    return len({*stale, *(address for address, _ in moved)})


def _entry(
    key: tuple[str, str], before: Mapping[str, Any] | None, after: Mapping[str, Any] | None, by: By
) -> dict[str, Any]:
    if after is None:
        action = "lift"
    elif after["proposed"]:
        action = "propose"
    else:
        action = "suppress" if before is None or before["proposed"] else "change"
    row = after or before
    assert row is not None
    return {
        "at": datetime.now(UTC),
        "author": by.author,
        "action": action,
        "address": key[0],
        "reason": by.reason or row["reason"],
        "cause": row["cause"],
        "before": before and _words(before),
        "after": after and _words(after),
    }


def _words(row: Mapping[str, Any]) -> dict[str, Any]:
    told = ("kind", "reason", "at", "until", "tier", "proposed", "held", "author")
    return {name: row[name].isoformat() if isinstance(row[name], datetime) else row[name] for name in told}


def _state_row(state: State) -> dict[str, Any]:
    row = state._asdict()
    del row["suppressions"]
    return {**row, "deliverability": state.deliverability.value, "domain": _domain(state.address)}


def _suppression_row(address: str, one: Suppression) -> dict[str, Any]:
    row = one._asdict()
    return {
        **row,
        "kind": one.kind.value,
        "address": address,
        "domain": _domain(address),
        "hour": hour_of(one.at),
        "held": False,
    }


def _domain(address: str) -> str:
    return address.rpartition("@")[2] if "@" in address else ""


def _newest(rows: list[Any]) -> list[Any]:
    if len(rows) <= _NEWEST:
        return rows
    return sorted(rows, key=lambda row: (row.occurred_at, row.identity))[-_NEWEST:]


def _happening(row: Any, attempts: Mapping[str, Sequence[Attempt]]) -> Happening:
    about = reference(row.sent_message_id) if row.sent_message_id else row.about
    findings = row.findings or ()
    return Happening(
        identity=row.identity,
        at=row.occurred_at,
        kind=Kind(row.kind),
        about=str(about or row.identity),
        mode=Mode(row.mode),
        trust=Trust(row.trust),
        late=Finding.LATE in findings,
        mailing_list=Finding.MAILING_LIST in findings,
        bounce_type=BounceType(row.bounce_type) if row.bounce_type else None,
        reason=Reason(row.reason) if row.reason else None,
        scope=Scope(row.scope) if row.scope else None,
        confidence=row.confidence or 0.0,
        remote_mta=(row.remote_mta or "").strip().lower()[:255],
        feedback_type=(row.feedback_type or "").lower(),
        attempts=tuple(attempts.get(row.identity, ())),
        since=_instant(row.arrival_date, row.occurred_at),
        message_id=row.sent_message_id or row.returned_id or "",
    )


def _instant(text: str | None, latest: datetime) -> datetime | None:
    """A date that a mail tells, if it is one that can be."""
    try:
        at = datetime.fromisoformat(text or "")
        at = (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return at if at <= latest else None


def _manual_act(row: Any) -> ManualAct:
    return ManualAct(
        f"act:{row.id:016}",
        row.at,
        Act(row.act),
        row.author,
        row.reason,
        SuppressionKind(row.kind) if row.kind else None,
        row.until,
    )


def _pages(values: Collection[str]) -> Iterator[list[str]]:
    some = list(values)
    for start in range(0, len(some), _PAGE):
        yield some[start : start + _PAGE]


def as_json(values: Iterable[str]) -> str:
    """Many values as one parameter, for json_each."""
    return json.dumps(list(values))


def audit_wave(connection: Connection, name: str, decision: str, by: By) -> None:
    """Keep who settled a wave, and why."""
    entry = {
        "at": datetime.now(UTC),
        "author": by.author,
        "action": decision,
        "address": "",
        "reason": by.reason,
    }
    connection.execute(_ADD_AUDIT, {**entry, "cause": None, "before": None, "after": {"wave": name}})
