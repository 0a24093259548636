"""Many at once: nobody keeps all others out."""

import asyncio

from dsn_processor.intake.smtp import connection


def test_more_than_may_be_are_told_so(run, serve):
    async def test():
        async with serve(max_connections=5, max_connections_per_ip=3) as served:
            mine = [await served.connect() for _ in range(3)]
            assert [(await one.hear())[:4] for one in mine] == ["220 "] * 3
            assert (await (await served.connect()).hear()).startswith("421 4.7.0 ")
            others = [await served.connect(source="127.0.0.2") for _ in range(3)]
            assert [(await one.hear())[:9] for one in others] == ["220 mx.ex", "220 mx.ex", "421 4.3.2"]
            await mine[0].told("QUIT")
            await mine[0].hear()
            assert (await (await served.connect()).hear()).startswith("220 ")

    run(test())


def test_a_flood_leaves_others_their_place(run, serve):
    async def test():
        async with serve(max_connections_per_ip=20) as served:
            flood = await asyncio.gather(*(served.connect() for _ in range(300)))
            assert served.listener.sessions <= 20
            honest = await served.ready(source="127.0.0.2")
            assert (await honest.mail()).startswith("250 ")
            for one in flood:
                await one.close()
            await honest.close()
            await served.empty()
            assert served.service.admission.open == 0
            assert not served.service.admission._open_by_place

    run(test())


def test_who_has_the_most_makes_way(run, serve):
    async def test():
        async with serve(max_connections=12, max_connections_per_ip=6) as served:
            crowds = {
                source: [await served.ready(source=source) for _ in range(6)]
                for source in ("127.0.0.1", "127.0.0.2")
            }
            await asyncio.sleep(0.02)  # the loop's clock counts milliseconds
            for crowd in crowds.values():
                for client in crowd[:-1]:  # the last is the one that says nothing for the longest
                    await client.told("NOOP")
            newcomer = await served.ready(source="127.0.0.3")
            assert (await crowds["127.0.0.1"][-1].rest())[0].startswith("421 4.3.2 ")
            assert (await newcomer.mail()).startswith("250 ")
            assert (await (await served.connect(source="127.0.0.2")).hear()).startswith("421 4.7.0 ")
            others = [await served.ready(source=f"127.0.0.{n}") for n in range(4, 9)]
            assert served.service.admission.open == 12
            for one in (newcomer, *others):
                assert (await one.mail()).startswith("250 ")
            left = served.service.admission._open_by_place
            assert sorted(left.values()) == [1, 1, 1, 1, 1, 1, 3, 3]

    run(test())


def test_a_mail_that_is_being_stored_makes_way_for_nobody(run, serve):
    async def test():
        async with serve(max_connections=2) as served:
            clients = [await served.ready() for _ in range(2)]
            served.keeper.gate.clear()
            for client in clients:
                await client.address()
                client.send(b"x\r\n.\r\n")
            while served.keeper.asked < 2:
                await asyncio.sleep(0.005)
            assert (await (await served.connect(source="127.0.0.2")).hear()).startswith("421 4.3.2 ")
            served.keeper.gate.set()
            assert [(await client.hear())[:4] for client in clients] == ["250 ", "250 "]

    run(test())


def test_nobody_dawdles_while_there_is_little_room(run, serve, monkeypatch):
    monkeypatch.setattr(connection, "_PRESSED", 0.5)

    async def test():
        async with serve(max_connections=10, data_timeout=2, session_timeout=2) as served:
            idle = [await served.ready() for _ in range(8)]
            slow = await served.ready()
            await slow.address()
            slow.send(b"x")
            assert served.service.admission.pressed
            for one in (*idle, slow):
                assert (await one.rest())[0].startswith("421 4.4.2 ")

    run(test())
