from __future__ import annotations

import pytest
from spooling import make_batch

from logstreamd.spool.books import Books, Entry
from logstreamd.spool.interface import Spooled
from logstreamd.spool.limits import MIN_MAX_BYTES, PAGE_BYTES, DiskLimits, disk_cost
from logstreamd.spool.room import HIGH_MARK, LOW_MARK, Room
from logstreamd.spool.rows import Row
from logstreamd.spool.window import Window
from logstreamd.wire.batch_codec import CorruptBatch


def test_room_is_lost_at_the_high_mark_and_back_at_the_low_one() -> None:
    room, told = Room(), []
    room.subscribe(told.append)
    for fill in (0.0, HIGH_MARK - 0.01, HIGH_MARK, 1.0, LOW_MARK + 0.01, LOW_MARK, HIGH_MARK - 0.01):
        room.update(fill)
    assert told == [False, True]
    assert room.is_open


def test_a_window_takes_what_fits_and_always_one() -> None:
    window, batch = Window(100), make_batch("a", frames=1, frame_bytes=60)
    assert window.fits(1000)
    window.push(Spooled(1, batch, 0))
    assert window.nbytes == batch.nbytes
    assert not window.fits(batch.nbytes)
    assert window.fits(100 - batch.nbytes)


@pytest.mark.parametrize("max_bytes", [MIN_MAX_BYTES, 100 << 20, 4 << 30])
def test_the_shares_add_up_to_less_than_max_bytes(max_bytes: int) -> None:
    limits = DiskLimits.of(max_bytes)
    assert limits.log_bytes + limits.pages * PAGE_BYTES < max_bytes
    assert limits.capacity < limits.pages * PAGE_BYTES
    assert limits.group_bytes + limits.batch_bytes <= limits.log_bytes
    assert limits.batch_bytes > (2 << 20) + (64 << 10) + 15 * 16_384  # the default batch, its last frame, its table


@pytest.mark.parametrize("size", [0, 1, 500, 2000, 3000, PAGE_BYTES, 100_000, 2 << 20])
def test_a_body_is_counted_with_more_than_it_takes(size: int) -> None:
    assert size < disk_cost(size) < size * 4 // 3 + 3 * PAGE_BYTES


@pytest.mark.parametrize(
    "change",
    [{"seq": 8}, {"appended_at": 1}, {"input": "udp"}, {"frames": 4}, {"seal": 1}, {"body": b""}, {"body": "text"}],
)
def test_the_seal_finds_a_changed_column(change: dict[str, object]) -> None:
    row = Row.from_batch(7, 1_000, make_batch("a"))
    assert len(row.batch()) == 3
    for name, value in change.items():
        setattr(row, name, value)
    with pytest.raises(CorruptBatch):
        row.batch()


def test_a_recount_finds_what_the_disk_has_lost() -> None:
    books = Books()
    for frames in (10, 20, 30):
        books.add(Entry("tcp", frames, 1000))
    books.acknowledge(1, Entry("tcp", 10, 1000))
    assert books.frames_by_input() == {"tcp": 50}
    assert books.recount(2, {"tcp": 40}, 2000) == (1, {"tcp": 20})
    assert books.frames_by_input() == {"tcp": 30}
    books.delete([1, 99])
    assert (books.batches, books.used_bytes) == (1, 1000)
