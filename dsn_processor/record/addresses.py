"""Addresses, as the store keeps them: what a transaction touched is folded again at its end; people act; callers ask."""

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import bindparam, func, select, text
from sqlalchemy.engine import Connection

from dsn_processor.errors import UsageError
from dsn_processor.policy.effect import counts
from dsn_processor.policy.happenings import Known
from dsn_processor.policy.modes import Chosen, Ruling, mode_of, way_of
from dsn_processor.policy.options import SOURCES
from dsn_processor.record import alerts, checking, sends, standing, waves
from dsn_processor.record.checking import Denial, SuppressionFilter, SuppressionRow
from dsn_processor.record.columns import storable
from dsn_processor.record.driving import fetch
from dsn_processor.record.entries import NewEvent, NewReport
from dsn_processor.record.rows import LOOKUP_LIMIT
from dsn_processor.record.standing import By, NewAct
from dsn_processor.record.tables import metadata
from dsn_processor.record.waves import Alert, Wave
from dsn_processor.record.writing import Added
from dsn_processor.terms import Act, BounceType, Kind, Mode, Scope, SuppressionKind, Trust

_event = metadata.tables["recipient_event"]
_report = metadata.tables["report"]
_state = metadata.tables["address_state"]
_audit = metadata.tables["audit"]

_SOURCES = "SELECT id, source FROM message WHERE id IN (SELECT value FROM json_each(?))"
_MODES = select(_report.c.message_id, _report.c.mode).where(
    _report.c.message_id.in_(bindparam("ids", expanding=True))
)
_CONCERNED = select(func.coalesce(_event.c.mailed_address, _event.c.canonical))
_OF_MAIL = _CONCERNED.where(_event.c.message_id == bindparam("mail"))
_OF_EVENTS = _CONCERNED.where(_event.c.identity.in_(bindparam("identities", expanding=True)))
_OPEN = text(
    "UPDATE report SET mode = 'open' WHERE message_id IN (SELECT value FROM json_each(:mails)) AND mode != 'open' "
    "RETURNING message_id"
)
_UNREAD = text(
    "SELECT id, source FROM message WHERE id IN (SELECT value FROM json_each(:mails)) "
    "AND NOT EXISTS (SELECT 1 FROM report WHERE message_id = message.id)"
)
_COMES_FROM = text("UPDATE message SET source = :source WHERE id = :mail")
_KNOWN = text(
    "SELECT value FROM json_each(:addresses) WHERE EXISTS (SELECT 1 FROM recipient_event WHERE canonical = value) "
    "OR EXISTS (SELECT 1 FROM recipient_event WHERE mailed_address = value) "
    "OR EXISTS (SELECT 1 FROM manual_act WHERE manual_act.address = value)"
)
_KEPT = 500  # addresses of which it is kept in memory what a transaction read to fold them
_MATTER = {Kind.FAILED, Kind.DELIVERED, Kind.COMPLAINT}
_ABOUT_IT = {Scope.RECIPIENT, Scope.DOMAIN}
_TYPES = {BounceType.HARD, BounceType.SOFT}


class AuditEntry(NamedTuple):
    """What changed about an address. ``before`` and ``after`` are of a suppression."""

    at: datetime
    author: str
    action: str
    reason: str
    cause: str | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class AddressReport(NamedTuple):
    """All there is to say of one address."""

    known: Known
    state: dict[str, Any] | None
    suppressions: tuple[SuppressionRow, ...]
    audit: tuple[AuditEntry, ...]


