"""Mailboxes looked at by a command: accounts in work, and who reads what they bring."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from dsn_processor.app import opened
from dsn_processor.catching_up import CatchingUp, one_at_a_time
from dsn_processor.intake.mailbox.accounts import Accounts, Options
from dsn_processor.intake.mailbox.keeping import DryKeeping, Keeping, StoreKeeping
from dsn_processor.intake.mailbox.supervising import Following
from dsn_processor.reading import Rules
from dsn_processor.record.store import Store, file_of
from dsn_processor.server.handover import Handover
from dsn_processor.server.options import ProcessingOptions
from dsn_processor.settings import correlation_options
from dsn_processor.workers import Readers, all_cores

_PATIENCE = 10.0  # seconds for mails that are being read
_READERS = 4  # processes that read what is fetched, at most


class Polling:
    """Accounts in work. ``catching_up`` reads what they bring, where nobody else does."""

    def __init__(self, accounts: Accounts, catching_up: CatchingUp | None) -> None:
        self._accounts = accounts
        self._catching_up = catching_up

    def look_once(self, wanted: Sequence[Options]) -> dict[str, Exception | None]:
        """As ``Accounts.look_once``; when it returns, what was fetched is processed."""
        found = self._accounts.look_once(wanted)
        if self._catching_up is not None:
            self._catching_up.once()
        return found

    def go_on(self, wanted: Sequence[Options]) -> None:
        """Have these accounts looked after."""
        if self._catching_up is not None:
            self._catching_up.go_on()
        self._accounts.set(wanted)

    def stop(self, patience: float) -> None:
        """As ``Accounts.stop``."""
        self._accounts.stop(patience)


@contextmanager
def polling(
    url: str,
    following: Following,
    rules: Callable[[], Rules | None],
    *,
    processing: ProcessingOptions,
    dry_run: bool = False,
) -> Iterator[Polling]:
    """Accounts to fetch mail from into the database, or into nothing. Mails that an earlier run left waiting are processed, too.
    ``following`` is told what comes.
    """
    with ExitStack() as closing:
        readers = Readers(
            processing.workers or min(_READERS, all_cores()),
            memory=processing.memory,
            cpu_seconds=processing.cpu_seconds,
        )
        keeping: Keeping
        catching_up = None
        if dry_run:
            there = file_of(url).exists()
            keeping = DryKeeping(closing.enter_context(Store.open(url, readonly=True)) if there else None)
        else:
            store = closing.enter_context(opened(url))
            if isinstance(store, Handover):
                keeping = store
            else:
                call, correlation = one_at_a_time(store), correlation_options()
                catching_up = CatchingUp(
                    call, readers, rules, correlation, lambda outcomes: following.taken("", outcomes, 0, 0)
                )
                closing.callback(catching_up.join)
                keeping = StoreKeeping(call, lambda: correlation, lambda _: catching_up.wake())
        closing.callback(readers.close)
        if catching_up is not None:
            closing.callback(catching_up.stop, _PATIENCE)
        if not keeping.reads_later:
            readers.warm_up()
        yield Polling(Accounts(keeping, readers, rules, following, dry_run=dry_run), catching_up)
