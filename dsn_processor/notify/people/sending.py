"""Sends messages by Apprise. What is due at the same moment is one message.

Apprise takes more than a second of CPU to import, and waits for answers: both are done in a thread, the import when there is something
to be told. It logs what it does, URLs with their secrets included: none of that is let through.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import ModuleType
from typing import NamedTuple

from dsn_processor import logs
from dsn_processor.errors import ConfigurationError
from dsn_processor.notify.attempts import Answer, Due
from dsn_processor.notify.endpoints import Endpoint
from dsn_processor.notify.notification import EventType, Notification
from dsn_processor.notify.people.composing import Message, compose
from dsn_processor.notify.people.options import NotifyOptions

log = logs.get_logger(room="notify")

_GATHER_SECONDS = 0.5
_TIMEOUT_SECONDS = 60.0  # for one service
_SENT = Answer(200)


class Post(NamedTuple):
    """A message for one of somebody's services. ``place`` stands for the URL in what is logged."""

    url: str
    place: str
    message: Message


@dataclass(slots=True)
class _Batch:
    """What waits to be told to some people at once."""

    dues: list[tuple[Due, asyncio.Future[Answer]]] = field(default_factory=list)


def problems(options: NotifyOptions) -> Iterator[str]:
    """What is wrong with the URLs, by their places. Apprise is loaded to ask it."""
    try:
        urls = options.targets()
    except ConfigurationError as error:
        yield str(error)
        return
    for number, url in enumerate(urls, 1):
        if _apprise().Apprise.instantiate(url, suppress_exceptions=True) is None:
            yield f"{_place(options, number)} is no URL that Apprise understands"


def post(one: Post) -> str:
    """Blocks until the service has answered. Returns what is wrong, "" for nothing."""
    apprise = _apprise()
    service = apprise.Apprise.instantiate(one.url, suppress_exceptions=True)
    if service is None:
        return f"{one.place} is no URL that Apprise understands"
    told = apprise.Apprise()
    told.add(service)
    title, body = one.message
    taken = told.notify(
        body=body, title=title, body_format=apprise.NotifyFormat.TEXT, timeout=_TIMEOUT_SECONDS
    )
    return "" if taken else f"{service.service_name} ({one.place}) did not take it"


def _apprise() -> ModuleType:
    quiet = logging.getLogger("apprise")
    quiet.propagate = False
    quiet.setLevel(logging.CRITICAL + 1)
    import apprise  # noqa: PLC0415  as said above

    return apprise


def _place(options: NotifyOptions, number: int) -> str:
    return f"URL {number} of notify.{options.name}"


class PeopleSender:
    """``options`` are asked for each message, by name: a reload may have brought others. For one event loop."""

    def __init__(
        self,
        options: Callable[[], Mapping[str, NotifyOptions]],
        post: Callable[[Post], str] = post,
        gather_seconds: float = _GATHER_SECONDS,
    ) -> None:
        self._options = options
        self._post = post
        self._gather_seconds = gather_seconds
        self._batches: dict[int, _Batch] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._reached: dict[int, set[str]] = {}  # of deliveries that only some services took, which did

    async def send(self, endpoint: Endpoint, due: Due) -> Answer:
        """Tell it, with all that comes within a moment. Raises nothing: what went wrong is the answer."""
        batch = self._batches.get(endpoint.id)
        if batch is None:
            batch = self._batches[endpoint.id] = _Batch()
            task = asyncio.create_task(self._later(endpoint, batch))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        batch.dues.append((due, answer))
        return await answer

    async def _later(self, endpoint: Endpoint, batch: _Batch) -> None:
        await asyncio.sleep(self._gather_seconds)
        del self._batches[endpoint.id]
        try:
            answers = await self._tell(endpoint, [due for due, _ in batch.dues])
        except Exception as error:  # noqa: BLE001  a fault of ours, or of a library: the next attempt may do
            answers = [Answer(None, f"fault of ours: {type(error).__name__}")] * len(batch.dues)
        for (_, future), answer in zip(batch.dues, answers, strict=True):
            if not future.done():
                future.set_result(answer)

    async def _tell(self, endpoint: Endpoint, dues: Sequence[Due]) -> list[Answer]:
        options = self._options().get(endpoint.name)
        if options is None:
            return [Answer(None, f"no [[notify]] is called {endpoint.name!r} any more")] * len(dues)
        try:
            urls = options.targets()
        except ConfigurationError as error:
            return [Answer(None, str(error))] * len(dues)
        wrong = []
        for number, url in enumerate(urls, 1):
            left = [due for due in dues if url not in self._reached.get(due.id, ())]
            if not left:
                continue
            told = compose(
                [read(due) for due in left],
                options.on,
                options.title,
                options.message,
                digest=options.digest != "none" and left[0].type != EventType.WEBHOOK_TEST,
            )
            trouble = await asyncio.to_thread(self._post, Post(url, _place(options, number), told))
            if trouble:
                wrong.append(trouble)
                continue
            for due in left:
                self._reached.setdefault(due.id, set()).add(url)
        if wrong:
            log.warning("people not reached", notify=options.name, number=len(dues), error="; ".join(wrong))
        else:
            log.info("people told", notify=options.name, number=len(dues))
            for due in dues:
                self._reached.pop(due.id, None)
        return [Answer(None, "; ".join(wrong)) if wrong else _SENT] * len(dues)


def read(due: Due) -> Notification:
    """What the own format's body says."""
    body = json.loads(due.body)
    return Notification(
        id=due.message_id,
        type=EventType(body["type"]),
        at=datetime.fromisoformat(body["timestamp"]),
        address=due.address or str(body["data"].get("address") or ""),
        data=body["data"],
    )
