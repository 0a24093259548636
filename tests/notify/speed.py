"""How fast webhooks are delivered, beside a bare loop of the same HTTP client; and what they cost those who send mail in:
``make bench``, ``bench.py --only webhooks``.
"""

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from notify.killing import SECTIONS
from serve.harness import Serve
from serve.speed import Compared, send
from serve.verify import wait_processed

from dsn_processor import webhooks
from dsn_processor.notify.notification import EventType, Notification
from dsn_processor.notify.options import WebhookOptions
from dsn_processor.record.deliveries import DeliveryFilter
from dsn_processor.record.store import Store

#: The marks: of the bare loop's rate, and of the intake's rate without webhooks.
LEAST_DELIVERED, LEAST_TAKEN = 0.5, 0.8
CONCURRENCY = 8
#: Answers every request with 204, and has nothing else to do.
SINK = """
import asyncio, sys, uvloop

class Answering(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.data, self.left = transport, b"", 0
    def data_received(self, data):
        self.data += data
        while self.data:
            head, found, rest = self.data.partition(b"\\r\\n\\r\\n")
            if not found:
                return
            at = head.lower().index(b"content-length:") + 15
            length = int(head[at:].split(b"\\r\\n", 1)[0])
            if len(rest) < length:
                return
            self.data = rest[length:]
            self.transport.write(b"HTTP/1.1 204 No Content\\r\\n\\r\\n")

async def main():
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(Answering, "127.0.0.1", 0) for _ in range(2)]
    print(*(server.sockets[0].getsockname()[1] for server in servers), flush=True)
    await asyncio.Event().wait()

uvloop.run(main())
"""
#: Posts the same bodies to the same two places, as many at a time, and keeps nothing.
BARE = """
import asyncio, sys, httpx, uvloop

async def main():
    urls, bodies = sys.argv[2:], open(sys.argv[1], "rb").read().splitlines()
    async with httpx.AsyncClient(trust_env=False) as client:
        async def work(url, waiting):
            for body in waiting:
                response = await client.post(url, content=body, headers={"content-type": "application/json"})
                assert response.status_code == 204
        async with asyncio.TaskGroup() as group:
            for url in urls:
                waiting = iter(bodies)
                for _ in range(CONCURRENCY):
                    group.create_task(work(url, waiting))

uvloop.run(main())
""".replace("CONCURRENCY", str(CONCURRENCY))


