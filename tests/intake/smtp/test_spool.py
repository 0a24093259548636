"""Where a mail waits."""

import asyncio
from pathlib import Path

import pytest

from dsn_processor.intake.smtp.spool import Memory, Spool


@pytest.fixture
def memory():
    return Memory(limit=100_000, loaded=1_000)


def filled(memory, pieces, limit=10_000_000):
    spool = Spool(memory, limit)
    for piece in pieces:
        spool.add(piece)
    return spool


def test_a_short_mail_stays_in_memory(memory):
    spool = filled(memory, [b"ab", b"", b"cd"])
    assert memory.held == 4
    assert not spool.in_file
    assert (spool.read(), spool.size, spool.truncated) == (b"abcd", 4, False)
    spool.close()
    assert memory.held == 0


def test_a_long_one_goes_to_a_file(memory):
    spool = filled(memory, [b"x" * 100_000] * 5)
    assert spool.in_file
    assert memory.held == 0
    assert spool.read() == b"x" * 500_000
    spool.close()


def test_middling_ones_do_where_there_are_many(memory):
    spools = [filled(memory, [b"x" * 20_000]) for _ in range(20)]
    assert memory.held <= 120_000
    assert [spool.in_file for spool in spools] == [False] * 5 + [True] * 15
    small = filled(memory, [b"x" * 16_000])
    assert not small.in_file
    for spool in (*spools, small):
        assert spool.read() in {b"x" * 20_000, b"x" * 16_000}
        spool.close()
    assert memory.held == 0


@pytest.mark.parametrize("limit", [0, 1, 7, 300_000])
def test_the_head_is_kept(memory, limit):
    spool = filled(memory, [b"0123456789" * 40_000] * 2, limit)
    assert (spool.size, spool.truncated, spool.kept) == (800_000, True, limit)
    assert spool.read() == (b"0123456789" * 80_000)[:limit]
    spool.close()


def test_a_mail_of_just_the_limit_is_whole(memory):
    spool = filled(memory, [b"abc", b"def"], 6)
    assert not spool.truncated
    spool.close()


def test_a_file_that_cannot_be_written(memory, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("dsn_processor.intake.smtp.spool.TemporaryFile", full)
    spool = filled(memory, [b"x" * 200_000] * 3)
    assert memory.held == 0
    with pytest.raises(OSError, match="No space left"):
        spool.read()
    assert spool.size == 600_000
    spool.close()


def test_large_mails_are_loaded_one_after_another(run):
    async def test():
        memory = Memory(loaded=1_000)
        inside, most = 0, 0

        async def load(size):
            nonlocal inside, most
            async with memory.loading(size):
                inside += size
                most = max(most, inside)
                await asyncio.sleep(0)
                inside -= size

        await asyncio.gather(*(load(size) for size in (400, 400, 400, 5_000, 400, 400)))
        assert most == 5_000  # alone, though larger than all there is
        await asyncio.gather(*(load(400) for _ in range(9)))
        assert memory._loaded == 0

    run(test())


def test_who_gives_up_waiting_holds_nothing(run):
    async def test():
        memory = Memory(loaded=10)
        async with memory.loading(10):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01), memory.loading(5):
                    raise AssertionError
        async with asyncio.timeout(5), memory.loading(10):
            pass

    run(test())


def test_a_file_system_that_fills_up_while_the_file_is_read_back(memory, tmp_path, monkeypatch):
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    full = Path("/dev/full").open("wb+")  # noqa: SIM115
    monkeypatch.setattr("dsn_processor.intake.smtp.spool.TemporaryFile", lambda: full)
    spool = filled(memory, [b"x" * 256_000, b"y" * 10])
    with pytest.raises(OSError, match="No space left"):
        spool.read()
    spool.close()
    assert memory.held == 0


def test_a_mail_counts_until_it_is_stored(memory):
    spool = filled(memory, [b"x" * 99_000])
    assert spool.read() == b"x" * 99_000
    assert memory.held == 99_000
    other = filled(memory, [b"y" * 17_000])
    assert other.in_file
    for one in (spool, other):
        one.close()
    assert memory.held == 0
