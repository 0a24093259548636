"""What another reading of a stored mail would change, compared in the form that the store keeps."""

from dataclasses import dataclass
from types import SimpleNamespace

from dsn_processor.record.columns import storable_json
from dsn_processor.record.entries import NewReport, StoredEvent, StoredReport
from dsn_processor.record.rows import event_fact, event_row, parsed_fact, report_row
from dsn_processor.terms import Kind


@dataclass(frozen=True, slots=True)
class EventChange:
    """One recipient: what is stored, and what would be. None where there is nothing."""

    before: StoredEvent | None
    after: StoredEvent | None

    @property
    def answer(self) -> bool:
        """Whether the answer itself changes, and not only what it was read from."""
        return _answer(self.before) != _answer(self.after)


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What differs in one mail. ``report``: something that the mail says of itself, its kind or other."""

    kind_before: Kind | None
    kind_after: Kind
    report: bool
    events: tuple[EventChange, ...]


def compare(stored: StoredReport, new: NewReport) -> Changes:
    """``new`` holds the events that are this mail's own: those that another mail brought are left out."""
    waiting: dict[str, list[StoredEvent]] = {}
    for held in stored.events:
        waiting.setdefault(held.canonical, []).append(held)
    changes = []
    for after, event in zip(_as_stored(new, stored), new.events, strict=True):
        same = waiting.get(after.canonical)
        before = same.pop(0) if same else None
        if before is not None and (event.correlation is None or before.proved_by is not None):
            after = after._replace(correlation=before.correlation, proved_by=before.proved_by)
        if before is None or _content(before) != _content(after):
            changes.append(EventChange(before, after))
    changes += [EventChange(before, None) for rest in waiting.values() for before in rest]
    recipients = () if stored.reading is None else stored.reading.parsed.recipients
    parsed = parsed_fact(SimpleNamespace(**storable_json(report_row(new, 0))), recipients)
    return Changes(
        kind_before=None if stored.reading is None else stored.reading.parsed.kind,
        kind_after=new.parsed.kind,
        report=stored.reading is None or parsed != stored.reading.parsed,
        events=tuple(changes),
    )


def _as_stored(new: NewReport, stored: StoredReport) -> list[StoredEvent]:
    mail = {
        "id": 0,
        "source": stored.message.source,
        "reporting_mta": new.parsed.reporting_mta,
        "arrival_date": new.parsed.arrival_date,
    }
    rows = (storable_json(event_row(new.message_id, event)) for event in new.events)
    return [event_fact(SimpleNamespace(**mail, **row)) for row in rows]


def _content(event: StoredEvent) -> tuple[object, ...]:
    return (event.identity, event.kind, event.occurred_at, event.recipient, event.verdict, event.correlation)


def _answer(event: StoredEvent | None) -> tuple[object, ...] | None:
    if event is None:
        return None
    recipient, verdict = event.recipient, event.verdict
    judged = verdict and (
        verdict.bounce_type,
        verdict.reason,
        verdict.scope,
        verdict.confidence,
        verdict.rule_id,
    )
    correlation = event.correlation
    tied = (correlation.trust, correlation.mailed_address, correlation.findings)
    return (recipient.address, event.kind, recipient.status, recipient.reply_code, judged, tied)
