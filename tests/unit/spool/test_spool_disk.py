from __future__ import annotations

import asyncio
import threading
import uuid
from pathlib import Path

import pytest
from spooling import MAX_BYTES, append, fill, has_room, make_batch, name_of, names_left, new_spool, running, same

from logstreamd import faults
from logstreamd.spool import SpoolError


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "spool"


async def test_a_batch_is_given_out_as_it_was_appended(directory: Path) -> None:
    async with running(directory) as spool:
        batch = make_batch("a")
        seq = await append(spool, batch)
        spooled = await spool.take()
        assert spooled.seq == seq
        assert spooled.number is None
        assert same(spooled.batch, batch)


async def test_batches_come_in_the_order_they_were_appended(directory: Path) -> None:
    async with running(directory) as spool:
        appended = [spool.append(make_batch(str(n))) for n in range(50)]
        seqs = await asyncio.gather(*(future for future in appended if future is not None))
        assert seqs == sorted(seqs)
        taken = [await spool.take() for _ in range(50)]
        assert [spooled.seq for spooled in taken] == seqs
        assert [name_of(spooled.batch) for spooled in taken] == [str(n) for n in range(50)]


@pytest.mark.parametrize("sync", ["batch", "interval"])
async def test_what_is_not_acknowledged_is_there_in_the_next_run(directory: Path, sync: str) -> None:
    async with running(directory, sync=sync, interval_seconds=0.01) as spool:
        for name in "abcd":
            await append(spool, make_batch(name))
        spool.acknowledge([(await spool.take()).seq])
        await spool.take()
    async with running(directory) as spool:
        assert spool.recovered_by_input == {"tcp": 9}
        assert [name_of((await spool.take()).batch) for _ in range(3)] == ["b", "c", "d"]


async def test_a_quiet_interval_spool_is_synced_in_time(directory: Path) -> None:
    async with running(directory, sync="interval", interval_seconds=0.01) as spool:
        await append(spool, make_batch("a"))
        log = directory / "spool.db-wal"
        async with asyncio.timeout(20):
            while log.stat().st_size:  # emptied when idle, which comes after the sync
                await asyncio.sleep(0.05)
    assert (await names_left(directory))[0] == ["a"]


async def test_everything_appended_is_durable_when_close_returns(directory: Path) -> None:
    spool = new_spool(directory)
    await spool.open()
    futures = [spool.append(make_batch(str(n))) for n in range(20)]
    await spool.close()
    assert all(future is not None and future.done() and future.result() for future in futures)
    assert (await names_left(directory))[0] == [str(n) for n in range(20)]


async def test_a_number_given_once_stays_with_its_batch(directory: Path) -> None:
    await fill(directory, ["a", "b"])
    async with running(directory) as spool:
        spool.assign((await spool.take()).seq, 70_000)
        spool.assign(999_999, 1)  # not taken: ignored
    async with running(directory) as spool:
        first, second = await spool.take(), await spool.take()
        assert (first.number, second.number) == (70_000, None)


async def test_acknowledging_twice_or_the_unknown_changes_nothing(directory: Path) -> None:
    async with running(directory) as spool:
        seq = await append(spool, make_batch("a"))
        spool.acknowledge([seq])  # not taken yet
        assert spool.frames_by_input() == {"tcp": 3}
        await spool.take()
        spool.acknowledge([seq, seq, 12_345])
        spool.acknowledge([seq])
        assert spool.frames_by_input() == {"tcp": 0}
    assert (await names_left(directory))[0] == []


async def test_frames_are_counted_by_input_until_they_are_acknowledged(directory: Path) -> None:
    async with running(directory) as spool:
        await append(spool, make_batch("a", frames=2, source="udp"))
        await append(spool, make_batch("b", frames=5, source="tcp"))
        assert spool.frames_by_input() == {"udp": 2, "tcp": 5}
        spool.acknowledge([(await spool.take()).seq])
        assert spool.frames_by_input() == {"udp": 0, "tcp": 5}


