from __future__ import annotations

import time
from typing import NoReturn

import pytest
import structlog
from purgatory.domain.model import OpenedState

from logstreamd.metrics import Metrics
from logstreamd.storage.session import DATABASE_TROUBLE, Health

FAILURES = 5
OPEN_SECONDS = 2.0


class Clocks:
    """The two clocks of the machine, as far as the breaker looks at them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall, self.monotonic = 1_795_316_400.0, 5.0
        monkeypatch.setattr(time, "time", lambda: self.wall)
        monkeypatch.setattr("logstreamd.storage.session.time.monotonic", lambda: self.monotonic)

    def advance(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    return Clocks(monkeypatch)


class Database:
    """Counts who knocks, and is up or down."""

    def __init__(self) -> None:
        self.metrics = Metrics(version="test", wire="python")
        self.health = Health(self.metrics)
        self.up = False
        self.knocks = 0

    async def _answer(self) -> str:
        self.knocks += 1
        if not self.up:
            raise ConnectionRefusedError("nobody there")
        return "done"

    async def attempt(self, who: str | None = None) -> str | None:
        """One exchange; None when it failed."""
        try:
            return await self.health.attempt(self._answer, who)
        except DATABASE_TROUBLE:
            return None

    def read(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"logstreamd_{name}", labels)


async def test_until_it_was_reached_once_the_database_is_a_problem() -> None:
    database = Database()
    assert database.health.problem == "not connected yet"
    database.up = True
    assert await database.attempt() == "done"
    assert database.health.problem is None
    assert database.read("database_up") == 1


async def test_a_problem_lasts_until_the_one_who_had_it_succeeds() -> None:
    database = Database()
    await database.attempt("writer")
    database.up = True
    await database.attempt("keeper")
    assert database.health.problem == "ConnectionRefusedError: nobody there"
    assert database.read("database_up") == 0
    await database.attempt("writer")
    assert database.health.problem is None
    assert database.read("database_up") == 1


async def test_a_failure_says_what_it_was_and_is_counted_by_kind() -> None:
    database = Database()
    await database.attempt()
    assert database.health.problem == "ConnectionRefusedError: nobody there"
    assert database.read("database_up") == 0
    assert database.read("store_failures_total", kind="retryable") == 1


async def test_a_problem_lasts_until_the_session_that_had_it_succeeds() -> None:
    database = Database()
    writer, keeper = object(), object()
    await database.attempt(writer)
    assert database.health.problem == "ConnectionRefusedError: nobody there"
    database.up = True
    await database.attempt(keeper)
    assert database.health.problem == "ConnectionRefusedError: nobody there"
    assert database.read("database_up") == 0
    await database.attempt(writer)
    assert database.health.problem is None
    assert database.read("database_up") == 1


async def test_after_some_failures_nobody_knocks_for_a_while(clocks: Clocks) -> None:
    database = Database()
    for _ in range(100):
        await database.attempt()
    assert database.knocks == FAILURES
    assert database.health.breaker_open
    assert database.read("breaker_open") == 1
    assert database.health.problem == "ConnectionRefusedError: nobody there"  # the cause, not the breaker
    clocks.advance(OPEN_SECONDS + 0.01)
    for _ in range(100):
        await database.attempt()
    assert database.knocks == FAILURES + 1  # one look, and shut again


async def test_the_first_success_closes_it(clocks: Clocks) -> None:
    database = Database()
    for _ in range(FAILURES):
        await database.attempt()
    database.up = True
    assert await database.attempt() is None
    clocks.advance(OPEN_SECONDS + 0.01)
    assert await database.attempt() == "done"
    assert not database.health.breaker_open
    assert database.read("breaker_open") == 0
    for _ in range(FAILURES - 1):
        database.up = False
        await database.attempt()
    database.up = True
    assert await database.attempt() == "done"


async def test_failures_that_are_not_in_a_row_do_not_open_it() -> None:
    database = Database()
    for _ in range(5):
        database.up = False
        for _ in range(FAILURES - 1):
            await database.attempt()
        database.up = True
        assert await database.attempt() == "done"


@pytest.mark.parametrize("jump", [-3600.0, -86_400.0, 3600.0])
async def test_a_wall_clock_that_is_set_does_not_keep_it_open(clocks: Clocks, jump: float) -> None:
    database = Database()
    for _ in range(FAILURES):
        await database.attempt()
    database.up = True
    clocks.wall += jump
    clocks.advance(OPEN_SECONDS + 0.01)
    answers = [await database.attempt() for _ in range(2)]
    assert answers[-1] == "done"


async def test_what_is_no_trouble_of_the_database_gets_out() -> None:
    async def bug() -> NoReturn:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await Database().health.attempt(bug)
    assert ZeroDivisionError not in DATABASE_TROUBLE
    assert OpenedState in DATABASE_TROUBLE


async def test_an_outage_is_logged_at_its_begin_now_and_then_and_at_its_end(clocks: Clocks) -> None:
    database = Database()
    with structlog.testing.capture_logs() as logs:
        for _ in range(30):
            await database.attempt()
            clocks.advance(OPEN_SECONDS + 0.5)
        database.up = True
        await database.attempt()
    events = [entry["event"] for entry in logs]
    assert events.count("database trouble, will retry") == 8  # 75 s, one every 10 s
    assert sum(entry.get("not_logged", 0) for entry in logs) == 30 - 8 - 1  # one more came after the last line
    assert events[-1] == "database connected"
