"""When a webhook is tried again, for how long a receiver is left alone, and what is given up or forgotten."""

import asyncio
from email.utils import formatdate
from itertools import pairwise

import pytest
from notify.delivery import START, Delivery, add, do, ids, options, rows, tell
from notify.sink import Reply, Sink

from dsn_processor.notify.attempts import DELAYS, State
from dsn_processor.record import endpoints

# Seconds from one attempt to the next: Standard Webhooks 1.0.0.
SCHEDULE = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400]


@pytest.mark.parametrize("status", [500, 400, 301, 404])
def test_attempts_follow_the_schedule_and_end_among_the_dead(store, status):
    async def run():
        async with Sink() as sink:
            add(store, sink)
            delivery = Delivery(store, options(sink))
            times = []

            async def no(_):
                times.append(delivery.now - START)
                return Reply(status, {"Location": sink.url}, b"not now\x1b[31m")

            sink.answer = no
            tell(store, "a@example.net", "a@example.net")
            # The other one may begin before anybody looks.
            await delivery.until(lambda: store.outbox.figures().dead > 0)
            [dead] = rows(store, state=State.DEAD)
            at = [
                time for time, request in zip(times, sink.got, strict=True) if request.id == dead.message_id
            ]
            sink.answer = sink._fine
            before = sink.got[0].body
            assert do(
                store, "replay", ids=[dead.message_id], endpoint=None, state=None, since=None, until=None
            ) == {"replayed": 1}
            await delivery.all()
            return at, dead, [request for request in sink.got if request.id == dead.message_id], before

    at, dead, got, before = asyncio.run(run())
    assert [later - earlier for earlier, later in pairwise(at)] == SCHEDULE == list(DELAYS)
    assert (dead.message_id, dead.attempts, dead.status) == ("msg_000000", 10, status)
    assert dead.error == ("redirects are not followed" if status == 301 else "not now\\x1b[31m")
    assert (len(got), got[-1].body) == (11, before)
    assert {row.state for row in rows(store)} == {"delivered"}


def test_each_wait_is_up_to_a_tenth_longer(store):
    async def run(chance):
        async with Sink() as sink:
            add(store, sink, f"app{chance}")
            delivery = Delivery(store, options(sink), lambda: chance)
            times = []

            async def no(_):
                times.append(delivery.now)
                return Reply(500 if len(times) < 3 else 200)

            sink.answer = no
            tell(store, f"{chance}@example.net")
            await delivery.until(lambda: len(times) == 3)
            do(store, "remove", name=f"app{chance}")
            return times[2] - times[1]

    assert asyncio.run(run(0.0)) == 300.0
    assert asyncio.run(run(0.999)) == pytest.approx(330.0, abs=1.0)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("dated", [True, False])
def test_who_asks_to_be_left_alone_is(store, status, dated):
    async def run():
        async with Sink() as sink:
            add(store, sink)
            delivery = Delivery(store, options(sink, concurrency=1))
            times = []

            async def later(_):
                times.append(delivery.now - START)
                asked = formatdate(delivery.now + 1_000, usegmt=True) if dated else "1000"
                return Reply(status, {"Retry-After": asked}) if len(times) == 1 else Reply(200)

            sink.answer = later
            tell(store, "a@example.net", "b@example.net", "c@example.net")
            await delivery.all()
            return times

    times = asyncio.run(run())
    assert times[0] == 0
    assert all(999 <= time <= 1_010 for time in times[1:])
    assert len(times) == 4


def test_who_asks_to_be_left_alone_is_so_after_a_restart(store):
    async def run():
        async with Sink() as sink:
            add(store, sink)
            times = []

            async def later(_):
                times.append(delivery.now - START)
                return Reply(429, {"Retry-After": "1000"}) if len(times) == 1 else Reply(200)

            sink.answer = later
            tell(store, "a@example.net", "b@example.net")
            delivery = Delivery(store, options(sink, concurrency=1))
            await delivery.until(lambda: delivery.outcomes)
            tell(store, "c@example.net", first=2)
            [app] = store.outbox.endpoints().values()
            delivery = Delivery(store, options(sink))
            await delivery.all()
            tell(store, "d@example.net", first=3)
            sink.answer = sink._fine
            ahead = Delivery(store, options(sink))  # of a clock that was a year ahead
            with store.transaction():
                store.outbox.change(
                    lambda connection: endpoints.change(
                        connection, app.id, {"paused_until": START + 31_536_000}
                    )
                )
            await ahead.all()
            return app, times, ahead.now

    app, times, ahead = asyncio.run(run())
    assert app.paused_until == START + 1_000
    assert times[0] == 0
    assert all(1_000 <= time <= 1_110 for time in times[1:])
    assert len(times) == 4
    assert ahead < START + 100


