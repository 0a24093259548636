"""How fast, beside others, in one run: ``make bench``; docs/benchmarks.md says how to read it.

Every contender reads the same mails and is measured as a whole process, start-up included. Contenders take turns, so that
a slow moment of the machine meets all of them, and a figure is the median over the rounds. Single times mean little on a
shared machine: the ratios count, and the run fails where one of them fell by more than 15 % against those kept in
docs/benchmarks.md.
"""

import argparse
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from correlate.registry import measure as measure_registry
from mailboxes.speed import measure as measure_mailbox
from notify import speed as webhook_speed
from policy.checking import measure as measure_checks
from serve import speed

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / "docs" / "benchmarks.md"
COMMAND = [str(Path(sys.executable).with_name("dsn-processor"))]  # as its users call it
CORPORA = ROOT.parent / "shared" / "corpora"
LOST = 0.15  # of a kept ratio, before the run fails
START_ROUNDS = 11
MAILBOX = 0.6  # of a bare loop of FETCH

FLUFL = """
import logging, os, sys
from email import message_from_bytes
from flufl.bounce import all_failures
logging.getLogger("flufl.bounce").disabled = True
for entry in os.scandir(sys.argv[1]):
    with open(entry.path, "rb") as file:
        message = message_from_bytes(file.read())
    try:
        print(all_failures(message))
    except Exception:
        print("failed")
"""
FLOOR = """
import os, sys
from hashlib import sha256
for entry in os.scandir(sys.argv[1]):
    with open(entry.path, "rb") as file:
        print(sha256(file.read()).hexdigest())
"""
WORST = """
import sys, time
from pathlib import Path
from dsn_processor.reading import read
mails = [(path.name, path.read_bytes()) for path in sorted(Path(sys.argv[1]).iterdir())]
def cost(raw):
    began = time.process_time()
    read(raw)
    return time.process_time() - began
for _, raw in mails:
    read(raw)
for spent, size, name in sorted(((min(cost(raw) for _ in range(5)), len(raw), name) for name, raw in mails), reverse=True)[:3]:
    print(f"  {spent * 1000:6.2f} ms of CPU for {size:,} bytes: {name}")
"""
# Runs a command and prints its seconds of CPU, of wall clock, and its peak in MiB. A process of its own, since on Linux a
# command inherits what its parent held as its own peak.
MEASURE = """
import os, sys
began = os.times().elapsed
out = os.open(os.devnull, os.O_WRONLY)
pid = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, out, 1)])
_, status, usage = os.wait4(pid, 0)
print(usage.ru_utime + usage.ru_stime, os.times().elapsed - began, usage.ru_maxrss / 1024)
sys.exit(os.waitstatus_to_exitcode(status))
"""
SISIMAI = ["perl", "-MSisimai", "-e", "print Sisimai->dump(shift)"]


@dataclass(frozen=True)
class Figures:
    """One run of a process: seconds of CPU, seconds of wall clock, peak memory in MiB."""

    cpu: float
    wall: float
    peak: float


def run(command: list[str]) -> Figures:
    ran = subprocess.run(
        [sys.executable, "-S", "-c", MEASURE, *command], capture_output=True, text=True, check=False
    )
    if ran.returncode not in {0, 1}:  # 1: there were mails that could not be read
        sys.exit(f"{' '.join(command)} ended with {ran.returncode}: {ran.stderr[-2000:]}")
    return Figures(*map(float, ran.stdout.split()))


