"""How fast a list is checked, beside a bare look-up in an index: ``python tests/policy/checking.py 1000000``; ``make bench``
does it with as many.

Both are whole processes that read a list from a file and write an answer a line.
"""

import os
import sqlite3
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from dsn_processor.record.store import Store

ROUNDS = 3
BARE = """
import sqlite3, sys
find = sqlite3.connect(sys.argv[1]).execute
find("BEGIN")  # or each look-up would lock the file anew
with open(sys.argv[2]) as asked:
    for line in asked:
        address = line.rstrip("\\n")
        found = find("SELECT reason FROM bare WHERE address = ?", (address,)).fetchone()
        print("deny" if found else "allow", address, found and found[0], sep="\\t")
"""


def fill(path: Path, bare: Path, asked: Path, total: int) -> None:
    """As many suppressions as addresses asked for; half of those are suppressed."""
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
    addresses = [f"first.last{n}@{n % 5_000}.example.net" for n in range(total)]
    Store.open(f"sqlite:///{path}").close()
    ours = sqlite3.connect(path)
    ours.executemany(
        "INSERT INTO suppression (address, kind, proposed, held, at, reason, cause, tier, author, guarded, domain, remote_mta, hour) "
        "VALUES (?, 'bounce', 0, 0, ?, 'Hard bounce: user_unknown', 'x', 1, '', 1, ?, '', 0)",
        ((one, now, one.partition("@")[2]) for one in addresses),
    )
    ours.commit()
    theirs = sqlite3.connect(bare)
    theirs.execute("CREATE TABLE bare (address TEXT PRIMARY KEY, reason TEXT) WITHOUT ROWID")
    theirs.executemany(
        "INSERT INTO bare VALUES (?, 'Hard bounce: user_unknown')", ((one,) for one in addresses)
    )
    theirs.commit()
    wanted = (addresses[n * 7919 % total] if n % 2 else f"other{n}@example.org" for n in range(total))
    asked.write_text("\n".join(wanted) + "\n")


def seconds(command: list[str], asked: Path) -> float:
    """Of CPU; the answers are counted, too."""
    with asked.open("rb") as given:
        began = os.times()
        ran = subprocess.run(command, stdin=given, capture_output=True, check=False)
        ended = os.times()
    lines = ran.stdout.count(b"\n")
    denied = ran.stdout.count(b"deny\t")
    assert lines == 2 * denied > 0, ran.stderr
    return ended.children_user + ended.children_system - began.children_user - began.children_system


def measure(total: int) -> float:
    """Returns how many times as long as the bare look-up it takes."""
    with tempfile.TemporaryDirectory() as folder:
        path, bare, asked = (Path(folder) / name for name in ("a.db", "b.db", "asked"))
        fill(path, bare, asked, total)
        ours = [sys.executable, "-m", "dsn_processor", "check", "-", "--db", f"sqlite:///{path}"]
        theirs = [sys.executable, "-c", BARE, str(bare), str(asked)]
        times = [(seconds(ours, asked), seconds(theirs, asked)) for _ in range(ROUNDS)]
    mine, other = (sorted(column)[ROUNDS // 2] for column in zip(*times, strict=True))
    print(
        f"{total:,} addresses checked against {total:,} suppressions: {mine:.2f} s of CPU, bare look-ups {other:.2f} s: "
        f"{mine / other:.2f} times as long"
    )
    return mine / other


if __name__ == "__main__":
    measure(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
