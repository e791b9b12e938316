from __future__ import annotations

import asyncio
from dataclasses import replace

from logstreamd.daemon.vitals import Vitals
from logstreamd.metrics.ledger import LedgerLine
from logstreamd.spool import SpoolError

NOTHING = LedgerLine(received=0, recovered=0, stored=0, quarantined=0, dropped=0, spooled=0, in_flight=0)


class Daemon:
    """What is looked at; the writer may be at one batch for ten seconds."""

    def __init__(self) -> None:
        self.now = 100.0
        self.line = NOTHING
        self.database_problem: str | None = None
        self.dead_task: str | None = None
        self.answers = asyncio.Event()
        self.answers.set()
        self.spool_problem: SpoolError | None = None
        self.vitals = Vitals(
            ping=self.ping,
            ledgers=lambda: {"tcp": self.line, "udp": NOTHING},
            database_problem=lambda: self.database_problem,
            dead_task=lambda: self.dead_task,
            answer_seconds=0.01,
            writer_seconds=10,
            monotonic=lambda: self.now,
        )

    async def ping(self) -> None:
        if self.spool_problem is not None:
            raise self.spool_problem
        await self.answers.wait()

    async def after(self, seconds: float) -> str | None:
        self.now += seconds
        return await self.vitals.fault()


async def test_an_idle_daemon_is_well_for_ever() -> None:
    daemon = Daemon()
    assert [await daemon.after(1_000) for _ in range(3)] == [None] * 3


async def test_a_spool_thread_that_does_not_answer_is_a_fault_until_it_does() -> None:
    daemon = Daemon()
    daemon.answers.clear()
    assert await daemon.after(0) == "the spool's thread does not answer"
    daemon.answers.set()
    assert await daemon.after(0) is None


async def test_a_spool_thread_that_died_says_why() -> None:
    daemon = Daemon()
    daemon.spool_problem = SpoolError("the spool's owner thread died")
    assert await daemon.after(0) == "the spool's owner thread died"


async def test_a_task_that_died_is_named() -> None:
    daemon = Daemon()
    daemon.dead_task = "writer 1"
    assert await daemon.after(0) == "the background task 'writer 1' died"


async def test_batches_that_wait_while_none_is_stored_are_a_fault() -> None:
    daemon = Daemon()
    daemon.line = replace(NOTHING, spooled=5)
    assert await daemon.after(10) is None
    assert await daemon.after(1) == "messages wait in the spool, and none was stored for 10 s"
    daemon.line = replace(NOTHING, spooled=4, stored=1)
    assert await daemon.after(1) is None


async def test_a_writer_that_only_quarantines_makes_progress() -> None:
    daemon = Daemon()
    for rows in range(5):
        daemon.line = replace(NOTHING, spooled=5, quarantined=rows)
        assert await daemon.after(9) is None


async def test_datagrams_that_are_dropped_are_not_the_writers_work() -> None:
    daemon = Daemon()
    for dropped in range(2):
        daemon.line = replace(NOTHING, spooled=5 + dropped, dropped=dropped)
        assert await daemon.after(9 * dropped) is None
    daemon.line = replace(NOTHING, spooled=7, dropped=9)
    assert await daemon.after(9) is not None


async def test_duplicates_that_leave_the_spool_are() -> None:
    daemon = Daemon()
    for spooled in range(9, 4, -1):
        daemon.line = replace(NOTHING, spooled=spooled, dropped=9 - spooled)
        assert await daemon.after(9) is None


async def test_a_database_that_is_away_for_a_day_is_no_fault_of_the_daemon() -> None:
    daemon = Daemon()
    daemon.line = replace(NOTHING, spooled=5)
    daemon.database_problem = "ConnectionRefusedError: nobody there"
    assert [await daemon.after(3_600) for _ in range(24)] == [None] * 24
    daemon.database_problem = None
    assert await daemon.after(9) is None  # it has only just come back
    assert await daemon.after(9) is not None
