"""All accounts that mail is fetched from: a supervisor each, and readers for all of them."""

import threading
import time
from collections.abc import Callable, Sequence

from dsn_processor.intake.mailbox.bell import Bell
from dsn_processor.intake.mailbox.imap import ImapMailbox
from dsn_processor.intake.mailbox.keeping import Keeping, Mailbox
from dsn_processor.intake.mailbox.options import ImapOptions, PopOptions
from dsn_processor.intake.mailbox.pop3 import PopMailbox
from dsn_processor.intake.mailbox.supervising import Following, Supervisor, Watching
from dsn_processor.reading import Rules
from dsn_processor.workers import Readers

_PATIENCE = 10.0  # seconds for what is being fetched
_CUT_SECONDS = 2.0  # for a thread whose connection was broken off

Options = ImapOptions | PopOptions


class Accounts:
    """The accounts in work. ``set``, ``retry`` and ``stop`` are for one thread."""

    def __init__(
        self,
        keeping: Keeping,
        readers: Readers,
        rules: Callable[[], Rules | None],
        following: Following,
        *,
        dry_run: bool = False,
    ) -> None:
        self._keeping = keeping
        self._readers = readers
        self._rules = rules
        self._following = following
        self._dry_run = dry_run
        self._options: dict[str, Options] = {}
        self._running: dict[str, Supervisor] = {}
        self._ending: list[Supervisor] = []

    def supervisor(self, options: Options, after: Supervisor | None = None) -> Supervisor:
        """Who looks after an account; not started."""
        return Supervisor(
            options.name,
            options.poll_interval,
            lambda bell, watching: self._mailbox(options, bell, watching),
            self._keeping,
            self._following,
            after=after,
        )

    def set(self, wanted: Sequence[Options]) -> None:
        """Have these accounts looked after, and no others. One whose options changed begins anew; one that stays is looked at
        now: it may be waiting for what was just mended.
        """
        options = {one.name: one for one in wanted}
        for name in [name for name in self._running if self._options[name] != options.get(name)]:
            before = self._running.pop(name)
            before.stop()
            self._ending.append(before)
        self._ending = [one for one in self._ending if one.alive]
        for name, one in options.items():
            if name in self._running:
                self._running[name].retry()
                continue
            after = next((ending for ending in reversed(self._ending) if ending.name == name), None)
            self._running[name] = self.supervisor(one, after)
            self._running[name].start()
        self._options = options

    def look_once(self, wanted: Sequence[Options]) -> dict[str, Exception | None]:
        """Look at each of these once, all at the same time. Returns what went wrong, by name. Where it is interrupted, it ends
        in good order and raises KeyboardInterrupt.
        """
        found: dict[str, Exception | None] = {}

        def look(one: Supervisor) -> None:
            found[one.name] = one.once()

        looking = [self.supervisor(one) for one in wanted]
        threads = [threading.Thread(target=look, args=(one,), name=f"account-{one.name}") for one in looking]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        except KeyboardInterrupt:
            for one in looking:
                one.stop()
            for one, thread in zip(looking, threads, strict=True):
                thread.join(_PATIENCE)
                one.hang_up()
                thread.join()
            raise
        return found

    def stop(self, patience: float) -> None:
        """End all: what is fetched is stored; a server that does not answer is left after ``patience`` seconds."""
        ending = [*self._running.values(), *self._ending]
        self._running = {}
        for one in ending:
            one.stop()
        deadline = time.monotonic() + patience
        for one in ending:
            if not one.join(max(0.0, deadline - time.monotonic())):
                one.join(_CUT_SECONDS)
        self._ending = []

    def _mailbox(self, options: Options, bell: Bell, watching: Watching) -> Mailbox:
        if isinstance(options, PopOptions):
            return PopMailbox(
                options,
                self._keeping,
                self._readers,
                rules=self._rules,
                bell=bell,
                watching=watching,
                dry_run=self._dry_run,
            )
        return ImapMailbox(
            options,
            self._keeping,
            self._readers,
            rules=self._rules,
            bell=bell,
            watching=watching,
            dry_run=self._dry_run,
        )
