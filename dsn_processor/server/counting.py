"""What became of mails, as metrics: the same whether listeners took them or a command handed them over."""

from dsn_processor import metrics
from dsn_processor.bulk import Prepared
from dsn_processor.pipeline import Outcome

_ACCEPTED = metrics.ACCEPTED.labels("control")
_BYTES = metrics.ACCEPTED_BYTES.labels("control")
_DUPLICATES = metrics.DUPLICATES.labels("control")
_TRUNCATED = metrics.TRUNCATED.labels("control")


def count_handed_over(size: int, *, duplicate: bool, truncated: bool) -> None:
    """A mail of ``size`` bytes that a command has handed over is stored, or was before."""
    _ACCEPTED.inc()
    _BYTES.inc(size)
    if duplicate:
        _DUPLICATES.inc()
    if truncated:
        _TRUNCATED.inc()


def count_processed(outcome: Outcome) -> None:
    """A mail was made sense of."""
    assert outcome.kind is not None
    metrics.PROCESSED.labels(outcome.kind.value).inc()
    for event in outcome.events:
        verdict = event.verdict
        kind = event.kind.value
        if verdict is None:
            metrics.EVENTS.labels(kind, "", "").inc()
        else:
            metrics.EVENTS.labels(kind, verdict.bounce_type.value, verdict.reason.value).inc()


def count_committed(prepared: Prepared, outcome: Outcome) -> None:
    """A mail that a command has read was stored with what it says."""
    message = prepared.message
    count_handed_over(message.size, duplicate=outcome.duplicate, truncated=message.truncated)
    if outcome.kind is not None:
        count_processed(outcome)
    elif not outcome.duplicate:
        metrics.QUARANTINED.inc()
