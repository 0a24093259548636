"""The mail: from DATA to its answer, which is 250 once it is on disk."""

import asyncio
import errno

from dsn_processor.errors import StoreError, StoreFullError
from dsn_processor.facts import Envelope, InboundMessage
from dsn_processor.intake.smtp.connection import Connection, GoneError
from dsn_processor.intake.smtp.data import DataDecoder
from dsn_processor.intake.smtp.service import log
from dsn_processor.intake.smtp.spool import Spool
from dsn_processor.metrics import Refused
from dsn_processor.pipeline import Accepted

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class Session(Connection):
    """A session of SMTP."""

    async def smtp_DATA(self, arg: str | None) -> None:
        if not self._in_order(bool(self.envelope.rcpt_tos), "503 5.5.1 Send RCPT first"):
            return
        if arg:
            self.wrong("501 5.5.4 DATA stands alone")
            return
        if self._reader.waiting:
            self.part("421 4.7.0 Wait for 354", Refused.PROTOCOL)
            return
        self.reply("354 End with <CRLF>.<CRLF>")
        self.flush()
        spool = Spool(self.service.memory, self.options.size_limit)
        try:
            self._receiving = True
            await self._receive(spool)
            self._receiving, self._storing = False, True
            answer = await self._answer(spool)
        except Exception as error:
            if self._receiving and not isinstance(error, GoneError):
                # What is left of the mail would be read as commands.
                await self.handle_exception(error)
                self.part("421 4.3.0 Something failed here, come again later", None)
                raise GoneError from None
            raise
        finally:
            self._receiving = self._storing = False
            spool.close()
        self.answer_mail(answer)
        self.forget()
        if self.service.stopping:
            self.stop()

    def answer_mail(self, answer: str) -> None:
        """Say what became of the mail."""
        self.reply(answer)

    async def _receive(self, spool: Spool) -> None:
        """Read up to the end of the mail. The time it may take grows with what has come."""
        decoder = DataDecoder()
        options = self.options
        self._reset_timeout()
        slowest = self._since + options.data_timeout
        while decoder.rest is None:
            self._due = min(
                self.heard + options.data_timeout,
                slowest + self._received / options.min_data_rate,
                self._ends,
            )
            chunk = self._reader.all()
            if not chunk:
                await self._more()
                continue
            self.heard = self.loop.time()
            self._received += len(chunk)
            spool.add(decoder.feed(chunk))
            if self._received > 2 * options.size_maximum:
                self.part("552 5.3.4 Too large", Refused.TOO_LARGE)
                raise GoneError
        self._reader.put_back(decoder.rest)

    async def _more(self) -> None:
        """Wait for more of the mail. A part of one is none."""
        try:
            await self._reader.more()
        except (EOFError, OSError):
            self._closing = True
        if self._closing:
            name = self.service.name
            log.info("mail unfinished", room=name, listener=name, client=self.client, bytes=self._received)
            raise GoneError

    async def _answer(self, spool: Spool) -> str:
        """Have the mail stored, and tell what to answer. Whatever fails here, the sender keeps it."""
        try:
            if spool.size > self.options.size_maximum:
                return self._no(Refused.TOO_LARGE, "552 5.3.4 Too large: see SIZE in the answer to EHLO")
            async with asyncio.timeout(self.options.store_timeout):
                return await self._store(spool)
        except (StoreError, OSError) as error:  # TimeoutError, too
            if isinstance(error, StoreFullError) or getattr(error, "errno", None) in _FULL:
                return self._no(Refused.FULL, "452 4.3.1 No room now, come again later", error)
            return self._no(Refused.STORE, "451 4.3.0 Mail cannot be stored now, come again later", error)
        except Exception as error:  # noqa: BLE001
            return await self.handle_exception(error)

    async def _store(self, spool: Spool) -> str:
        if not spool.in_file:
            return await self._taken(spool.read(), spool)
        async with self.service.memory.loading(spool.kept):
            return await self._taken(spool.read(), spool)

    async def _taken(self, raw: bytes, spool: Spool) -> str:
        began = self.loop.time()
        message = InboundMessage(
            raw=raw,
            source=f"{self.service.name}:{self.client or 'unix'}",
            envelope=Envelope(
                sender=self.envelope.mail_from, recipients=tuple(dict.fromkeys(self.envelope.rcpt_tos))
            ),
            truncated=spool.truncated,
        )
        task = self.service.take(message)
        try:
            # Shielded: where the peer goes or time runs out, the mail is kept, and known when it comes again.
            accepted = await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise StoreError("the store stopped") from None
            raise
        self._errors = self._junk = 0
        self.service.accepted(message, accepted, self.loop.time() - began)
        self._tell(message, accepted, spool.size)
        return f"250 2.0.0 Ok, kept as {accepted.id}"

    def _tell(self, message: InboundMessage, accepted: Accepted, size: int) -> None:
        log.info(
            "mail accepted",
            room=self.service.name,
            listener=self.service.name,
            client=self.client,
            helo=self.session.host_name,
            sender=message.envelope.sender,
            recipients=list(message.envelope.recipients),
            bytes=size,
            mail=accepted.id,
            duplicate=accepted.duplicate,
            truncated=message.truncated,
            tls=self.session.ssl is not None,
        )

    def _no(self, cause: Refused, answer: str, error: Exception | None = None) -> str:
        self.service.refused(cause)
        why = None if error is None else f"{type(error).__name__}: {error}"
        self.told("mail refused", cause, recipients=list(self.envelope.rcpt_tos), why=why)
        return answer
