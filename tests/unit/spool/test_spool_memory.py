from __future__ import annotations

import asyncio

import pytest
from spooling import make_batch, name_of

from logstreamd.spool import MemorySpool, SpoolError


async def test_it_gives_out_what_was_appended_in_order() -> None:
    spool = MemorySpool(window_bytes=1 << 20)
    await spool.open()
    for name in "abc":
        durable = spool.append(make_batch(name))
        assert durable is not None
        assert await durable
    taken = [await spool.take() for _ in "abc"]
    assert [name_of(spooled.batch) for spooled in taken] == ["a", "b", "c"]
    spool.assign(taken[0].seq, 7)
    assert taken[0].number == 7
    assert spool.frames_by_input() == {"tcp": 9}
    spool.acknowledge(spooled.seq for spooled in taken)
    assert spool.frames_by_input() == {"tcp": 0}


async def test_it_is_bounded_until_batches_are_acknowledged() -> None:
    now = 5.0
    spool = MemorySpool(window_bytes=1000, clock=lambda: now)
    rooms: list[bool] = []
    spool.on_room(rooms.append)
    count = 0
    while spool.append(make_batch(str(count))) is not None:
        count += 1
    now = 8.0
    assert spool.stats().bytes <= 1000
    assert (spool.stats().batches, spool.stats().oldest_age_seconds) == (count, 3.0)
    taken = [await spool.take() for _ in range(count)]
    assert spool.append(make_batch("full")) is None
    spool.acknowledge(spooled.seq for spooled in taken)
    assert spool.has_room
    assert rooms == [False, True]


async def test_a_batch_larger_than_the_window_still_passes() -> None:
    spool = MemorySpool(window_bytes=10)
    assert spool.append(make_batch("a")) is not None
    assert spool.append(make_batch("b")) is None


async def test_who_waits_is_told_that_it_closed() -> None:
    spool = MemorySpool(window_bytes=10)
    waiting = asyncio.create_task(spool.take())
    await asyncio.sleep(0)
    await spool.close()
    with pytest.raises(SpoolError, match="closed"):
        await waiting
