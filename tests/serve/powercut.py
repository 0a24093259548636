"""Power cuts: what reached the disk at a moment, and nothing of what was still in memory.

The database lies on ext4 in a file. In a cut all processes of the server stand still, that file is copied, the copy is
mounted, which replays its journal, and then it must hold every mail that was answered with 250 until then.
It tells nothing of a drive that lies about its cache, or tears sectors.
"""

import random
import shutil
import sqlite3
import time
from pathlib import Path
from typing import NamedTuple

from serve.disks import make_image, mounted
from serve.harness import Serve, wait
from serve.load import Load
from serve.mails import Mail
from serve.verify import faults, lost

#: Makes the server take its commits for durable when they are not: the control that proves this test.
NORMAL = """\
from dsn_processor.record import sqlite
assert "synchronous=FULL" in sqlite._WRITER_PRAGMAS
sqlite._WRITER_PRAGMAS = tuple(one.replace("=FULL", "=NORMAL") for one in sqlite._WRITER_PRAGMAS)
"""


class Cut(NamedTuple):
    """One power cut: mails acknowledged until then, those lost, and what else was wrong with the copy."""

    acknowledged: int
    lost: int
    faults: list[str]


def cut_again_and_again(folder: Path, cuts: int, *, patch: str = "", seed: int = 1) -> list[Cut]:
    """Cut the power of a running server so many times, each time of the whole that it has until then."""
    rng = random.Random(seed)
    image, copy = folder / "disk", folder / "copy"
    patches = folder / "patches"
    patches.mkdir()
    (patches / "sitecustomize.py").write_text(patch)
    make_image(image, 256)
    done = []
    with mounted(image, folder / "mounted") as disk:
        database = disk / "bounces.db"
        with Serve(folder, database=database, patches=patches) as serve, Load(serve.smtp) as load:
            for number in range(cuts):
                goal = len(load.acknowledged) + rng.randrange(50, 200)
                wait(
                    lambda goal=goal: len(load.acknowledged) >= goal,
                    f"cut {number}: no mail is taken",
                    log=serve.log,
                )
                acknowledged = _cut(serve, load, image, copy)
                done.append(_look(copy, folder / "copied", acknowledged))
            load.end()
            assert serve.stop() == 0
    return done


def _cut(serve: Serve, load: Load, image: Path, copy: Path) -> dict[str, Mail]:
    """Copy the disk while the server stands still. Returns what it had acknowledged: answers on their way, too."""
    with serve.paused():
        before = -1
        while before != len(load.acknowledged):
            before = len(load.acknowledged)
            time.sleep(0.1)
        shutil.copyfile(image, copy)
        return dict(load.acknowledged)


def _look(copy: Path, folder: Path, acknowledged: dict[str, Mail]) -> Cut:
    with mounted(copy, folder) as disk:
        database = disk / "bounces.db"
        try:
            gone = len(lost(database, acknowledged))
            return Cut(len(acknowledged), gone, faults(database, {}, processed=False))
        except sqlite3.DatabaseError as error:
            return Cut(len(acknowledged), len(acknowledged), [str(error)])
