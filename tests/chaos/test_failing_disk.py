"""T06: every single call to the disk fails, once or from then on, and no batch is lost, doubled or promised in vain.

As SQLite does it: let the first call fail, then the second, and so on until a run comes through without a failure.
"""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

# Runs with recorder.c preloaded, which makes the calls fail.
WORKLOAD = """
import asyncio, ctypes, json, os, shutil, sys
from pathlib import Path
from logstreamd.spool import SpoolError
from tests.spooling import make_batch, names_left, new_spool

fail_calls = ctypes.CDLL(os.environ["LD_PRELOAD"]).fail_calls
fail_calls.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_int]
fail_calls.restype = ctypes.c_long
FOR_EVER = 1 << 60

async def keep(spool, name, lasting):
    # As an input does: what was not kept is offered again when there is room.
    for _ in range(2 if lasting else 200):
        future = spool.append(make_batch(name, frames=2, frame_bytes=3_000))
        try:
            if future is not None:
                await future
                return True
        except SpoolError:
            pass
        await asyncio.sleep(0.02)
    return False

async def use(spool, lasting, durable, stored):
    for name in "abcdef":
        if await keep(spool, name, lasting):
            durable.append(name)
        elif not lasting:
            raise AssertionError(f"one failure keeps the spool from taking {name}: {spool.stats()}")
        if name in "bd" and len(durable) > len(stored):
            spooled = await spool.take()
            spool.assign(spooled.seq, ord(name))
            spool.acknowledge([spooled.seq])
            stored.append(spooled.batch.frame(0)[:1].decode())

async def run(directory, nth, error, lasting):
    durable, stored = [], []
    fail_calls(nth, FOR_EVER if lasting else nth, error)
    spool = new_spool(directory)
    try:
        await spool.open()
    except SpoolError as refused:
        assert "cannot be opened" in str(refused), refused
    else:
        async with asyncio.timeout(30):
            await use(spool, lasting, durable, stored)
            await spool.close()
    made = fail_calls(0, 0, 0)
    names, reports = await names_left(directory)
    what = f"call {nth} failed: durable {durable}, stored {stored}, then found {names}, {reports}"
    kept = [name for name in names if name not in stored]
    promised = [name for name in durable if name not in stored]
    # A batch whose commit failed is deleted first thing when the disk works again. When it never does, the next start
    # may find the batch, which had been refused: whoever sent it again is told apart by the Idempotency-Key.
    assert set(promised) <= set(kept) if lasting else promised == kept, what
    assert names == sorted(set(names)), what
    assert not any(report.batches for report in reports), what
    return made < nth

async def main(directory, error, lasting, step):
    nth = 1
    while not await run(directory / "spool", nth, error, lasting):
        shutil.rmtree(directory / "spool", ignore_errors=True)
        nth += step
    print(json.dumps(nth - 1))

asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "lasting", int(sys.argv[4])))
"""


def fail_each_call(
    preload: Callable[..., dict[str, str]], directory: Path, error: str, how_long: str, step: int
) -> int:
    code = str(getattr(errno, error))
    run = subprocess.run(
        [sys.executable, "-c", WORKLOAD, directory, code, how_long, str(step)],
        env=preload(RECORD_DIRECTORY=directory / "spool"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-4_000:]
    calls: int = json.loads(run.stdout)
    print(f"{error} {how_long}: {calls} calls")
    return calls


def test_a_call_that_fails_costs_no_batch(preload: Callable[..., dict[str, str]], tmp_path: Path) -> None:
    assert fail_each_call(preload, tmp_path, "ENOSPC", "once", step=17) > 50


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("how_long", ["once", "lasting"])
@pytest.mark.parametrize("error", ["ENOSPC", "EIO", "EDQUOT", "EMFILE"])
def test_every_call_that_fails_costs_no_batch(
    preload: Callable[..., dict[str, str]], tmp_path: Path, error: str, how_long: str
) -> None:
    assert fail_each_call(preload, tmp_path, error, how_long, step=1) > 50
