"""What takes too long for ``make test``: does reading raise, do answers survive damage, does cost grow with size; does a
running server lose mail when it is killed, when power fails, when its store fails, under attack?

``soak.py [FOLDER ...]`` measures the second over other folders of mails than ``fixtures_eml``; ``--lost N`` names mails.
"""

import argparse
import random
import sys
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import pytest
from correlate import soaking as token_soaking
from fuzz.keeping import CHANGES, Kept, measure_changes, measure_reshapes
from fuzz.mutate import mutate
from fuzz.reshape import SAME
from fuzz.sweep import SIZES, cost, sweep
from mailboxes import soaking as imap_soaking
from notify import soaking as webhook_soaking
from pop3 import soaking as pop3_soaking
from serve import soaking

from dsn_processor.contract import describe_mail
from dsn_processor.facts import InboundMessage
from dsn_processor.reading import read

ROOT = Path(__file__).resolve().parent.parent
PARTS = (
    "mutants",
    "keeping",
    "sweep",
    "kills",
    "powercut",
    "faults",
    "flood",
    "pop3",
    "imap",
    "tokens",
    "webhooks",
)
#: The changes of one byte or one line, of which this share must be survived.
SMALL, WANTED = list(CHANGES)[:4], 0.99


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path, default=[ROOT / "fixtures_eml"])
    parser.add_argument("--only", choices=PARTS, nargs="+", default=PARTS)
    parser.add_argument("--mails", type=int, default=200_000, help="mutants that are read")
    parser.add_argument(
        "--times", type=int, default=10_000, help="random changes of each kind, in each folder"
    )
    parser.add_argument("--lost", type=int, default=0, help="mails to name for each kind of change")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--bound", type=float, default=0.2, help="seconds of CPU one mutant may take")
    parser.add_argument("--crashers", type=Path, default=ROOT / "build" / "crashers")
    parser.add_argument("--kills", type=int, default=200, help="rounds of kill -9")
    parser.add_argument("--tokens", type=int, default=1_000_000, help="tokens of others that are verified")
    parser.add_argument("--cuts", type=int, default=100, help="power cuts, in tens")
    parser.add_argument("--rounds", type=int, default=5, help="times that each trouble of the store comes")
    parser.add_argument("--folder", type=int, default=100_000, help="mails in a large folder of IMAP")
    args = parser.parse_args()
    faults = 0
    if "mutants" in args.only:
        faults += mutants(args)
    if "keeping" in args.only:
        faults += sum([keeping(folder, args) for folder in args.folders])
    if "sweep" in args.only:
        faults += sweeping()
    for fault in serving(args):
        faults += 1
        print(f"FAILED: {fault}", flush=True)
    return 1 if faults else 0


def serving(args: argparse.Namespace) -> Iterable[str]:
    """What is wrong with a server that runs. A part that this machine cannot do is left out, and told."""
    parts = {
        "kills": partial(soaking.kills, args.kills),
        "powercut": partial(soaking.powercuts, args.cuts),
        "faults": partial(soaking.troubles, args.rounds),
        "flood": soaking.floods,
        "tokens": partial(token_soaking.tokens, args.tokens, args.seed),
        "pop3": partial(pop3_soaking.kills, args.kills // 5),
        "webhooks": partial(webhook_soaking.kills, args.kills // 4),
        "imap": partial(imap_soaking.run, args.folder),
    }
    for name, part in parts.items():
        if name in args.only:
            try:
                yield from part()
            except pytest.skip.Exception as why:
                print(f"{name} is left out: {why}", flush=True)


def mutants(args: argparse.Namespace) -> int:
    """Read mutants of the fixtures: no exception, and none over the bound of CPU."""
    seeds = [path.read_bytes() for path in sorted((ROOT / "fixtures_eml").rglob("*.eml"))]
    rng = random.Random(args.seed)
    began, slowest, faults = time.process_time(), 0.0, 0
    for number in range(1, args.mails + 1):
        mail = mutate(seeds, rng)
        fault = None
        start = time.process_time()
        try:
            describe_mail(InboundMessage(raw=mail, source="-"), read(mail))
        except Exception as error:  # every exception is a finding
            fault = repr(error)
        took = time.process_time() - start
        if took > args.bound and cost(mail).seconds > args.bound:
            fault = f"{took:.2f} s of CPU"
        slowest = max(slowest, took)
        if fault:
            faults += 1
            args.crashers.mkdir(parents=True, exist_ok=True)
            path = args.crashers / f"{args.seed}-{number}.eml"
            path.write_bytes(mail)
            print(f"{path}: {fault}", flush=True)
        if number % 20_000 == 0:
            rate = number / (time.process_time() - began)
            print(
                f"{number} mails, {rate:.0f} a CPU-second, slowest {slowest * 1000:.0f} ms, {faults} faults",
                flush=True,
            )
    print(f"{args.mails} mutated mails: {faults} faults, slowest {slowest * 1000:.0f} ms")
    return faults


def keeping(folder: Path, args: argparse.Namespace) -> int:
    """How many mails keep kind, recipients and types; the lines that were evidence themselves are left out."""
    print(
        f"\n{folder}: random changes, then other shapes\n{'':26}  kept      lost: kind, recipients, types   with structure"
    )
    changes = table(measure_changes(folder, args.times, args.seed), args.lost)
    shapes = table(measure_reshapes(folder, args.seed), args.lost)
    small = sum(changes[label].types for label in SMALL) / sum(changes[label].total for label in SMALL)
    differing = [label for label in SAME if shapes[label].share < 1]
    print(f"one byte or line: {small:.2%} kept; copies that differ: {', '.join(differing) or 'none'}")
    return (small < WANTED) + len(differing)


def table(measured: Iterable[tuple[str, Kept]], lost: int) -> dict[str, Kept]:
    rows = {}
    for label, kept in measured:
        rows[label] = kept
        numbers = (kept.total - kept.kind, kept.kind - kept.recipients, kept.recipients - kept.types)
        parts = "{:6} {:6} {:6}".format(*numbers)
        print(
            f"{label:26} {kept.share:7.2%} of {kept.total:5} {parts} {kept.share_with_structure:17.2%}",
            flush=True,
        )
        for line in kept.lost[:lost]:
            print(f"    {line}")
    return rows


def sweeping() -> int:
    """Hostile mail of growing size."""
    print(f"\nhostile mail: ms of CPU at {', '.join(f'{size >> 10} kB' for size in SIZES)}; recipients")
    faults = 0
    for swept in sweep():
        faults += swept.fault is not None
        times = " ".join(f"{one.seconds * 1000:8.1f}" for one in swept.costs)
        print(
            f"{swept.family:26} {times} {swept.costs[-1].recipients:8} {swept.fault or ''}".rstrip(),
            flush=True,
        )
    return faults


if __name__ == "__main__":
    sys.exit(main())
