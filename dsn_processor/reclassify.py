"""Stored mail through today's parser and rules: what would change, and changing it."""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Protocol

from dsn_processor.correlate.options import CorrelationOptions
from dsn_processor.errors import StoreError
from dsn_processor.facts import InboundMessage
from dsn_processor.matching import Report, correlated
from dsn_processor.pipeline import Unread, events_of, told
from dsn_processor.reading import Rules, read, rules_version
from dsn_processor.record.entries import NewEvent, NewReport, StoredMessage
from dsn_processor.terms import Trust

if TYPE_CHECKING:
    from dsn_processor.record.changes import Changes
    from dsn_processor.record.store import Store

_BATCH = 200


@dataclass(frozen=True, slots=True)
class Reclassified:
    """One stored mail read again. ``changes`` is None where reading it failed: ``error`` says why."""

    message: StoredMessage
    changes: "Changes | None" = None
    error: str | None = None


class Replacing(Protocol):
    """Who writes for a store that is only read here."""

    def replace(self, reports: Sequence[NewReport]) -> None:
        """Put these answers in place of older ones, in one transaction."""


def reclassify(
    store: "Store",
    rules: Rules | None = None,
    *,
    apply: bool,
    server: Replacing | None = None,
    correlation: CorrelationOptions | None = None,
) -> Iterator[Reclassified]:
    """Read every stored mail again, oldest first, and put the new answers in place of the old if ``apply``; told
    batch by batch, when they are on disk. A mail that cannot be read keeps the answer it has. Where a ``server`` holds the
    database, it is the one that writes.
    """
    run = _Run(store, rules, correlation)
    ids = store.message_ids()
    while batch := list(islice(ids, _BATCH)):
        with store.transaction() if apply and server is None else nullcontext():
            results = [run.again(message_id) for message_id in batch]
            reports, run.reports = run.reports, []
            if apply and server is None:
                for report in reports:
                    store.replace_report(report)
                    store.strengthen(report.message_id, report.events)
        if apply and server is not None and reports:
            server.replace(reports)
        yield from results


class _Run:
    """Knows which events the run has moved between mails, also where nobody has stored that: a dry run tells the same as a
    real one. ``reports`` are the answers to be replaced.
    """

    def __init__(self, store: "Store", rules: Rules | None, correlation: CorrelationOptions | None) -> None:
        self._store = store
        self._rules = rules
        self._correlation = correlation
        self.reports: list[NewReport] = []
        self._gone: set[str] = set()
        self._come: set[str] = set()

    def again(self, message_id: int) -> Reclassified:
        stored, raw = self._store.report(message_id), self._store.raw(message_id)
        if stored is None or raw is None:
            raise StoreError(f"{self._store.name}: mail {message_id} has gone while it was read")
        message = stored.message
        try:
            reading = read(raw, message.envelope, self._rules)
            recipients = events_of(reading, message.identity, message.received_at)
            inbound = InboundMessage(raw, message.source, message.envelope)
            mail = Report.of(
                Unread(inbound, message.identity, message.received_at), reading.parsed, recipients
            )
            [events] = correlated(self._store, [mail], self._correlation)
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - one mail must not stop the rest
            return Reclassified(message, error=told(error))
        version = rules_version(self._rules)
        report = NewReport(message_id=message_id, parsed=reading.parsed, rules=version, events=events)
        own = self._own(message_id, events)
        held = tuple(event for event in stored.events if event.identity not in self._come)
        changes = self._store.compare(stored._replace(events=held), report._replace(events=own))
        outdated = stored.rules != report.rules or stored.repeated != len(events) - len(own)
        if changes.report or changes.events or outdated or _proves(events, own):
            self.reports.append(report)
        before = {event.identity for event in held}
        after = {event.identity for event in events}
        self._gone |= before - after
        self._come |= after - before
        return Reclassified(message, changes)

    def _own(self, message_id: int, events: Sequence[NewEvent]) -> tuple[NewEvent, ...]:
        """The events that no earlier mail tells, each once: what later ones hold of them moves here, as if all had
        come in today.
        """
        identities = [event.identity for event in events]
        taken = self._store.events_earlier(identities, message_id) - self._gone
        taken |= self._come.intersection(identities)
        own: dict[str, NewEvent] = {}
        for event in events:
            if event.identity not in taken:
                own.setdefault(event.identity, event)
        return tuple(own.values())


def _proves(events: Sequence[NewEvent], own: Sequence[NewEvent]) -> bool:
    """Whether a mail proves events that another tells: how much that adds shows when it is stored."""
    return any(
        event.correlation is not None and event.correlation.trust is not Trust.UNPROVED and event not in own
        for event in events
    )
