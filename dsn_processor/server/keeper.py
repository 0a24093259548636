"""The store in good and bad times: what it met, when to try it again, how much waits and how much room is left."""

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from dsn_processor import logs, metrics
from dsn_processor.errors import StoreBusyError, StoreError, StoreFullError, StoreMovedError
from dsn_processor.intake.taking import Refusal
from dsn_processor.metrics import Fault
from dsn_processor.policy.modes import Ruling
from dsn_processor.record.store import Store
from dsn_processor.server.alerting import Alerting

log = logs.get_logger(room="store")

#: Between looks at the store, and between attempts to write again after a fault.
LOOK_SECONDS = 1.0

_FAULTS = ((StoreBusyError, Fault.BUSY), (StoreFullError, Fault.FULL), (StoreMovedError, Fault.MOVED))


_RULING = Ruling()


class State(NamedTuple):
    """How the store does, as the writer last saw it: for other threads to look at. ``oldest`` is when the mail that
    waits longest to be processed came; ``free`` are the bytes left on its file system.
    """

    waiting: int = 0
    oldest: datetime | None = None
    quarantined: int = 0
    free: int | None = None
    fault: StoreError | None = None

    def oldest_seconds(self) -> float:
        return 0.0 if self.oldest is None else max(0.0, (datetime.now(UTC) - self.oldest).total_seconds())


class Keeper:
    """Has the store open. All but ``state`` and ``refusal`` is the writer's thread's alone, once that runs."""

    def __init__(self, url: str, *, min_free: int, ruling: Ruling = _RULING) -> None:
        self._url = url
        self.ruling = ruling
        self.min_free = min_free
        self._store: Store | None = None
        #: Called when there is something new in the outbox.
        self.wake: Callable[[], None] | None = None
        self._alerting = Alerting()
        self._looked = self._tried = 0.0
        self.state = State()

    def open(self, wait: float) -> Path:
        """Open the database. Returns its file; raises what Store.open raises."""
        self._store = Store.open(self._url, wait=wait)
        self._prepare(self._store)
        self.path = Path(self._store.name).absolute()
        self.look()
        return self.path

    def _prepare(self, store: Store) -> None:
        """A reload may have brought another ruling."""
        store.addresses.ruling, store.outbox.wake = self.ruling, self.wake

    def close(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            try:
                store.close()
            except StoreError as error:
                log.warning("store not closed", error=str(error))

    def failed(self, error: StoreError) -> None:
        """The store met a fault: senders are told to come again until it can be written."""
        kind = next((fault for name, fault in _FAULTS if isinstance(error, name)), Fault.OTHER)
        metrics.STORE_FAULTS.labels(kind.value).inc()
        if self.state.fault is None:
            log.error("store failed", kind=kind.value, error=str(error))
        self._tried = time.monotonic()
        self.state = self.state._replace(fault=error)

    def sound(self, *, at_once: bool = False) -> Store | None:
        """The store, where it can be written to. After a fault it is tried again at intervals, or ``at_once``.

        Where neither lock nor room was the trouble it is opened anew: an error of the disk may be told only once.
        """
        fault = self.state.fault
        if fault is None:
            if self._store is not None:
                self._prepare(self._store)
            return self._store
        if time.monotonic() - self._tried < LOOK_SECONDS and not at_once:
            return None
        try:
            if not isinstance(fault, StoreBusyError | StoreFullError):
                self.close()
            if self._store is None:
                self._store = Store.open(self._url, wait=0, again=True)
            self._prepare(self._store)
            self._store.probe()
        except StoreError as error:
            self._tried = time.monotonic()
            self.state = self.state._replace(fault=error)
            return None
        self.state = self.state._replace(fault=None)
        log.info("store recovered")
        return self._store

    def look(self) -> None:
        """See how much waits and how much room is left, where that was not seen just now."""
        now = time.monotonic()
        if self._store is None or now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        self._alerting.look(self._store)
        waiting, oldest = self._store.backlog()
        try:
            status = os.statvfs(self.path.parent)
            free = status.f_bavail * status.f_frsize
        except OSError:
            free = None
        quarantined = self._store.count_quarantined()
        self.state = self.state._replace(waiting=waiting, oldest=oldest, quarantined=quarantined, free=free)

    def refusal(self) -> Refusal | None:
        """Why no mail can be taken now."""
        fault, free = self.state.fault, self.state.free
        if isinstance(fault, StoreFullError) or (free is not None and free < self.min_free):
            return Refusal(452, "4.3.1", "No room for mail now, please come again")
        if fault is not None:
            return Refusal(451, "4.3.0", "Mail cannot be stored now, please come again")
        return None
