"""How fast, beside others, in one run: ``make bench``. Figures are of whole processes; read the ratios, machines are noisy.

Every contender reads the same mails: those of fixtures_eml, copied until there are enough. The peers are the stock
``email`` parser with flufl.bounce (which gives recipients only), and Sisimai, where Debian's libsisimai-perl is installed.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMMAND = [sys.executable, "-m", "dsn_processor"]

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
SISIMAI = ["perl", "-MSisimai", "-e", "print Sisimai->dump(shift)"]


@dataclass(frozen=True)
class Figures:
    """One run of a process: seconds of CPU, seconds of wall clock, peak memory in MiB."""

    cpu: float
    wall: float
    peak: float


def run(command: list[str]) -> Figures:
    began = os.times().elapsed
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        complaint = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in {0, 1}:
        sys.exit(
            f"{' '.join(command)} ended with {process.returncode}: {complaint.decode(errors='replace')[-2000:]}"
        )
    return Figures(usage.ru_utime + usage.ru_stime, os.times().elapsed - began, usage.ru_maxrss / 1024)


def median(rounds: int, make: Callable[[], list[str]]) -> Figures:
    runs = [run(make()) for _ in range(rounds)]
    return Figures(
        *(statistics.median(getattr(one, name) for one in runs) for name in ("cpu", "wall", "peak"))
    )


def copies(folder: Path, seeds: list[Path], count: int) -> None:
    """``count`` mails in ``folder``, no two with the same bytes, so that each is stored as a mail of its own."""
    folder.mkdir()
    mails = [seed.read_bytes() for seed in seeds]
    for number in range(count):
        head = b"X-Copy: %d\n" % number
        (folder / f"{number:06}.eml").write_bytes(head + mails[number % len(mails)])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mails", type=int, default=6_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--memory",
        type=int,
        default=100_000,
        metavar="MAILS",
        help="mails replayed to see that memory stays flat; 0 skips it",
    )
    parser.add_argument("--corpus", type=Path, default=ROOT / "fixtures_eml", help="the mails to copy")
    args = parser.parse_args()
    seeds = sorted(path for path in args.corpus.rglob("*.eml") if path.is_file())
    with tempfile.TemporaryDirectory(prefix="dsn-bench-") as name:
        work = Path(name)
        copies(work / "mails", seeds, args.mails)
        size = sum(path.stat().st_size for path in (work / "mails").iterdir()) / args.mails
        print(
            f"{args.mails} mails from {len(seeds)}, {size / 1024:.1f} KiB each on average, median of {args.rounds}\n"
        )
        compare(work, args)
        start_up(work, args, seeds[0])
        if args.memory:
            memory(work, seeds, args.memory)


def compare(work: Path, args: argparse.Namespace) -> None:
    mails = str(work / "mails")
    fresh = iter(range(1_000))
    parse = median(args.rounds, lambda: [*COMMAND, "parse", mails])
    row("parse, JSON to /dev/null", args.mails, parse)
    row(
        "replay into a fresh SQLite file",
        args.mails,
        median(
            args.rounds, lambda: [*COMMAND, "replay", mails, "--db", f"sqlite:///{work}/{next(fresh)}.db"]
        ),
    )
    peers = {"email + flufl.bounce (recipients only)": [sys.executable, "-c", FLUFL, mails]}
    if (
        shutil.which("perl")
        and subprocess.run(["perl", "-MSisimai", "-e", "1"], capture_output=True, check=False).returncode == 0
    ):
        peers["Sisimai (libsisimai-perl)"] = [*SISIMAI, mails]
    else:
        print("Sisimai: not installed (Debian: libsisimai-perl), left out")
    for peer, command in peers.items():
        figures = median(args.rounds, lambda command=command: command)
        row(peer, args.mails, figures)
        print(f"{'':38}  parse does {figures.cpu / parse.cpu:.1f} times its mails per CPU-second")


def row(name: str, mails: int, figures: Figures) -> None:
    print(
        f"{name:38}{mails / figures.cpu:8.0f} mails/CPU-s{mails / figures.wall:8.0f} mails/s{figures.peak:8.0f} MiB",
        flush=True,
    )


def start_up(work: Path, args: argparse.Namespace, mail: Path) -> None:
    print()
    nothing = median(9, lambda: [sys.executable, "-c", "pass"])
    for name, command in {"--help": ["--help"], "parse of one mail": ["parse", str(mail)]}.items():
        figures = median(9, lambda command=command: [*COMMAND, *command])
        print(
            f"{name:38}{figures.cpu * 1000:8.0f} ms of CPU, {1000 * (figures.cpu - nothing.cpu):.0f} ms more than python -c pass"
        )


def memory(work: Path, seeds: list[Path], count: int) -> None:
    shutil.rmtree(work / "mails")
    copies(work / "many", seeds, count)
    figures = run([*COMMAND, "replay", str(work / "many"), "--db", f"sqlite:///{work}/many.db"])
    print()
    row(f"replay of {count} mails", count, figures)


if __name__ == "__main__":
    main()
