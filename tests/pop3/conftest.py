"""A store, and mailboxes that keep in it."""

import contextlib
import threading

import pytest
from pop3.server import PASSWORD, USER

from dsn_processor.intake.mailbox.bell import Bell
from dsn_processor.intake.mailbox.keeping import StoreKeeping
from dsn_processor.intake.mailbox.options import PopOptions
from dsn_processor.intake.mailbox.pop3 import PopMailbox
from dsn_processor.record.store import Store
from dsn_processor.workers import Readers


class Watching:
    """Keeps what a mailbox tells on its way."""

    def __init__(self):
        self.handled = self.most = 0

    def found(self, account, waiting):
        self.most = max(self.most, waiting)

    def taken(self, account, outcomes, handled, waiting):
        self.handled += handled


class Kept:
    """A store to keep in; ``fails`` has the next commits raise."""

    def __init__(self, store):
        self.store = store
        self.keeping = StoreKeeping.of(store)
        self.fails = None

    def __getattr__(self, name):
        return getattr(self.keeping, name)

    def commit(self, batch, note):
        if self.fails and batch:
            raise self.fails
        return self.keeping.commit(batch, note)

    def recipients(self):
        """The recipients of all events, in order."""
        return sorted(event.recipient.address.partition("@")[0] for event in self.store.events())


@pytest.fixture(scope="session")
def readers():
    with contextlib.closing(Readers(1)) as found:
        yield found


@pytest.fixture
def kept(tmp_path):
    with Store.open(f"sqlite:///{tmp_path}/b.db") as store:
        yield Kept(store)


@pytest.fixture
def mailbox(kept, readers):
    """Make a mailbox: ``mailbox(server, after="delete")``."""
    with contextlib.ExitStack() as closing:

        def make(server, *, dry_run=False, **changed):
            bell = Bell()
            closing.callback(bell.close)
            options = {
                "name": "old",
                "host": "127.0.0.1",
                "port": server.port,
                "tls": "none",
                "username": USER,
                "timeout": 20.0,
                **changed,
            }
            if not {"password", "password_file", "oauth2"} & changed.keys():
                options["password"] = PASSWORD
            watching = Watching()
            made = PopMailbox(
                PopOptions(**options),
                kept,
                readers,
                rules=lambda: None,
                bell=bell,
                watching=watching,
                dry_run=dry_run,
            )
            made.watching = watching
            closing.callback(made.close)
            return made

        yield make
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("account-")]
