"""What is in the outbox arrives: none missing, in order for each address, at least once, whatever receivers do."""

import asyncio
import hashlib
import hmac
import random
from base64 import b64decode, b64encode
from collections import Counter
from email.utils import formatdate
from itertools import pairwise

import pytest
from notify.delivery import START, Delivery, add, options, tell
from notify.sink import RESET, Reply, Sink

from dsn_processor import webhooks
from dsn_processor.errors import StoreError
from dsn_processor.notify import delivering
from dsn_processor.notify.attempts import DELAYS, State
from dsn_processor.notify.options import WebhookOptions
from dsn_processor.record import endpoints
from dsn_processor.record.deliveries import DeliveryFilter
from dsn_processor.record.store import Store

# Seconds from one attempt to the next: Standard Webhooks 1.0.0.
SCHEDULE = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400]


@pytest.fixture
def store(url):
    with Store.open(url) as opened:
        yield opened


def do(store, what, **words):
    return webhooks.do(store, {"do": what, **words}, WebhookOptions())


def rows(store, **wanted):
    return list(store.outbox.deliveries(DeliveryFilter(**wanted)))[::-1]


def ids(sink):
    return [request.id for request in sink.got]


def signatures(request, secret):
    """The signature that this secret makes, computed without our code, and those that came."""
    content = f"{request.id}.{request.headers['webhook-timestamp']}.".encode() + request.body
    key = b64decode(secret.removeprefix("whsec_"))
    ours = b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    return f"v1,{ours}", request.headers["webhook-signature"].split(" ")


class Moody:
    """Fails three times in ten, each time in another way, and is down from five minutes on for an hour. Which attempts fail
    depends on nothing but the seed; none of the last ones does: it is to be given up by nobody.
    """

    def __init__(self, delivery, seed):
        self.delivery = delivery
        self.seed = seed
        self.met = Counter()
        self.processed = []  # what it has made something of, in order
        self.said = set()

    async def __call__(self, request):
        self.met[request.id] += 1
        since = self.delivery.now - START
        if 300 <= since < 3_900:
            self.said.add("down")
            return RESET
        rng = random.Random(f"{self.seed} {request.id} {self.met[request.id]}")
        if rng.random() >= 0.3 or self.met[request.id] >= len(DELAYS):
            self.processed.append(request)
            return Reply(200)
        way = rng.choice(["500", "reset", "429", "503", "slow", "cut"])
        self.said.add(way)
        match way:
            case "reset":  # after it was processed: the sender cannot know
                self.processed.append(request)
                return RESET
            case "429":
                return Reply(429, {"Retry-After": "40"})
            case "503":
                return Reply(503, {"Retry-After": formatdate(self.delivery.now + 90, usegmt=True)})
            case "slow":
                await asyncio.sleep(0.02)
                self.processed.append(request)
                return Reply(204)
            case "cut":  # the body is shorter than it says
                self.processed.append(request)
                return Reply(200, {"Content-Length": "9"}, b"x")
        return Reply(500, body=b"no")


@pytest.mark.parametrize("seed", [1, 2])
def test_a_moody_receiver_gets_all_in_order(store, seed):
    rng = random.Random(seed)
    addresses = [f"r{rng.randrange(30)}@example.net" for _ in range(90)]

    async def run():
        async with Sink() as moody, Sink() as fine:
            secret = add(store, moody)
            add(store, fine, "fine")
            delivery = Delivery(store, options(moody, fine), random.Random(seed).random)
            moody.answer = Moody(delivery, seed)
            tell(store, *addresses)
            await delivery.until(lambda: len(fine.got) == 90 and delivery.now > START + 400)
            tell(store, *addresses[:30], first=90)
            await delivery.all()
            return moody, fine, secret

    moody, fine, secret = asyncio.run(run())
    assert moody.answer.said >= {"500", "reset", "429", "503", "slow", "down"}
    every = {f"msg_{number:06}": address for number, address in enumerate(addresses + addresses[:30])}
    assert {row.state for row in rows(store)} == {"delivered"}
    for got in (moody.answer.processed, fine.got):
        assert {request.id for request in got} == set(every)  # none missing
        first = list(dict.fromkeys(request.id for request in got))
        for address in set(every.values()):
            mine = [one for one in first if every[one] == address]
            assert mine == sorted(mine)  # in order for each address
    assert len(fine.got) == 120  # once, where nothing fails
    bodies = {}
    for request in moody.got:
        assert bodies.setdefault(request.id, request.body) == request.body  # a duplicate is the same
        right, came = signatures(request, secret)
        assert came == [right]


