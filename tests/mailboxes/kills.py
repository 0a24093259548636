"""kill -9 of a poller soon after its login, again and again."""

import random
import time
from pathlib import Path
from typing import NamedTuple

from mailboxes.dovecot import Dovecot
from mailboxes.poller import Poller, account, faults, report, stored
from serve.harness import wait


class Killed(NamedTuple):
    """What came of it. ``midway`` counts the kills that came when some mails had just been stored, and others not yet."""

    rounds: int
    midway: int
    faults: list[str]


def kill_again_and_again(
    folder: Path, mails: int, *, after: str, latest: float, batch: int, seed: int = 1
) -> Killed:
    """Have ``mails`` fetched by pollers that are killed 0.1 to ``latest`` seconds after their login, until all are stored, then
    by one that is let be. One that comes to nothing in that time, on a busy machine, gives the next one half as long again.
    """
    rng = random.Random(seed)
    options = {"after": after, "batch": batch, "poll_interval": 1, "idle": False}
    if after == "move":
        options["processed_folder"] = "Done"
    rounds = midway = there = 0
    span = latest
    with Dovecot() as dovecot:
        dovecot.put("bounces", map(report, range(mails)))
        poller = Poller(folder, account(dovecot, **options))
        while there < mails:
            rounds += 1
            before = dovecot.logins()
            with poller:
                wait(lambda before=before: dovecot.logins() > before, "no login", 60, log=poller.log)
                time.sleep(rng.uniform(0.1, span))
            before, there = there, stored(poller.database)
            span = latest if there > before else 1.5 * span
            midway += before < there < mails
        ran = poller.once()
        found = faults(poller.database, mails)
        found += [f"exit code {ran.returncode}: {ran.stderr}"] if ran.returncode else []
        found += [f"{left} {what}" for what, left in _left(dovecot, after, mails).items() if left]
    return Killed(rounds, midway, found)


def _left(dovecot: Dovecot, after: str, mails: int) -> dict[str, int]:
    """What is not in the mailbox as it has to be."""
    if after == "move":
        there, moved = dovecot.count("bounces"), dovecot.count("bounces", "Done")
        return {"were not moved": there, "too many or too few in the folder": moved - mails}
    if after == "delete":
        return {"were not deleted": dovecot.count("bounces")}
    flagged = dovecot.count("bounces", "INBOX", "KEYWORD", "$Processed")
    return {"were not flagged": mails - flagged, "too many": dovecot.count("bounces") - mails}
