"""The control socket: the server's side. What it offers is in handover.py."""

import asyncio
import json
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from dsn_processor import __version__, bulk, deeds, logs, matching, webhooks
from dsn_processor.bulk import Prepared
from dsn_processor.correlate.options import CorrelationOptions
from dsn_processor.errors import StoreError, UsageError
from dsn_processor.facts import Envelope, InboundMessage, Send
from dsn_processor.intake.mailbox.keeping import StoreKeeping
from dsn_processor.intake.taking import Taking
from dsn_processor.notify.options import WebhookOptions
from dsn_processor.pipeline import Outcome, release
from dsn_processor.record.entries import NewReport
from dsn_processor.record.store import Store
from dsn_processor.server.counting import count_committed, count_handed_over
from dsn_processor.server.handover import (
    BODY_LIMIT,
    HEADER_LIMIT,
    LENGTHS,
    control_path,
    facts_of,
    fault_name,
    message,
    short_name,
)
from dsn_processor.server.keeper import Keeper
from dsn_processor.server.mailboxes import note_of, status_of, status_words
from dsn_processor.server.writer import Writer

log = logs.get_logger(room="control")

_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid


class Control:
    """Serves the commands that would write to the database if the server did not hold it. ``options`` are those of webhooks."""

    def __init__(
        self, keeper: Keeper, writer: Writer, taking: Taking, options: Callable[[], WebhookOptions]
    ) -> None:
        self._options = options
        self._path = control_path(keeper.path)
        self._keeper = keeper
        self._taking = taking
        self._writer = writer
        self._answers: dict[str, Callable[[dict[str, Any], bytes], Awaitable[dict[str, Any]]]] = {
            "state": self._state,
            "take": self._take,
            "known": self._known,
            "commit": self._commit,
            "replace": self._replace,
            "retry": self._retry,
            "do": self._do,
            "webhooks": self._webhooks,
            "register": self._register,
            "drop_sends": self._drop_sends,
            "met": self._met,
            "mailbox": self._mailbox,
            "settle": self._settle,
            "account": self._account,
            "set_account": self._set_account,
        }
        self._open: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        """Listen. Whoever holds the database may take the name: a socket that is there is a dead server's."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with suppress(FileNotFoundError):
            self._path.unlink()
        before = os.umask(0o177)
        try:
            with short_name(self._path) as name:
                listener.bind(name)
        finally:
            os.umask(before)
        self._server = await asyncio.start_unix_server(self._serve, sock=listener)

    async def stop(self) -> None:
        with suppress(FileNotFoundError):
            self._path.unlink()
        self._server.close()
        for stream in list(self._open):
            stream.transport.abort()  # one that does not read its answer must not hold up the end
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, stream: asyncio.StreamWriter) -> None:
        self._open.add(stream)
        try:
            if not _one_of_us(stream):
                return
            while True:
                header_length, body_length = LENGTHS.unpack(await reader.readexactly(LENGTHS.size))
                if header_length > HEADER_LIMIT or body_length > BODY_LIMIT:
                    return
                header = json.loads(await reader.readexactly(header_length))
                body = await reader.readexactly(body_length)
                stream.write(message(await self._answered(header, body)))
                await stream.drain()
        except (asyncio.IncompleteReadError, OSError, ValueError, struct.error):
            pass  # it has gone, or speaks something else
        finally:
            self._open.discard(stream)
            stream.close()

    async def _answered(self, header: dict[str, Any], body: bytes) -> dict[str, Any]:
        try:
            return await self._answers[header["ask"]](header, body)
        except StoreError as error:
            return {"error": str(error), "fault": fault_name(error)}
        except Exception as error:
            log.exception("command failed")
            return {"error": f"the server could not do this: {error!r}", "fault": "other"}

    async def _state(self, _: dict[str, Any], __: bytes) -> dict[str, Any]:
        state = self._keeper.state
        return {
            "version": __version__,
            "pid": os.getpid(),
            "waiting": state.waiting,
            "quarantined": state.quarantined,
            "free": state.free,
            "fault": None,
            "trouble": None if state.fault is None else str(state.fault),
        }

    async def _take(self, header: dict[str, Any], body: bytes) -> dict[str, Any]:
        envelope = Envelope(sender=header["sender"], recipients=tuple(header["recipients"]))
        mail = InboundMessage(body, header["source"], envelope, header["truncated"])
        accepted = await self._taking.take(mail)
        count_handed_over(len(body), duplicate=accepted.duplicate, truncated=mail.truncated)
        log.info(
            "mail accepted",
            listener="control",
            source=mail.source,
            sender=envelope.sender,
            recipients=list(envelope.recipients),
            bytes=len(body),
            mail=accepted.id,
            duplicate=accepted.duplicate,
            truncated=mail.truncated,
        )
        return {"id": accepted.id, "duplicate": accepted.duplicate}

    async def _known(self, header: dict[str, Any], _: bytes) -> dict[str, Any]:
        identities = header["identities"]
        return {"known": await self._writer.call(lambda store: store.known(identities))}

    async def _commit(self, header: dict[str, Any], body: bytes) -> dict[str, Any]:
        batch = await asyncio.to_thread(facts_of, Prepared, body)
        words = header.get("note")
        note = None if words is None else note_of(words)
        correlation = self._writer.correlation()

        def committed(store: Store) -> list[Outcome]:
            outcomes = bulk.commit(store, batch, note, correlation=correlation)
            self._writer.came(outcomes)
            return outcomes

        outcomes = await self._writer.call(committed)
        pairs = list(zip(batch, outcomes, strict=True))
        for prepared, outcome in pairs:
            count_committed(prepared, outcome)
        if batch:
            log.info(
                "mails handed over",
                mails=len(batch),
                duplicates=sum(outcome.duplicate for outcome in outcomes),
                failed=sum(outcome.error is not None for outcome in outcomes),
                sources=[batch[0].message.source, batch[-1].message.source],
            )
        return {"outcomes": [_described(*pair) for pair in pairs]}

    async def _replace(self, _: dict[str, Any], body: bytes) -> dict[str, Any]:
        reports = await asyncio.to_thread(facts_of, NewReport, body)
        await self._writer.call(lambda store: _replaced(store, reports))
        return {}

    async def _met(self, header: dict[str, Any], _: bytes) -> dict[str, Any]:
        identities = header["identities"]
        return {"met": await self._writer.call(lambda store: store.met(identities))}

    async def _mailbox(self, header: dict[str, Any], _: bytes) -> dict[str, Any]:
        where = header["account"], header["folder"]
        position, mails = await self._writer.call(
            lambda store: (store.position(*where), store.mailbox_mails(*where))
        )
        return {"position": position, "mails": mails}

    async def _settle(self, header: dict[str, Any], _: bytes) -> dict[str, Any]:
        keeping = StoreKeeping(self._writer.ask)
        await asyncio.to_thread(keeping.settle, header["account"], header["folder"], header["uids"])
        return {}

    async def _account(self, header: dict[str, Any], _: bytes) -> dict[str, Any]:
        status = await self._writer.call(lambda store: store.account(header["account"]))
        return {"status": None if status is None else status_words(status)}

    async def _set_account(self, header: dict[str, Any], _: bytes) -> dict[str, Any]:
        keeping = StoreKeeping(self._writer.ask)
        await asyncio.to_thread(keeping.set_account, status_of(header["status"]))
        return {}

    async def _register(self, header: dict[str, Any], body: bytes) -> dict[str, Any]:
        sent = await asyncio.to_thread(facts_of, Send, body)
        keep, delivered = (
            (self._writer.correlation() or CorrelationOptions()).keep_sends,
            bool(header["delivered"]),
        )
        new = await self._writer.call(
            lambda store: matching.register(store, sent, delivered=delivered, keep=keep)
        )
        return {"new": new}

    async def _drop_sends(self, header: dict[str, Any], _: bytes) -> dict[str, Any]:
        before = datetime.fromisoformat(header["before"])
        after, limit = int(header["after"]), int(header["limit"])

        def dropped(store: Store) -> tuple[int, int]:
            with store.transaction():
                return store.drop_sends(before, after=after, limit=limit)

        number, last = await self._writer.call(dropped)
        return {"dropped": number, "last": last}

    async def _do(self, header: dict[str, Any], _: bytes) -> dict[str, Any]:
        try:
            return {"changed": await self._writer.call(lambda store: deeds.do(store, header["deed"]))}
        except UsageError as error:
            return {"error": str(error), "fault": "usage"}

    async def _webhooks(self, header: dict[str, Any], _: bytes) -> dict[str, Any]:
        deed, options = header["deed"], self._options()
        try:
            return await self._writer.call(lambda store: webhooks.do(store, deed, options))
        except UsageError as error:
            return {"error": str(error), "fault": "usage"}

    async def _retry(self, header: dict[str, Any], _: bytes) -> dict[str, Any]:
        ids: Sequence[int] | None = header["ids"]
        retried = await self._writer.call(lambda store: release(store, ids))
        self._writer.expect_backlog()
        return {"retried": retried}


def _replaced(store: Store, reports: Sequence[NewReport]) -> None:
    with store.transaction():
        for report in reports:
            store.replace_report(report)
            store.strengthen(report.message_id, report.events)


def _described(prepared: Prepared, outcome: Outcome) -> dict[str, Any]:
    mine = {id(event.recipient) for event in outcome.events}  # of the event itself there is a new one by now
    return {
        "id": outcome.message_id,
        "duplicate": outcome.duplicate,
        "added": [at for at, event in enumerate(prepared.events) if id(event.recipient) in mine],
        "repeated": outcome.repeated,
        "error": outcome.error,
    }


def _one_of_us(stream: asyncio.StreamWriter) -> bool:
    """Whether the peer is root or the server's own user, where the system can tell; the file's mode says so, too."""
    peer = stream.get_extra_info("socket")
    if not hasattr(socket, "SO_PEERCRED"):
        return True
    _, uid, _ = _CREDENTIALS.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return uid in {0, os.geteuid()}
