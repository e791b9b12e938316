"""The service from its start to its clean end."""

from __future__ import annotations

import asyncio
import logging
import time
from asyncio import TaskGroup
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from aiohttp import web

from generator.scenarios.web_api.log_files import CombinedAccessLogger, LogFiles
from generator.scenarios.web_api.resource import Errors, UserService, logged
from generator.scenarios.web_api.users import UserStore
from generator.scenarios.web_api.visitors import visit
from generator.stop import Stop

__all__ = ["ServiceSettings", "serve"]

_MAX_BODY_BYTES = 64 << 10  # a user is some hundred bytes
_SHUTDOWN_SECONDS = 5.0  # for answers that are on their way


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """What the service can be told; see the options of the scenario."""

    listen: tuple[str, int]
    error_rates: tuple[float, ...]
    maintenance_interval: float
    traffic: float
    seed: int | None
    duration: float | None


class _Counter:
    """Counts the requests that were answered."""

    def __init__(self) -> None:
        self.requests = 0

    async def note(self, _request: web.Request, _response: web.StreamResponse) -> None:
        self.requests += 1


async def serve(settings: ServiceSettings, files: LogFiles, stop: Stop, tell: Callable[[str], None]) -> int:
    """Serve until told to stop, or for the time that was set.

    Returns:
        How many requests were answered.

    Raises:
        OSError: the address can't be bound.
    """
    log, counter = files.application, _Counter()
    rng = Random(settings.seed)  # noqa: S311 - errors for show
    application = web.Application(middlewares=[logged(log)], client_max_size=_MAX_BODY_BYTES)
    application.add_routes(UserService(UserStore(), Errors(settings.error_rates, rng), log).routes())
    application.on_response_prepare.append(counter.note)
    runner = web.AppRunner(
        application,
        access_log_class=CombinedAccessLogger,
        access_log=files.access,
        shutdown_timeout=_SHUTDOWN_SECONDS,
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, *settings.listen).start()
        host, port = runner.addresses[0][:2]
        url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        log.info("started on %s", url)
        tell(f"web-api listens on {url}")
        await _play(settings, url, counter, log, rng, stop)
    finally:
        await runner.cleanup()
    log.info("stopped after %d requests", counter.requests)
    return counter.requests


async def _play(
    settings: ServiceSettings, url: str, counter: _Counter, log: logging.Logger, rng: Random, stop: Stop
) -> None:
    """Let time pass until the end."""
    async with TaskGroup() as tasks:
        running = [tasks.create_task(_maintain(settings.maintenance_interval, counter, log))]
        if settings.traffic:
            running.append(tasks.create_task(visit(url, settings.traffic, rng)))
        await stop.wait_async(settings.duration)
        for task in running:
            task.cancel()


async def _maintain(interval_seconds: float, counter: _Counter, log: logging.Logger) -> None:
    """Write a line now and then, as services do that look after themselves."""
    started_at = time.monotonic()
    while True:
        await asyncio.sleep(interval_seconds)
        uptime = time.monotonic() - started_at
        log.info("maintenance: sessions cleaned, %d requests since the start %.0f s ago", counter.requests, uptime)
