"""What is in the outbox arrives: none missing, in order for each address, at least once, whatever receivers do."""

import asyncio
import hashlib
import hmac
import random
from base64 import b64decode, b64encode
from collections import Counter
from email.utils import formatdate

import pytest
from notify.delivery import START, Delivery, add, do, ids, options, rows, tell
from notify.sink import RESET, Reply, Sink

from dsn_processor.errors import StoreError
from dsn_processor.notify.attempts import DELAYS


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
    assert sorted(got[:2]) == ["msg_000000", "msg_000002"]
    assert got.index("msg_000001") == len(got) - 1
    assert got.count("msg_000000") == 4


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


def test_who_delivers_once_does_not_wait_for_the_store(store):
    async def run():
        async with Sink() as sink:
            add(store, sink)
            tell(store, "a@example.net")
            delivery = Delivery(store, options(sink))

            async def and_then_the_disk_is_full(_):
                delivery.faults = [StoreError("no room")]
                return Reply(200)

            sink.answer = and_then_the_disk_is_full
            async with delivery.running() as deliverer:
                with pytest.raises(StoreError, match="no room"):
                    await deliverer.run(once=True)
            return ids(sink)

    assert asyncio.run(run()) == ["msg_000000"]
    assert [row.state for row in rows(store)] == ["delivered"]  # as soon as there was room again


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
