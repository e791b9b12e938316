from __future__ import annotations

import asyncio

import pytest
import structlog

from logstreamd.daemon.supervisor import Death, Supervisor


async def for_ever() -> None:
    await asyncio.Event().wait()


async def raises() -> None:
    raise ZeroDivisionError("a bug")


async def ends() -> None:
    return


async def cancels_itself() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("work", "cause"), [(ends, "None"), (raises, "ZeroDivisionError('a bug')"), (cancels_itself, "None")]
)
async def test_a_task_that_ends_by_itself_is_noticed_with_its_name(work: object, cause: str) -> None:
    supervisor = Supervisor()
    supervisor.start("steady", for_ever())
    with structlog.testing.capture_logs() as logs:
        supervisor.start("weak", work())  # type: ignore[operator]
        death = await asyncio.wait_for(supervisor.death, 5)
    assert (death.task, repr(death.cause)) == ("weak", cause)
    assert supervisor.running == ["steady"]
    (entry,) = logs
    assert (entry["event"], entry["task"], entry["log_level"]) == ("background task died", "weak", "critical")
    await supervisor.stop()


async def test_the_first_death_is_the_one_that_is_told() -> None:
    supervisor = Supervisor()
    supervisor.start("first", ends())
    supervisor.start("second", raises())
    assert await supervisor.death == Death("first", None)
    await asyncio.sleep(0)
    assert supervisor.running == []
    await supervisor.stop()


async def test_a_stop_ends_every_task_and_is_nobodys_death() -> None:
    supervisor = Supervisor()
    for name in ("b", "a"):
        supervisor.start(name, for_ever())
    assert supervisor.running == ["a", "b"]
    await supervisor.stop()
    assert supervisor.running == []
    assert not supervisor.death.done()
    await supervisor.stop()


async def test_one_task_can_end_while_the_others_go_on_and_begin_again() -> None:
    supervisor = Supervisor()
    for name in ("b", "a"):
        supervisor.start(name, for_ever())
    await supervisor.end("a")
    await supervisor.end("unknown")
    assert supervisor.running == ["b"]
    supervisor.start("a", for_ever())
    await asyncio.sleep(0)
    assert supervisor.running == ["a", "b"]
    assert not supervisor.death.done()
    await supervisor.stop()


async def test_a_task_that_fails_while_it_is_stopped_is_logged() -> None:
    async def fails_at_the_end() -> None:
        try:
            await for_ever()
        finally:
            raise OSError("could not tidy up")

    supervisor = Supervisor()
    with structlog.testing.capture_logs() as logs:
        supervisor.start("untidy", fails_at_the_end())
        await asyncio.sleep(0)
        await supervisor.stop()
    assert [(entry["event"], entry["task"]) for entry in logs] == [("task failed while stopping", "untidy")]
    assert not supervisor.death.done()
