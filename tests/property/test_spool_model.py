"""A spool against its model: any order of appending, storing, restarting and killing.

The model is a list. What was durable and not acknowledged must be there, in order, once per run, with the number it was
given; what was acknowledged may come back only after a kill, and only until its deletion was written.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from spooling import append, crash_copy, make_batch, name_of, new_spool

from logstreamd.spool import DiskSpool

WINDOW_BYTES = 5_000  # a handful of batches: most runs read back from the disk


@dataclass
class Kept:
    name: str
    seq: int
    frames: int
    number: int | None = None
    acknowledged: bool = False
    given: bool = False


class SpoolMachine(RuleBasedStateMachine):
    spool: DiskSpool

    def __init__(self) -> None:
        super().__init__()
        self.base = Path(tempfile.mkdtemp(prefix="spool-model-"))
        self.directory = self.base / "0"
        self.runner = asyncio.Runner()
        self.kept: list[Kept] = []
        self.count = 0
        self.restarts = 0

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(coroutine)

    @initialize(sync=st.sampled_from(["batch", "interval"]))
    def start(self, sync: str) -> None:
        self.sync = sync
        self.open()

    def open(self) -> None:
        self.spool = new_spool(self.directory, window_bytes=WINDOW_BYTES, sync=self.sync, interval_seconds=0.01)
        self.run(self.spool.open())

    @rule(sizes=st.lists(st.integers(1, 15), min_size=1, max_size=5), together=st.booleans())
    def append(self, sizes: list[int], together: bool) -> None:
        batches = [make_batch(f"b{self.count + n}", frames=size) for n, size in enumerate(sizes)]
        self.count += len(batches)

        async def append_all() -> list[int]:
            if together:
                return await asyncio.gather(*(append(self.spool, batch) for batch in batches))
            return [await append(self.spool, batch) for batch in batches]

        for batch, seq in zip(batches, self.run(append_all()), strict=True):
            assert not self.kept or seq > self.kept[-1].seq
            self.kept.append(Kept(name_of(batch), seq, len(batch)))

    def waiting(self) -> list[Kept]:
        return [kept for kept in self.kept if not kept.given]

    @precondition(lambda self: self.waiting())
    @rule(number=st.none() | st.integers(1, 2**47), acknowledge=st.booleans())
    def take(self, number: int | None, acknowledge: bool) -> None:
        kept = self.waiting()[0]
        spooled = self.run(asyncio.wait_for(self.spool.take(), 20))
        assert (spooled.seq, name_of(spooled.batch), len(spooled.batch)) == (kept.seq, kept.name, kept.frames)
        assert spooled.number == kept.number
        kept.given = True
        if number is not None:
            self.spool.assign(spooled.seq, number)
            kept.number = number
        if acknowledge:
            self.spool.acknowledge([spooled.seq])
            kept.acknowledged = True

    @rule()
    def acknowledge_what_was_taken(self) -> None:
        taken = [kept for kept in self.kept if kept.given]
        self.spool.acknowledge([kept.seq for kept in taken])
        for kept in taken:
            kept.acknowledged = True

    @rule()
    def stop_and_start(self) -> None:
        self.run(self.spool.close())
        self.kept = [kept for kept in self.kept if not kept.acknowledged]
        self.next_run()

    @rule()
    def kill_and_start(self) -> None:
        """The files are copied while the owner may be writing; what it was told before is in the copy or repeated."""
        self.restarts += 1
        target = self.base / str(self.restarts)
        crash_copy(self.settled(), target)
        self.run(self.spool.close())
        shutil.rmtree(self.directory)
        self.directory = target
        self.open()
        found = self.spool.frames_by_input().get("tcp", 0)
        self.kept = [kept for kept in self.kept if not kept.acknowledged]
        assert found == sum(kept.frames for kept in self.kept)
        for kept in self.kept:
            kept.given = False

    def settled(self) -> Path:
        """Wait until the owner has done what it was asked: a copy of two files is no snapshot while it writes."""

        async def settle() -> None:
            async with asyncio.timeout(20):
                while self.spool._books._acknowledged or not self.spool._owner.inbox.empty():  # type: ignore[union-attr]
                    await asyncio.sleep(0.001)
                # one more commit behind whatever was still unconfirmed, such as numbers
                seq = await append(self.spool, make_batch("marker", frames=1))
                self.kept.append(Kept("marker", seq, 1))

        self.run(settle())
        return self.directory

    def next_run(self) -> None:
        self.open()
        for kept in self.kept:
            kept.given = False

    @invariant()
    def the_books_are_exact(self) -> None:
        if hasattr(self, "spool"):
            frames = sum(kept.frames for kept in self.kept if not kept.acknowledged)
            assert self.spool.frames_by_input().get("tcp", 0) == frames
            assert self.spool.stats().window_bytes <= WINDOW_BYTES

    def teardown(self) -> None:
        if hasattr(self, "spool"):
            self.run(self.spool.close())
        self.runner.close()
        shutil.rmtree(self.base)


SpoolMachine.TestCase.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
TestSpoolAgainstItsModel = SpoolMachine.TestCase
