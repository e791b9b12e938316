"""The asyncio side: what is read goes into batches with its position, and waits while the spool has no room."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from manual_spool import ManualSpool

from logstreamd.inputs.files import FileInput, build_file_input
from logstreamd.inputs.gather import Gatherer
from logstreamd.metrics import Metrics
from logstreamd.wire.batch import FileKey, FilePosition
from logstreamd.wire.policy import Policy

Note = Callable[[str, Mapping[FileKey, FilePosition]], asyncio.Future[None]]


def already_noted(_name: str, _positions: object) -> asyncio.Future[None]:
    noted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    noted.set_result(None)
    return noted


@asynccontextmanager
async def running(
    logs: Path,
    spool: ManualSpool,
    *,
    mirror: tuple[Path, int, int] | None = None,
    max_rows: int = 100,
    note: Note = already_noted,
) -> AsyncIterator[FileInput]:
    metrics = Metrics(version="test", wire="python")
    gatherer = Gatherer("file", spool.append, metrics, max_rows=max_rows, max_bytes=1 << 20, max_age_seconds=0.01)
    metrics.watch_input("file", in_flight=gatherer.count_in_flight, spooled=lambda: spool_frames(spool))
    one = build_file_input(
        gatherer,
        metrics,
        policy=Policy(),
        positions={},
        note=note,
        forget=lambda _name, _keys: None,
        patterns=[str(logs / "*.log")],
        max_frame_bytes=1024,
        max_record_lines=100,
        join_timeout_seconds=0.05,
        max_open_files=10,
        poll_interval_seconds=0.1,
        mirror=mirror,
    )
    await one.start()
    task = asyncio.create_task(one.run())
    try:
        yield one
        await one.stop()
        await gatherer.flush(5)
        assert metrics.ledger("file").imbalance == 0
    finally:
        task.cancel()
        await asyncio.wait([task])


def spool_frames(spool: ManualSpool) -> int:
    return sum(map(len, spool.kept))


async def test_every_batch_says_how_far_its_files_are_read(tmp_path: Path) -> None:
    content = b"".join(b"line %03d\n" % number for number in range(250))
    (tmp_path / "app.log").write_bytes(content)
    spool = ManualSpool(prompt=True)
    async with running(tmp_path, spool):
        await spool.until_frames(250)
    assert spool.frames == content.splitlines()
    read = 0
    for batch in spool.kept:
        read += sum(len(frame) + 1 for frame in batch.frames())
        assert batch.peers == [str(tmp_path / "app.log")]
        assert batch.positions is not None
        (position,) = batch.positions.values()
        assert position.offset == read
    assert read == len(content)


async def test_nothing_is_read_of_a_file_before_it_is_known_to_the_next_run(tmp_path: Path) -> None:
    """Else a kill and a rotation in the first moments would make of it a past that nobody asked for."""
    (tmp_path / "app.log").write_bytes(b"one\n")
    (tmp_path / "app.log.1").write_bytes(b"of yesterday\n")
    noted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    asked: asyncio.Future[list[tuple[str, int]]] = asyncio.get_running_loop().create_future()

    def note(_name: str, positions: Mapping[FileKey, FilePosition]) -> asyncio.Future[None]:
        asked.set_result(sorted((one.path, one.offset) for one in positions.values()))
        return noted

    spool = ManualSpool(prompt=True)
    async with running(tmp_path, spool, note=note) as one:
        log = str(tmp_path / "app.log")
        assert await asked == [(log, 0), (log, 13)]
        assert one.statistics()["lines"] == 0
        assert not spool.kept
        noted.set_result(None)
        await spool.until_frames(1)
    assert spool.frames == [b"one"]


async def test_while_the_spool_has_no_room_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "app.log").write_bytes(b"x" * 100 + b"\n")
    spool = ManualSpool(has_room=False)
    async with running(tmp_path, spool, max_rows=10) as one:
        with (tmp_path / "app.log").open("ab") as file:
            for _ in range(60_000):
                file.write(b"y" * 99 + b"\n")
        async with asyncio.timeout(20):
            while not one.congested:
                await asyncio.sleep(0.01)
        gathered = one.gatherer.count_in_flight()
        assert gathered <= 12_000  # one turn of at most a MiB and some
        spool.open_up()
        one.gatherer.room()
        await spool.until_frames(60_001)
    assert len(spool.frames) == 60_001


async def test_the_mirror_has_what_was_collected_and_keeps_to_its_size(tmp_path: Path) -> None:
    spool = ManualSpool(prompt=True)
    mirror = tmp_path / "mirror"
    (tmp_path / "app.log").write_bytes(b"")
    async with running(tmp_path, spool, mirror=(mirror, 300, 2)):
        for number in range(6):
            with (tmp_path / "app.log").open("ab") as file:
                file.write(b"2026-11-22 03:00:00 ERROR number %d\n" % number)
            await spool.until_frames(number + 1)
    (name,) = {path.name.partition(".jsonl")[0] for path in mirror.glob("*.jsonl*")}
    assert name.startswith("app.log-")
    assert len(list(mirror.glob("*.jsonl*"))) <= 3
    documents = [json.loads(line) for path in mirror.glob("*.jsonl*") for line in path.read_text().splitlines()]
    assert {document["level"] for document in documents} == {"error"}
    assert json.loads((mirror / "collection_stats.json").read_text())["lines"] == 6