def test_a_person_ends_a_pause(store):
    class Person(list):
        def append(self, outcome):
            super().append(outcome)
            if outcome.state is State.PENDING:
                do(store, "enable", name="app")

    async def run():
        async with Sink() as sink:
            add(store, sink)

            async def later(_):
                sink.answer = sink._fine
                return Reply(429, {"Retry-After": "1000"})

            sink.answer = later
            tell(store, "a@example.net", "b@example.net")
            delivery = Delivery(store, options(sink, concurrency=1))
            delivery.outcomes = Person()
            await delivery.all()
            [app] = store.outbox.endpoints().values()
            return app, delivery.now - START, ids(sink)

    app, passed, got = asyncio.run(run())
    assert (app.paused_until, passed < 900) == (0.0, True)
    assert sorted(got) == ["msg_000000", "msg_000000", "msg_000001"]


def test_nobody_has_us_wait_for_ever(store):
    async def run():
        async with Sink() as sink:
            add(store, sink)
            delivery = Delivery(store, options(sink))
            times = []

            async def later(_):
                times.append(delivery.now - START)
                return Reply(429, {"Retry-After": "9" * 30}) if len(times) == 1 else Reply(200)

            sink.answer = later
            tell(store, "a@example.net")
            await delivery.all()
            return times

    assert asyncio.run(run())[1] <= 86_400 * 1.1 + 1


def test_who_is_gone_is_asked_no_more_until_somebody_enables_it(store):
    async def run():
        async with Sink() as sink, Sink() as other:
            add(store, sink)
            add(store, other, "other")
            delivery = Delivery(store, options(sink, other, concurrency=1))

            async def gone(_):
                return Reply(410)

            sink.answer = gone
            tell(store, "a@example.net", "b@example.net")
            await delivery.until(lambda: len(other.got) == 2 and len(delivery.outcomes) >= 3)
            [app, _] = store.outbox.endpoints().values()
            tell(store, "c@example.net", first=2)
            asked = len(sink.got)
            delivery.now += 100_000
            await delivery.until(lambda: len(other.got) == 3)
            still = len(sink.got)
            sink.answer = sink._fine
            waiting = do(store, "enable", name="app")["waiting"]
            await delivery.all()
            return app, asked, still, waiting, ids(sink)

    app, asked, still, waiting, got = asyncio.run(run())
    assert (app.enabled, app.why.startswith("it answered 410")) == (False, True)
    assert (asked, still, waiting) == (1, 1, 2)
    assert set(got) == {"msg_000000", "msg_000001"}  # of what happened meanwhile it hears nothing


def test_what_was_delivered_long_ago_is_forgotten(store):
    async def run():
        async with Sink() as sink:
            add(store, sink)
            tell(store, "a@example.net")
            await Delivery(store, options(sink)).all()
            tell(store, "b@example.net", first=1)

    asyncio.run(run())
    with store.transaction():
        assert store.outbox.clean(START + 10, 100, 100) == 0
        assert store.outbox.clean(START + 1_000, 100, 100) == 1
    assert [row.message_id for row in rows(store)] == ["msg_000001"]


def test_a_clock_that_was_set_back_holds_nothing_up(store):
    async def run():
        async with Sink() as sink:
            add(store, sink)
            tell(store, "a@example.net")
            with store.transaction():
                store.outbox.hasten(next(iter(store.outbox.endpoints().values())), START + 10_000_000)
                store.outbox.clean(START, 100, 100)
            delivery = Delivery(store, options(sink))
            await delivery.all()
            return delivery.now

    assert asyncio.run(run()) < START + 100
