"""What takes long with an IMAP mailbox, for `make soak`: kills, a server in trouble, a folder of 100,000 mails."""

import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from mailboxes.dovecot import Dovecot
from mailboxes.kills import kill_again_and_again
from mailboxes.poller import COMMAND, Poller, account, faults, report, stored
from mailboxes.speed import bare

_MAILS = 1_000
_AWAY = 60.0  # seconds that the server is away
_GROWTH = 20.0  # MiB that ten times as many mails may cost


def run(mails: int) -> Iterator[str]:
    """All of it, with ``mails`` in the large folder; tells what went wrong."""
    yield from kills()
    yield from troubles()
    yield from large(mails)


def kills() -> Iterator[str]:
    """kill -9 of a poller 0.1 to 0.5 s after its login, until 1,000 mails are there."""
    for after in ("flag", "move", "delete"):
        with tempfile.TemporaryDirectory() as folder:
            killed = kill_again_and_again(Path(folder), _MAILS, after=after, latest=0.5, batch=10)
        print(
            f"imap, {after}: killed {killed.rounds} times, {killed.midway} amid {_MAILS} mails: "
            f"{'; '.join(killed.faults) or '0 lost, 0 twice'}",
            flush=True,
        )
        yield from (f"imap, {after}: {fault}" for fault in killed.faults)


def troubles() -> Iterator[str]:
    """A server that is restarted, away, or stuck: mails come all the while, and are there soon after."""
    for name, trouble in (
        ("restarted every 2 s", _restarted),
        ("stopped", _stopped),
        ("stuck (SIGSTOP)", _stuck),
        ("renumbered", lambda dovecot: dovecot.renumber("bounces")),
    ):
        with Dovecot() as dovecot, tempfile.TemporaryDirectory() as folder:
            dovecot.put("bounces", map(report, range(100)))
            poller = Poller(Path(folder), account(dovecot, poll_interval=5, timeout=5, batch=10))
            with poller:
                poller.wait_processed(50)
                trouble(dovecot)
                dovecot.put("bounces", map(report, range(100, 200)))
                began = time.monotonic()
                waits = re.findall(r"again_in\D{1,4}([\d.]+)", poller.log())
                poller.wait_processed(200, patience=400)
                seconds = time.monotonic() - began
                code = poller.stop()
            found = faults(poller.database, 200) + ([f"exit code {code}"] if code else [])
            allowed = (float(waits[-1]) if waits else 0.0) + 10
            print(
                f"imap, {name}: all there {seconds:.1f} s after it (allowed {allowed:.1f}): {'; '.join(found) or '0 lost, 0 twice'}",
                flush=True,
            )
            yield from (f"imap, {name}: {fault}" for fault in found)
            if seconds > allowed:
                yield f"imap, {name}: it took {seconds:.1f} s to come back"


def _restarted(dovecot: Dovecot) -> None:
    for _ in range(10):
        time.sleep(2)
        dovecot.restart()


def _stopped(dovecot: Dovecot) -> None:
    dovecot.stop()
    time.sleep(_AWAY)
    dovecot.start()


def _stuck(dovecot: Dovecot) -> None:
    dovecot.pause()
    time.sleep(_AWAY)
    dovecot.resume()


def large(mails: int) -> Iterator[str]:
    """A folder of so many mails: how fast beside a bare loop of FETCH, and how much memory beside a tenth of them."""
    peaks = {}
    for number in (mails // 10, mails):
        with Dovecot() as dovecot, tempfile.TemporaryDirectory() as folder:
            dovecot.put("bounces", map(report, range(number)))
            dovecot.count("bounces")  # have it indexed, for all the same
            rate, _ = bare(dovecot, number)
            began = time.monotonic()
            peaks[number] = _once(Poller(Path(folder), account(dovecot)))
            ours = number / (time.monotonic() - began)
            there = stored(Path(folder) / "bounces.db")
        print(
            f"imap, {number:,} mails: {ours:,.0f} a second stored, read and flagged, {ours / rate:.2f} of a bare FETCH "
            f"({rate:,.0f}); {peaks[number]:.0f} MiB at most",
            flush=True,
        )
        if there != number:
            yield f"imap: {there} of {number} mails are stored"
    if peaks[mails] > peaks[mails // 10] + _GROWTH:
        yield f"imap: memory grows with the folder: {peaks}"


def _once(poller: Poller) -> float:
    """Poll once. The most memory that its main process held, in MiB."""
    command = [*COMMAND, "poll", "--once"]
    with subprocess.Popen(command, cwd=poller.folder, stdout=subprocess.DEVNULL) as process:
        peak = 0.0
        while process.poll() is None:
            status = Path(f"/proc/{process.pid}/status")
            try:
                words = status.read_text().split()
                peak = max(peak, int(words[words.index("VmHWM:") + 1]) / 1024)
            except (OSError, ValueError):
                pass
            time.sleep(0.2)
    return peak
