"""Every measurement by name, in the order of the table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.acceptance.daemon_process import LOOPBACK
from tests.bench.alert_rules import write_rules
from tests.bench.daemon_rows import Flow, measure_daemon, measure_idle, measure_outage
from tests.bench.files import PEER_PART, Files
from tests.bench.native_sender import NativeSender
from tests.bench.raw_copy import measure_copy
from tests.bench.result import Result
from tests.bench.rsyslog_rows import has_rsyslog, measure_rsyslog
from tests.bench.sending import native_sender_program, send_bodies, send_file
from tests.bench.tail_farm import TailFarm
from tests.bench.workload import SERVICES, bsd_messages, json_messages, syslog_messages

__all__ = ["PEERS", "Measurement", "Sizes", "measurements"]

PEERS = ("rsyslog-imtcp", "rsyslog-imptcp")
_TAILS = 50
_RULES_EVERY_SECOND = 33

_LOSS_RATES = (50_000, 100_000, 150_000, 200_000)
_KERNEL_DEFAULT = Path("/proc/sys/net/core/rmem_default")


@dataclass(frozen=True)
class Sizes:
    """How large the measurements are.

    Attributes:
        rows: messages of one.
        udp_rate: datagrams a second of the one with these messages.
        udp_seconds: how long datagrams are sent when their loss is measured.
        idle_seconds: how long an idle daemon is looked at.
    """

    rows: int
    udp_rate: int
    udp_seconds: int
    idle_seconds: int


@dataclass(frozen=True)
class Measurement:
    """One row of the table.

    Attributes:
        take: given a database and a directory of its own, measures.
        yardstick: name of the measurement of COPY that has the same rows; None where no rows are to compare.
    """

    take: Callable[[str, Path], Result]
    yardstick: str | None = "copy"


def measurements(sizes: Sizes, files: Files) -> dict[str, Measurement]:
    """Return what can be measured on this machine."""
    return {
        "copy": _copy("raw COPY, one connection", syslog_messages, files),
        **_streams(files),
        **_followed(files),
        "tcp-lines-rules": _ruled(files),
        "udp": _daemon(f"UDP, {sizes.udp_rate:,} a second", "udp", files.datagrams, files.rows, rate=sizes.udp_rate),
        "copy-3164": _copy("raw COPY of the RFC 3164 rows", bsd_messages, files, "copy-3164"),
        "tcp-3164": _daemon("TCP, RFC 3164 by line", "tcp", files.bsd, files.rows, "copy-3164"),
        "copy-json": _copy("raw COPY of the JSON rows", json_messages, files, "copy-json"),
        "tcp-json": _daemon("TCP, JSON lines", "tcp", files.json, files.rows, "copy-json"),
        "http": _http(files),
        **_peers(files),
        **_losses(sizes.udp_seconds),
        "outage": _outage(files),
        "idle": Measurement(
            lambda dsn, directory: measure_idle("idle", dsn, directory / "state", sizes.idle_seconds), None
        ),
    }


def _streams(files: Files) -> dict[str, Measurement]:
    """Return the same lines over TCP, with each kind of spool and with one writer."""

    def lines(name: str, **settings: Mapping[str, Any]) -> Measurement:
        return _daemon(name, "tcp", files.lines, files.rows, settings=settings)

    one, interval, memory = {"connections": 1}, {"sync": "interval"}, {"sync": "memory"}
    return {
        "tcp-lines": lines("TCP, by line"),
        "tcp-lines-1": lines("TCP, by line, one writer", writer=one),
        "tcp-counted": _daemon("TCP, octet-counted", "tcp", files.counted, files.rows),
        "tcp-interval": lines("TCP, by line, spool.sync interval", spool=interval),
        "tcp-memory": lines("TCP, by line, without disk spool", spool=memory),
        "tcp-memory-1": lines("TCP, by line, without disk spool, one writer", spool=memory, writer=one),
    }


def _followed(files: Files) -> dict[str, Measurement]:
    """Return the same lines while 50 clients follow everything, and while they look for what never comes."""

    def followed(name: str, filter_text: str) -> Measurement:
        def take(dsn: str, directory: Path) -> Result:
            path = files.lines()
            flow = Flow(
                name,
                "tcp",
                lambda to: send_file("tcp", to, path),
                files.rows,
                beside=lambda http: TailFarm(http, _TAILS, filter_text),
            )
            return measure_daemon(flow, dsn, directory / "state")

        return Measurement(take)

    return {
        "tcp-lines-tails": followed(f"TCP, by line, {_TAILS} tails of everything", ""),
        "tcp-lines-tails-rare": followed(f"TCP, by line, {_TAILS} tails of a rare word", "neverseen"),
    }


def _ruled(files: Files) -> Measurement:
    """Return the same lines while alert rules are evaluated, as often as 500 of them at an interval of 15 s."""

    def take(dsn: str, directory: Path) -> Result:
        path = files.lines()
        rules = directory / "rules.yaml"
        write_rules(rules, _RULES_EVERY_SECOND, services=SERVICES, interval="1s")
        name = f"TCP, by line, {_RULES_EVERY_SECOND} alert rules a second"
        settings = {"alerts": {"rules": [str(rules)]}}
        flow = Flow(name, "tcp", lambda to: send_file("tcp", to, path), files.rows, settings)
        return measure_daemon(flow, dsn, directory / "state")

    return Measurement(take)


def _copy(name: str, messages: Callable[[int], Any], files: Files, itself: str = "copy") -> Measurement:
    return Measurement(lambda dsn, _: measure_copy(name, dsn, messages(files.rows)), itself)


def _daemon(
    name: str,
    protocol: str,
    file: Callable[[], Path],
    messages: int,
    yardstick: str = "copy",
    *,
    settings: Mapping[str, Any] | None = None,
    rate: int = 0,
) -> Measurement:
    def take(dsn: str, directory: Path) -> Result:
        path = file()
        flow = Flow(name, protocol, lambda to: send_file(protocol, to, path, rate=rate), messages, settings or {})
        return measure_daemon(flow, dsn, directory / "state")

    return Measurement(take, yardstick)


def _http(files: Files) -> Measurement:
    def take(dsn: str, directory: Path) -> Result:
        path = files.json()
        flow = Flow("HTTP, 5,000 JSON lines a request, 4 senders", "http", lambda to: send_bodies(to, path), files.rows)
        return measure_daemon(flow, dsn, directory / "state")

    return Measurement(take, "copy-json")


def _outage(files: Files) -> Measurement:
    def take(_: str, directory: Path) -> Result:
        path = files.lines()
        flow = Flow("TCP, by line, to the spool: no database", "tcp", lambda to: send_file("tcp", to, path), files.rows)
        return measure_outage(flow, directory / "state")

    return Measurement(take, None)


def _peers(files: Files) -> dict[str, Measurement]:
    """Return rsyslog with each of its TCP inputs, where it is installed."""

    def peer(tcp_input: str) -> Measurement:
        def take(dsn: str, directory: Path) -> Result:
            name, messages = f"rsyslog, {tcp_input} to ompgsql", files.rows // PEER_PART
            return measure_rsyslog(name, dsn, files.peer(), messages, directory, tcp_input=tcp_input)

        return Measurement(take)

    return {name: peer(name.partition("-")[2]) for name in PEERS} if has_rsyslog() else {}


def _losses(seconds: int) -> dict[str, Measurement]:
    """Return UDP at steady rates, with the daemon's buffer and the kernel's; needs the sender in C."""
    program = native_sender_program()
    if program is None:
        return {}
    small = [{"type": "udp", "listen": "127.0.0.1:0", "receive_buffer_bytes": int(_KERNEL_DEFAULT.read_text())}]

    def loss(name: str, rate: int, inputs: Any) -> Measurement:
        def take(dsn: str, directory: Path) -> Result:
            count = rate * seconds
            flow = Flow(
                name, "udp", lambda to: NativeSender(program, "udp", to, count=count, rate=rate), count, inputs=inputs
            )
            return measure_daemon(flow, dsn, directory / "state")

        return Measurement(take, None)

    large = {
        f"udp-{rate // 1_000}k": loss(f"UDP, {rate:,} a second for {seconds} s", rate, LOOPBACK) for rate in _LOSS_RATES
    }
    return large | {
        f"udp-{rate // 1_000}k-small": loss(
            f"UDP, {rate:,} a second for {seconds} s, the kernel's default buffer", rate, small
        )
        for rate in _LOSS_RATES
    }
