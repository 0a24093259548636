"""kill -9 of a server that delivers webhooks, at length: ``make soak``."""

import tempfile
from pathlib import Path

from notify.killing import kill_again_and_again


def kills(rounds: int) -> list[str]:
    """Prints the figures, returns the faults."""
    with tempfile.TemporaryDirectory(prefix="dsn-processor-") as folder:
        killed = kill_again_and_again(Path(folder), rounds)
    print(
        f"kill -9 while webhooks are delivered: {killed.rounds} rounds in {killed.seconds:.0f} s, {killed.events:,} mails, "
        f"{killed.received:,} webhooks received, {killed.again:,} of them again: {len(killed.faults)} faults",
        flush=True,
    )
    return killed.faults
