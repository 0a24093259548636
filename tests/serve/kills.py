"""kill -9 of the whole server under load, again and again."""

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from serve.harness import Serve, wait
from serve.load import Load
from serve.verify import duplicates, faults, wait_processed


class Killed(NamedTuple):
    """What came of it. ``again`` counts the mails that were stored though their client never heard so, and that it
    sent again; ``seconds`` are those that the rounds took.
    """

    rounds: int
    acknowledged: int
    cut: int
    again: int
    seconds: float
    faults: list[str]


def kill_again_and_again(folder: Path, rounds: int, *, clients: int = 8, seed: int = 1) -> Killed:
    """Kill the server at random points while ``clients`` send, start it anew, and at last look at what is stored."""
    rng = random.Random(seed)
    began = time.monotonic()
    with Serve(folder) as serve, Load(serve.smtp, clients) as load:
        kill_at_random(serve, rounds, rng, lambda: len(load.acknowledged), 200)
        load.end()
        wait_processed(serve.database)
        code = serve.stop()
        found = faults(serve.database, load.acknowledged)
        found += [f"exit code {code} at last"] if code else []
        found += [f"{load.permanent()} were refused for good"] if load.permanent() else []
        found += [f"half a reply: {half!r}" for half in load.halves]
    return Killed(
        rounds, len(load.acknowledged), load.cut, duplicates(serve.database), time.monotonic() - began, found
    )


def kill_at_random(
    serve: Serve, rounds: int, rng: random.Random, progress: Callable[[], int], most: int
) -> None:
    """Kill the server and start it anew. A round ends after up to ``most`` steps of progress, or a moment after one of them: in
    the midst of whatever runs then.
    """
    for number in range(rounds):
        goal = progress() + rng.randrange(1, most)
        wait(lambda goal=goal: progress() >= goal, f"round {number}: nothing goes on", log=serve.log)
        time.sleep(rng.random() / 50)
        serve.kill()
        serve.start()