async def test_the_window_is_bounded_and_the_rest_is_read_back_in_order(directory: Path) -> None:
    window = 100_000
    async with running(directory, window_bytes=window) as spool:
        for n in range(60):
            await append(spool, make_batch(str(n), frames=100, frame_bytes=100))
        taken = []
        for n in range(60):
            assert spool.stats().window_bytes <= window
            taken.append(await spool.take())
            if n == 20:  # newly durable batches do not overtake those on disk
                for late in ("late0", "late1"):
                    await append(spool, make_batch(late))
        taken += [await spool.take(), await spool.take()]
        assert [name_of(spooled.batch) for spooled in taken] == [*map(str, range(60)), "late0", "late1"]
        assert len({spooled.seq for spooled in taken}) == 62


async def test_what_is_read_back_comes_in_pieces_however_large_the_window(directory: Path) -> None:
    async with running(directory, max_bytes=64 << 20) as spool:
        for n in range(12):
            await append(spool, make_batch(str(n), frames=1000, frame_bytes=1000))
    async with running(directory, max_bytes=64 << 20, window_bytes=64 << 20) as spool:
        taken = [await spool.take()]
        assert 0 < spool.stats().window_bytes < 8 << 20  # the next piece is asked for when the first one has come
        taken += [await spool.take() for _ in range(11)]
        assert [name_of(spooled.batch) for spooled in taken] == [str(n) for n in range(12)]


async def test_a_batch_larger_than_the_window_still_passes(directory: Path) -> None:
    async with running(directory, window_bytes=1000) as spool:
        for name in "ab":
            await append(spool, make_batch(name, frames=100, frame_bytes=100))
        assert [name_of((await spool.take()).batch) for _ in "ab"] == ["a", "b"]


async def test_a_cancelled_take_loses_no_batch(directory: Path) -> None:
    async with running(directory) as spool:
        first = asyncio.create_task(spool.take())
        await asyncio.sleep(0)
        await append(spool, make_batch("a"))
        first.cancel()  # the batch has arrived, the task may have seen it or not
        (outcome,) = await asyncio.gather(first, return_exceptions=True)
        spooled = await spool.take() if isinstance(outcome, asyncio.CancelledError) else outcome
        assert name_of(spooled.batch) == "a"


async def test_no_room_when_too_many_bytes_wait_for_the_disk(directory: Path) -> None:
    async with running(directory, window_bytes=100_000) as spool:
        rooms: list[bool] = []
        spool.on_room(rooms.append)
        futures = []
        while (future := spool.append(make_batch("a", frames=100, frame_bytes=100))) is not None:
            futures.append(future)
        assert not spool.has_room
        assert spool.stats().full
        assert spool.stats().waiting_bytes <= 100_000
        await asyncio.gather(*futures)
        assert spool.has_room
        assert rooms == [False, True]


async def test_whoever_is_refused_is_told_when_there_is_room_again(directory: Path) -> None:
    async with running(directory, window_bytes=10_000) as spool:
        rooms: list[bool] = []
        spool.on_room(rooms.append)
        first = spool.append(make_batch("a", frames=50, frame_bytes=100))  # far from the high mark
        assert first is not None
        assert spool.append(make_batch("b", frames=50, frame_bytes=100)) is None
        assert rooms == [False]
        await first
        assert rooms == [False, True]


async def test_max_bytes_is_a_hard_cap_and_room_comes_back(directory: Path) -> None:
    async with running(directory) as spool:
        count = 0
        while (future := spool.append(make_batch(str(count), frames=1000, frame_bytes=1000))) is not None:
            await future
            count += 1
            assert spool.stats().file_bytes <= MAX_BYTES
        assert count >= 8  # of 1 MiB each: two thirds of the 16 MiB, the rest is the log's
        assert not spool.has_room
        assert spool.stats().last_error is None
        for n in range(count):
            spooled = await spool.take()
            assert name_of(spooled.batch) == str(n)
            spool.acknowledge([spooled.seq])
        await has_room(spool)
        await append(spool, make_batch("after"))
        assert spool.stats().file_bytes <= MAX_BYTES


