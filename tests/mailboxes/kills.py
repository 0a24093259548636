"""kill -9 of a poller amid its work, again and again."""

import random
import time
from pathlib import Path
from typing import NamedTuple

from mailboxes.dovecot import Dovecot
from mailboxes.poller import Poller, account, faults, report, stored
from mailboxes.relay import Relay
from serve.harness import wait

_LOGIN = 5_000  # octets, about, that go to and fro before mails are fetched


class Killed(NamedTuple):
    """What came of it. ``midway`` counts the kills that came when some mails had just been stored, and others not yet."""

    rounds: int
    midway: int
    faults: list[str]


def kill_again_and_again(
    folder: Path,
    mails: int,
    *,
    after: str,
    batch: int,
    latest: float | None = None,
    share: float = 0.4,
    seed: int = 1,
) -> Killed:
    """Have ``mails`` fetched by pollers that are killed, until all are stored, then by one that is let be. They are killed 0.1 to
    ``latest`` seconds after their login; where that is None, when up to ``share`` of all that is to be said to and fro was
    said, on a fast machine as on a slow one. One that stored nothing gives the next one half as long again.
    """
    rng = random.Random(seed)
    options = {"after": after, "batch": batch, "poll_interval": 1, "idle": False}
    if after == "move":
        options["processed_folder"] = "Done"
    rounds = midway = there = 0
    longer = 1.0
    with Dovecot() as dovecot, Relay(dovecot.imaps) as relay:
        dovecot.put("bounces", map(report, range(mails)))
        poller = Poller(folder, account(dovecot, port=relay.port, **options))
        octets = share * mails * len(report(0))
        while there < mails:
            rounds += 1
            relay.stop_after(
                _LOGIN + int(longer * rng.uniform(0.1, 1.0) * octets) if latest is None else 10**12
            )
            logins = dovecot.logins()
            with poller:
                if latest is None:
                    _wait_for_full(relay, poller, mails)
                    time.sleep(rng.uniform(0.0, 0.1))  # what has come is being stored
                else:
                    wait(lambda before=logins: dovecot.logins() > before, "no login", 60, log=poller.log)
                    time.sleep(rng.uniform(0.1, longer * latest))
            before, there = there, stored(poller.database)
            longer = 1.0 if there > before else 1.5 * longer
            midway += before < there < mails
        relay.stop_after(10**12)
        ran = poller.once()
        found = faults(poller.database, mails)
        found += [f"exit code {ran.returncode}: {ran.stderr}"] if ran.returncode else []
        found += [f"{left} {what}" for what, left in _left(dovecot, after, mails).items() if left]
    return Killed(rounds, midway, found)


def _wait_for_full(relay: Relay, poller: Poller, mails: int) -> None:
    def come() -> bool:
        return relay.full.is_set() or stored(poller.database) == mails

    wait(come, "neither is enough said nor is all stored", 60, log=poller.log)


def _left(dovecot: Dovecot, after: str, mails: int) -> dict[str, int]:
    """What is not in the mailbox as it has to be."""
    if after == "move":
        there, moved = dovecot.count("bounces"), dovecot.count("bounces", "Done")
        return {"were not moved": there, "too many or too few in the folder": moved - mails}
    if after == "delete":
        return {"were not deleted": dovecot.count("bounces")}
    flagged = dovecot.count("bounces", "INBOX", "KEYWORD", "$Processed")
    return {"were not flagged": mails - flagged, "too many": dovecot.count("bounces") - mails}
