"""The store gets into trouble while mail comes in, and out of it again."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from serve.harness import Serve, wait
from serve.load import Load
from serve.tracing import traced
from serve.troubles import Trouble
from serve.verify import faults, wait_processed


class Survived(NamedTuple):
    """What came of it. ``healed``: the longest time from the end of a trouble to the next mail taken, in seconds."""

    acknowledged: int
    refused: int
    healed: float
    faults: list[str]


def survive(folder: Path, trouble: Trouble, *, rounds: int = 1, **more: Any) -> Survived:
    """Run a server under load through so many troubles, without a restart, and look at what is stored at last."""
    healed = 0.0
    with Serve(folder, **more) as serve:
        with Load(serve.smtp, clients=4) as load:
            taken(serve, load)
            for _ in range(rounds):
                with trouble(serve):
                    refused = len(load.refusals)
                    wait(
                        lambda refused=refused: len(load.refusals) > refused + 5,
                        "nothing is refused",
                        log=serve.log,
                    )
                began = time.monotonic()
                taken(serve, load, 1)
                healed = max(healed, time.monotonic() - began)
                taken(serve, load)
        return _survived(serve, load, healed)


def survive_one_by_one(folder: Path, calls: Sequence[str], most: int) -> Survived:
    """Let one system call fail, the n-th of its kind, for each n up to ``most``: each time another step of a commit."""
    with Serve(folder) as serve:
        with Load(serve.smtp, clients=4) as load:
            taken(serve, load)
            for name in calls:
                for number in range(1, most + 1):
                    inject = f"inject={name}:error=EIO:when={number}"
                    with traced(serve.pid, serve.folder / "trace", f"trace={name}", inject):
                        taken(serve, load, 10)
            taken(serve, load)
        return _survived(serve, load, 0)


def _survived(serve: Serve, load: Load, healed: float) -> Survived:
    wait_processed(serve.database)
    found = faults(serve.database, load.acknowledged)
    found += [f"refused for good: {load.permanent()}"] if load.permanent() else []
    found += [f"{load.cut} connections cut, {load.halves}"] if load.cut else []
    found += ["it did not end well"] if serve.stop() else []
    refused = sum(number for code, number in load.codes.items() if code != 250)
    return Survived(len(load.acknowledged), refused, healed, found)


def taken(serve: Serve, load: Load, more: int = 50) -> None:
    """Wait until so many more mails are taken."""
    goal = len(load.acknowledged) + more
    wait(lambda: len(load.acknowledged) >= goal, "no mail is taken", log=serve.log)