class Addresses:
    """Of one store. What it writes belongs into the store's transaction."""

    def __init__(
        self, connection: Connection, reading: Callable[[], AbstractContextManager[Connection]]
    ) -> None:
        self._connection = connection
        self._reading = reading
        self._touched: set[str] = set()
        self._blocks: Counter[tuple[str, str]] = Counter()
        self._folded: dict[str, Known] = {}
        self.ruling = Ruling()

    # ---- what the store tells

    def modes(self, message_ids: Sequence[int]) -> dict[int, Mode]:
        """What these mails may change, by where they came from."""
        chosen: dict[str, Mode] = {}
        found = {}
        for id_, source in fetch(self._connection, _SOURCES, json.dumps(message_ids)):
            way = way_of(source)
            if way not in chosen:
                chosen[way] = self._mode(self._connection, way).mode
            found[id_] = chosen[way]
        return found

    def mode_kept(self, message_id: int) -> Mode:
        """What a mail may change, as it was decided when it came."""
        for _, mode in self._connection.execute(_MODES, {"ids": [message_id]}):
            return Mode(mode)
        return self.modes([message_id])[message_id]

    def came(self, reports: Iterable[NewReport], modes: dict[int, Mode], added: Added) -> None:
        """Reports were stored. What tells nothing new changes no address."""
        for report in reports:
            for event in report.events:
                new = event.identity in added.new
                if (new or event.identity in added.more) and _may_count(event, modes[report.message_id]):
                    self._touched.add(_concerned(event))
                verdict = event.verdict
                if new and verdict is not None and verdict.bounce_type is BounceType.BLOCK:
                    subject = (verdict.block and verdict.block.ip) or verdict.reason.value
                    self._blocks[storable(subject)[:255], event.occurred_at.strftime("%Y-%m-%d")] += 1

    def came_again(self, sources: Mapping[int, str]) -> None:
        """Stored mails came once more, from these sources: where one is open, whoever answers for it answers for the mail, which
        may change addresses from now on.
        """
        ways = {way_of(source) for source in sources.values()}
        free = {way for way in ways if self._mode(self._connection, way).mode is Mode.OPEN}
        opened = {id_: source for id_, source in sources.items() if way_of(source) in free}
        if not opened:
            return
        given = {"mails": json.dumps(list(opened))}
        for mail in self._connection.scalars(_OPEN, given).all():
            self._touched.update(self._connection.scalars(_OF_MAIL, {"mail": mail}))
        unread = [id_ for id_, way in self._connection.execute(_UNREAD, given) if way_of(way) not in free]
        for mail in unread:  # what it may change is decided when it is read
            self._connection.execute(_COMES_FROM, {"mail": mail, "source": storable(opened[mail])})

    def leaves(self, report: NewReport) -> None:
        """A report, and events that others hold, are about to be replaced."""
        self._touched.update(self._connection.scalars(_OF_MAIL, {"mail": report.message_id}))
        identities = [event.identity for event in report.events]
        self._touched.update(self._connection.scalars(_OF_EVENTS, {"identities": identities}))
        self._touched.update(map(_concerned, report.events))

    def touch(self, addresses: Iterable[str]) -> None:
        """Something about these changed."""
        self._touched.update(map(storable, addresses))

    def delivered(self, addresses: Iterable[str]) -> None:
        """Mails were delivered: that matters where something else is known."""
        given = {"addresses": standing.as_json(addresses)}
        self._touched.update(self._connection.scalars(_KNOWN, given))

    def settle(self, by: By | None = None) -> int:
        """Fold again what was touched. Returns how many addresses changed."""
        touched, self._touched = self._touched, set()
        blocks, self._blocks = self._blocks, Counter()
        waves.count_blocks(self._connection, blocks)
        touched.discard("")
        self._folded = {}
        if not touched:
            return 0
        folded = self._folded if len(touched) <= _KEPT else None
        return standing.refold(self._connection, touched, self.ruling.options, by or By(), folded)

    def settled(self, addresses: Collection[str]) -> dict[str, Known]:
        """What is known of each of these when all is settled. What was read to be folded is not read again."""
        known = {one: self._folded[one] for one in addresses if one in self._folded}
        for page in standing.pages([one for one in addresses if one not in known]):
            known.update((one.address, one) for one in standing.all_known(self._connection, page))
        return known

    def forget(self) -> None:
        """A transaction begins, after one that may have come to nothing."""
        self._touched.clear()
        self._blocks.clear()
        self._folded.clear()

    # ---- what people do

    def act(
        self,
        act: Act,
        addresses: Sequence[str],
        by: By,
        *,
        kind: SuppressionKind | None = None,
        until: datetime | None = None,
        at: datetime | None = None,
    ) -> int:
        """Do it to these canonical addresses. Returns how many of them changed."""
        when = at or datetime.now(UTC)
        return self.act_each(act, [NewAct(one, by.reason, when, kind, until) for one in addresses], by)

    def act_each(self, act: Act, acts: Sequence[NewAct], by: By) -> int:
        """As ``act``, with a reason and a time for each. Returns how many addresses changed."""
        chosen = {storable(one.address)[:LOOKUP_LIMIT]: one for one in acts if one.address}
        standing.add_acts(
            self._connection, act, [one._replace(address=key) for key, one in chosen.items()], by.author
        )
        self._touched.update(chosen)
        return self.settle(by)

    def decide_wave(self, name: str, decision: str, by: By) -> int:
        """Release a wave: its suppressions count; or undo it: they never were. Returns how many addresses are in it.
        Raises UsageError where there is none of that name.
        """
        wave = waves.find(self._connection, name)
        if wave is None:
            raise UsageError(f"there is no wave {name!r}: `dsn-processor suppressions waves` lists them")
        addresses = waves.decide(self._connection, wave, decision)
        if decision == "undone":
            self.act(Act.REMOVE, addresses, by, kind=SuppressionKind.BOUNCE)
        standing.audit_wave(self._connection, name, decision, by)
        return len(addresses)

    def rebuild(self, by: By) -> int:
        """Fold everything again. Returns how many addresses changed."""
        return sum(
            standing.refold(self._connection, page, self.ruling.options, by)
            for page in standing.concerned(self._connection)
        )

    # ---- what is asked

    def chosen_modes(self) -> dict[str, Chosen]:
        """For each way that mail comes: what it may change, and why."""
        with self._reading() as connection:
            return {way: self._mode(connection, way) for way in SOURCES}

    def _mode(self, connection: Connection, way: str) -> Chosen:
        proving = self.ruling.keys or sends.any_sends(connection)
        return mode_of(way, self.ruling.options, proving=proving)

    def check(self, addresses: Sequence[str], now: datetime) -> dict[str, Denial]:
        """Of these canonical addresses those that may not be mailed ``now``, and why."""
        with self._reading() as connection:
            return checking.check(connection, addresses, now)

    def suppressions(self, wanted: SuppressionFilter) -> Iterator[SuppressionRow]:
        """Read as they are consumed, by address."""
        with self._reading() as connection:
            yield from checking.suppressions(connection, wanted)

    def count(self, now: datetime) -> dict[str, int]:
        """How many suppressions there are by standing."""
        with self._reading() as connection:
            return checking.count(connection, now)

    def waves(self) -> list[Wave]:
        with self._reading() as connection:
            return waves.waves(connection)

    def alerts(self) -> list[Alert]:
        with self._reading() as connection:
            return waves.alerts(connection)

    def alerts_since(self, when: datetime) -> list[Alert]:
        """Those raised after that time, the oldest first."""
        with self._reading() as connection:
            return alerts.since(connection, when)

    def last_alert(self) -> datetime | None:
        """When the newest was raised."""
        with self._reading() as connection:
            return alerts.last(connection)

    def undecided(self) -> int:
        """How many waves wait for a decision."""
        with self._reading() as connection:
            return alerts.undecided(connection)

    def show(self, address: str, now: datetime) -> AddressReport:
        """All there is to say of one canonical address."""
        with self._reading() as connection:
            [known] = standing.all_known(connection, [address])
            state = connection.execute(select(_state).where(_state.c.address == address)).one_or_none()
            wanted = SuppressionFilter(now=now, address=address)
            entries = connection.execute(
                select(*(_audit.c[name] for name in AuditEntry._fields))
                .where(_audit.c.address == address)
                .order_by(_audit.c.id)
            )
            return AddressReport(
                known,
                None if state is None else state._asdict(),
                tuple(checking.suppressions(connection, wanted)),
                tuple(AuditEntry(*entry) for entry in entries),
            )

    def known(self, addresses: Sequence[str]) -> dict[str, Known]:
        """What is known of each of these canonical addresses."""
        with self._reading() as connection:
            return {one.address: one for one in standing.all_known(connection, addresses)}

    def troubles(self, since: datetime) -> Iterator[Known]:
        """What is known of the addresses that mail failed for since then, as it is consumed."""
        with self._reading() as connection:
            found = list(connection.scalars(checking.failed_since(since)))
            for start in range(0, len(found), 500):
                yield from standing.all_known(connection, found[start : start + 500])


def _may_count(event: NewEvent, mode: Mode) -> bool:
    """Whether an event may change an address at all: what does not need not be folded."""
    if event.kind not in _MATTER:
        return False
    trust = event.correlation.trust if event.correlation is not None else Trust.UNPROVED
    if mode is not Mode.OBSERVE and not counts(mode, trust):
        return False
    verdict = event.verdict
    return verdict is None or (verdict.bounce_type in _TYPES and verdict.scope in _ABOUT_IT)


def _concerned(event: NewEvent) -> str:
    mailed = event.correlation.mailed_address if event.correlation is not None else None
    return storable(mailed or event.canonical)[:LOOKUP_LIMIT]
