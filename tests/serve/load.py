"""Clients that send without rest, and remember every mail that was answered with 250."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Self

from serve.client import Address, HungUpError, Session
from serve.mails import Mail, bounces


class Load:
    """Threads that each send one mail after the other over connections of their own, and again whatever was not
    answered with 250, until it is: as a mail server does, without its pauses.

    ``acknowledged`` are the mails answered with 250 by token; ``codes`` counts all answers; ``cut`` the connections
    that ended before the answer to a mail; ``halves`` the ends of connections within a reply. With ``senders`` each
    mail has a sender of its own, TOKEN@sender.example; else it is null.
    """

    def __init__(
        self,
        address: Address,
        clients: int = 8,
        *,
        size: int = 0,
        name: str = "t",
        per_session: int = 20,
        senders: bool = False,
    ) -> None:
        self.acknowledged: dict[str, Mail] = {}
        self.open: dict[int, Mail] = {}
        self.codes: Counter[int] = Counter()
        self.refusals: list[str] = []
        self.cut = 0
        self.halves: list[bytes] = []
        self.failures: list[BaseException] = []
        self._address = address
        self._per_session = per_session
        self._senders = senders
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(number, bounces(f"{name}{number}", size)), daemon=True)
            for number in range(clients)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Stop; what is being sent comes to its end first."""
        self._ending.set()
        for thread in self._threads:
            thread.join(90)
            assert not thread.is_alive(), "a client got no answer in 90 seconds"
        assert not self.failures, self.failures

    def _run(self, number: int, mails: Iterator[Mail]) -> None:
        try:
            self.open[number] = next(mails)
            while not self._ending.is_set():
                self._session(number, mails)
        except BaseException as error:  # the test's thread is to hear of it
            self.failures.append(error)

    def _session(self, number: int, mails: Iterator[Mail]) -> None:
        """One connection: the mail that is open, and some after it."""
        try:
            with Session(self._address) as session:
                if session.greet().code != 250:
                    return
                for _ in range(self._per_session):
                    if not self._one(number, session) or self._ending.is_set():
                        return
                    self.open[number] = next(mails)
                with suppress(OSError):
                    session.quit()
        except HungUpError as error:
            with self._lock:
                self.cut += 1
                if error.rest:
                    self.halves.append(error.rest)
        except OSError:
            with self._lock:
                self.cut += 1
            time.sleep(0.02)  # nobody listens there just now

    def _one(self, number: int, session: Session) -> bool:
        mail = self.open[number]
        reply = session.deliver(mail.raw, sender=f"{mail.token}@sender.example" if self._senders else "")
        with self._lock:
            self.codes[reply.code] += 1
            if reply.code == 250:
                self.acknowledged[mail.token] = mail
                del self.open[number]
            elif len(self.refusals) < 100:
                self.refusals.append(str(reply))
        if reply.code != 250:
            time.sleep(0.02)
        return reply.code == 250

    def permanent(self) -> dict[int, int]:
        """The answers of 5xx, which lose a mail: code and number."""
        return {code: number for code, number in self.codes.items() if code >= 500}
