"""The attacks that a running server has to bear, and what they cost it."""

import time
from typing import NamedTuple

from serve.client import Session
from serve.floods import Flood
from serve.harness import Serve, allow_descriptors, wait
from serve.mails import bounce
from serve.verify import faults, wait_processed

#: MiB that a server may hold, and so much more for each session.
BASE, PER_SESSION = 150, 64 / 1024
SESSIONS, PER_CLIENT = 1_000, 100  # as many as the server lets in by default
HONEST = "127.0.99.1"


class Borne(NamedTuple):
    """An attack as it went: mails of the honest client that were taken, the longest time that one took from connecting
    to its 250, in seconds, the server's peak in MiB, and connections sent away.
    """

    served: int
    slowest: float
    peak: float
    sent_away: int
    faults: list[str]


def attack(serve: Serve, *, loris: int, idle: int, sources: int, honest: int) -> Borne:
    """``loris`` connections that send a byte a second and ``idle`` ones that send nothing, from ``sources`` addresses
    each, while an honest client sends so many mails from another one.
    """
    allow_descriptors(loris + idle + 500)
    mails = [bounce(f"honest-{number}") for number in range(honest)]
    slowest = 0.0
    taken = {}
    with (
        Flood(
            serve.smtp[1], loris, sources=sources, first=10, drip=b"EHLO attacker.example.com\r\nNOOP\r\n"
        ) as dripping,
        Flood(serve.smtp[1], idle, sources=sources, first=50) as silent,
    ):
        crowd = 0.9 * min(SESSIONS, sum(min(count, sources * PER_CLIENT) for count in (loris, idle)))
        wait(
            lambda: dripping.opened >= loris and silent.opened >= idle and serve.descriptors() > crowd,
            "the attackers do not get there",
        )
        with Session(serve.smtp, source=HONEST) as session:
            session.greet()  # behind all attackers that came at once; from now on they stand there
        for mail in mails:
            began = time.monotonic()
            with Session(serve.smtp, source=HONEST) as session:
                if session.greet().code == 250 and session.deliver(mail.raw).code == 250:
                    taken[mail.token] = mail
            slowest = max(slowest, time.monotonic() - began)
        sent_away = dripping.sent_away + silent.sent_away
    wait_processed(serve.database)
    return Borne(
        len(taken), slowest, serve.peak(), sent_away, bounded(serve, SESSIONS) + faults(serve.database, taken)
    )


def bounded(serve: Serve, sessions: int) -> list[str]:
    """Whether memory stayed within its bound for so many sessions: said where it did not."""
    bound = BASE + sessions * PER_SESSION
    return [f"{serve.peak():.0f} MiB, more than {bound:.0f}"] if serve.peak() > bound else []
