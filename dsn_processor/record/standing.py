"""The statements that keep addresses: what is known of them is read, folded (policy/fold.py), and its result written, in the
transaction that brought something new.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import func, insert, select, union_all
from sqlalchemy.engine import Connection

from dsn_processor.canonical import reference
from dsn_processor.policy.fold import State, Suppression, fold
from dsn_processor.policy.guard import hour_of
from dsn_processor.policy.happenings import Attempt, Happening, Known, ManualAct, Success
from dsn_processor.policy.options import PolicyOptions
from dsn_processor.record import waves
from dsn_processor.record.columns import time_of
from dsn_processor.record.driving import Inserter, decoder, drive, fetch
from dsn_processor.record.tables import metadata
from dsn_processor.terms import Act, BounceType, Finding, Kind, Mode, Reason, Scope, SuppressionKind, Trust

POLICY = "policy"  #: the author of what rules decide
_PAGE = 500  # addresses folded together
_NEWEST = 2_000  # events of one address that are looked at

_act = metadata.tables["manual_act"]
_audit = metadata.tables["audit"]
_event = metadata.tables["recipient_event"]
_state = metadata.tables["address_state"]
_suppression = metadata.tables["suppression"]

_SOME = "IN (SELECT value FROM json_each(?))"
_EVENTS = "recipient_event AS event JOIN report ON report.message_id = event.message_id"
_TELLING = """identity, occurred_at, event.kind, about, mode, trust, findings, bounce_type, reason, scope, confidence,
    remote_mta, CASE event.kind WHEN 'complaint' THEN json_extract(feedback, '$.feedback_type') END, arrival_date, sent_message_id,
    json_extract(returned_message, '$.message_id')"""
# Only what may count: events that never do, and unproven ones in strict mode, may be many. The plus keeps SQLite from
# looking at all events of a kind, which it takes for fewer than those of some hundred addresses.
_COUNTING = """+event.kind IN ('failed', 'delivered', 'complaint') AND (mode != 'strict' OR trust IN ('signed', 'matched'))
    AND (bounce_type IS NULL OR bounce_type IN ('hard', 'soft'))"""
_ADDRESSES = (("mailed_address", ""), ("canonical", "AND mailed_address IS NULL"))
_HAPPENINGS = " UNION ALL ".join(
    f"SELECT {address}, {_TELLING} FROM {_EVENTS} WHERE {address} {_SOME} {more} AND {_COUNTING}"  # noqa: S608
    for address, more in _ADDRESSES
)
# The same of addresses that have more events than are looked at: no more than are wanted are read.
_NEWEST_HAPPENINGS = " UNION ALL ".join(
    f"""SELECT {address}, {_TELLING} FROM json_each(?) AS wanted JOIN {_EVENTS} WHERE event.id IN (SELECT event.id FROM {_EVENTS}
    WHERE {address} = wanted.value {more} AND {_COUNTING} ORDER BY occurred_at DESC, identity DESC LIMIT ?)"""  # noqa: S608
    for address, more in _ADDRESSES
)
_CAPPED = f"SELECT address FROM address_state WHERE capped AND address {_SOME}"  # noqa: S608
_ATTEMPTS = f"SELECT identity, at, trust FROM attempt WHERE identity {_SOME}"  # noqa: S608
_SUCCESSES = f"""SELECT address, reference, delivered_at FROM sent_address
    JOIN sent_mail ON sent_mail.address_id = sent_address.id WHERE address {_SOME} AND delivered_at IS NOT NULL
    UNION SELECT address, reference, delivered_at FROM delivery WHERE address {_SOME}"""  # noqa: S608
_ACTS = f"SELECT address, id, at, act, author, reason, kind, until FROM manual_act WHERE address {_SOME}"  # noqa: S608
_ANY = """SELECT EXISTS (SELECT 1 FROM attempt), EXISTS (SELECT 1 FROM sent_mail)
    OR EXISTS (SELECT 1 FROM delivery), EXISTS (SELECT 1 FROM manual_act)"""
_STATES, _SUPPRESSIONS = (
    f"SELECT {', '.join(table.c.keys())} FROM {table.name} WHERE address {_SOME}"  # noqa: S608
    for table in (_state, _suppression)
)
_PUT_STATES, _PUT_SUPPRESSIONS = Inserter(_state, update=True), Inserter(_suppression, update=True)
_state_of, _suppression_of = decoder(_state), decoder(_suppression)
_ADD_AUDIT = Inserter(_audit, without=["id"])
_DROP_STATES = f"DELETE FROM address_state WHERE address {_SOME}"  # noqa: S608
_DROP_SUPPRESSION = "DELETE FROM suppression WHERE address = ? AND kind = ?"

# By value: to call the enumeration takes three times as long, and there are several to each event.
_KIND = {one.value: one for one in Kind}
_MODE = {one.value: one for one in Mode}
_TRUST = {one.value: one for one in Trust}
_TYPE = {one.value: one for one in BounceType}
_REASON = {one.value: one for one in Reason}
_SCOPE = {one.value: one for one in Scope}

_Row = dict[str, Any]
_Rows = dict[tuple[str, str], _Row]


class By(NamedTuple):
    """Who has addresses folded again, and why."""

    author: str = POLICY
    reason: str = ""


def refold(
    connection: Connection,
    addresses: Iterable[str],
    options: PolicyOptions,
    by: By,
    folded: dict[str, Known] | None = None,
) -> int:
    """Fold what is known of these addresses, and keep what comes of it. Returns how many of them changed. What was read of
    them is put into ``folded``.
    """
    changed = 0
    for page in pages(sorted(set(addresses))):
        known = all_known(connection, page)
        if folded is not None:
            folded.update((one.address, one) for one in known)
        changed += _write(connection, page, [fold(one, options) for one in known], options, by)
    return changed


def all_known(connection: Connection, addresses: Sequence[str]) -> list[Known]:
    """All that is known of each."""
    given = as_json(addresses)
    [(any_attempts, any_sends, any_acts)] = fetch(connection, _ANY)
    rows = _happened(connection, addresses)
    attempts: dict[str, list[Attempt]] = defaultdict(list)
    if any_attempts:
        failed = [row[1] for some in rows.values() for row in some if row[3] == Kind.FAILED]
        for identity, at, trust in fetch(connection, _ATTEMPTS, as_json(failed)):
            attempts[identity].append(Attempt(time_of(at), _TRUST[trust]))
    successes: dict[str, list[Success]] = defaultdict(list)
    if any_sends:
        for address, about, seconds in fetch(connection, _SUCCESSES, given, given):
            name = f"send:{about:017}:{seconds}"
            successes[address].append(Success(name, datetime.fromtimestamp(seconds, UTC), str(about or name)))
    acts: dict[str, list[ManualAct]] = defaultdict(list)
    if any_acts:
        for row in fetch(connection, _ACTS, given):
            acts[row[0]].append(_manual_act(row))
    return [
        Known(
            address,
            tuple([_happening(row, attempts) for row in _newest(rows.get(address, ()))]),
            tuple(successes.get(address, ())),
            tuple(acts.get(address, ())),
            capped=len(rows.get(address, ())) > _NEWEST,
        )
        for address in addresses
    ]


def _happened(connection: Connection, addresses: Sequence[str]) -> dict[str, list[Any]]:
    """The rows that may count of each address, of those with very many the newest."""
    capped = [address for (address,) in fetch(connection, _CAPPED, as_json(addresses))]
    usual = as_json(set(addresses).difference(capped))
    found: dict[str, list[Any]] = defaultdict(list)
    for row in fetch(connection, _HAPPENINGS, usual, usual):
        found[row[0]].append(row)
    if capped:
        many, wanted = as_json(capped), _NEWEST + 1
        for row in fetch(connection, _NEWEST_HAPPENINGS, many, wanted, many, wanted):
            found[row[0]].append(row)
    return found


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
    given = as_json(page)
    before_states = {row["address"]: row for row in map(_state_of, fetch(connection, _STATES, given))}
    before: _Rows = {
        (row["address"], row["kind"]): row
        for row in map(_suppression_of, fetch(connection, _SUPPRESSIONS, given))
    }
    after: _Rows = {}
    fresh, stale = [], []
    for state in states:
        if state._replace(suppressions=()) != State(state.address):
            row = _state_row(state)
            if before_states.get(state.address) != row:
                fresh.append(row)
        elif state.address in before_states:
            stale.append(state.address)
        for one in state.suppressions:
            row = _suppression_row(state.address, one)
            old = before.get((state.address, row["kind"]))
            row["held"] = bool(old and old["held"] and not row["proposed"] and row["guarded"])
            after[state.address, row["kind"]] = row
    if stale:
        drive(connection, _DROP_STATES, [(as_json(stale),)])
    _PUT_STATES(connection, fresh)
    moved = sorted(key for key in {*before, *after} if before.get(key) != after.get(key))
    if moved:
        _move(connection, [(key, before.get(key), after.get(key)) for key in moved], options, by)
    return len({*stale, *(row["address"] for row in fresh), *(address for address, _ in moved)})


def _move(
    connection: Connection,
    moved: Sequence[tuple[tuple[str, str], _Row | None, _Row | None]],
    options: PolicyOptions,
    by: By,
) -> None:
    """Keep suppressions, each with what it was and what it is now, and write down that they changed."""
    if gone := [key for key, _, after in moved if after is None]:
        drive(connection, _DROP_SUPPRESSION, gone)
    _ADD_AUDIT(connection, [_entry(*one, by) for one in moved])
    _PUT_SUPPRESSIONS(connection, [dict(after) for _, _, after in moved if after is not None])
    waves.watch(connection, [row for _, *rows in moved for row in rows if row], options)


def _entry(
    key: tuple[str, str], before: Mapping[str, Any] | None, after: Mapping[str, Any] | None, by: By
) -> _Row:
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


def _state_row(state: State) -> _Row:
    values = state._asdict()
    del values["suppressions"]
    return {**values, "deliverability": state.deliverability.value, "domain": _domain(state.address)}


def _suppression_row(address: str, one: Suppression) -> _Row:
    values = {**one._asdict(), "kind": one.kind.value, "address": address, "domain": _domain(address)}
    return values | {"hour": hour_of(one.at), "held": False}


def _domain(address: str) -> str:
    return address.rpartition("@")[2] if "@" in address else ""


def _newest(rows: Sequence[Any]) -> Sequence[Any]:
    if len(rows) <= _NEWEST:
        return rows
    return sorted(rows, key=itemgetter(2, 1))[-_NEWEST:]  # by their time and identity


def _happening(row: Any, attempts: Mapping[str, Sequence[Attempt]]) -> Happening:
    _, identity, at, kind, about, mode, trust, findings, bounce_type, reason, scope, confidence, *rest = row
    remote_mta, feedback_type, arrival_date, sent_message_id, returned_id = rest
    occurred_at = time_of(at)
    found = json.loads(findings) if findings else ()
    return Happening(
        identity=identity,
        at=occurred_at,
        kind=_KIND[kind],
        about=str((reference(sent_message_id) if sent_message_id else about) or identity),
        mode=_MODE[mode],
        trust=_TRUST[trust],
        late=Finding.LATE in found,
        mailing_list=Finding.MAILING_LIST in found,
        bounce_type=_TYPE[bounce_type] if bounce_type else None,
        reason=_REASON[reason] if reason else None,
        scope=_SCOPE[scope] if scope else None,
        confidence=confidence or 0.0,
        remote_mta=(remote_mta or "").strip().lower()[:255],
        feedback_type=(feedback_type or "").lower(),
        attempts=tuple(attempts.get(identity, ())),
        since=_instant(arrival_date, occurred_at) if arrival_date else None,
        message_id=sent_message_id or returned_id or "",
    )


def _instant(text: str | None, latest: datetime) -> datetime | None:
    """A date that a mail tells, if it is one that can be."""
    try:
        at = datetime.fromisoformat(text or "")
        at = (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return at if at <= latest else None


def _manual_act(row: Sequence[Any]) -> ManualAct:
    _, id_, at, act, author, reason, kind, until = row
    return ManualAct(
        f"act:{id_:016}",
        time_of(at),
        Act(act),
        author,
        reason,
        SuppressionKind(kind) if kind else None,
        until and time_of(until),
    )


def pages(values: Collection[str]) -> Iterator[list[str]]:
    """So many that may be read together."""
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
    _ADD_AUDIT(connection, [{**entry, "cause": None, "before": None, "after": {"wave": name}}])
