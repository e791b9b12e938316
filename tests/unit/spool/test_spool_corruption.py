"""T07 and T08: whatever happens to the files, the daemon starts, loses no more than what was hit, and says so."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from spooling import append, crash_copy, fill, has_room, make_batch, names_left, new_spool, running

from logstreamd import faults
from logstreamd.spool import SpoolVersionError
from logstreamd.spool.file_format import APPLICATION_ID
from logstreamd.spool.limits import PAGE_BYTES

ROOT_PAGE = 2  # of the table of batches, from 0: with it the way to all of them is lost, the file is kept
NAMES = [f"batch{n}" for n in range(24)]


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A spool of 24 batches as a clean stop leaves it: all of it in the database."""
    directory = tmp_path_factory.mktemp("closed") / "spool"
    asyncio.run(fill(directory, NAMES, frames=100, frame_bytes=200))
    return directory


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as a kill leaves it: half in the database, half in its log."""
    base = tmp_path_factory.mktemp("killed")

    async def run() -> None:
        await fill(base / "run", NAMES[:12], frames=100, frame_bytes=200)
        async with running(base / "run") as spool:
            for name in NAMES[12:]:
                await append(spool, make_batch(name, frames=100, frame_bytes=200))
            crash_copy(base / "run", base / "spool")

    asyncio.run(run())
    assert (base / "spool" / "spool.db-wal").stat().st_size > 100_000
    return base / "spool"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def flip(file: Path, offset: int, bit: int) -> None:
    with file.open("r+b") as stream:
        stream.seek(offset)
        (byte,) = stream.read(1)
        stream.seek(offset)
        stream.write(bytes([byte ^ 1 << bit]))


def is_subsequence(part: list[str], whole: list[str]) -> bool:
    rest = iter(whole)
    return all(name in rest for name in part)


async def test_the_spools_under_test_are_whole(closed: Path, killed: Path, tmp_path: Path) -> None:
    for source in (closed, killed):
        shutil.copytree(source, tmp_path / source.parent.name)
        assert await names_left(tmp_path / source.parent.name) == (NAMES, [])


@pytest.mark.parametrize("seed", range(10))
async def test_a_flipped_bit_costs_at_most_the_batches_of_its_page(closed: Path, directory: Path, seed: int) -> None:
    chance = random.Random(seed)
    size = (closed / "spool.db").stat().st_size
    for _ in range(12):
        shutil.rmtree(directory, ignore_errors=True)
        shutil.copytree(closed, directory)
        before = (directory / "spool.db").read_bytes()
        offset = chance.randrange(size) if chance.random() < 0.7 else chance.randrange(8) * PAGE_BYTES
        flip(directory / "spool.db", offset, chance.randrange(8))
        names, reports = await names_left(directory)
        assert is_subsequence(names, NAMES), offset
        if offset // PAGE_BYTES != ROOT_PAGE:
            assert len(NAMES) - len(names) <= 8, offset  # a page holds the beginnings of up to 8 batches
        if names != NAMES:
            assert reports, offset
        for report in reports:
            assert report.kept_in is not None
            assert report.kept_in.exists()
        again, no_reports = await names_left(directory)
        assert (again, no_reports) == (names, []), (offset, len(before))


async def test_a_tree_whose_pages_lead_in_circles_gives_what_comes_before_the_first_circle(
    closed: Path, directory: Path
) -> None:
    shutil.copytree(closed, directory)
    with (directory / "spool.db").open("r+b") as file:
        file.seek(ROOT_PAGE * PAGE_BYTES)
        root = bytearray(file.read(PAGE_BYTES))
        assert root[0] == 5  # an interior page; https://sqlite.org/fileformat2.html#b_tree_pages
        cells = int.from_bytes(root[3:5], "big")
        last_cell = int.from_bytes(root[12 + 2 * (cells - 1) :][:2], "big")
        for child in (last_cell, 8):  # the last two children are the page itself: 2 to the 20th ways down
            root[child : child + 4] = (ROOT_PAGE + 1).to_bytes(4, "big")
        file.seek(ROOT_PAGE * PAGE_BYTES)
        file.write(root)
    names, reports = await names_left(directory)
    assert names == NAMES[: len(names)]
    assert 0 < len(names) < len(NAMES)
    assert len(reports) == 1


@pytest.mark.parametrize("seed", range(5))
async def test_a_flipped_bit_in_the_log_costs_at_most_what_follows_it(killed: Path, directory: Path, seed: int) -> None:
    chance = random.Random(seed)
    size = (killed / "spool.db-wal").stat().st_size
    for _ in range(8):
        shutil.rmtree(directory, ignore_errors=True)
        shutil.copytree(killed, directory)
        flip(directory / "spool.db-wal", chance.randrange(size), chance.randrange(8))
        names, _ = await names_left(directory)
        assert names == NAMES[: len(names)]
        assert len(names) >= 12


async def test_a_log_cut_anywhere_gives_what_was_whole_before_the_cut(killed: Path, directory: Path) -> None:
    size = (killed / "spool.db-wal").stat().st_size
    found = []
    for cut in [*range(0, size, size // 40), size - 1, size]:
        shutil.rmtree(directory, ignore_errors=True)
        shutil.copytree(killed, directory)
        with (directory / "spool.db-wal").open("r+b") as log:
            log.truncate(cut)
        names, reports = await names_left(directory)
        assert names == NAMES[: len(names)]
        assert reports == []
        found.append(len(names))
    assert found == sorted(found)
    assert (found[0], found[-1]) == (12, 24)


async def test_a_database_cut_anywhere_still_starts(closed: Path, directory: Path) -> None:
    size = (closed / "spool.db").stat().st_size
    found = []
    for cut in [0, 1, 99, 100, 512, PAGE_BYTES, 3 * PAGE_BYTES, *range(4 * PAGE_BYTES + 7, size, size // 25), size - 1]:
        shutil.rmtree(directory, ignore_errors=True)
        shutil.copytree(closed, directory)
        with (directory / "spool.db").open("r+b") as file:
            file.truncate(cut)
        names, reports = await names_left(directory)
        assert is_subsequence(names, NAMES)
        assert cut == 0 or reports
        found.append(len(names))
    assert max(found) >= len(NAMES) - 1


@pytest.mark.parametrize("start", [0.25, 0.5, 0.75])
async def test_a_zeroed_stretch_costs_only_what_was_in_it(closed: Path, directory: Path, start: float) -> None:
    shutil.copytree(closed, directory)
    size = (directory / "spool.db").stat().st_size
    with (directory / "spool.db").open("r+b") as file:
        file.seek(int(size * start))
        file.write(bytes(size // 8))
    names, reports = await names_left(directory)
    assert is_subsequence(names, NAMES)
    assert len(names) >= len(NAMES) // 2
    assert reports
    assert sum(report.batches for report in reports) <= len(NAMES) - len(names)
    assert all(report.frames_by_input.keys() <= {"tcp"} for report in reports)


async def test_a_destroyed_first_page_costs_nothing(closed: Path, directory: Path) -> None:
    shutil.copytree(closed, directory)
    with (directory / "spool.db").open("r+b") as file:
        file.write(bytes(PAGE_BYTES))
    names, reports = await names_left(directory)
    assert names == NAMES
    assert len(reports) == 1


@pytest.mark.parametrize("text", [b"number INTEGER", b"CREATE TABLE batches", b"body        BLOB"])
@pytest.mark.parametrize("bit", [1, 7])  # another letter, and no UTF-8 any more
async def test_a_flipped_bit_in_a_table_s_definition_costs_nothing(
    closed: Path, directory: Path, text: bytes, bit: int
) -> None:
    shutil.copytree(closed, directory)
    flip(directory / "spool.db", (directory / "spool.db").read_bytes().index(text), bit)
    names, reports = await names_left(directory)
    assert names == NAMES
    assert len(reports) == 1


@pytest.mark.parametrize("offset", [*range(24), *range(44, 48), *range(52, 72)])
async def test_a_flipped_bit_in_the_header_costs_nothing(closed: Path, directory: Path, offset: int) -> None:
    shutil.copytree(closed, directory)
    flip(directory / "spool.db", offset, 2)
    names, reports = await names_left(directory)
    assert names == NAMES
    assert len(reports) == 1


async def test_a_log_without_its_database_is_read_for_what_it_holds(killed: Path, directory: Path) -> None:
    shutil.copytree(killed, directory)
    (directory / "spool.db").unlink()
    names, reports = await names_left(directory)
    assert is_subsequence(names, NAMES)
    assert reports
    assert list(directory.glob("spool.db.corrupt-*-wal"))


async def test_a_missing_log_leaves_what_the_database_holds(killed: Path, directory: Path) -> None:
    shutil.copytree(killed, directory)
    (directory / "spool.db-wal").unlink()
    assert await names_left(directory) == (NAMES[:12], [])


def foreign_database(file: Path) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE cookies (name TEXT)")
    connection.close()


FOREIGN: dict[str, Callable[[Path], object]] = {
    "text": lambda file: file.write_text("these are not the batches you are looking for\n" * 1000),
    "noise": lambda file: file.write_bytes(random.Random(1).randbytes(100_000)),
    "another program's database": foreign_database,
    "one byte": lambda file: file.write_bytes(b"S"),
}


@pytest.mark.parametrize("kind", FOREIGN)
async def test_a_foreign_file_is_set_aside_unchanged(directory: Path, kind: str) -> None:
    directory.mkdir(mode=0o700)
    FOREIGN[kind](directory / "spool.db")
    content = (directory / "spool.db").read_bytes()
    names, reports = await names_left(directory)
    assert names == []
    assert len(reports) == 1
    assert reports[0].kept_in is not None
    assert reports[0].kept_in.read_bytes() == content
    assert await names_left(directory) == ([], [])


async def test_an_empty_file_is_a_new_spool(directory: Path) -> None:
    directory.mkdir(mode=0o700)
    (directory / "spool.db").touch()
    assert await names_left(directory) == ([], [])


@pytest.mark.parametrize("identity", ["newer", "missing"])
async def test_a_newer_version_is_refused_without_touching_it(closed: Path, directory: Path, identity: str) -> None:
    shutil.copytree(closed, directory)
    with (directory / "spool.db").open("r+b") as file:
        file.seek(60)
        file.write((3).to_bytes(4, "big"))
        assert file.read(8)[4:] == APPLICATION_ID.to_bytes(4, "big")
    if identity == "newer":
        fields = json.loads((directory / "identity").read_text())
        (directory / "identity").write_text(json.dumps({**fields, "format": 3}))
    else:
        (directory / "identity").unlink()
    before = {file.name: file.read_bytes() for file in directory.iterdir() if file.name != "lock"}
    with pytest.raises(SpoolVersionError, match="format 3"):
        await new_spool(directory).open()
    assert {file.name: file.read_bytes() for file in directory.iterdir() if file.name != "lock"} == before


async def test_a_destroyed_identity_is_replaced_and_the_batches_stay(closed: Path, directory: Path) -> None:
    shutil.copytree(closed, directory)
    (directory / "identity").write_bytes(b"\0" * 80)
    names, (report,) = await names_left(directory)
    assert names == NAMES
    assert report.kept_in is not None
    assert report.kept_in.read_bytes() == b"\0" * 80


async def test_a_corrupt_body_does_not_hold_up_the_others_when_it_cannot_be_set_aside(
    closed: Path, directory: Path
) -> None:
    shutil.copytree(closed, directory)
    flip(directory / "spool.db", (directory / "spool.db").read_bytes().index(b"batch7/5 ") + 20, 3)
    (directory / "corrupt").write_text("in the way, as a full disk would be")
    names, (report,) = await names_left(directory)
    assert names == [name for name in NAMES if name != "batch7"]
    assert report.kept_in is None
    assert "left in the database" in report.reason


async def test_seqs_go_on_behind_those_of_a_set_aside_database(closed: Path, directory: Path) -> None:
    shutil.copytree(closed, directory)
    (directory / "spool.db").write_bytes(b"gone")
    async with running(directory) as spool:
        assert await append(spool, make_batch("new")) > len(NAMES)


async def test_a_corrupt_body_is_set_aside_and_its_frames_are_counted(closed: Path, directory: Path) -> None:
    shutil.copytree(closed, directory)
    content = (directory / "spool.db").read_bytes()
    flip(directory / "spool.db", content.index(b"batch7/5 ") + 20, 3)
    reports = []
    spool = new_spool(directory)
    spool.on_corruption(reports.append)
    await spool.open()
    assert spool.recovered_by_input == {"tcp": 2400}
    for _ in range(len(NAMES) - 1):
        await spool.take()
    assert spool.frames_by_input() == {"tcp": 2300}
    assert spool.stats().corrupt_frames_by_input == {"tcp": 100}
    assert (spool.stats().corrupt_batches, spool.stats().batches) == (1, 23)
    (report,) = reports
    assert report.kept_in is not None
    assert b"batch7/4 " in report.kept_in.read_bytes()
    assert report.kept_in.stat().st_mode & 0o777 == 0o600
    await spool.close()


@pytest.mark.parametrize("place", ["before", "between"])
async def test_a_salvage_that_was_interrupted_is_done_again_or_finished(
    closed: Path, directory: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(closed, directory)
    with (directory / "spool.db").open("r+b") as file:
        file.write(bytes(PAGE_BYTES))
    if place == "before":
        (directory / "spool.db.fresh").write_bytes(b"half a copy")
    else:
        faults.arm("spool.set_aside:1:raise:EIO")
        with pytest.raises(Exception, match="armed"):
            await new_spool(directory).open()
        faults.disarm()
        assert (directory / "spool.db.recovered").exists()
    names, _ = await names_left(directory)
    assert names == NAMES
    assert len(list(directory.glob("spool.db.corrupt-*"))) == 1
    assert not list(directory.glob("spool.db.[fr]*"))


async def test_a_database_that_turns_corrupt_while_in_use_loses_nothing_that_memory_holds(directory: Path) -> None:
    spool = new_spool(directory)
    reports = []
    spool.on_corruption(reports.append)
    await spool.open()
    for name in NAMES:
        await append(spool, make_batch(name, frames=100, frame_bytes=200))
    taken = await spool.take()
    owner = spool._owner
    assert owner is not None
    owner._corrupt = "told so"  # as after SQLITE_CORRUPT
    faults.arm("spool.before_commit:1:raise:EIO")
    with pytest.raises(Exception, match="not spooled"):
        await append(spool, make_batch("refused"))
    faults.disarm()
    await has_room(spool)
    await append(spool, make_batch("late"))
    spool.acknowledge([taken.seq])
    await spool.close()
    assert spool.stats().corrupt_frames_by_input == {}
    assert spool.stats().corrupt_files == 1
    assert (await names_left(directory))[0] == [*NAMES[1:], "late"]
