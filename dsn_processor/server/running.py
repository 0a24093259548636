"""A running server: what it is made of, how it starts, takes new settings, and ends."""

import asyncio
import ctypes
import os
import signal
import time
from collections.abc import Callable, Collection
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import NamedTuple

import uvloop

from dsn_processor import logs, metrics
from dsn_processor.errors import DsnProcessorError
from dsn_processor.facts import InboundMessage
from dsn_processor.intake.mailbox.accounts import Accounts
from dsn_processor.intake.mailbox.keeping import StoreKeeping
from dsn_processor.intake.smtp.listener import Listener
from dsn_processor.intake.taking import Refusal
from dsn_processor.listening import cannot_listen, open_tcp
from dsn_processor.pipeline import Accepted
from dsn_processor.policy.modes import lines_of
from dsn_processor.reading import Rules
from dsn_processor.server.control import Control
from dsn_processor.server.following import AccountMetrics
from dsn_processor.server.keeper import Keeper
from dsn_processor.server.pacing import Rush
from dsn_processor.server.processing import Processing
from dsn_processor.server.systemd import handed_sockets, notify
from dsn_processor.server.webhooks import Webhooks
from dsn_processor.server.writer import Writer
from dsn_processor.settings.model import Settings
from dsn_processor.teach.own import load_rules
from dsn_processor.web.serving import Web
from dsn_processor.workers import Readers

log = logs.get_logger(room="server")

#: Seconds that a server which is told to end gives to mails in flight, and then to mails being read.
DRAIN_SECONDS = 20.0
_READING_SECONDS = 5.0
_FETCHING_SECONDS = 8.0  # for the mails that are being fetched
_OPEN_SECONDS = 5.0
_M_MMAP_THRESHOLD, _LARGE_BLOCK = -3, 262_144
_OLD_SECONDS = 900.0  # a mail that waits so long to be processed says that something is wrong


class Started(NamedTuple):
    """Where a server that has started is to be found: the database's file, addresses by listener, the web's address; which reports may change an
    address, in lines for a person.
    """

    database: Path
    addresses: dict[str, list[str]]
    web: str | None
    modes: list[str]


