"""How fast mail is taken, beside a listener that throws it away: the same client, the same mails, in turn."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from serve.harness import Serve, cpu_of, free_ports
from serve.verify import count, wait_processed

CONNECTIONS = (1, 16, 64)
#: The marks, at so many connections: of the sink's rate with processing switched on, and times the sink's CPU.
MARKED, LEAST_RATE, MOST_CPU = 16, 0.4, 1.8
#: aiosmtpd as it comes, under uvloop: answers 250 and forgets.
SINK = """
import sys
import uvloop
from aiosmtpd.smtp import SMTP

class Handler:
    async def handle_DATA(self, server, session, envelope):
        return "250 2.0.0 OK"

async def main():
    import asyncio
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(Handler(), loop=loop), "127.0.0.1", int(sys.argv[1]))
    print("ready", flush=True)
    await server.serve_forever()

uvloop.run(main())
"""
#: No mail is begun: what remains is the taking alone.
ACCEPT_ONLY = """
from dsn_processor.server.processing import Processing
Processing.wants = lambda self: False
Processing.room = lambda self: 0
"""
_SENDER = Path(__file__).with_name("sender.py")


class Sent(NamedTuple):
    """One run: mails a second, their seconds from MAIL to 250, milliseconds of the listening process' CPU a mail; and of
    all processes until all was processed; how long that took after the last 250, in the time of the sending.
    """

    rate: float
    p50: float
    p99: float
    cpu: float
    all_cpu: float = 0.0
    backlog: float = 0.0


def send(port: int, connections: int, mails: int, seeds: Sequence[Path]) -> dict[str, float]:
    command = [sys.executable, str(_SENDER), str(port), str(connections), str(mails), *map(str, seeds)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if ran.returncode:
        raise AssertionError(ran.stderr)
    figures: dict[str, float] = json.loads(ran.stdout)
    return figures


def to_sink(connections: int, mails: int, seeds: Sequence[Path]) -> Sent:
    with _sink() as (pid, port):
        send(port, 1, 50, seeds)
        before = cpu_of(pid)
        figures = send(port, connections, mails, seeds)
        return _sent(figures, cpu_of(pid) - before)


@contextmanager
def _sink() -> Iterator[tuple[int, int]]:
    [port] = free_ports(1)
    with subprocess.Popen([sys.executable, "-c", SINK, str(port)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            process.stdout.readline()
            yield process.pid, port
        finally:
            process.kill()


def to_serve(connections: int, mails: int, seeds: Sequence[Path], *, patch: str = "") -> Sent:
    with tempfile.TemporaryDirectory(prefix="dsn-bench-") as name:
        folder = Path(name)
        (folder / "sitecustomize.py").write_text(patch)
        with Serve(folder, patches=folder) as serve:
            send(serve.smtp[1], 1, 50, seeds)
            before, all_before = cpu_of(serve.pid), serve.cpu()
            figures = send(serve.smtp[1], connections, mails, seeds)
            spent = cpu_of(serve.pid) - before
            began = os.times().elapsed
            if not patch:
                wait_processed(serve.database)
            took = os.times().elapsed - began
            all_spent = serve.cpu() - all_before
            stored = count(serve.database)
            assert stored >= mails, f"{stored} of {mails} are stored"
            assert serve.stop() == 0
    return _sent(figures, spent)._replace(all_cpu=1000 * all_spent / mails, backlog=took / figures["seconds"])


def _sent(figures: dict[str, float], cpu: float) -> Sent:
    mails = figures["mails"]
    return Sent(mails / figures["seconds"], figures["p50"] * 1000, figures["p99"] * 1000, 1000 * cpu / mails)


class Compared(NamedTuple):
    """``ratios``, of which more is better; ``failures``, which marks were missed."""

    ratios: dict[str, float]
    failures: list[str]


def compare(rounds: int, mails: int, seeds: Sequence[Path]) -> Compared:
    """Print a table of the sink and of the server, and see whether the marks are reached."""
    print(
        f"\nmail taken over SMTP, {mails:,} mails, medians of {rounds}; CPU in ms a mail, of the listening process"
    )
    print(f"{'':34}{'mails/s':>8}{'p50 ms':>8}{'p99 ms':>8}{'CPU':>7}{'all CPU':>9}{'backlog':>9}")
    ratios: dict[str, float] = {}
    failures: list[str] = []
    for connections in CONNECTIONS:
        runs: dict[str, list[Sent]] = {"sink": [], "serve": [], "serve, taking alone": []}
        for _ in range(rounds):
            runs["sink"].append(to_sink(connections, mails, seeds))
            runs["serve"].append(to_serve(connections, mails, seeds))
            runs["serve, taking alone"].append(to_serve(connections, mails, seeds, patch=ACCEPT_ONLY))
        for name, all_of in runs.items():
            one = Sent(*map(statistics.median, zip(*all_of, strict=True)))
            print(
                f"{f'{name}, {connections} connections':34}{one.rate:8,.0f}{one.p50:8.2f}{one.p99:8.2f}{one.cpu:7.2f}"
                f"{one.all_cpu:9.2f}{one.backlog:9.2f}",
                flush=True,
            )
        rate = _ratio(runs["serve"], runs["sink"], "rate")
        cpu = _ratio(runs["serve, taking alone"], runs["sink"], "cpu")
        backlog = statistics.median(one.backlog for one in runs["serve"])
        print(f"  of the sink: rate {rate:.2f}, CPU of taking {cpu:.2f}")
        ratios[f"serve / sink, rate, {connections} connections"] = rate
        ratios[f"sink / serve, CPU of taking, {connections} connections"] = 1 / cpu
        if connections == MARKED and rate < LEAST_RATE:
            failures.append(f"mail is taken at {rate:.2f} of the sink's rate, less than {LEAST_RATE}")
        if connections == MARKED and cpu > MOST_CPU:
            failures.append(f"taking costs {cpu:.2f} times the sink's CPU, more than {MOST_CPU}")
        if backlog > 1:
            failures.append(f"{connections} connections: the backlog took {backlog:.2f} of the sending time")
    return Compared(ratios, failures)


def _ratio(one: Sequence[Sent], other: Sequence[Sent], field: str) -> float:
    return statistics.median(getattr(a, field) / getattr(b, field) for a, b in zip(one, other, strict=True))
