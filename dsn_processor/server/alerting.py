"""Tells the log and the metrics of what a person should hear: where decisions wait, and where many mails meet one block."""

from datetime import UTC, datetime

from dsn_processor import logs, metrics
from dsn_processor.record.store import Store

log = logs.get_logger(room="policy")

_ADVICE = {
    "blocks": "we are refused, not the addresses: `dsn-processor events --type block` has the replies",
    "suppressions_held": "`dsn-processor suppressions waves` tells; release or undo it",
}
_EVER = datetime(1990, 1, 1, tzinfo=UTC)


class Alerting:
    """Each alert is told once: what was raised before the server started is told by `stats` and `doctor`."""

    def __init__(self) -> None:
        self._told: datetime | None = None

    def look(self, store: Store) -> None:
        """Tell what came up since the last look."""
        metrics.WAVES_UNDECIDED.set(store.addresses.undecided())
        if self._told is None:
            self._told = store.addresses.last_alert() or _EVER
            return
        for alert in store.addresses.alerts_since(self._told):
            self._told = alert.raised_at
            metrics.ALERTS.labels(alert.kind).inc()
            log.warning(
                "alert",
                kind=alert.kind,
                subject=alert.subject,
                number=alert.number,
                name=alert.name,
                advice=_ADVICE.get(alert.kind),
            )
