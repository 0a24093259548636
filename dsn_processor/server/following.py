"""What accounts do, as metrics and lines of the log."""

from collections.abc import Sequence

from dsn_processor import logs, metrics
from dsn_processor.pipeline import Outcome
from dsn_processor.record.entries import AccountStatus
from dsn_processor.server.counting import count_processed

log = logs.get_logger(room="mailbox")

RESULTS = ("stored", "known", "left")


class AccountMetrics:
    """Counts; safe to call from any thread."""

    def __init__(self) -> None:
        self._errors: dict[str, object] = {}

    def expect(self, accounts: Sequence[str]) -> None:
        """Have these accounts on the page from now on, and no others."""
        for gone in set(self._errors) - set(accounts):
            del self._errors[gone]
            for gauge in (metrics.ACCOUNT_UP, metrics.ACCOUNT_CHECKED, metrics.ACCOUNT_WAITING):
                gauge.remove(gone)
        for name in accounts:
            if name not in self._errors:
                self._errors[name] = None
                metrics.ACCOUNT_UP.labels(name).set(0)
                metrics.ACCOUNT_CHECKED.labels(name)
                metrics.ACCOUNT_WAITING.labels(name)
                metrics.ACCOUNT_FAILURES.labels(name)
                for result in RESULTS:
                    metrics.ACCOUNT_MAILS.labels(name, result)

    def found(self, account: str, waiting: int) -> None:
        log.info("mail found", account=account, mails=waiting)

    def taken(self, account: str, outcomes: Sequence[Outcome], handled: int, waiting: int) -> None:  # noqa: ARG002  (the protocol's)
        known = sum(outcome.duplicate for outcome in outcomes)
        metrics.ACCOUNT_MAILS.labels(account, "known").inc(known)
        metrics.ACCOUNT_MAILS.labels(account, "stored").inc(len(outcomes) - known)
        metrics.ACCOUNT_MAILS.labels(account, "left").inc(max(0, handled - len(outcomes)))
        for outcome in outcomes:
            if outcome.kind is not None:
                count_processed(outcome)
            elif outcome.error:
                metrics.QUARANTINED.inc()
                log.warning(
                    "quarantined", mail=outcome.message_id, source=outcome.source, error=outcome.error
                )

    def account(self, status: AccountStatus) -> None:
        name = status.account
        if name not in self._errors:
            return  # it is ending
        metrics.ACCOUNT_UP.labels(name).set(not status.failing)
        metrics.ACCOUNT_WAITING.labels(name).set(status.waiting)
        if status.checked_at is not None:
            metrics.ACCOUNT_CHECKED.labels(name).set(status.checked_at.timestamp())
        if status.error_at != self._errors[name]:
            self._errors[name] = status.error_at
            if status.failing:
                metrics.ACCOUNT_FAILURES.labels(name).inc()
