"""Who sends much mail has its answers before applications are told of it; these do not wait for ever."""

import asyncio
import time

import pytest

from dsn_processor.record.deliveries import Figures
from dsn_processor.server.pacing import Rush, rest_seconds
from dsn_processor.server.running import Server
from dsn_processor.settings.model import Settings


class Clock:
    now = 1_000.0

    def __call__(self):
        return self.now


def after(rate, seconds):
    """A rush by so many mails a second, for so long, and its clock."""
    clock = Clock()
    rush = Rush(clock)
    for _ in range(int(rate * seconds)):
        rush.came()
        clock.now += 1 / rate
    return rush, clock


@pytest.mark.parametrize(
    ("rate", "seconds", "is_on"),
    [(49, 10, False), (51, 10, True), (1_000, 1, True), (1_000, 0.049, False), (1, 60, False)],
)
def test_fifty_mails_within_a_second_are_a_rush(rate, seconds, is_on):
    rush, _ = after(rate, seconds)
    assert rush.is_on() is is_on


def test_it_ends_a_second_after_the_mails_do():
    rush, clock = after(500, 2)
    clock.now += 0.8
    assert rush.is_on()
    clock.now += 0.2
    assert not rush.is_on()
    rush.came()
    assert not rush.is_on()


def test_nobody_has_come_yet():
    assert not Rush(lambda: 0.0).is_on()


def test_there_is_a_rest_in_a_rush_while_nothing_waits_long():
    assert rest_seconds(rush=True, oldest_seconds=9.9) > 0
    assert rest_seconds(rush=True, oldest_seconds=10.0) == 0
    assert rest_seconds(rush=False, oldest_seconds=0.0) == 0


def test_deliveries_rest_while_a_server_takes_much_mail(monkeypatch):
    async def run():
        server = Server(Settings(), Settings)
        stored = asyncio.get_running_loop().create_future()
        stored.set_result(None)
        monkeypatch.setattr(server._writer, "take", lambda _: stored)
        server._rush._clock = Clock()
        before = server._webhooks._pace()
        for _ in range(50):
            await server.take(None)
        during = server._webhooks._pace()
        server._webhooks.figures = Figures(pending=1, oldest=time.time() - 3_600)
        return before, during, server._webhooks._pace()

    before, during, patience_has_ended = asyncio.run(run())
    assert (before, patience_has_ended) == (0.0, 0.0)
    assert during > 0