def in_turn(rounds: int, contenders: dict[str, Callable[[], list[str]]]) -> dict[str, list[Figures]]:
    """So many runs of each contender, one after the other in each round."""
    runs: dict[str, list[Figures]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, make in contenders.items():
            runs[name].append(run(make()))
    return runs


def median(runs: list[Figures], field: str) -> float:
    return statistics.median(getattr(one, field) for one in runs)


def times(runs: dict[str, list[Figures]], one: str, other: str, field: str = "cpu") -> float:
    """How many times faster ``one`` is than ``other``: the median of the rounds' ratios."""
    pairs = zip(runs[one], runs[other], strict=True)
    return statistics.median(getattr(theirs, field) / getattr(ours, field) for ours, theirs in pairs)


class Bench:
    """One run of the suite. ``ratios`` are those found, more being better; ``failures`` what must not be."""

    def __init__(self, work: Path, args: argparse.Namespace) -> None:
        self.work = work
        self.args = args
        self.seeds = [path.read_bytes() for path in mails_of(args.corpus)]
        self.ratios: dict[str, float] = {}
        self.failures: list[str] = []
        self._databases = 0

    def parts(self) -> dict[str, Callable[[], None]]:
        """What there is to measure, in order."""
        return {
            "speed": self.speed,
            "worst": self.worst,
            "start-up": self.start_up,
            "sizes": self.sizes,
            "sends": self.sends,
            "addresses": self.addresses,
            "serve": self.serve,
            "webhooks": self.webhooks,
            "memory": self.memory,
            "imap": self.imap,
        }

    def worst(self) -> None:
        print("\nslowest single mails, best of five:", flush=True)
        subprocess.run([sys.executable, "-c", WORST, str(self.copies(len(self.seeds)))], check=True)

    def sends(self) -> None:
        print(f"\nthe registry of sends ({self.args.sends:,}; --sends says how many):", flush=True)
        measure_registry(self.args.sends)

    def addresses(self) -> None:
        print("\nwho may be mailed (--addresses says how many):", flush=True)
        if measure_checks(self.args.addresses) > 2:
            self.failures.append("check takes more than twice as long as bare look-ups")

    def imap(self) -> None:
        print("\na mailbox emptied, beside a bare loop of FETCH:", flush=True)
        ratio = measure_mailbox(self.args.mailbox, self.args.rounds)
        print(f"  median {ratio:.2f}", flush=True)
        if ratio < MAILBOX:
            self.failures.append(f"a mailbox is emptied at {ratio:.2f} of a bare FETCH: less than {MAILBOX}")

    def copies(self, count: int) -> Path:
        """A folder of so many mails, no two with the same bytes, so that each is stored as a mail of its own."""
        folder = self.work / f"mails-{count}"
        if not folder.exists():
            folder.mkdir()
            for number in range(count):
                head = b"X-Copy: %d\n" % number
                (folder / f"{number:06}.eml").write_bytes(head + self.seeds[number % len(self.seeds)])
        return folder

    def replay(self, mails: Path, *more: str) -> list[str]:
        self._databases += 1
        return [
            *COMMAND,
            "replay",
            str(mails),
            "--db",
            f"sqlite:///{self.work}/{self._databases}.db",
            *more,
        ]

    def speed(self) -> None:
        mails = self.copies(self.args.mails)
        size = sum(map(len, self.seeds)) / len(self.seeds)
        print(
            f"{self.args.mails:,} mails from {len(self.seeds)}, {size / 1024:.1f} KiB on average; "
            f"medians of {self.args.rounds}; {len(os.sched_getaffinity(0))} cores; "
            f"Python {platform.python_version()} of {sys.base_prefix}\n",
            flush=True,
        )
        contenders: dict[str, Callable[[], list[str]]] = {
            "floor: read and sha256": lambda: [sys.executable, "-c", FLOOR, str(mails)],
            "parse": lambda: [*COMMAND, "parse", str(mails)],
            "replay, one process": lambda: self.replay(mails, "--workers", "1"),
            "replay": lambda: self.replay(mails),
            "email + flufl.bounce": lambda: [sys.executable, "-c", FLUFL, str(mails)],
        }
        if has_sisimai():
            contenders["Sisimai"] = lambda: [*SISIMAI, str(mails)]
        else:
            print("Sisimai is not installed (Debian: libsisimai-perl): left out, and so are its ratios")
        runs = in_turn(self.args.rounds, contenders)
        for name, figures in runs.items():
            cpu, wall = (self.args.mails / median(figures, field) for field in ("cpu", "wall"))
            print(f"{name:24}{cpu:8,.0f} mails/CPU-s{wall:8,.0f} mails/s{median(figures, 'peak'):7.0f} MiB")
        found = {"parse / email + flufl.bounce": times(runs, "parse", "email + flufl.bounce")}
        if "Sisimai" in runs:
            found["parse / Sisimai"] = times(runs, "parse", "Sisimai")
            found["replay / Sisimai, wall"] = times(runs, "replay", "Sisimai", "wall")
        found["replay / parse, wall"] = times(runs, "replay", "parse", "wall")
        found["parse / floor"] = times(runs, "parse", "floor: read and sha256")
        print()
        for name, ratio in found.items():
            print(f"{name:32}{ratio:8.2f}")
        self.ratios |= found

    def start_up(self) -> None:
        mail = self.work / "one.eml"
        mail.write_bytes(self.seeds[0])
        runs = in_turn(
            START_ROUNDS,
            {
                "pass": lambda: [sys.executable, "-c", "pass"],
                "--version": lambda: [*COMMAND, "--version"],
                "parse of one mail": lambda: [*COMMAND, "parse", str(mail)],
            },
        )
        print("\nstart-up, CPU beyond python -c pass:")
        nothing = median(runs.pop("pass"), "cpu")
        for name, figures in runs.items():
            more = median(figures, "cpu") - nothing
            print(f"  {name:24}{1000 * more:6.0f} ms")
            self.ratios[f"python -c pass / {name}"] = nothing / median(figures, "cpu")

    def sizes(self) -> None:
        """One mail each: CPU beyond that of a small one, and peak memory."""
        print("\nsize of one mail, CPU beyond that of a mail of 1 kB:")
        attached = {
            f"{size / 1e6:g} MB attached": with_attachment(size)
            for size in (100_000, 1_000_000, 15_000_000, 20_000_000)
        }
        mails = {"1 kB": with_recipients(1), **attached, "5,000 recipients": with_recipients(5_000)}
        base = 0.0
        for name, raw in mails.items():
            path = self.work / "size.eml"
            path.write_bytes(raw)
            runs = in_turn(3, {"parse": lambda path=path: [*COMMAND, "parse", str(path)]})["parse"]
            cpu = median(runs, "cpu")
            base = base or cpu
            print(f"  {name:24}{1000 * (cpu - base):6.0f} ms{median(runs, 'peak'):7.0f} MiB")

    def serve(self) -> None:
        compared = speed.compare(self.args.serve_rounds, self.args.serve_mails, mails_of(self.args.corpus))
        self.ratios |= compared.ratios
        self.failures += compared.failures

    def webhooks(self) -> None:
        args = self.args
        seeds = mails_of(args.corpus)
        compared = webhook_speed.compare(args.webhooks, args.serve_mails, args.serve_rounds, seeds)
        self.ratios |= compared.ratios
        self.failures += compared.failures

    def memory(self) -> None:
        if not self.args.memory:
            return
        print("\nmemory of a replay, largest process:")
        peaks = []
        for count in (1_000, 10_000, self.args.memory):
            folder = self.copies(count)
            figures = run(self.replay(folder))
            shutil.rmtree(folder)
            peaks.append(figures.peak)
            print(f"  {count:8,} mails{figures.peak:8.0f} MiB{count / figures.wall:9,.0f} mails/s")
        if peaks[-1] > 1.3 * peaks[-2]:
            self.failures.append("memory grows with the number of mails")

    def check(self, kept: dict[str, float]) -> None:
        for name, before in kept.items():
            now = self.ratios.get(name)
            if now is not None and now < before * (1 - LOST):
                self.failures.append(f"{name} fell from {before:.2f} to {now:.2f}")


def mails_of(folders: list[Path]) -> list[Path]:
    return sorted(
        path
        for folder in folders
        for path in ((folder / "mails").iterdir() if (folder / "mails").is_dir() else folder.rglob("*.eml"))
        if path.is_file()
    )


def has_sisimai() -> bool:
    return (
        bool(shutil.which("perl"))
        and not subprocess.run(["perl", "-MSisimai", "-e", "1"], capture_output=True, check=False).returncode
    )


def with_recipients(count: int) -> bytes:
    blocks = "".join(
        f"\nFinal-Recipient: rfc822; user{n}@example.net\nAction: failed\nStatus: 5.1.1\nRemote-MTA: dns; mx{n % 7}.example.net\n"
        f"Diagnostic-Code: smtp; 550 5.1.1 <user{n}@example.net>: Recipient address rejected: User unknown\n"
        for n in range(count)
    )
    return f"""\
From: MAILER-DAEMON@mail.example.com (Mail Delivery System)
Subject: Undelivered Mail Returned to Sender
Auto-Submitted: auto-replied
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b

This is the mail system at host mail.example.com.

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mail.example.com
{blocks}
--b
Content-Type: message/rfc822

From: news@example.com
Message-ID: <sent@example.com>

--b--
""".encode()


def with_attachment(size: int) -> bytes:
    line = b"QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5ejAxMjM0\n"
    return with_recipients(1).replace(b"\n\n--b--", b"\n\n" + line * (size // len(line)) + b"\n--b--")


def kept_ratios() -> dict[str, float]:
    """The ratios kept in docs/benchmarks.md: rows of a table, ``| parse / Sisimai | 3.10 |``."""
    rows = re.findall(r"^\| ([^|]+?) \| ([\d.]+) \|", KEPT.read_text(encoding="utf-8"), re.MULTILINE)
    return {name: float(ratio) for name, ratio in rows}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mails", type=int, default=6_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--memory",
        type=int,
        default=100_000,
        metavar="MAILS",
        help="mails replayed to see that memory stays flat; 0 skips it",
    )
    parser.add_argument("--mailbox", type=int, default=10_000, metavar="N", help="mails in the mailbox")
    parser.add_argument("--serve-mails", type=int, default=3_000, help="mails sent to the server in one run")
    parser.add_argument("--sends", type=int, default=200_000, help="mails put into the registry of sends")
    parser.add_argument("--addresses", type=int, default=1_000_000, help="addresses checked")
    parser.add_argument("--serve-rounds", type=int, default=3)
    parser.add_argument("--webhooks", type=int, default=10_000, help="events told to two endpoints")
    parser.add_argument("--only", nargs="+", metavar="PART", help="measure these alone")
    parser.add_argument(
        "--corpus",
        type=Path,
        nargs="+",
        default=sorted(CORPORA.iterdir()) if CORPORA.is_dir() else [ROOT / "fixtures_eml"],
        help="folders of mails to copy (default: collections beside the checkout, else fixtures_eml)",
    )
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dsn-bench-") as name:
        bench = Bench(Path(name), args)
        parts = bench.parts()
        if wrong := set(args.only or ()) - set(parts):
            parser.error(f"--only: no such part: {', '.join(wrong)}; there are {', '.join(parts)}")
        for name, measure in parts.items():
            if name in (args.only or parts):
                measure()
    bench.check(kept_ratios())
    print()
    for failure in bench.failures:
        print(f"FAILED: {failure}")
    print("no kept ratio fell by more than 15 %" if not bench.failures else "", flush=True)
    return 1 if bench.failures else 0


if __name__ == "__main__":
    sys.exit(main())
