"""Whether the cost of hostile mail grows with its size and no faster: CPU time of reading, judging and describing."""

import time
from collections.abc import Iterator
from typing import NamedTuple

from fuzz.hostile import FAMILIES

from dsn_processor.contract import describe_mail
from dsn_processor.facts import InboundMessage
from dsn_processor.reading import read

SIZES = (64 << 10, 512 << 10, 4 << 20)
GROWTH = 1.6  # of the cost per byte from one size to the next
NOISE = 0.02  # seconds under which nothing is compared
SLOW = 0.3  # seconds that a mail of a few MB may take ...
PER_RECIPIENT = 80e-6  # ... and what each recipient read from it may add


class Cost(NamedTuple):
    seconds: float
    recipients: int


class Swept(NamedTuple):
    family: str
    costs: list[Cost]
    fault: str | None


def cost(raw: bytes, times: int = 2) -> Cost:
    """The least of several measurements: what is above it is the machine's doing."""
    best, recipients = float("inf"), 0
    for _ in range(times):
        began = time.process_time()
        reading = read(raw)
        describe_mail(InboundMessage(raw=raw, source="-"), reading)
        best = min(best, time.process_time() - began)
        recipients = len(reading.verdicts)
    return Cost(best, recipients)


def sweep() -> Iterator[Swept]:
    for family, make in FAMILIES.items():
        costs = [cost(make(size)) for size in SIZES]
        fault = judge(costs)
        if fault:  # a second look tells a slow mail from a slow moment
            costs = [cost(make(size), times=5) for size in SIZES]
            fault = judge(costs)
        yield Swept(family, costs, fault)


def judge(costs: list[Cost]) -> str | None:
    for one in costs:
        if one.seconds > SLOW + one.recipients * PER_RECIPIENT:
            return f"{one.seconds:.2f} s"
    for (size, one), (larger, other) in zip(
        list(zip(SIZES, costs, strict=True))[:-1], list(zip(SIZES, costs, strict=True))[1:], strict=True
    ):
        growth = (other.seconds / larger) / (max(one.seconds, NOISE * size / larger) / size)
        if other.seconds > NOISE and growth > GROWTH:
            return f"{growth:.1f} times the cost per byte at {larger >> 10} kB"
    return None
