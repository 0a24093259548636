"""kill -9 of a server while it takes mail and delivers webhooks, again and again; at last, what arrived."""

import asyncio
import io
import json
import os
import random
import threading
import time
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

from notify.sink import RESET, Reply, Sink
from serve.harness import Serve, wait
from serve.kills import kill_at_random
from serve.load import Load
from serve.verify import wait_processed

from dsn_processor.cli import main
from dsn_processor.record.deliveries import DeliveryFilter
from dsn_processor.record.store import Store

SECTIONS = """
[policy]
mode = "open"
wave_least = 100000000
[webhooks]
allow_http = true
allow_networks = ["127.0.0.0/8"]
ports = ["{port}"]
timeout = "60s"
"""


class Killed(NamedTuple):
    """What came of it. ``again`` counts webhooks that came more than once."""

    rounds: int
    events: int
    received: int
    again: int
    seconds: float
    faults: list[str]


class Flaky:
    """Fails one in ten, half of these after it has processed what it got."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.processed = []

    async def __call__(self, request):
        chance = self.rng.random()
        if chance >= 0.05:
            self.processed.append(request)
        if chance < 0.05:
            return Reply(500)
        return RESET if chance < 0.1 else Reply(200)


@contextmanager
def sink_of_its_own(answer=None):
    """A receiver in a thread, which outlives whatever sends to it."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        sink = asyncio.run_coroutine_threadsafe(Sink(answer).__aenter__(), loop).result(60)
        yield sink
        asyncio.run_coroutine_threadsafe(sink.__aexit__(), loop).result(60)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def command(serve, *words, code=0):
    """What a command prints, run beside the server, in this process: each of its own would cost a second."""
    raw, before = io.BytesIO(), os.environ.get("DSN_PROCESSOR_CONFIG")
    os.environ["DSN_PROCESSOR_CONFIG"] = str(serve.configuration)
    out = io.TextIOWrapper(raw, encoding="utf-8", write_through=True)
    try:
        with redirect_stdout(out), redirect_stderr(out):
            ended = main([*words, "--db", f"sqlite:///{serve.database}"])
    finally:
        os.environ["DSN_PROCESSOR_CONFIG"] = before or ""
    printed = raw.getvalue().decode()
    assert ended == code, (words, ended, printed)
    return printed


def kill_again_and_again(folder: Path, rounds: int, *, clients: int = 2, seed: int = 1) -> Killed:
    """Kill the server at random points, start it anew, and at last look at what arrived."""
    rng = random.Random(seed)
    flaky = Flaky(seed)
    began = time.monotonic()
    with sink_of_its_own(flaky) as sink, Serve(folder, sections=SECTIONS.format(port=sink.port)) as serve:
        command(serve, "webhooks", "add", sink.url, "--name", "app")
        with Load(serve.smtp, clients) as load:
            kill_at_random(serve, rounds, rng, lambda: len(sink.got), 80)
            load.end()
            wait_processed(serve.database)
        command(serve, "webhooks", "enable", "app")  # what waits for another attempt need not wait longer
        wait(lambda: not _left(serve, sink), "some are not delivered", log=serve.log)
        code = serve.stop()
        found = _faults(serve.database, flaky.processed)
        found += [f"exit code {code} at last"] if code else []
        events = len(load.acknowledged)
    again = len(flaky.processed) - len({request.id for request in flaky.processed})
    return Killed(rounds, events, len(flaky.processed), again, time.monotonic() - began, found)


def _left(serve, sink):
    with Store.open(f"sqlite:///{serve.database}", readonly=True) as store:
        left = store.outbox.figures().pending
    if left:
        time.sleep(0.5)
        command(serve, "webhooks", "enable", "app")
    return left


def _faults(database, processed):
    """What is wrong: every event has to be there, its suppression after it, and a duplicate has to be the same."""
    found = []
    first = {}
    for at, request in enumerate(processed):
        before = first.setdefault(request.id, (at, request.body))
        if before[1] != request.body:
            found.append(f"{request.id} came with two bodies")
    told = {}
    for id_, (at, body) in first.items():
        words = json.loads(body)
        told.setdefault(words["data"]["event_id"], {})[words["type"]] = (at, id_)
    with Store.open(f"sqlite:///{database}", readonly=True) as store:
        rows = list(store.outbox.deliveries(DeliveryFilter()))
        events = {event.identity for event in store.events()}
    found += [f"{row.message_id} is {row.state}" for row in rows if row.state != "delivered"]
    found += [f"{row.message_id} was not received" for row in rows if row.message_id not in first]
    found += [
        f"{id_} was told though nothing is known of it"
        for id_ in set(first) - {row.message_id for row in rows}
    ]
    for identity in events:
        types = told.get(identity, {})
        if set(types) != {"bounce.failed", "address.suppressed"}:
            found.append(f"of {identity} came {sorted(types)}")
        elif types["bounce.failed"] > types["address.suppressed"]:
            found.append(f"of {identity} the second came first")
    return found