@contextmanager
def sink() -> Iterator[list[int]]:
    """The ports of two receivers in a process of their own."""
    with subprocess.Popen([sys.executable, "-c", SINK], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield [int(port) for port in process.stdout.readline().split()]
        finally:
            process.kill()


def compare(events: int, mails: int, rounds: int, seeds: Sequence[Path]) -> Compared:
    """Print both comparisons, and see whether the marks are reached."""
    delivered = delivering(events, rounds)
    taken = taking(mails, rounds, seeds)
    failures = []
    if delivered < LEAST_DELIVERED:
        failures.append(
            f"webhooks are delivered at {delivered:.2f} of a bare loop, less than {LEAST_DELIVERED}"
        )
    if taken < LEAST_TAKEN:
        failures.append(
            f"with webhooks mail is taken at {taken:.2f} of the rate without, less than {LEAST_TAKEN}"
        )
    ratios = {"webhooks / bare loop of httpx": delivered, "intake with webhooks / without": taken}
    return Compared(ratios, failures)


def delivering(events: int, rounds: int) -> float:
    """The rate, of a bare loop's: whole processes, the start and the opening of the database included."""
    print(
        f"\n{events:,} webhooks to each of two endpoints, {CONCURRENCY} at a time each, medians of {rounds}"
    )
    found: dict[str, list[tuple[float, float]]] = {"webhooks deliver": [], "bare loop of httpx": []}
    with tempfile.TemporaryDirectory(prefix="dsn-bench-") as name, sink() as ports:
        folder = Path(name)
        urls = [f"http://127.0.0.1:{port}/hook" for port in ports]
        configuration = folder / "dsn-processor.toml"
        configuration.write_text(SECTIONS.format(port='", "'.join(map(str, ports))))
        bare = folder / "bare.py"
        bare.write_text(BARE)
        for number in range(rounds):
            database, bodies = folder / f"{number}.db", folder / "bodies"
            fill(f"sqlite:///{database}", urls, events, bodies)
            ours = [*(sys.executable, "-m", "dsn_processor", "webhooks", "deliver", "--once")]
            ours += ["--db", f"sqlite:///{database}"]
            environment = {**os.environ, "DSN_PROCESSOR_CONFIG": str(configuration)}
            found["webhooks deliver"].append(run(ours, environment))
            found["bare loop of httpx"].append(run([sys.executable, str(bare), str(bodies), *urls]))
            with Store.open(f"sqlite:///{database}", readonly=True) as store:
                left = store.outbox.figures()
            assert left.pending == left.dead == 0, left
    for what, runs in found.items():
        wall, cpu = (statistics.median(column) for column in zip(*runs, strict=True))
        print(f"  {what:24}{2 * events / wall:8,.0f} a second{2 * events / cpu:8,.0f} a CPU-second")
    pairs = list(zip(*found.values(), strict=True))
    wall, cpu = (statistics.median(theirs[at] / ours[at] for ours, theirs in pairs) for at in (0, 1))
    print(f"  of the bare loop: rate {wall:.2f}, by CPU time {cpu:.2f}", flush=True)
    return wall


def run(command: list[str], environment: dict[str, str] | None = None) -> tuple[float, float]:
    """Seconds of wall clock and of CPU."""
    began = os.times()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    ended = os.times()
    spent = ended.children_user - began.children_user + ended.children_system - began.children_system
    return ended.elapsed - began.elapsed, spent


def fill(url: str, urls: Sequence[str], events: int, bodies: Path) -> None:
    """An outbox with so many events for each endpoint, each about another address; their bodies, a line each."""
    options = WebhookOptions(
        allow_http=True,
        allow_networks=("127.0.0.0/8",),
        ports=tuple(one.split(":")[2].split("/")[0] for one in urls),
    )
    with Store.open(url) as store:
        for number, one in enumerate(urls):
            add(store, one, f"app{number}", options)
        with store.transaction():
            store.outbox.tell(
                [
                    Notification(
                        id=f"msg_{number:08}",
                        type=EventType.BOUNCE_FAILED,
                        at=datetime(2026, 11, 21, tzinfo=UTC),
                        address=f"r{number}@example.net",
                        data={"number": number, "text": "x" * 1_500},
                    )
                    for number in range(events)
                ]
            )
        rows = store.outbox.deliveries(DeliveryFilter(endpoint="app0"))
        bodies.write_bytes(b"\n".join(store.outbox.body(row.id) or b"" for row in rows))


def add(store: Store, url: str, name: str, options: WebhookOptions) -> None:
    deed = {"do": "add", "url": url, "name": name, "format": "own", "key": "", "events": []}
    webhooks.do(store, deed, options)


def taking(mails: int, rounds: int, seeds: Sequence[Path]) -> float:
    """The rate at which a server takes mails and makes sense of them, with two endpoints that are told of everything, of the
    rate with none.
    """
    print(f"\n{mails:,} mails taken over SMTP by 16 connections until all are processed, medians of {rounds}")
    found: dict[str, list[tuple[float, float]]] = {"without webhooks": [], "with two endpoints": []}
    for _ in range(rounds):
        for endpoints, runs in zip((0, 2), found.values(), strict=True):
            runs.append(_taken(mails, endpoints, seeds))
    for what, runs in found.items():
        rate, cpu = (statistics.median(column) for column in zip(*runs, strict=True))
        print(f"  {what:24}{rate:8,.0f} mails/s{cpu:8.2f} ms of CPU a mail, all processes")
    pairs = zip(*found.values(), strict=True)
    ratio = statistics.median(ours[0] / theirs[0] for theirs, ours in pairs)
    print(f"  of the rate without: {ratio:.2f}", flush=True)
    return ratio


def _taken(mails: int, endpoints: int, seeds: Sequence[Path]) -> tuple[float, float]:
    with tempfile.TemporaryDirectory(prefix="dsn-bench-") as name, sink() as ports:
        sections = SECTIONS.format(port='", "'.join(map(str, ports)))
        options = WebhookOptions(
            allow_http=True, allow_networks=("127.0.0.0/8",), ports=tuple(map(str, ports))
        )
        server = Serve(Path(name), sections=sections)
        with Store.open(f"sqlite:///{server.database}") as store:
            for port in ports[:endpoints]:
                add(store, f"http://127.0.0.1:{port}/hook", f"app{port}", options)
        with server as serve:
            send(serve.smtp[1], 1, 50, seeds)
            before, began = serve.cpu(), os.times().elapsed
            send(serve.smtp[1], 16, mails, seeds)
            wait_processed(serve.database)
            took = os.times().elapsed - began
            spent = serve.cpu() - before
            assert serve.stop() == 0
        if endpoints:
            with Store.open(f"sqlite:///{server.database}", readonly=True) as store:
                told = store.outbox.counts()
                assert len(told) == endpoints, "nothing was told"
    return mails / took, 1000 * spent / mails
