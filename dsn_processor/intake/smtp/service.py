"""What all sessions of a listener share."""

import asyncio
import socket
import ssl
from typing import TYPE_CHECKING

from dsn_processor import logs, metrics
from dsn_processor.facts import InboundMessage
from dsn_processor.intake.smtp.admission import Admission
from dsn_processor.intake.smtp.options import SmtpOptions
from dsn_processor.intake.smtp.recipients import Recipients
from dsn_processor.intake.smtp.spool import Memory
from dsn_processor.intake.taking import Taking
from dsn_processor.metrics import Refused
from dsn_processor.pipeline import Accepted

if TYPE_CHECKING:
    from dsn_processor.intake.smtp.connection import Connection

log = logs.get_logger(room="smtp")


class Service:
    """``name`` is "smtp" or "lmtp". ``sessions`` are those open now; ``stopping`` is set once and for all."""

    def __init__(
        self, name: str, taking: Taking, options: SmtpOptions, tls: ssl.SSLContext | None, memory: Memory
    ) -> None:
        self.name = name
        self.taking = taking
        self.memory = memory
        self.loop = asyncio.get_running_loop()
        self.sessions: set[Connection] = set()
        self.tasks: set[asyncio.Task[Accepted]] = set()
        self.stopping = False
        self.admission = Admission(options, self.loop.time)
        self.configure(options, tls)
        self.count_open = metrics.SESSIONS_OPEN.labels(name)
        self.count_sessions = metrics.SESSIONS.labels(name)
        self.count_tls = metrics.SESSIONS_TLS.labels(name)
        self._accepted = metrics.ACCEPTED.labels(name)
        self._duplicates = metrics.DUPLICATES.labels(name)
        self._truncated = metrics.TRUNCATED.labels(name)
        self._bytes = metrics.ACCEPTED_BYTES.labels(name)
        self._refused = {cause: metrics.REFUSED.labels(name, cause.value) for cause in Refused}
        self._quiet_until = 0.0
        self._idle = asyncio.Event()

    def configure(self, options: SmtpOptions, tls: ssl.SSLContext | None) -> None:
        """Other options for sessions to come. Who may come in, and mail for whom, holds at once."""
        self.options = options
        self.tls = tls
        self.hostname = options.hostname or socket.gethostname()
        self.recipients = Recipients(options.recipients)
        self.admission.configure(options)

    def take(self, message: InboundMessage) -> asyncio.Task[Accepted]:
        """Begin to store a mail. It goes on to its end, whatever becomes of the session that brought it."""
        task = self.loop.create_task(self.taking.take(message))
        self.tasks.add(task)
        task.add_done_callback(self._taken)
        return task

    def _taken(self, task: asyncio.Task[Accepted]) -> None:
        self.tasks.discard(task)
        if not task.cancelled():
            task.exception()  # told by the session; one that is gone has nobody to tell
        self._look_idle()

    def opened(self, session: "Connection") -> None:
        self.sessions.add(session)
        self.count_open.inc()
        self.count_sessions.inc()

    def closed(self, session: "Connection") -> None:
        if session in self.sessions:
            self.sessions.discard(session)
            self.count_open.dec()
            self._look_idle()

    def make_way(self, place: str | None) -> bool:
        """Where all is full: send away the connection of which nothing was heard for the longest of whoever has the most,
        so that nobody can fill this for all others. Not one whose mail is being stored.
        """
        crowd = self.admission.crowd(place)
        several = [one for one in self.sessions if one.place == crowd and one.can_go] if crowd else []
        if several:
            min(several, key=lambda one: one.heard).make_way()
        return bool(several)

    def _look_idle(self) -> None:
        if self.stopping and not self.sessions and not self.tasks:
            self._idle.set()

    async def idle(self) -> None:
        """Wait, while ``stopping``, for the end of all sessions and of what they store."""
        self._look_idle()
        await self._idle.wait()

    def accepted(self, message: InboundMessage, accepted: Accepted, seconds: float) -> None:
        metrics.ACCEPT_SECONDS.observe(seconds)
        self._accepted.inc()
        self._bytes.inc(len(message.raw))
        if accepted.duplicate:
            self._duplicates.inc()
        if message.truncated:
            self._truncated.inc()

    def refused(self, cause: Refused) -> None:
        self._refused[cause].inc()

    def turned_away(self, client: str | None, cause: Refused) -> None:
        """A connection was. All are counted; a flood of them is one line a second."""
        self._refused[cause].inc()
        now = self.loop.time()
        if now >= self._quiet_until:
            self._quiet_until = now + 1
            log.warning(
                "connection refused", room=self.name, listener=self.name, client=client, cause=cause.value
            )
