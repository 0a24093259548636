"""Answers between threads: they come, or it is told that they never will."""

import asyncio
from concurrent.futures import Future

import pytest

from dsn_processor.errors import StoreError
from dsn_processor.server import futures
from dsn_processor.server.futures import wait_for


@pytest.fixture
def closed(monkeypatch):
    monkeypatch.setattr(futures, "_LOOK_SECONDS", 0.01)
    loop = asyncio.new_event_loop()
    loop.close()
    return loop


def test_nobody_waits_for_a_loop_that_has_ended(closed):
    with pytest.raises(StoreError, match="has ended: run this again"):
        wait_for(Future(), closed)


def test_an_answer_that_is_there_is_taken_also_then(closed):
    answer = Future()
    answer.set_result(7)
    assert wait_for(answer, closed) == 7


def test_an_answer_that_says_it_took_too_long_is_an_answer(closed):
    answer = Future()
    answer.set_exception(TimeoutError("the disk"))
    with pytest.raises(TimeoutError, match="the disk"):
        wait_for(answer, closed)
