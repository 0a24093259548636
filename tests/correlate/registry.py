"""How large the registry of sends is, and how fast: ``python tests/correlate/registry.py 10000000``; ``make bench`` does it
with few.
"""

import hashlib
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from dsn_processor import matching
from dsn_processor.canonical import reference
from dsn_processor.facts import Send
from dsn_processor.record.store import Store

BATCH = 2_000
ASKED = 256  # reports of a batch
MAILS_AN_ADDRESS = 5
_KEEP = 90 * 86_400.0


def message_id(number: int) -> str:
    """As senders make them: 32 hexadecimal digits and a domain."""
    return f"{hashlib.blake2b(str(number).encode(), digest_size=16).hexdigest()}@mail.example.com"


def address(number: int) -> str:
    return f"first.last{number}@{number % 5_000}.example.net"


def sent(start: int, count: int, addresses: int, now: datetime) -> Iterator[Send]:
    rng = random.Random(start)
    for number in range(start, start + count):
        yield Send(
            message_id(number),
            address(rng.randrange(addresses)),
            now,
            "news",
            f"campaign-{number // 100_000}",
        )


def measure(total: int) -> None:
    now = datetime.now(UTC)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sends.db"
        with Store.open(f"sqlite:///{path}") as store:
            empty = path.stat().st_size
            began, cpu = time.perf_counter(), time.process_time()
            for start in range(0, total, BATCH):
                batch = list(sent(start, min(BATCH, total - start), total // MAILS_AN_ADDRESS or 1, now))
                matching.register(store, batch, delivered=False, keep=_KEEP)
            cpu = time.process_time() - cpu
            took = time.perf_counter() - began
        size = path.stat().st_size - empty
        print(
            f"{total:,} sends registered: {total / took:,.0f}/s, {total / cpu:,.0f} a CPU-second; "
            f"{size / total:.0f} bytes each, {size / 2**20:,.0f} MiB in all"
        )
        with Store.open(f"sqlite:///{path}", readonly=True) as store:
            rng = random.Random(1)
            for kind, known in (("known", True), ("unknown", False)):
                began = time.process_time()
                rounds = 100
                for _ in range(rounds):
                    numbers = [rng.randrange(total) + (0 if known else total) for _ in range(ASKED)]
                    found = store.find_sends({reference(message_id(number)): () for number in numbers})
                    assert bool(found) is known
                rate = rounds * ASKED / (time.process_time() - began)
                print(f"look-ups of {kind} message ids, {ASKED} at a time: {rate:,.0f} a CPU-second")


if __name__ == "__main__":
    measure(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000)
