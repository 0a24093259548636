"""Fuzz the reading of mail for long: no exception, and no mail over the bound of CPU. ``make soak``, not ``make test``."""

import argparse
import random
import sys
import time
from pathlib import Path

from fuzz.mutate import mutate

from dsn_processor.contract import describe_mail
from dsn_processor.facts import InboundMessage
from dsn_processor.reading import read

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mails", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--bound", type=float, default=0.2, help="seconds of CPU one mail may take")
    parser.add_argument("--crashers", type=Path, default=ROOT / "build" / "crashers")
    args = parser.parse_args()
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
        if took > args.bound and time_again(mail) > args.bound:
            fault = f"{took:.2f} s of CPU"
        slowest = max(slowest, took)
        if fault:
            faults += 1
            args.crashers.mkdir(parents=True, exist_ok=True)
            path = args.crashers / f"{args.seed}-{number}.eml"
            path.write_bytes(mail)
            print(f"{path}: {fault}", flush=True)
        if number % 20_000 == 0:
            print(
                f"{number} mails, {number / (time.process_time() - began):.0f} a CPU-second, slowest {slowest * 1000:.0f} ms, {faults} faults",
                flush=True,
            )
    print(f"{args.mails} mutated mails: {faults} faults, slowest {slowest * 1000:.0f} ms")
    return 1 if faults else 0


def time_again(mail: bytes) -> float:
    """A second look tells a slow mail from a slow moment of the machine."""
    start = time.process_time()
    read(mail)
    return time.process_time() - start


if __name__ == "__main__":
    sys.exit(main())
