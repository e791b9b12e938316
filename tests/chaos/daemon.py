"""The daemon as the chaos tests use it: on fixed ports, so that senders find it again, and with faults armed."""

from __future__ import annotations

import random
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.acceptance.daemon_process import DaemonProcess, wait_for
from tests.acceptance.senders import Address

__all__ = ["LEDGER_IN", "LEDGER_OUT", "ChaosDaemon"]

LEDGER_IN = ("received_frames_total", "recovered_frames_total")
LEDGER_OUT = (
    "stored_rows_total",
    "quarantined_rows_total",
    "dropped_frames_total",
    "spooled_frames",
    "in_flight_frames",
)


class ChaosDaemon(DaemonProcess):
    """A daemon with a UDP and a TCP input and HTTP.

    Args:
        state_dir: as for :class:`DaemonProcess`.
        dsn: the database.
        settings: sections of the configuration.
        receive_buffer: of the UDP input.
    """

    def __init__(
        self,
        state_dir: Path,
        dsn: str,
        settings: Mapping[str, Any] | None = None,
        receive_buffer: str = "16MiB",
    ) -> None:
        self.tcp, self.udp, self.http = (_free_address() for _ in range(3))
        self.spool = state_dir / "spool"
        super().__init__(
            state_dir,
            dsn=dsn,
            inputs=[
                {"type": "udp", "listen": _text(self.udp), "receive_buffer_bytes": receive_buffer},
                {"type": "tcp", "listen": _text(self.tcp)},
            ],
            settings={"http": {"listen": _text(self.http)}, **(settings or {})},
        )

    def arm(self, fault: str) -> None:
        """Set ``LOGSTREAMD_FAULT`` for the next start."""
        self.environment = {"LOGSTREAMD_FAULT": fault} if fault else {}

    def start_up(self) -> ChaosDaemon:
        """Start it and wait until it listens, with or without its database."""
        self.launch()
        self.wait_listening()
        return self

    def wait_killed(self) -> None:
        """Wait for the armed fault to kill it."""
        assert self.wait_exit() == -9, self.output

    def problems(self) -> list[str]:
        """Return what ``/ready`` complains about."""
        return list(self.get("/ready").json()["problems"])

    def metric(self, name: str, **labels: str) -> int:
        """Return the sum of a metric's samples that carry these labels."""
        name = f"logstreamd_{name}"
        samples = [
            sample.value
            for family in text_string_to_metric_families(self.get("/metrics").body.decode())
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]
        assert samples, f"no {name} with {labels}"
        return int(sum(samples))

    def failures(self) -> int:
        """Return how many exchanges with the database failed so far."""
        text = self.get("/metrics").body.decode()
        lines = (line for line in text.splitlines() if line.startswith("logstreamd_store_failures_total"))
        return sum(int(float(line.rpartition(" ")[2])) for line in lines)

    def wait_drained(self, *, seconds: float = 60) -> None:
        """Wait until everything received is in the table, and the ledger says so."""
        wait_for("an empty spool", self._is_drained, seconds=seconds)
        assert self.metric("ledger_imbalance_frames") == 0

    def _is_drained(self) -> bool:
        return not any(line["spooled"] or line["in_flight"] for line in self.status()["ledger"].values())

    def wait_settled(self, name: str, sent: int) -> None:
        """Wait until every datagram sent is received or counted as dropped by the kernel, and the spool is empty."""

        def settled() -> bool:
            received = self.metric("received_frames_total", input=name)
            return received + self.metric("kernel_dropped_datagrams_total", input=name) == sent

        wait_for(f"account of {sent} datagrams", settled)
        self.wait_drained()

    def peak_bytes(self) -> int:
        """Return the most memory it has had resident so far."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024


def _free_address() -> Address:
    """Return an address nobody listens on, outside the range the kernel gives to connections on their way out."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as stream, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
            try:
                stream.bind(("127.0.0.1", port))
                datagrams.bind(("127.0.0.1", port))
            except OSError:
                continue
            return "127.0.0.1", port


def _text(address: Address) -> str:
    return f"{address[0]}:{address[1]}"
