"""Kills the poller of a POP3 mailbox for long, for `make soak`."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from mailboxes.dovecot import Dovecot
from pop3.killing import kill_again_and_again

_MAILS = 1_000


def kills(times: int) -> Iterator[str]:
    """Kill it ``times`` times, with mail kept and with mail deleted; tells what went wrong."""
    with Dovecot() as dovecot:
        for after in ("keep", "delete"):
            user = f"soak-{after}"
            with tempfile.TemporaryDirectory() as folder:
                killed = kill_again_and_again(dovecot, Path(folder), user, _MAILS, times, after, seed=times)
            wanted = sorted(f"{user}-{number}" for number in range(_MAILS))
            lost = len(set(wanted) - set(killed.recipients))
            twice = len(killed.recipients) - len(set(killed.recipients))
            print(
                f"pop3, {after}: killed {killed.kills} times, {killed.amid} of them amid {_MAILS} mails: "
                f"{lost} lost, {twice} twice",
                flush=True,
            )
            left = _MAILS if after == "keep" else 0
            if lost or twice or killed.mails != _MAILS or killed.there != left:
                yield f"pop3, {after}: {lost} lost, {twice} twice, {killed.mails} stored, {killed.there} there"
