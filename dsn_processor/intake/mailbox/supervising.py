"""Keeps an account going, in a thread of its own: whatever goes wrong is told, and tried again after a while."""

import random
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

from dsn_processor import logs
from dsn_processor.errors import DsnProcessorError, LoginRefusedError, StoreError
from dsn_processor.intake.mailbox.bell import Bell
from dsn_processor.intake.mailbox.keeping import Keeping, Looked, Mailbox
from dsn_processor.pipeline import Outcome
from dsn_processor.record.entries import AccountStatus

log = logs.get_logger(room="mailbox")

_LEAST_SECONDS, _MOST_SECONDS = 1.0, 300.0
_REFUSED_SECONDS = 900.0  # servers lock accounts to which somebody tries to log in again and again
_STEADY_SECONDS = 60.0  # a connection that lasted so long makes up for failures before it
_SOME = 3  # failures that a look without one leaves
_WRITE_SECONDS = 15.0  # between two notes of how the account does, where nothing changed


class Watching(Protocol):
    """Who wants to know how far a look is."""

    def found(self, account: str, waiting: int) -> None:
        """So many more mails were found and are to be fetched."""

    def taken(self, account: str, outcomes: Sequence[Outcome], handled: int, waiting: int) -> None:
        """Of the mails found, ``handled`` more are stored, left or gone; ``waiting`` are still to come."""


class Following(Watching, Protocol):
    """Who wants to know what accounts do, and how they do."""

    def account(self, status: AccountStatus) -> None:
        """The account does so now."""


class Supervisor:
    """Looks after one mailbox. ``interval`` is the time between two looks. ``after`` is a supervisor whose place this one
    takes: an account has one connection.
    """

    def __init__(
        self,
        name: str,
        interval: float,
        make: Callable[[Bell, Watching], Mailbox],
        keeping: Keeping,
        following: Following,
        *,
        after: "Supervisor | None" = None,
    ) -> None:
        self.name = name
        self._interval = interval
        self._bell = Bell()
        self._mailbox = make(self._bell, self)
        self._keeping = keeping
        self._following = following
        self._after = after
        self._written = 0.0
        self.status = AccountStatus(name)
        self._thread = threading.Thread(target=self._run, name=f"account-{name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def retry(self) -> None:
        """Look now, whatever was to be waited for."""
        self._bell.ring()

    def stop(self) -> None:
        """End after what is being fetched is stored."""
        self._bell.stop()

    def join(self, seconds: float) -> bool:
        """Wait for the end, so long; then the connection is broken off. Returns whether it has ended by itself."""
        self._thread.join(seconds)
        if not self._thread.is_alive():
            return True
        self.hang_up()
        return False

    def hang_up(self) -> None:
        """Break the connection off: nothing more is fetched."""
        self._mailbox.hang_up()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    # ---- what the mailbox tells while it is looked at

    def found(self, account: str, waiting: int) -> None:
        self._now_waiting(self.status.waiting + waiting)
        self._following.found(account, waiting)

    def taken(self, account: str, outcomes: Sequence[Outcome], handled: int, waiting: int) -> None:
        self._now_waiting(waiting)
        self._following.taken(account, outcomes, handled, waiting)

    def _now_waiting(self, waiting: int) -> None:
        self.status = self.status._replace(waiting=waiting)
        self._following.account(self.status)
        if time.monotonic() - self._written > _WRITE_SECONDS:
            self._write(self.status)

    # ---- the thread

    def once(self) -> Exception | None:
        """One look, in this thread. Returns what went wrong."""
        self._remember()
        try:
            self._mailbox.open()
            self._well(self._mailbox.look(), next_try=None)
        except DsnProcessorError as error:
            self._note_failure(error, None)
            return error
        except Exception as error:
            log.exception("fault of ours", account=self.name)
            self._note_failure(error, None)
            return error
        finally:
            self._mailbox.close()
        return None

    def _run(self) -> None:
        if self._after is not None:
            while self._after.alive:
                self._after.join(5.0)
            self._after = None
        self._remember()
        failures = 0
        while not self._bell.stopped():
            opened = time.monotonic()
            try:
                self._mailbox.open()
                while not self._bell.stopped():
                    self._bell.hear()
                    self.status = self.status._replace(waiting=0)
                    self._well(self._mailbox.look(), next_try=self._interval)
                    failures = min(failures, _SOME)
                    self._mailbox.wait(self._interval)
            except DsnProcessorError as error:
                failure: Exception = error
            except Exception as error:
                log.exception("fault of ours", account=self.name)
                failure = error
            else:
                break
            finally:
                self._close()
            if self._bell.stopped():
                break
            failures = 1 if time.monotonic() - opened > _STEADY_SECONDS else failures + 1
            pause = _REFUSED_SECONDS if isinstance(failure, LoginRefusedError) else backoff(failures)
            self._failed(failure, pause)
            self._bell.wait(pause)
            self._bell.hear()
        self._write(self.status._replace(next_try_at=None))

    def _close(self) -> None:
        try:
            self._mailbox.close()
        except Exception:
            log.exception("fault of ours", account=self.name)

    # ---- how it does

    def _remember(self) -> None:
        try:
            self.status = self._keeping.account(self.name) or self.status
        except StoreError as error:
            log.warning("status not read", account=self.name, error=str(error))

    def _well(self, looked: Looked, next_try: float | None) -> None:
        """A look came to its end; where something was refused, what is left of it is told."""
        now = datetime.now(UTC)
        before = self.status
        self.status = before._replace(
            checked_at=now,
            failing=bool(looked.problems),
            waiting=0,
            taken=before.taken + looked.taken,
            next_try_at=_later(now, next_try),
        )
        for problem in looked.problems:
            self.status = self.status._replace(error=problem, error_at=now)
            if problem != before.error or not before.failing:
                log.warning("account has a problem", account=self.name, error=problem)
        if before.failing and not self.status.failing:
            log.info("account recovered", account=self.name)
        changed = looked.taken or before.failing != self.status.failing
        if changed or next_try is None or time.monotonic() - self._written > _WRITE_SECONDS:
            self._write(self.status)
        self._following.account(self.status)

    def _failed(self, error: Exception, pause: float) -> None:
        log.warning("account failed", account=self.name, error=str(error), again_in=round(pause, 1))
        self._note_failure(error, pause)

    def _note_failure(self, error: Exception, pause: float | None) -> None:
        now = datetime.now(UTC)
        self.status = self.status._replace(
            failing=True, error=str(error), error_at=now, next_try_at=_later(now, pause)
        )
        self._write(self.status)
        self._following.account(self.status)

    def _write(self, status: AccountStatus) -> None:
        self._written = time.monotonic()
        try:
            self._keeping.set_account(status)
        except StoreError as error:
            log.warning("status not kept", account=self.name, error=str(error))


def backoff(failures: int) -> float:
    """Seconds to wait after so many failures in a row: 1, 2, 4 ... 300, and a little more or less, so that accounts on
    one server do not come back together.
    """
    seconds = min(_MOST_SECONDS, _LEAST_SECONDS * 2.0 ** min(failures - 1, 20))
    return min(_MOST_SECONDS, max(_LEAST_SECONDS, seconds * random.uniform(0.75, 1.25)))  # noqa: S311  no secret


def _later(now: datetime, seconds: float | None) -> datetime | None:
    return None if seconds is None else now + timedelta(seconds=seconds)
