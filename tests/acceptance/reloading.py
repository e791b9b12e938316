"""A daemon whose configuration changes while it runs, and senders that go on meanwhile."""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping, Sequence
from signal import SIGHUP
from typing import Any

import yaml

from tests.acceptance.daemon_process import DaemonProcess, wait_for
from tests.acceptance.senders import Address, numbered_lines

__all__ = ["Reloading", "SteadySender"]


class Reloading:
    """A running daemon and its configuration file.

    Args:
        daemon: started.
    """

    def __init__(self, daemon: DaemonProcess) -> None:
        self.daemon = daemon
        self.config: dict[str, Any] = yaml.safe_load(daemon.config_file.read_text())
        self._last_at: str | None = None

    @property
    def inputs(self) -> list[dict[str, Any]]:
        """The section of the configuration, to be changed and given to :meth:`reload`."""
        return [dict(one) for one in self.config["inputs"]]

    def write(self, **sections: Any) -> None:
        """Replace sections of the file; None takes one out."""
        self.config = {name: value for name, value in {**self.config, **sections}.items() if value is not None}
        self.daemon.config_file.write_text(yaml.safe_dump(self.config, sort_keys=False))

    def hang_up(self) -> Mapping[str, Any]:
        """Have the daemon read the file as it is; return how it went."""
        self.daemon.signal(SIGHUP)
        return wait_for("the end of the reload", self._last_reload)

    def _last_reload(self) -> dict[str, Any]:
        last: dict[str, Any] = self.daemon.status()["config"]["last_reload"] or {"at": None}
        if last["at"] == self._last_at:
            return {}
        self._last_at = last["at"]
        return last

    def apply(self, **sections: Any) -> None:
        """Replace sections and have them put in force."""
        self.write(**sections)
        last = self.hang_up()
        assert last["outcome"] == "applied", last

    def refused(self, **sections: Any) -> list[str]:
        """Replace sections, find them refused, and put the file back; return the problems without the file's name."""
        before, file = self.config, self.daemon.config_file
        self.write(**sections)
        last = self.hang_up()
        self.config = before
        self.write()
        assert last["outcome"] == "refused", last
        return [problem.removeprefix(f"{file}:") for problem in last["problems"]]

    def metric(self, name: str) -> float:
        """Return the value of a metric without labels."""
        lines = self.daemon.get("/metrics").body.decode().splitlines()
        return next(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} "))


class SteadySender(threading.Thread):
    """Sends numbered messages to one address while its block runs; over one connection where there are any.

    Args:
        to: where to.
        service: whose messages they are.
        kind: ``socket.SOCK_DGRAM`` or ``socket.SOCK_STREAM``.
    """

    def __init__(self, to: Address, service: str, kind: socket.SocketKind) -> None:
        super().__init__(name=f"sender of {service}")
        self._service = service
        self._kind = kind
        self._socket = socket.socket(socket.AF_INET, kind)
        self._socket.connect(to)
        self._stop_asked = threading.Event()
        self.sent = 0

    def run(self) -> None:
        with self._socket:
            while not self._stop_asked.wait(0.002):
                self._send(numbered_lines(self._service, 10, first=self.sent))
                self.sent += 10

    def _send(self, messages: Sequence[bytes]) -> None:
        if self._kind == socket.SOCK_STREAM:
            self._socket.sendall(b"".join(messages))
            return
        for message in messages:
            self._socket.send(message.rstrip(b"\n"))

    def __enter__(self) -> SteadySender:
        self.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self._stop_asked.set()
        self.join(30)
