"""How far files are read: durable with the batch that has their lines, and never ahead of it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from spooling import append, crash_copy, make_batch, name_of, names_left, new_spool, running

from logstreamd import faults
from logstreamd.spool import SpoolError
from logstreamd.wire.batch import Batch, FilePosition

KEY = (1, 2)


@pytest.fixture(autouse=True)
def disarm() -> Iterator[None]:
    yield
    faults.disarm()


def position(offset: int, key: tuple[int, int] = KEY) -> FilePosition:
    return FilePosition(*key, offset, b"12345678", "/logs/app.log")


def lines(name: str, *positions: FilePosition) -> Batch:
    batch = make_batch(name, source="file")
    batch.positions = {one.key: one for one in positions}
    return batch


async def found(directory: Path, name: str = "file") -> dict[tuple[int, int], FilePosition]:
    async with running(directory) as spool:
        return spool.positions(name)


async def test_positions_come_back_with_the_newest_batch(tmp_path: Path) -> None:
    async with running(tmp_path / "spool") as spool:
        await append(spool, lines("a", position(10), position(5, (3, 4))))
        await append(spool, lines("b", position(20)))
        assert spool.positions("file") == {KEY: position(20), (3, 4): position(5, (3, 4))}
    assert await found(tmp_path / "spool") == {KEY: position(20), (3, 4): position(5, (3, 4))}
    assert await found(tmp_path / "spool", "other") == {}


async def test_positions_outlive_their_stored_batches(tmp_path: Path) -> None:
    async with running(tmp_path / "spool") as spool:
        spool.acknowledge([await append(spool, lines("a", position(10))), (await spool.take()).seq])
    assert await found(tmp_path / "spool") == {KEY: position(10)}
    assert await names_left(tmp_path / "spool") == ([], [])


@pytest.mark.parametrize("sync", ["batch", "interval"])
async def test_a_kill_finds_the_batch_and_its_position_or_neither(tmp_path: Path, sync: str) -> None:
    async with running(tmp_path / "spool", sync=sync, interval_seconds=10) as spool:
        await append(spool, lines("a", position(10)))
        copy = crash_copy(tmp_path / "spool", tmp_path / "copy")
    async with running(copy) as spool:
        assert spool.positions("file") == {KEY: position(10)}
        assert name_of((await spool.take()).batch) == "a"


async def test_noted_positions_are_durable_without_a_batch(tmp_path: Path) -> None:
    async with running(tmp_path / "spool", sync="interval", interval_seconds=10) as spool:
        await spool.note_positions("file", {KEY: position(0)})
        copy = crash_copy(tmp_path / "spool", tmp_path / "copy")
        assert spool.positions("file") == {KEY: position(0)}
    assert await found(copy) == {KEY: position(0)}
    assert await names_left(copy) == ([], [])


async def test_what_was_noted_waits_for_a_disk_that_fails(tmp_path: Path) -> None:
    async with running(tmp_path / "spool") as spool:
        await append(spool, lines("a", position(10)))
        faults.arm("spool.before_commit:1:raise:EIO")
        noted = spool.note_positions("file", {(3, 4): position(0, (3, 4))})
        async with asyncio.timeout(20):
            await noted
    assert await found(tmp_path / "spool") == {KEY: position(10), (3, 4): position(0, (3, 4))}


async def test_forgotten_positions_are_gone(tmp_path: Path) -> None:
    async with running(tmp_path / "spool") as spool:
        await append(spool, lines("a", position(10)))
        spool.forget_positions("file", [KEY, (9, 9)])
        assert spool.positions("file") == {}
    assert await found(tmp_path / "spool") == {}


async def test_a_batch_the_disk_kept_and_we_refused_takes_its_positions_back(tmp_path: Path) -> None:
    async with running(tmp_path / "spool") as spool:
        await append(spool, lines("a", position(10)))
        faults.arm("spool.committed:1:raise:EIO")  # the commit is on the disk, and said to have failed
        with pytest.raises(SpoolError):
            await append(spool, lines("b", position(20), position(1, (7, 7))))
    assert await found(tmp_path / "spool") == {KEY: position(10)}
    names, _ = await names_left(tmp_path / "spool")
    assert names == ["a"]


async def test_a_spool_of_format_1_is_brought_up_to_date(tmp_path: Path) -> None:
    directory = tmp_path / "spool"
    async with running(directory) as spool:
        await append(spool, make_batch("old"))
    with closing(sqlite3.connect(directory / "spool.db", isolation_level=None)) as database:
        database.executescript("DROP TABLE positions; PRAGMA user_version = 1;")
    identity = json.loads((directory / "identity").read_text())
    (directory / "identity").write_text(json.dumps({**identity, "format": 1}))
    async with running(directory) as spool:
        assert str(spool.id) == identity["id"]
        assert name_of((await spool.take()).batch) == "old"
        await append(spool, lines("new", position(10)))
    assert await found(directory) == {KEY: position(10)}
    assert json.loads((directory / "identity").read_text())["format"] == 2
    assert list(directory.glob("*corrupt*")) == []


async def test_what_is_salvaged_of_a_corrupt_spool_has_its_positions(tmp_path: Path) -> None:
    directory = tmp_path / "spool"
    async with running(directory) as spool:
        for number in range(30):
            await append(spool, lines(f"{number:02}", position(number + 1), position(number, (number, 1))))
    database = directory / "spool.db"
    content = bytearray(database.read_bytes())
    content[8192 * 5 + 100] ^= 0xFF  # in some page of the table's body
    content[16:18] = b"\0\0"  # and the header, so that it is set aside
    database.write_bytes(content)
    spool = new_spool(directory)
    await spool.open()
    try:
        assert spool.positions("file")[KEY].offset >= 29
    finally:
        await spool.close()
    assert list(directory.glob("spool.db.corrupt-*")) != []


async def test_a_flipped_position_is_not_believed(tmp_path: Path) -> None:
    directory = tmp_path / "spool"
    async with running(directory) as spool:
        await append(spool, lines("a", position(10)))
    with closing(sqlite3.connect(directory / "spool.db", isolation_level=None)) as database:
        database.execute("UPDATE positions SET seal = seal + 1")
    assert await found(directory) == {}
