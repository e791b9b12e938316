"""T05: a power cut at any moment, on a disk that keeps no more than it was made to, and that out of order and torn.

A real spool runs with everything it tells the disk on record. Then the power is cut, in a model of the disk, after any
of these operations, and what may be left is opened as the next start of the daemon does.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from logstreamd.spool.interface import CorruptionReport
from tests.chaos.disk_model import Disk, Operation, read_log
from tests.spooling import make_batch, name_of, new_spool, same

WORKLOAD = """
import asyncio, sys
from pathlib import Path
from tests.spooling import append, make_batch, new_spool

async def main(directory):
    spool = new_spool(directory)
    await spool.open()
    kept = (directory / "durable").open("w")
    for n in range(60):
        size = [40, 3_000, 30_000][n % 3]
        await append(spool, make_batch(f"{n:03}", frames=3, frame_bytes=size))
        print(f"{n:03}", file=kept, flush=True)
        if n % 4 != 3:
            spooled = await spool.take()
            spool.assign(spooled.seq, 1_000 + n)
            if n % 3 == 0:
                print(f"-{spooled.batch.frame(0)[:3].decode()}", file=kept, flush=True)
                spool.acknowledge([spooled.seq])
        if n % 20 == 19:
            await asyncio.sleep(0.7)  # quiet for long enough: the log is moved into the database
    await spool.close()

asyncio.run(main(Path(sys.argv[1])))
"""


@pytest.fixture(scope="module")
def recorded(preload: Callable[..., dict[str, str]], tmp_path_factory: pytest.TempPathFactory) -> list[Operation]:
    """Everything a run of the spool told the disk, and when it reported a batch as durable."""
    directory = tmp_path_factory.mktemp("power")
    log = directory / "log"
    environment = preload(RECORD_DIRECTORY=directory / "spool", RECORD_LOG=log)
    subprocess.run([sys.executable, "-c", WORKLOAD, directory / "spool"], env=environment, check=True)
    operations = list(read_log(log))
    kinds = {operation.kind for operation in operations if operation.name not in ("durable", "lock")}
    assert kinds >= set("CWSTRD"), kinds
    return operations


async def recover(directory: Path) -> tuple[list[str], list[CorruptionReport]]:
    """Open a spool and read everything; whatever comes out must be a batch that went in."""
    reports: list[CorruptionReport] = []
    spool = new_spool(directory)
    spool.on_corruption(reports.append)
    await spool.open()
    try:
        names = []
        async with asyncio.timeout(20):
            while len(names) < spool.stats().batches:
                batch = (await spool.take()).batch
                names.append(name_of(batch))
                size = [40, 3_000, 30_000][int(names[-1]) % 3]
                assert same(batch, make_batch(names[-1], frames=3, frame_bytes=size)), names[-1]
        return names, reports
    finally:
        await spool.close()


async def check_cut(operations: list[Operation], moment: int, directory: Path, rng: random.Random) -> int:
    """Cut the power after so many operations, start twice, and compare; return how many batches there were."""
    disk = Disk()
    promised: set[str] = set()
    for operation in operations[:moment]:
        if operation.name == "durable":
            for line in operation.data.decode().split():
                promised.discard(line[1:]) if line.startswith("-") else promised.add(line)
        elif operation.name not in ("lock", "spool.db-shm"):
            disk.do(operation)
    shutil.rmtree(directory, ignore_errors=True)
    disk.cut(directory, rng)
    names, reports = await recover(directory)
    assert promised <= set(names), f"lost after {moment} operations: {sorted(promised - set(names))}"
    assert names == sorted(set(names))
    # A cut while the very first file is being made leaves one that is none; it is set aside, and nothing was in it.
    begun = any(operation.name == "durable" for operation in operations[:moment])
    assert not (begun and reports), f"after {moment} operations: {reports}"
    assert (await recover(directory))[0] == names
    return len(names)


async def check_cuts(operations: list[Operation], directory: Path, rng: random.Random, cuts: int) -> None:
    counts = [await check_cut(operations, rng.randint(0, len(operations)), directory, rng) for _ in range(cuts)]
    print(f"{cuts} cuts in {len(operations)} operations, {min(counts)}..{max(counts)} batches recovered")


async def test_a_power_cut_at_any_moment_costs_nothing_that_was_durable(
    recorded: list[Operation], tmp_path: Path, rng: random.Random
) -> None:
    await check_cuts(recorded, tmp_path / "spool", rng, 60)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_two_thousand_power_cuts_cost_nothing_that_was_durable(
    recorded: list[Operation], tmp_path: Path, rng: random.Random
) -> None:
    await check_cuts(recorded, tmp_path / "spool", rng, 2_000)


async def test_the_model_finds_a_disk_that_does_not_sync(
    recorded: list[Operation], tmp_path: Path, rng: random.Random
) -> None:
    lazy = [operation for operation in recorded if operation.kind not in "SD"]
    with pytest.raises(AssertionError):
        await check_cuts(lazy, tmp_path / "spool", rng, 20)
