"""Endpoints beside each other: how many webhooks are on their way at a time."""

import asyncio
from collections import Counter

from notify.delivery import Delivery, add, ids, options, tell
from notify.sink import Reply, Sink

from dsn_processor.notify import delivering


def test_a_slow_endpoint_delays_no_other(store):
    async def run():
        async with Sink() as slow, Sink() as fast:
            add(store, slow, "slow")
            add(store, fast, "fast")
            delivery = Delivery(store, options(slow, fast))
            release = asyncio.Event()

            async def hold(_):
                await release.wait()
                return Reply(200)

            slow.answer = hold
            tell(store, *(f"r{number}@example.net" for number in range(80)))
            tell(store, *(["one@example.net"] * 5), first=80)
            held = 0

            def fast_has_all():  # while the slow one has not answered once
                nonlocal held
                if len(set(ids(fast))) < 85:
                    return False
                held = len(slow.got)
                release.set()
                return True

            await asyncio.wait_for(delivery.until(fast_has_all), 110)
            await delivery.all()
            return held, slow, fast

    held, slow, fast = asyncio.run(run())
    assert held <= 8
    assert len(set(ids(slow))) == 85
    about_one = [one for one in ids(fast) if one >= "msg_000080"]
    assert about_one == sorted(about_one)


def test_connections_are_used_again(store):
    async def run():
        async with Sink() as sink:
            add(store, sink)
            tell(store, *(f"r{number}@example.net" for number in range(200)))
            await Delivery(store, options(sink, concurrency=4)).all()
            return sink

    sink = asyncio.run(run())
    assert len(sink.got) == 200
    assert sink.connections <= 4


def test_the_last_outcome_waits_for_no_others(store, monkeypatch):
    monkeypatch.setattr(delivering, "_GATHER_SECONDS", 3_600.0)

    async def run():
        async with Sink() as sink:
            add(store, sink)
            tell(store, *["a@example.net"] * 3)
            delivery = Delivery(store, options(sink))
            delivery.wait = delivering._wait
            await asyncio.wait_for(delivery.all(), 60)
            return ids(sink)

    assert asyncio.run(run()) == ["msg_000000", "msg_000001", "msg_000002"]


def test_one_that_failed_often_is_tried_with_one_at_a_time(store):
    async def run():
        async with Sink() as sink:
            add(store, sink)
            most = flying = 0

            async def no(_):
                nonlocal most, flying
                flying += 1
                await asyncio.sleep(0.005)
                if len(sink.got) > 20:
                    most = max(most, flying)
                flying -= 1
                return Reply(500)

            sink.answer = no
            tell(store, *(f"r{number}@example.net" for number in range(40)))
            await Delivery(store, options(sink)).until(lambda: len(sink.got) >= 40)
            return most

    assert asyncio.run(run()) == 1


def test_while_something_is_more_urgent_there_is_a_rest_after_each_attempt(store):
    async def run():
        async with Sink() as one, Sink() as other:
            add(store, one)
            add(store, other, "other")
            pace, rested, flying, most = 0.1, [], Counter(), Counter()
            all_at_once = asyncio.Event()

            async def sleep(seconds):
                rested.append(seconds)
                delivery.now += seconds
                await asyncio.sleep(0)

            def answer(sink):
                async def fine(_):
                    flying[sink] += 1
                    most[sink] = max(most[sink], flying[sink])
                    if not pace and flying[sink] == 4:
                        all_at_once.set()
                    await (asyncio.sleep(0.001) if pace else all_at_once.wait())
                    flying[sink] -= 1
                    return Reply(200)

                return fine

            one.answer, other.answer = answer(one), answer(other)
            delivery = Delivery(store, options(one, other, concurrency=4), pace=lambda: pace, sleep=sleep)
            tell(store, *(f"r{number}@example.net" for number in range(12)))
            await delivery.all()
            slowly, rests = dict(most), rested.count(pace)
            pace = 0.0
            tell(store, *(f"r{number}@example.net" for number in range(12)), first=12)
            await asyncio.wait_for(delivery.all(), 110)
            return slowly, rests, dict(most), [len(one.got), len(other.got)], (one, other)

    slowly, rests, most, got, (one, other) = asyncio.run(run())
    assert slowly == {one: 1, other: 1}  # at a time
    assert rests == 24  # one after each
    assert max(most.values()) == 4
    assert got == [24, 24]
