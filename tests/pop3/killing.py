"""Polls a real POP3 server and kills the poller again and again: nothing may be lost, nothing may come twice."""

import os
import random
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import NamedTuple

from mailboxes.dovecot import PASSWORD, Dovecot
from serve.harness import wait
from serve.mails import bounce

from dsn_processor.errors import StoreError
from dsn_processor.record.store import Store

_PATIENCE = 120.0


class Killed(NamedTuple):
    """What came of it: how often the poller was killed, how often while it had work, and what the store has."""

    kills: int
    amid: int
    mails: int
    recipients: list[str]
    there: int


def configuration(dovecot: Dovecot, folder: Path, user: str, **settings: object) -> str:
    """A configuration of one POP3 account on ``dovecot``."""
    path = folder / "c.toml"
    values = {
        "name": "old",
        "host": "127.0.0.1",
        "port": dovecot.pop3s,
        "ca_file": str(dovecot.certificate),
        "username": user,
        "password": PASSWORD,
        "poll_interval": 1,
        **settings,
    }
    lines = [f"{name} = {value if isinstance(value, int) else repr(value)}" for name, value in values.items()]
    path.write_text("\n".join([f"database = 'sqlite:///{folder}/b.db'", "[[pop3]]", *lines]))
    path.chmod(0o600)
    return str(path)


def kill_again_and_again(
    dovecot: Dovecot, folder: Path, user: str, count: int, kills: int, after: str, seed: int
) -> Killed:
    """Put ``count`` mails there, kill the poller up to so many times, then let it end. In turns it is killed a moment after
    it logged in, and a moment after it stored something.
    """
    chance = random.Random(seed)
    dovecot.put(user, [bounce(f"{user}-{n}").raw for n in range(count)])
    config = configuration(dovecot, folder, user, after=after, batch=2)
    done = amid = 0
    while done < kills and stored(folder) < count:
        before, had = logins(dovecot, user), stored(folder)
        with subprocess.Popen(
            [sys.executable, "-m", "dsn_processor", "poll", "--config", config],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as poller:
            wait(
                partial(_logged_in, dovecot, user, before, poller),
                "it does not log in",
                _PATIENCE,
                log=dovecot.log,
            )
            if done % 2:
                wait(partial(_stored_more, folder, had), "it stores nothing", _PATIENCE, log=dovecot.log)
                time.sleep(chance.uniform(0.0, 0.1))
            else:
                time.sleep(chance.uniform(0.1, 0.5))
            os.killpg(poller.pid, signal.SIGKILL)
        done += 1
        amid += 0 < stored(folder) < count
    ended = subprocess.run(
        [sys.executable, "-m", "dsn_processor", "poll", "--once", "--config", config],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    with Store.open(f"sqlite:///{folder}/b.db", readonly=True) as store:
        found = sorted(event.recipient.address.partition("@")[0] for event in store.events())
        mails = store.stats().mails
    return Killed(done, amid, mails, found, there(dovecot, user))


def _stored_more(folder: Path, before: int) -> bool:
    return stored(folder) > before


def stored(folder: Path) -> int:
    """How many mails are in the database, if there is one by now."""
    try:
        with Store.open(f"sqlite:///{folder}/b.db", readonly=True) as store:
            return store.stats().mails
    except StoreError:
        return 0


def _logged_in(dovecot: Dovecot, user: str, before: int, poller: "subprocess.Popen[bytes]") -> bool:
    assert poller.poll() is None, f"it ended with {poller.returncode}"
    return logins(dovecot, user) > before


def logins(dovecot: Dovecot, user: str) -> int:
    log = dovecot.folder / "dovecot.log"
    return log.read_text().count(f"pop3-login: Info: Login: user=<{user}>") if log.exists() else 0


def there(dovecot: Dovecot, user: str) -> int:
    """How many mails are in the mailbox."""
    return len(list((dovecot.folder / "mail" / user / "Maildir").glob("[cn]*/*.mail.example.com*")))
