"""How the daemon is: what keeps it from working, every part's state, and what it says when it is up."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, Protocol

import click
import structlog

from logstreamd import __version__
from logstreamd.inputs.files import FileInput
from logstreamd.inputs.receiving import RECEIVING
from logstreamd.metrics import Metrics
from logstreamd.spool import Spool
from logstreamd.storage.session import Health
from logstreamd.wire import IMPLEMENTATION

__all__ = ["Report", "ReportedInput", "announce"]

_log = structlog.get_logger(__name__)


class ReportedInput(Protocol):
    """What is said about an input."""

    name: str

    @property
    def endpoints(self) -> list[str]:
        """Where it listens."""

    @property
    def congested(self) -> bool:
        """Whether it waits for the spool."""


class Report:
    """Asks the parts.

    Args:
        metrics: the ledger.
        health: the database.
        spool: what waits.
        inputs: the listening ones.
        tasks: returns the names of the background tasks that run.
    """

    def __init__(
        self,
        metrics: Metrics,
        health: Health,
        spool: Spool,
        inputs: Sequence[ReportedInput],
        tasks: Callable[[], list[str]],
    ) -> None:
        self._metrics = metrics
        self._health = health
        self._spool = spool
        self._inputs = inputs
        self._tasks = tasks
        self._started_at = time.monotonic()

    def problems(self) -> list[str]:
        """Return what keeps the daemon from taking or storing messages, one sentence each."""
        problems = []
        if self._health.problem is not None:
            problems.append(f"database: {self._health.problem}")
        stats = self._spool.stats()
        if stats.last_error is not None:
            problems.append(f"spool: {stats.last_error}")
        if stats.full:
            problems.append(f"spool: full ({stats.bytes} of {stats.max_bytes} bytes)")
        problems.extend(f"input {one.name}: waits for the spool" for one in self._inputs if one.congested)
        return problems

    def status(self) -> dict[str, Any]:
        """Return every part's state."""
        ledgers = self._metrics.ledgers()
        return {
            "version": __version__,
            "wire": IMPLEMENTATION,
            "receive": RECEIVING,
            "uptime_seconds": round(time.monotonic() - self._started_at, 1),
            "inputs": {one.name: _input_status(one) for one in self._inputs},
            "ledger": {name: ledger.as_dict() for name, ledger in ledgers.items()},
            "spool": {"id": str(self._spool.id), **asdict(self._spool.stats())},
            "database": {
                "up": self._health.problem is None,
                "problem": self._health.problem,
                "breaker_open": self._health.breaker_open,
            },
            "tasks": self._tasks(),
        }


def _input_status(one: ReportedInput) -> dict[str, Any]:
    status: dict[str, Any] = {"listen": one.endpoints, "waiting_for_spool": one.congested}
    if isinstance(one, FileInput):
        status["files"] = one.statistics()
    return status


def announce(
    *, listening: Sequence[str], http: str, psql: str, data: Sequence[str], problem: str | None, as_json: bool
) -> None:
    """Say that the daemon is up: where to send, where to look, where the data lies.

    Args:
        listening: the inputs, as in ``udp 127.0.0.1:5514``.
        http: the URL of the HTTP side.
        psql: the database's address, without a password.
        data: the directories that hold what must not get lost.
        problem: what is wrong with the database, if anything; messages are taken and kept in the spool meanwhile.
        as_json: one line for programs instead of a few for people.
    """
    event = "logstreamd is ready" if problem is None else "logstreamd listens and spools, the database is away"
    if as_json:
        _log.info(event, send_to=listening, look_at=http, psql=psql, data=data, problem=problem)
        return
    rows = (
        ("send", ", ".join(listening)),
        ("look", f"{http}/status and {http}/api/v1/logs"),
        ("psql", f"psql '{psql}'"),
        ("data", ", ".join(data)),
        *((("wait", problem),) if problem else ()),
    )
    text = "".join(f"\n  {key}  {value}" for key, value in rows)
    click.echo(f"{event} (version {__version__}){text}", err=True)
