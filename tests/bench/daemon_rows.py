"""From a socket to committed rows: a daemon of its own for every measurement."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.acceptance.daemon_process import DaemonProcess, wait_for
from tests.acceptance.database import Database
from tests.bench.result import Result
from tests.bench.sending import Sender

__all__ = ["Flow", "measure_daemon"]

_PATIENCE_SECONDS = 600


@dataclass(frozen=True)
class Flow:
    """What is sent to a daemon, and to which kind of daemon.

    Attributes:
        name: the row's name.
        protocol: ``tcp`` or ``udp``, the input.
        file: the messages as the sender wants them.
        messages: how many they are.
        rate: datagrams a second, 0 for no limit.
        settings: sections of the daemon's configuration.
    """

    name: str
    protocol: str
    file: Path
    messages: int
    rate: int = 0
    settings: Mapping[str, Any] | None = None


def cpu_seconds(pid: int) -> float:
    """Return the processor time a process has used, user and system, all its threads. Source: proc(5), stat."""
    # The name in parentheses may hold blanks.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_bytes(pid: int) -> int:
    """Return a process's largest resident set so far. Source: proc(5), status."""
    (line,) = (line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def measure_daemon(flow: Flow, dsn: str, state_dir: Path) -> Result:
    """Start a daemon, send, wait until every message is in the table or known to be lost, and stop it."""
    daemon = DaemonProcess(state_dir, dsn=dsn, settings=flow.settings)
    try:
        daemon.start()
        with Sender(flow.protocol, daemon.address(flow.protocol), flow.file, rate=flow.rate) as sender:
            cpu_before = cpu_seconds(daemon.pid)
            started = time.perf_counter()
            sender.go()
            sender.wait()
            kept = _wait_until_stored(daemon, flow)
            seconds = time.perf_counter() - started
        used = cpu_seconds(daemon.pid) - cpu_before
        peak = peak_bytes(daemon.pid)
        daemon.stop()
    finally:
        daemon.dispose()
    with Database(dsn) as database:
        ((rows,),) = database.fetch("SELECT count(*) FROM logs")
    if rows != kept:
        raise AssertionError(f"{flow.name}: {kept} stored by the ledger, {rows} in the table")
    return Result(flow.name, rows, seconds, cpu_seconds=used, peak_bytes=peak, lost=flow.messages - rows)


def _wait_until_stored(daemon: DaemonProcess, flow: Flow) -> int:
    """Return how many were stored, once all that arrived are."""

    def stored() -> int:
        ledger = daemon.ledger(flow.protocol)
        arrived = ledger["received"] + _kernel_drops(daemon, flow)
        settled = ledger["stored"] + ledger["dropped"] + ledger["quarantined"] == ledger["received"]
        return ledger["stored"] if arrived == flow.messages and settled else 0

    return wait_for(f"{flow.messages} messages of {flow.name}", stored, seconds=_PATIENCE_SECONDS)


def _kernel_drops(daemon: DaemonProcess, flow: Flow) -> int:
    if flow.protocol != "udp":
        return 0
    metric = "logstreamd_kernel_dropped_datagrams_total{"
    lines = daemon.get("/metrics").body.decode().splitlines()
    return sum(int(float(line.rpartition(" ")[2])) for line in lines if line.startswith(metric))
