"""Answers on their way between the event loop, the writer's thread and others."""

import asyncio
from collections.abc import Iterable
from concurrent.futures import Future
from typing import Any, TypeVar

from dsn_processor.errors import StoreError

_Answer = TypeVar("_Answer")

_LOOK_SECONDS = 1.0


def pass_on(source: asyncio.Future[_Answer], answer: Future[_Answer]) -> None:
    """Tell another thread what a future of the loop tells."""

    def told(done: asyncio.Future[_Answer]) -> None:
        if done.cancelled():
            answer.cancel()
        elif error := done.exception():
            answer.set_exception(error)
        else:
            answer.set_result(done.result())

    source.add_done_callback(told)


def wait_for(answer: Future[_Answer], loop: asyncio.AbstractEventLoop) -> _Answer:
    """The answer, as long as there is a loop to bring it. Raises StoreError where that has ended."""
    while True:
        try:
            return answer.result(_LOOK_SECONDS)
        except TimeoutError:
            if answer.done():
                raise  # it is the answer
            if loop.is_closed():
                raise StoreError("the server has ended: run this again") from None


def resolve(answers: Iterable[tuple[asyncio.Future[Any], Any]]) -> None:
    """Tell answers, or errors, to those who wait for them. For the loop's thread."""
    for future, answer in answers:
        if future.done():  # nobody waits any more
            continue
        if isinstance(answer, Exception):
            future.set_exception(answer)
            future.exception()  # told as retrieved: the sender may have gone
        else:
            future.set_result(answer)