async def test_small_batches_use_the_cap_well(directory: Path) -> None:
    async with running(directory, max_bytes=16 << 20, window_bytes=1 << 20) as spool:
        batch, futures = make_batch("small", frames=5, frame_bytes=100), []
        for _ in range(200):
            futures += [future for _ in range(50) if (future := spool.append(batch)) is not None]
            await asyncio.gather(*futures[-50:])
        stats = spool.stats()
        assert stats.batches == 10_000
        assert stats.bytes < 10_000 * 1000
        assert stats.file_bytes <= MAX_BYTES


async def test_a_batch_no_log_could_hold_is_refused_for_good(directory: Path) -> None:
    async with running(directory) as spool:
        refused = spool.append(make_batch("big", frames=3000, frame_bytes=1000))
        assert refused is not None
        with pytest.raises(SpoolError, match="takes up to"):
            await refused
        await append(spool, make_batch("a"))


async def test_the_id_is_the_directory_s_and_no_seq_is_used_twice(directory: Path) -> None:
    seen: set[int] = set()
    ids: set[uuid.UUID] = set()
    for _ in range(3):
        async with running(directory) as spool:
            ids.add(spool.id)
            for name in "ab":
                await append(spool, make_batch(name))
                spooled = await spool.take()
                assert spooled.seq not in seen
                seen.add(spooled.seq)
                spool.acknowledge([spooled.seq])
    assert len(ids) == 1


async def test_a_deleted_database_starts_behind_every_seq_it_may_have_used(directory: Path) -> None:
    (last,) = await fill(directory, ["a"])
    for file in directory.glob("spool.db*"):
        file.unlink()
    async with running(directory) as spool:
        assert await append(spool, make_batch("b")) > last


async def test_a_closed_spool_says_so(directory: Path) -> None:
    spool = new_spool(directory)
    assert spool.append(make_batch("early")) is None
    await spool.open()
    waiting = asyncio.create_task(spool.take())
    await asyncio.sleep(0)
    await spool.close()
    with pytest.raises(SpoolError, match="closed"):
        await waiting
    assert spool.append(make_batch("late")) is None
    await spool.close()


async def test_the_age_of_the_oldest_batch_is_told(directory: Path) -> None:
    now = 1000.0
    async with running(directory, clock=lambda: now) as spool:
        assert spool.stats().oldest_age_seconds == 0
        await append(spool, make_batch("a"))
        now = 1060.0
        await append(spool, make_batch("b"))
        assert spool.stats().oldest_age_seconds == 60
        spool.acknowledge([(await spool.take()).seq])
        assert spool.stats().oldest_age_seconds == 0


async def test_free_pages_go_back_to_the_file_system_when_idle(directory: Path) -> None:
    async with running(directory) as spool:
        for n in range(6):
            await append(spool, make_batch(str(n), frames=1000, frame_bytes=1000))
            spool.acknowledge([(await spool.take()).seq])
        async with asyncio.timeout(20):
            while spool.stats().file_bytes > 1 << 20:
                await asyncio.sleep(0.05)


@pytest.mark.parametrize("options", [{"max_bytes": 1 << 20}, {"sync": "sometimes"}])
def test_options_out_of_range_are_refused(directory: Path, options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="must be"):
        new_spool(directory, **options)


async def test_a_ping_is_answered_by_the_owner_thread_and_not_while_that_is_busy(directory: Path) -> None:
    busy, done = threading.Event(), threading.Event()

    def sleep(name: str) -> None:
        if name == "spool.committed":
            busy.set()
            done.wait(20)

    async with running(directory) as spool:
        await spool.ping()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(faults, "hit", sleep)
            durable = spool.append(make_batch("a"))
            assert durable is not None
            await asyncio.to_thread(busy.wait, 20)
            pings = [asyncio.create_task(spool.ping()) for _ in range(3)]
            await asyncio.sleep(0)
            pings[0].cancel()  # who gives up does not take the answer from the others
            assert not any(ping.done() for ping in pings)
            done.set()
            await asyncio.gather(*pings[1:])
            await durable
        await spool.ping()
    with pytest.raises(SpoolError, match="closed"):
        await spool.ping()
