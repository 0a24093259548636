"""How fast a mailbox is emptied, beside a bare loop of FETCH with the same library in the same run."""

import json
import os
import ssl
import statistics
import tempfile
import time
from pathlib import Path

from imapclient import IMAPClient
from mailboxes.dovecot import PASSWORD, Dovecot
from mailboxes.poller import Poller, account, report, stored

_BATCH = 100  # mails that the bare loop fetches at a time


def bare(dovecot: Dovecot, mails: int) -> tuple[float, float]:
    """Mails a second that the library fetches, and does nothing with; and seconds of CPU a mail in this process."""
    context = ssl.create_default_context(cafile=str(dovecot.certificate))
    with IMAPClient("localhost", dovecot.imaps, ssl_context=context, timeout=60) as client:
        client.login("bounces", PASSWORD)
        client.select_folder("INBOX", readonly=True)
        began, used = time.monotonic(), time.process_time()
        uids = client.search("ALL")
        for start in range(0, len(uids), _BATCH):
            client.fetch(uids[start : start + _BATCH], ["BODY.PEEK[]"])
        return mails / (time.monotonic() - began), (time.process_time() - used) / mails


def measure(mails: int, rounds: int) -> float:
    """Take turns: the bare loop, a `poll --once` that stores, flags and reads. Returns by how much ours is slower, the median
    of the rounds: mails a second stored and flagged, over the mean of the bare loops before and after.
    """
    ratios = []
    with Dovecot() as dovecot:
        dovecot.put("bounces", map(report, range(mails)))
        dovecot.count("bounces")  # have it indexed, for all the same
        before, _ = bare(dovecot, mails)
        for number in range(rounds):
            with tempfile.TemporaryDirectory() as folder:
                poller = Poller(Path(folder), account(dovecot, flag=f"$Processed{number}"))
                used = os.times()
                ran = poller.once("--json", patience=3_600)
                cpu = sum(os.times()[2:4]) - sum(used[2:4])
                assert ran.returncode == 0, ran.stderr
                told = json.loads(ran.stdout)
                assert stored(poller.database) == mails
            after, spent = bare(dovecot, mails)
            rate = mails / told["fetching_seconds"]
            ratios.append(rate / ((before + after) / 2))
            print(
                f"  {rate:,.0f} mails/s stored and flagged, {ratios[-1]:.2f} of a bare FETCH ({before:,.0f} and {after:,.0f}, "
                f"{spent * 1e6:.0f} us of CPU a mail); {mails / told['seconds']:,.0f} mails/s read, too, "
                f"{cpu / mails * 1e6:.0f} us of CPU a mail in all processes",
                flush=True,
            )
            before = after
    return statistics.median(ratios)
