"""A real kill at a random moment: every batch whose append had returned is there, in order, once."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
from spooling import names_left

TESTS = Path(__file__).parents[1]

WRITER = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from spooling import append, make_batch, new_spool

async def main():
    spool = new_spool(Path(sys.argv[2]), sync=sys.argv[3])
    await spool.open()
    recovered = [await spool.take() for _ in range(spool.stats().batches)]
    first = int(sys.argv[4])

    async def store():
        while True:
            spooled = await spool.take()
            print("stored", spooled.batch.frame(0).split(b"/")[0].decode(), flush=True)
            spool.acknowledge([spooled.seq])

    storing = asyncio.create_task(store())
    for n in range(first, first + 100_000):
        await append(spool, make_batch(f"{n:06}", frames=50, frame_bytes=300))
        print("durable", f"{n:06}", flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("sync", ["batch", "interval"])
@pytest.mark.parametrize("seed", range(4))
async def test_a_kill_at_a_random_moment_loses_nothing_durable(tmp_path: Path, sync: str, seed: int) -> None:
    chance = random.Random(seed)
    durable: list[str] = []
    stored: list[str] = []
    for life in range(3):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, TESTS, tmp_path / "spool", sync, str(life * 100_000)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert writer.stdout is not None
        lines_before_the_kill = chance.randrange(1, 300)
        lines = [writer.stdout.readline() for _ in range(lines_before_the_kill)]
        writer.kill()
        lines += writer.stdout.readlines()
        writer.stdout.close()
        writer.wait()
        for what, name in (line.split() for line in lines if line.endswith("\n")):
            (durable if what == "durable" else stored).append(name)
    names, reports = await names_left(tmp_path / "spool")
    assert reports == []
    assert names == sorted(set(names))
    assert set(durable) - set(stored) <= set(names)