class Server:
    """``reload`` reads the settings anew, and raises DsnProcessorError where they cannot be used."""

    def __init__(self, settings: Settings, reload: Callable[[], Settings]) -> None:
        self._settings = settings
        self._reload = reload
        self._rules = _rules(settings)
        self._stop = asyncio.Event()
        self._keeper = Keeper(settings.database, min_free=settings.min_free, ruling=settings.ruling)
        self._processing = Processing(settings.processing, lambda: self._rules)
        self._writer = Writer(self._keeper, self._processing, lambda: self._settings.correlation)
        self._rush = Rush()
        self._webhooks = Webhooks(
            self._writer.call,
            lambda: self._settings.webhooks,
            lambda: self._settings.notify,
            self._rush.is_on,
        )
        self._listener = Listener(self, settings.smtp, settings.lmtp)
        self._web = Web(settings.web, self)
        self._readers = Readers(
            1, memory=settings.processing.memory, cpu_seconds=settings.processing.cpu_seconds
        )
        self._follower = AccountMetrics()
        self._accounts = Accounts(
            StoreKeeping(self._writer.ask, self._writer.correlation, self._writer.came),
            self._readers,
            lambda: self._rules,
            self._follower,
        )

    async def run(self, started: Callable[[Started], None]) -> None:
        """Serve until SIGTERM or SIGINT. ``started`` is told when mail is taken. Raises DsnProcessorError where it
        cannot start.
        """
        handed = handed_sockets()
        self._try_addresses(handed)
        async with AsyncExitStack() as closing:
            database = await self._open(closing)
            web = await self._web.start(handed.get("web"))
            closing.push_async_callback(self._web.stop)
            closing.push_async_callback(self._listener.close)
            await self._listener.start(handed)
            closing.push_async_callback(asyncio.to_thread, self._end_accounts)
            self._fetch()
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, self._stop.set)
            loop.add_signal_handler(signal.SIGHUP, self.reload)
            modes = lines_of(await self._writer.call(lambda store: store.addresses.chosen_modes()))
            started(Started(database, self._listener.addresses, web, modes))
            notify(f"READY=1\nMAINPID={os.getpid()}")
            log.info("started", database=str(database), web=web, modes=modes, **self._listener.addresses)
            await self._stop.wait()
            log.info("stopping", sessions=self._listener.sessions)
            notify("STOPPING=1")
            drained, _ = await asyncio.gather(
                self._listener.drain(DRAIN_SECONDS), asyncio.to_thread(self._end_accounts)
            )
            if not drained:
                log.warning("sessions cut", sessions=self._listener.sessions)
        log.info("stopped")

    def _try_addresses(self, handed: Collection[str]) -> None:
        """See that addresses can be had before a database is made that nobody wants then."""
        for name, address in self._settings.addresses:
            if name in handed or address.path:
                continue
            try:
                for one in open_tcp(address):
                    one.close()
            except OSError as error:
                raise cannot_listen(address, error) from None

    async def _open(self, closing: AsyncExitStack) -> Path:
        """The store, who writes it, and who reads mails; ended in the other order."""
        database = self._keeper.open(_OPEN_SECONDS)
        closing.push_async_callback(self._writer.stop)
        self._writer.start()
        closing.push_async_callback(asyncio.to_thread, self._processing.stop, _READING_SECONDS)
        self._processing.start(self._writer)
        self._webhooks.start()
        closing.push_async_callback(self._webhooks.stop)
        self._keeper.wake = self._webhooks.wake
        await self._webhooks.know_people()
        control = Control(self._keeper, self._writer, self, lambda: self._settings.webhooks)
        await control.start()
        closing.push_async_callback(control.stop)
        self._watch()
        return database

    def _fetch(self) -> None:
        """Fetch mail from the accounts of today's settings."""
        accounts = self._settings.accounts
        self._follower.expect([account.name for account in accounts])
        self._accounts.set(accounts)

    def _end_accounts(self) -> None:
        self._accounts.stop(_FETCHING_SECONDS)
        self._readers.close()

    def reload(self) -> None:
        """Take today's settings and rules, all or, where something is wrong with them, none."""
        notify(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")
        try:
            self._take_over(self._reload())
        except DsnProcessorError as error:
            metrics.RELOADS.labels("failed").inc()
            log.error("reload failed", error=str(error), kept="the settings and rules before")  # noqa: TRY400  the words say it
        except Exception:
            metrics.RELOADS.labels("failed").inc()
            log.exception("fault of ours")
        notify("READY=1")

    def _take_over(self, settings: Settings) -> None:
        """What may fail comes first."""
        rules = _rules(settings)
        same = self._listener.reload(settings.smtp, settings.lmtp)
        logs.configure(settings.log)
        metrics.RELOADS.labels("done").inc()
        before, self._settings, self._rules = self._settings, settings, rules
        self._keeper.min_free, self._keeper.ruling = settings.min_free, settings.ruling
        self._fetch()
        self._webhooks.reload()
        log.info("reloaded", rules=settings.rules or None)
        if not same or _fixed(before) != _fixed(settings):
            log.warning("restart needed", why="the database, addresses or worker processes are others now")

    # ---- what listeners ask (intake/taking.py)

    async def take(self, message: InboundMessage) -> Accepted:
        self._rush.came()
        return await asyncio.shield(self._writer.take(message))

    def refusal(self) -> Refusal | None:
        return self._keeper.refusal()

    # ---- what the web asks

    def troubles(self) -> list[str]:
        """Why no mail is taken, or taken and not made sense of; none where all is well."""
        found = []
        if self._stop.is_set():
            found.append("stopping")
        if refusal := self._keeper.refusal():
            found.append(f"the store: {self._keeper.state.fault or refusal.text}")
        if self._keeper.state.oldest_seconds() > _OLD_SECONDS:
            found.append("a mail has been waiting to be processed for too long: see the log")
        return found

    def figures(self) -> dict[str, float]:
        state = self._keeper.state
        return {
            "waiting": state.waiting,
            "oldest_seconds": round(state.oldest_seconds(), 3),
            "quarantined": state.quarantined,
            "sessions": self._listener.sessions,
        }

    def _watch(self) -> None:
        keeper = self._keeper
        metrics.observe(metrics.QUEUE_MAILS, lambda: keeper.state.waiting)
        metrics.observe(metrics.QUEUE_OLDEST_SECONDS, lambda: keeper.state.oldest_seconds())  # noqa: PLW0108  the state is another one each time
        metrics.observe(metrics.QUARANTINE_MAILS, lambda: keeper.state.quarantined)
        metrics.observe(metrics.STORE_FREE_BYTES, lambda: keeper.state.free or 0)
        self._webhooks.watch()
        metrics.observe(metrics.READY, lambda: not self.troubles())


def _rules(settings: Settings) -> Rules | None:
    return load_rules(settings.rules) if settings.rules else None


def _fixed(settings: Settings) -> tuple[object, ...]:
    """What only a restart changes."""
    return settings.database, settings.processing, settings.web


def serve(settings: Settings, reload: Callable[[], Settings], started: Callable[[Started], None]) -> None:
    """Serve until told to end."""

    async def run() -> None:
        await Server(settings, reload).run(started)

    _give_memory_back()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


def _give_memory_back() -> None:
    """Have large blocks mapped each by itself, so that they go back to the system when they are freed (mallopt(3)): mails of
    megabytes would else leave holes that nothing fits into. Where the C library knows no such thing, so be it.
    """
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE_BLOCK)