def test_after_a_failure_nothing_about_that_address_overtakes(store):
    async def run():
        async with Sink() as sink:
            add(store, sink)
            delivery = Delivery(store, options(sink))

            async def first_fails(request):
                return Reply(500 if request.id == "msg_000000" and delivery.now < START + 2_000 else 200)

            sink.answer = first_fails
            tell(store, "a@example.net", "a@example.net", "b@example.net")
            await delivery.all()
            return ids(sink)

    got = asyncio.run(run())
    assert got[:2] == ["msg_000000", "msg_000002"]
    assert got.index("msg_000001") == len(got) - 1
    assert got.count("msg_000000") == 4


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
            await delivery.until(lambda: len(sink.got) == 10 and store.outbox.figures().dead == 1)
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
            # All that the fast one is to get comes while the slow one has not answered once.
            await asyncio.wait_for(delivery.until(lambda: len(set(ids(fast))) == 85), 110)
            held = len(slow.got)
            release.set()
            await delivery.all()
            return held, slow, fast

    held, slow, fast = asyncio.run(run())
    assert held <= 8
    assert len(set(ids(slow))) == 85
    assert ids(fast)[-5:] == sorted(ids(fast)[-5:])


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


def test_what_the_store_cannot_keep_is_kept_later(store):
    async def run():
        async with Sink() as sink:
            add(store, sink)
            delivery = Delivery(store, options(sink))
            tell(store, "a@example.net", "a@example.net", "b@example.net")

            async def and_then_the_disk_fails(_):
                delivery.faults = [StoreError("no room"), ValueError("a fault of ours")]
                sink.answer = sink._fine
                return Reply(200)

            sink.answer = and_then_the_disk_fails
            await delivery.all()
            return ids(sink)

    got = asyncio.run(run())
    assert sorted(got) == ["msg_000000", "msg_000001", "msg_000002"]
    assert got.index("msg_000000") < got.index("msg_000001")


def test_who_ends_in_the_middle_loses_nothing_and_keeps_the_order(store):
    addresses = [f"r{number % 7}@example.net" for number in range(40)]
    rng = random.Random(7)

    async def run():
        async with Sink() as sink:
            add(store, sink)
            tell(store, *addresses)
            delivery = Delivery(store, options(sink, concurrency=3))
            rounds = 0
            while store.outbox.figures().pending:
                rounds += 1
                enough = len(sink.got) + rng.randrange(1, 30)
                await delivery.end_when(lambda enough=enough: len(sink.got) >= enough)
            return rounds, ids(sink)

    rounds, got = asyncio.run(run())
    assert rounds > 2
    first = list(dict.fromkeys(got))
    assert len(first) == 40
    for address in set(addresses):
        mine = [one for one in first if addresses[int(one[4:])] == address]
        assert mine == sorted(mine)


def test_two_secrets_while_one_takes_the_others_place(store):
    async def run():
        async with Sink() as sink:
            old = add(store, sink)
            delivery = Delivery(store, options(sink))
            new = do(store, "rotate", name="app", grace=86_400)["secret"]
            with store._connection.begin():  # to the clock of this test
                store._connection.exec_driver_sql(
                    "UPDATE endpoint SET previous_until = datetime(?, 'unixepoch') || '.000000'",
                    (START + 100,),
                )
            store.outbox._known = None
            tell(store, "a@example.net")
            await delivery.all()
            delivery.now = START + 200
            tell(store, "a@example.net", first=1)
            await delivery.all()
            return old, new, sink.got

    old, new, (during, after) = asyncio.run(run())
    (right_old, came), (right_new, _) = signatures(during, old), signatures(during, new)
    assert came == [right_new, right_old]
    assert signatures(after, new)[1] == [signatures(after, new)[0]]


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
