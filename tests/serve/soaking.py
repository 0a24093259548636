"""The proofs of ``make test`` at length: ``make soak`` runs them. Each prints its figures and returns its faults."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from serve import needs
from serve.attack import attack, bounded
from serve.disks import of_memory
from serve.harness import Serve
from serve.kills import kill_again_and_again
from serve.powercut import NORMAL, cut_again_and_again
from serve.surviving import Survived, survive, survive_one_by_one
from serve.swallow import KINDS, MB, commands_without_end, large_at_once, swallow
from serve.troubles import FAILING, deleted, failing, full, locked, moved_away
from serve.verify import wait_processed


def kills(rounds: int) -> list[str]:
    with _folder() as folder:
        killed = kill_again_and_again(folder, rounds)
    print(
        f"kill -9: {killed.rounds} rounds in {killed.seconds:.0f} s, {killed.acknowledged:,} mails acknowledged, "
        f"{killed.cut:,} connections cut, {killed.again:,} mails sent again that were stored: {len(killed.faults)} faults",
        flush=True,
    )
    return killed.faults


def powercuts(cuts: int) -> list[str]:
    """As many in turns of ten, each on a new disk; at last the control, which has to lose."""
    needs.loop_devices()
    faults: list[str] = []
    acknowledged = lost = 0
    for seed in range(cuts // 10):
        with _folder() as folder:
            done = cut_again_and_again(folder, 10, seed=seed)
        acknowledged += done[-1].acknowledged
        lost += sum(cut.lost for cut in done)
        faults += [fault for cut in done for fault in cut.faults]
    print(f"power cut: {cuts // 10 * 10} cuts, {acknowledged:,} mails acknowledged, {lost} lost", flush=True)
    with _folder() as folder:
        control = cut_again_and_again(folder, 10, patch=NORMAL)
    gone = max(cut.lost for cut in control)
    print(f"power cut without full synchronisation, 10 cuts: {gone} lost in the worst", flush=True)
    return faults + [f"{lost} mails lost"] * bool(lost) + ["the control lost nothing"] * (not gone)


def troubles(rounds: int) -> list[str]:
    """Every trouble of the store, again and again on the same running server."""
    needs.tracing()
    faults: list[str] = []
    named = {name: failing(*how) for name, how in FAILING.items()}
    named |= {one.__name__: one for one in (locked, moved_away, deleted)}
    for name, trouble in named.items():
        with _folder() as folder:
            faults += _survived(name, survive(folder, trouble, rounds=rounds))
    with _folder() as folder:
        calls = ("pwrite64", "fdatasync", "ftruncate", "pread64")
        faults += _survived("one system call, the n-th", survive_one_by_one(folder, calls, 10 * rounds))
    needs.root()
    with _folder() as folder, of_memory(folder / "small", 32) as disk:
        database = disk / "bounces.db"
        faults += _survived(
            "full", survive(folder, full, rounds=rounds, database=database, settings="min_free = 0")
        )
    return faults


def _survived(name: str, outcome: Survived) -> list[str]:
    print(
        f"{name}: {outcome.acknowledged:,} mails acknowledged, {outcome.refused:,} refused for a while, "
        f"taken again after {outcome.healed:.1f} s at most: {len(outcome.faults)} faults",
        flush=True,
    )
    return outcome.faults


def floods() -> list[str]:
    faults: list[str] = []
    for loris, idle, sources in ((1_000, 10_000, 10), (1_000, 10_000, 200)):
        with _folder() as folder, Serve(folder) as serve:
            borne = attack(serve, loris=loris, idle=idle, sources=sources, honest=100)
        print(
            f"{loris:,} slow and {idle:,} idle connections from {2 * sources} addresses: {borne.served} of 100 honest "
            f"mails taken, the slowest in {borne.slowest:.2f} s; peak {borne.peak:.0f} MiB, "
            f"{borne.sent_away:,} sent away: {len(borne.faults)} faults",
            flush=True,
        )
        faults += borne.faults
        faults += [f"{100 - borne.served} honest mails were not taken"] * (borne.served < 100)
        faults += [f"an honest mail took {borne.slowest:.2f} s"] * (borne.slowest > 1)
    for kind in KINDS:
        with _folder() as folder, Serve(folder) as serve:
            outcome = swallow(serve.smtp, kind, 600 * MB)
            print(
                f"{kind}: {outcome.sent / MB:.0f} MB, answer {outcome.code}, peak {serve.peak():.0f} MiB",
                flush=True,
            )
            faults += bounded(serve, 1) + [f"{kind}: not cut off"] * (outcome.sent >= 600 * MB)
    with _folder() as folder, Serve(folder) as serve:
        took = commands_without_end(serve.smtp, 200 * MB)
        print(
            f"commands whose answers nobody reads: {took / MB:.1f} MB, peak {serve.peak():.0f} MiB",
            flush=True,
        )
        faults += bounded(serve, 1) + ["who never reads is not cut off"] * (took >= 200 * MB)
    return faults + _large()


def _large() -> list[str]:
    with _folder() as folder, Serve(folder) as serve:
        began = time.monotonic()
        codes = large_at_once(serve.smtp, 100, 10 * MB - 10_000)
        took = time.monotonic() - began
        wait_processed(serve.database)
        print(
            f"100 sessions with 10 MB each: {codes.count(250)} taken in {took:.0f} s, peak {serve.peak():.0f} MiB"
        )
        return bounded(serve, 100) + [f"{len(codes) - codes.count(250)} large mails refused"] * (
            codes != [250] * 100
        )


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="dsn-soak-") as name:
        yield Path(name)
