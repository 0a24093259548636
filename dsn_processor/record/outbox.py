"""The outbox, as the store keeps it: what others are to be told is written in the transaction in which it happens, once for
each endpoint that wants it, in the bytes that will be sent.

Where nobody wants to be told, nothing is gathered, noted or written.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy.engine import Connection

from dsn_processor.notify.attempts import Outcome, Turn, Wanted
from dsn_processor.notify.endpoints import Endpoint
from dsn_processor.notify.notification import EventType, Notification
from dsn_processor.record import deliveries, endpoints, moves, queries
from dsn_processor.record.addresses import Addresses
from dsn_processor.record.deliveries import Delivery, DeliveryFilter, Figures
from dsn_processor.record.entries import NewReport, StoredEvent
from dsn_processor.terms import Kind, Mode

if TYPE_CHECKING:
    from dsn_processor.record.telling import Told


class Outbox:
    """Of one store. What it writes belongs into the store's transaction. ``wake`` is called when something new is on disk."""

    def __init__(
        self,
        connection: Connection,
        reading: Callable[[], AbstractContextManager[Connection]],
        addresses: Addresses,
    ) -> None:
        self._connection = connection
        self._reading = reading
        self._addresses = addresses
        self.wake: Callable[[], None] | None = None
        self._known: Mapping[int, Endpoint] | None = None
        self._types: frozenset[EventType] = frozenset()
        self._watching = self._watched = False
        self._notes = moves.Notes()
        self._told: list[Told] = []
        self._before: dict[int, tuple[Kind | None, list[StoredEvent]]] = {}
        self._mails: list[tuple[NewReport, Kind | None]] = []
        self._quarantined: list[tuple[int, str | None]] = []
        self._fresh = False

    # ---- what the store tells

    def begin(self) -> None:
        """A transaction has begun."""
        self._told.clear()
        self._before.clear()
        self._mails.clear()
        self._quarantined.clear()
        self._notes.clear()
        self._fresh = False
        self._watched = self._watching
        self._watching = bool(self._wanted() & moves.TYPES)
        if self._watching and not self._watched:
            moves.watch(self._connection, self._notes)
        elif self._watched and not self._watching:
            moves.unwatch(self._connection)

    def failed(self) -> None:
        """The transaction came to nothing, and with it whatever it did about endpoints and triggers."""
        self._known = None
        self._watching = self._watched

    def came(self, reports: Sequence[NewReport], modes: Mapping[int, Mode], added: set[str]) -> None:
        """Reports were stored; those events that are ``added`` are new."""
        if not self._wanted():
            return
        from dsn_processor.notify.describing import Report  # noqa: PLC0415  most stores tell nobody
        from dsn_processor.record.telling import Told  # noqa: PLC0415

        left = set(added)
        for report in reports:
            if not report.events:
                self._mails.append((report, None))
            for event in report.events:
                if event.identity in left:
                    left.discard(event.identity)
                    mode = modes[report.message_id]
                    self._told.append(Told(event, Report(report.message_id, report.parsed), mode))

    def leaves(self, report: NewReport) -> None:
        """A report, and events that others hold, are about to be replaced."""
        if not self._wanted():
            return
        stored = queries.report(self._connection, report.message_id)
        kind = None if stored is None or stored.reading is None else stored.reading.parsed.kind
        mine = list(stored.events) if stored is not None else []
        mine_too = {event.identity for event in mine}
        others = [event.identity for event in report.events if event.identity not in mine_too]
        self._before[report.message_id] = kind, [*mine, *queries.with_identities(self._connection, others)]

    def replaced(self, report: NewReport) -> None:
        """It was. What was told before and is another now is told as that; what nobody was told, as what it is."""
        if report.message_id not in self._before:
            return
        from dsn_processor.notify.describing import Report  # noqa: PLC0415  as above
        from dsn_processor.record.telling import Told, differs  # noqa: PLC0415

        kind, before = self._before.pop(report.message_id)
        stored = queries.report(self._connection, report.message_id)
        assert stored is not None
        if not report.events:
            self._mails.append((report, kind))
        mode = self._addresses.mode_kept(report.message_id)
        about = Report(report.message_id, report.parsed)
        for event in stored.events:
            old = _taken(before, event)
            if old is None or differs(old, event):
                self._told.append(Told(event, about, mode, old))
        mine = [event for event in before if event.message_id == report.message_id]
        elsewhere = queries.stored_events(self._connection, [event.identity for event in mine])
        gone = [event for event in mine if event.identity not in elsewhere]
        self._told += [Told(None, about, mode, event) for event in gone]

    def quarantined(self, message_id: int, error: str | None) -> None:
        """A mail was put aside for a person."""
        if EventType.REPORT_QUARANTINED in self._wanted():
            self._quarantined.append((message_id, error))

    def settle(self) -> None:
        """The transaction is about to end: put into words what it has to tell, and keep it."""
        if not self._wanted():
            return
        self.tell(list(self._notifications()))

    def committed(self) -> None:
        """It is on disk."""
        if self._fresh and self.wake is not None:
            self.wake()

    def tell(self, told: Sequence[Notification], only: Endpoint | None = None) -> int:
        """Put these into the outbox of all who want them, or of one. Returns how many deliveries that makes."""
        if not told:
            return 0
        from dsn_processor.record.posting import rows_of  # noqa: PLC0415  as above

        now = datetime.now(UTC)
        some = [only] if only is not None else [one for one in self.endpoints().values() if one.enabled]
        rows = list(rows_of(told, some, now, all_types=only is not None))
        deliveries.add(self._connection, rows)
        self._fresh |= bool(rows)
        return len(rows)

    def _notifications(self) -> Iterator[Notification]:
        if not (self._told or self._mails or self._quarantined or self._notes):
            return
        from dsn_processor.record import telling  # noqa: PLC0415  as above

        wanted = self._wanted()
        events = telling.chosen(self._told, wanted)
        now = moves.now_of(self._connection, {*self._notes.addresses(), *(one.address for one in events)})
        known = self._addresses.settled(telling.retried(events))
        yield from telling.of_events(events, now, known, self._addresses.ruling.options)
        yield from telling.of_mails(self._connection, self._mails, wanted)
        yield from telling.of_quarantined(self._connection, self._quarantined)
        yield from telling.of_moves(moves.moves(self._connection, self._notes, now), wanted)

    # ---- endpoints

    def _wanted(self) -> frozenset[EventType]:
        """What anybody wants to be told."""
        if self._known is None:
            self.endpoints()
        return self._types

    def endpoints(self) -> Mapping[int, Endpoint]:
        """All, by number. Only this store's own process changes them: one process writes."""
        if self._known is None:
            with self._reading() as connection:
                self._known = endpoints.endpoints(connection)
            self._types = frozenset().union(*(one.types for one in self._known.values() if one.enabled))
        return self._known

    def change(self, step: Callable[[Connection], Any]) -> Any:
        """Change something about endpoints (record/endpoints.py)."""
        answer = step(self._connection)
        self._known = None
        self._fresh = True
        return answer

    def know_people(self, people: Mapping[str, Mapping[str, Any]], now: float) -> list[str]:
        """Keep what they want to hear, by name; forget all others with what waits for them. Returns the names that webhooks have."""
        taken = self.change(lambda connection: endpoints.know_people(connection, people, now))
        return list(taken)

    # ---- deliveries

    def turn(self, outcomes: Sequence[Outcome], wanted: Mapping[int, Wanted], now: float) -> Turn:
        """Keep what came of attempts, and tell what is due."""
        disabled, paused = (
            deliveries.disable(self._connection, outcomes),
            deliveries.pause(self._connection, outcomes),
        )
        if disabled or paused:
            self._known = None
        return deliveries.turn(self._connection, self.endpoints(), outcomes, wanted, now)

    def hasten(self, endpoint: Endpoint, now: float) -> None:
        """Have all that waits for an endpoint tried now."""
        deliveries.hasten(self._connection, endpoint.id, now)
        self._fresh = True

    def replay(self, wanted: DeliveryFilter, now: float) -> int:
        """Have these delivered once more, under the same id. Returns how many."""
        self._fresh = True
        return deliveries.replay(self._connection, wanted, now)

    def clean(self, now: float, keep: float, keep_dead: float) -> int:
        """Forget some of what was delivered, or given up, so many seconds ago."""
        return deliveries.clean(self._connection, now, keep, keep_dead)

    def deliveries(self, wanted: DeliveryFilter) -> Iterator[Delivery]:
        """The newest first, read as they are consumed."""
        with self._reading() as connection:
            yield from deliveries.deliveries(connection, wanted)

    def body(self, number: int) -> bytes | None:
        """What is sent, byte for byte."""
        with self._reading() as connection:
            return deliveries.body(connection, number)

    def figures(self) -> Figures:
        with self._reading() as connection:
            return deliveries.figures(connection)

    def counts(self) -> dict[int, dict[str, int]]:
        """How many deliveries there are, by endpoint and state."""
        with self._reading() as connection:
            return deliveries.counts(connection)

    def next_at(self) -> float | None:
        """When the next attempt is due, in seconds since 1970."""
        with self._reading() as connection:
            return deliveries.next_at(connection)


def _taken(before: list[StoredEvent], event: StoredEvent) -> StoredEvent | None:
    """What was told of the same recipient, taken out of the list: by its identity, else by its address."""
    for same in ("identity", "canonical"):
        for old in before:
            if getattr(old, same) == getattr(event, same):
                before.remove(old)
                return old
    return None
