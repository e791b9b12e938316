from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from notify_socket import NotifySocket
from structlog.testing import capture_logs

from logstreamd.daemon.service import Service
from logstreamd.systemd import Notifier

WATCHDOG_SECONDS = 0.02


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[NotifySocket]:
    with NotifySocket(tmp_path / "notify") as one:
        yield one


class Daemon:
    """What a service speaks of."""

    def __init__(self) -> None:
        self.fault: str | None = None
        self.problems: list[str] = []
        self.rows = 0
        self.on_look = lambda: None

    async def look(self) -> str | None:
        self.on_look()
        return self.fault

    async def live(self, service: Service) -> None:
        await service.run(fault=self.look, problems=lambda: self.problems, stored=lambda: self.rows)


@pytest.fixture
def daemon() -> Daemon:
    return Daemon()


@pytest.fixture
def service(manager: NotifySocket) -> Service:
    return Service(Notifier(manager.address), WATCHDOG_SECONDS)


async def test_a_daemon_that_works_gives_signs_of_life_and_its_pace(
    manager: NotifySocket, service: Service, daemon: Daemon
) -> None:
    living = asyncio.create_task(daemon.live(service))
    first = await asyncio.to_thread(manager.next)
    assert first == ["WATCHDOG=1", "STATUS=0 rows/s"]
    daemon.rows = 1_000_000
    busy = await asyncio.to_thread(manager.next)
    assert busy[0] == "WATCHDOG=1"
    assert int(busy[1].removeprefix("STATUS=").removesuffix(" rows/s").replace(",", "")) > 1_000
    living.cancel()


async def test_trouble_that_a_new_start_would_not_cure_is_told_beside_the_signs_of_life(
    manager: NotifySocket, service: Service, daemon: Daemon
) -> None:
    daemon.problems = ["database: nobody there", "input tcp: waits for the spool"]
    living = asyncio.create_task(daemon.live(service))
    assert await asyncio.to_thread(manager.next) == [
        "WATCHDOG=1",
        "STATUS=database: nobody there; input tcp: waits for the spool",
    ]
    living.cancel()


async def test_a_fault_stops_the_signs_of_life_and_is_logged_once(
    manager: NotifySocket, service: Service, daemon: Daemon
) -> None:
    daemon.fault = "the spool's thread does not answer"
    with capture_logs() as logged:
        living = asyncio.create_task(daemon.live(service))
        for _ in range(3):
            assert await asyncio.to_thread(manager.next) == ["STATUS=the spool's thread does not answer"]
        daemon.fault = None
        await asyncio.to_thread(manager.wait_for, "WATCHDOG=1")
        living.cancel()
    assert [line["fault"] for line in logged] == ["the spool's thread does not answer"]


def test_an_event_loop_that_stands_still_gives_no_sign(manager: NotifySocket, service: Service, daemon: Daemon) -> None:
    stands, go_on = threading.Event(), threading.Event()

    def stand_still() -> None:
        stands.set()
        go_on.wait(30)

    async def live() -> None:
        living = asyncio.create_task(daemon.live(service))
        await asyncio.sleep(WATCHDOG_SECONDS)
        asyncio.get_running_loop().call_soon(stand_still)
        await asyncio.sleep(10 * WATCHDOG_SECONDS)
        living.cancel()

    loop = threading.Thread(target=asyncio.run, args=(live(),))
    loop.start()
    assert stands.wait(30)
    manager.waiting()
    time.sleep(2 * WATCHDOG_SECONDS)
    assert manager.waiting() == []
    go_on.set()
    manager.wait_for("WATCHDOG=1")
    loop.join(30)


async def test_a_reload_begins_with_the_time_and_ends_with_readiness(manager: NotifySocket, service: Service) -> None:
    before = time.monotonic_ns() // 1_000
    service.reloading()
    service.ready()
    reloading, since = manager.next()
    assert (reloading, since.partition("=")[0]) == ("RELOADING=1", "MONOTONIC_USEC")
    assert before <= int(since.partition("=")[2]) <= time.monotonic_ns() // 1_000
    assert manager.next() == ["READY=1"]


async def test_a_stop_asks_for_time_until_it_is_over(manager: NotifySocket, service: Service) -> None:
    service.stopping()
    assert manager.next()[0] == "STOPPING=1"
    assert await asyncio.to_thread(manager.next) == ["EXTEND_TIMEOUT_USEC=15000000"]
    await service.close()
    assert manager.waiting() == []


async def test_without_a_manager_nothing_is_said(manager: NotifySocket) -> None:
    service = Service(Notifier(), None)
    assert not service.managed
    service.ready()
    service.stopping()
    await service.close()
    assert manager.waiting() == []


async def test_a_manager_that_does_not_listen_is_no_reason_to_stop(manager: NotifySocket) -> None:
    service = Service(Notifier(f"{manager.address}-gone"), None)
    with capture_logs() as logged:
        service.ready()
    assert [(line["log_level"], line["message"]) for line in logged] == [("warning", "READY=1")]
