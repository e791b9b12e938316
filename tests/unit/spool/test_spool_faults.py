"""T06 and T12: a disk that fails at any step costs no batch that was reported durable, and keeps none that was not."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from spooling import append, crash_copy, fill, has_room, make_batch, name_of, names_left, running

from logstreamd import faults
from logstreamd.spool import SpoolError

LIMITED = """
import asyncio, json, resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from spooling import make_batch, new_spool
from logstreamd.spool import SpoolError

async def main(directory, limit):
    durable, refused = [], 0
    spool = new_spool(directory)
    await spool.open()
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    for n in range(60):
        future = spool.append(make_batch(str(n), frames=100, frame_bytes=1000))
        if future is None:
            refused += 1
            await asyncio.sleep(0.002)
            continue
        try:
            await future
            durable.append(str(n))
        except SpoolError:
            refused += 1
    full = not spool.has_room
    taken = [await spool.take() for _ in durable]
    if sys.argv[4] == "drain":
        spool.acknowledge([spooled.seq for spooled in taken])
        durable = []
        if full:
            async with asyncio.timeout(30):
                while not spool.has_room:
                    await asyncio.sleep(0.05)
            small = spool.append(make_batch("after"))
            await small
            durable = ["after"]
    await spool.close()
    print(json.dumps({"durable": durable, "refused": refused, "full": full}))

asyncio.run(main(Path(sys.argv[2]), int(sys.argv[3])))
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture(autouse=True)
def nothing_armed() -> Iterator[None]:
    yield
    faults.disarm()


async def append_until_kept(directory: Path, names: list[str]) -> tuple[list[str], int]:
    """Append as an input does: what was not kept is offered again when there is room."""
    failures = 0
    async with running(directory) as spool:
        for name in names:
            while True:
                await has_room(spool)
                try:
                    await append(spool, make_batch(name))
                    break
                except SpoolError:
                    failures += 1
    return names, failures


@pytest.mark.parametrize("error", ["ENOSPC", "EIO", "EDQUOT"])
@pytest.mark.parametrize("point", ["spool.before_commit", "spool.committed", "spool.before_checkpoint"])
@pytest.mark.parametrize("nth", ["2", "4"])
async def test_one_failing_step_neither_loses_nor_doubles_a_batch(
    directory: Path, point: str, nth: str, error: str
) -> None:
    faults.arm(f"{point}:{nth}:raise:{error}")
    names, _ = await append_until_kept(directory, list("abcdef"))
    faults.disarm()
    assert (await names_left(directory))[0] == names


@pytest.mark.parametrize("point", ["spool.before_commit", "spool.committed"])
async def test_a_lasting_failure_refuses_everything_and_ends_in_order(directory: Path, point: str) -> None:
    await fill(directory, ["before"])
    async with running(directory) as spool:
        rooms: list[bool] = []
        spool.on_room(rooms.append)
        faults.arm(f"{point}:1+:raise:ENOSPC")
        with pytest.raises(SpoolError, match="No space left"):
            await append(spool, make_batch("a"))
        assert not spool.has_room
        assert rooms == [False]
        assert spool.append(make_batch("b")) is None
        assert "No space left" in (spool.stats().last_error or "")
        assert name_of((await spool.take()).batch) == "before"  # what is on disk goes on to be stored
    faults.disarm()
    assert (await names_left(directory))[0] == ["before"]


async def test_acknowledgements_survive_a_disk_that_fails_meanwhile(directory: Path) -> None:
    await fill(directory, ["a", "b"])
    async with running(directory) as spool:
        first = await spool.take()
        faults.arm("spool.before_commit:1:raise:EIO")
        spool.acknowledge([first.seq])
        await has_room(spool, wanted=False)
        await has_room(spool)
        assert spool.stats().last_error is None
    assert (await names_left(directory))[0] == ["b"]


@pytest.mark.parametrize("point", ["spool.before_commit", "spool.committed"])
async def test_a_batch_reported_as_not_kept_does_not_come_back_from_the_log(
    directory: Path, tmp_path: Path, point: str
) -> None:
    async with running(directory) as spool:
        await append(spool, make_batch("a"))
        faults.arm(f"{point}:1:raise:EIO")
        with pytest.raises(SpoolError):
            await append(spool, make_batch("b"))
        await has_room(spool)
        assert (await names_left(crash_copy(directory, tmp_path / "copy")))[0] == ["a"]


@pytest.mark.parametrize("point", ["spool.before_commit", "spool.committed", "spool.ack_written", "spool.assigned"])
async def test_a_kill_at_any_point_keeps_what_was_durable(directory: Path, point: str) -> None:
    code = f"""
import asyncio, sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from spooling import append, make_batch, new_spool
from logstreamd import faults

async def main():
    spool = new_spool(Path(sys.argv[1]))
    await spool.open()
    faults.arm("{point}:3:kill")
    for n in range(9):
        await append(spool, make_batch(str(n)))
        print(f"durable {{n}}", flush=True)
        spooled = await spool.take()
        spool.assign(spooled.seq, 100 + n)
        if n % 2 == 0:
            spool.acknowledge([spooled.seq])

asyncio.run(main())
"""
    run = subprocess.run([sys.executable, "-c", code, directory], capture_output=True, text=True, check=False)
    assert run.returncode == -9, run.stderr
    durable = [line.split()[1] for line in run.stdout.splitlines()]
    names, reports = await names_left(directory)
    assert reports == []
    kept = [name for name in durable if int(name) % 2]
    assert [name for name in names if int(name) % 2 and name in durable] == kept
    assert names == sorted(names)


@pytest.mark.parametrize("limit", [64 << 10, 300_000, 1_000_000, 2_500_000])
@pytest.mark.parametrize("then", ["keep", "drain"])
async def test_a_file_size_limit_is_a_full_disk(directory: Path, limit: int, then: str) -> None:
    tests = Path(__file__).parents[2]
    run = subprocess.run(
        [sys.executable, "-c", LIMITED, tests, directory, str(limit), then], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    result = json.loads(run.stdout)
    assert result["refused"] > 0
    assert (await names_left(directory))[0] == result["durable"]


async def test_a_full_disk_at_start_is_a_clear_error(directory: Path) -> None:
    directory.mkdir(mode=0o700)
    code = LIMITED.replace("    await spool.open()\n", "").replace(
        "INFINITY))\n", "INFINITY))\n    await spool.open()\n"
    )
    tests = Path(__file__).parents[2]
    run = subprocess.run(
        [sys.executable, "-c", code, tests, directory, "10", "keep"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 1
    assert f"SpoolError: the spool {directory} cannot be opened" in run.stderr


async def test_a_disk_that_is_full_at_the_next_start_still_gives_what_it_has(directory: Path) -> None:
    await fill(directory, ["a", "b"])
    faults.arm("spool.before_checkpoint:1+:raise:ENOSPC,spool.before_commit:1+:raise:ENOSPC")
    async with running(directory) as spool:
        with pytest.raises(SpoolError, match="No space left"):
            await append(spool, make_batch("c"))
        assert [name_of((await spool.take()).batch) for _ in "ab"] == ["a", "b"]


async def test_more_than_the_window_is_read_back_while_the_disk_takes_nothing(directory: Path) -> None:
    names = [str(n) for n in range(30)]
    await fill(directory, names, frames=100, frame_bytes=100)
    async with running(directory, window_bytes=30_000) as spool:
        faults.arm("spool.before_commit:1+:raise:ENOSPC")
        with pytest.raises(SpoolError):
            await append(spool, make_batch("c"))
        assert [name_of((await spool.take()).batch) for _ in names] == names
