"""From a socket to committed rows: a daemon of its own for every measurement."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.acceptance.daemon_process import LOOPBACK, DaemonProcess, wait_for
from tests.acceptance.database import Database
from tests.bench.result import Result
from tests.bench.sending import Sending

__all__ = [
    "Flow",
    "cpu_seconds",
    "measure_daemon",
    "measure_idle",
    "measure_outage",
    "measure_running",
    "peak_bytes",
]

_PATIENCE_SECONDS = 600
_SETTLE_SECONDS = 3.0  # after the start: imports, first partitions, the spool's tidying
# Nobody listens there: port 1 needs a privilege, and nobody has used it since 1988.
_NO_DATABASE = "postgresql://nobody@127.0.0.1:1/none"


@dataclass(frozen=True)
class Flow:
    """What is sent to a daemon, and to which kind of daemon.

    Attributes:
        name: the row's name.
        input: ``tcp``, ``udp`` or ``http``.
        sender: given host and port, what sends.
        messages: how many it sends.
        settings: sections of the daemon's configuration.
        inputs: the inputs, when they are not one of each with the defaults.
        beside: given host and port of the HTTP side, what goes on meanwhile.
    """

    name: str
    input: str
    sender: Callable[[tuple[str, int]], Sending]
    messages: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    inputs: Sequence[Mapping[str, Any]] = LOOPBACK
    beside: Callable[[tuple[str, int]], AbstractContextManager[object]] = nullcontext


def cpu_seconds(pid: int) -> float:
    """Return the processor time a process has used, user and system, all its threads. Source: proc(5), stat."""
    # The name in parentheses may hold blanks.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_bytes(pid: int) -> int:
    """Return a process's largest resident set so far. Source: proc(5), status."""
    (line,) = (line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def _address(daemon: DaemonProcess, name: str) -> tuple[str, int]:
    """Return host and port of an input, HTTP among them."""
    if name != "http":
        return daemon.address(name)
    host, _, port = daemon.url.removeprefix("http://").rpartition(":")
    return host, int(port)


def measure_daemon(flow: Flow, dsn: str, state_dir: Path) -> Result:
    """Start a daemon, send, wait until every message is in the table or known to be lost, and stop it."""
    daemon = DaemonProcess(state_dir, dsn=dsn, settings=flow.settings, inputs=flow.inputs)
    try:
        daemon.start()
        result = measure_running(flow, daemon)
        daemon.stop()
    finally:
        daemon.dispose()
    with Database(dsn) as database:
        ((rows,),) = database.fetch("SELECT count(*) FROM logs")
    if rows != result.rows:
        raise AssertionError(f"{flow.name}: {result.rows} stored by the ledger, {rows} in the table")
    return result


def measure_running(flow: Flow, daemon: DaemonProcess, *, before: int = 0) -> Result:
    """Send to a daemon that runs already, until everything is stored or known to be lost.

    Args:
        flow: what to send.
        daemon: where to.
        before: messages its input got before these.
    """
    result = _measure(flow, daemon, lambda: _settled(daemon, flow, before + flow.messages))
    return replace(result, rows=result.rows - before, lost=result.lost + before)


def _measure(flow: Flow, daemon: DaemonProcess, kept: Callable[[], int]) -> Result:
    with flow.beside(_address(daemon, "http")), flow.sender(_address(daemon, flow.input)) as sending:
        cpu_before = cpu_seconds(daemon.pid)
        started = time.perf_counter()
        sending.go()
        sending.wait()
        rows = wait_for(f"{flow.messages} messages of {flow.name}", kept, seconds=_PATIENCE_SECONDS)
        seconds = time.perf_counter() - started
    used = cpu_seconds(daemon.pid) - cpu_before
    return Result(flow.name, rows, seconds, used, peak_bytes(daemon.pid), lost=flow.messages - rows)


def _settled(daemon: DaemonProcess, flow: Flow, messages: int) -> int:
    """Return how many were stored, once all that arrived are."""
    ledger = daemon.ledger(flow.input)
    if ledger["stored"] + ledger["dropped"] + ledger["quarantined"] != ledger["received"]:
        return 0
    arrived = ledger["received"] + _kernel_drops(daemon, flow)
    return ledger["stored"] if arrived == messages else 0


def _kernel_drops(daemon: DaemonProcess, flow: Flow) -> int:
    if flow.input != "udp":
        return 0
    metric = "logstreamd_kernel_dropped_datagrams_total{"
    lines = daemon.get("/metrics").body.decode().splitlines()
    return sum(int(float(line.rpartition(" ")[2])) for line in lines if line.startswith(metric))


def measure_outage(flow: Flow, state_dir: Path) -> Result:
    """Send to a daemon whose database is away, until everything is in the spool; nothing of it reaches a table."""
    settings = {**flow.settings, "writer": {"drain_timeout_seconds": 0}}
    daemon = DaemonProcess(state_dir, dsn=_NO_DATABASE, settings=settings)
    try:
        daemon.launch()
        daemon.wait_listening()

        def spooled() -> int:
            found = daemon.ledger(flow.input)["spooled"]
            return found if found == flow.messages else 0

        result = _measure(flow, daemon, spooled)
        daemon.stop()
    finally:
        daemon.dispose()
    return result


def measure_idle(name: str, dsn: str, state_dir: Path, seconds: float) -> Result:
    """Measure the processor time of a daemon that has nothing to do."""
    daemon = DaemonProcess(state_dir, dsn=dsn)
    try:
        daemon.start()
        time.sleep(_SETTLE_SECONDS)
        before, started = cpu_seconds(daemon.pid), time.perf_counter()
        time.sleep(seconds)
        used, passed = cpu_seconds(daemon.pid) - before, time.perf_counter() - started
        peak = peak_bytes(daemon.pid)
        daemon.stop()
    finally:
        daemon.dispose()
    return Result(name, 0, passed, used, peak)
