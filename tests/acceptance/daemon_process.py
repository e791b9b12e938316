"""The real command in a process of its own: started, asked over HTTP, stopped by a signal."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from signal import SIGKILL, SIGTERM
from typing import Any, TypeVar
from urllib.parse import urlencode

import yaml

from tests.acceptance.service_manager import ServiceManager

__all__ = ["Answer", "DaemonProcess", "wait_for"]

PROJECT = Path(__file__).parents[2]
LOOPBACK = (
    {"type": "udp", "listen": "127.0.0.1:0"},
    {"type": "tcp", "listen": "127.0.0.1:0"},
)
_START_SECONDS = 60
_STOP_SECONDS = 60
_POLL_SECONDS = 0.02

_T = TypeVar("_T")


def wait_for(what: str, look: Callable[[], _T], *, seconds: float = 30) -> _T:
    """Look until there is something to see.

    Args:
        what: for the message when it does not come.
        look: returns something true when it is there.
        seconds: how long to go on.

    Returns:
        What was seen.

    Raises:
        TimeoutError: it did not come.
    """
    deadline = time.monotonic() + seconds
    while True:
        seen = look()
        if seen:
            return seen
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds} s (last: {seen!r})")
        time.sleep(_POLL_SECONDS)


@dataclass(frozen=True)
class Answer:
    """What the daemon said over HTTP."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class DaemonProcess:
    """``logstreamd run`` with a state directory of its own, on ports the kernel chose.

    Args:
        state_dir: the state directory; the configuration and the daemon's log are written beside it.
        dsn: the database.
        inputs: the section of the configuration.
        settings: other sections of the configuration.
        environment: variables besides ours.
        service_manager: starts it in place of us, with sockets that are open already.
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        dsn: str = "embedded",
        inputs: Sequence[Mapping[str, Any]] = LOOPBACK,
        settings: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
        service_manager: ServiceManager | None = None,
    ) -> None:
        self.config_file = state_dir.with_name(f"{state_dir.name}.yaml")
        self._log_file = state_dir.with_name(f"{state_dir.name}.log")
        self.environment = environment or {}
        self._service_manager = service_manager or ServiceManager()
        self._process: subprocess.Popen[bytes] | None = None
        self._http = ""
        self.token = ""
        """Brought along with every request, where the daemon wants one."""
        self.trust: ssl.SSLContext | None = None
        """Whom to trust where the daemon answers over TLS, and what to show."""
        config = {
            "state_dir": str(state_dir),
            "database": {"dsn": dsn},
            "inputs": [dict(one) for one in inputs],
            "http": {"listen": "127.0.0.1:0"},
            **(settings or {}),
        }
        self.config_file.write_text(yaml.safe_dump(config))

    @property
    def url(self) -> str:
        """Where it answers over HTTP."""
        return f"{'http' if self.trust is None else 'https'}://{self._http}"

    @property
    def pid(self) -> int:
        """The process, running or ended."""
        assert self._process is not None, "the daemon was never started"
        return self._process.pid

    @property
    def output(self) -> str:
        """Everything this and earlier starts wrote."""
        return self._log_file.read_text()

    def events(self, event: str) -> list[dict[str, Any]]:
        """Return the log lines with this event, of this and earlier starts."""
        return [line for line in self._log_lines() if line["event"] == event]

    def _log_lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.output.splitlines() if line.startswith("{") and line.endswith("}")]

    def _start_lines(self) -> list[dict[str, Any]]:
        """Return the lines that say where to send and where to look, with or without the database."""
        return [line for line in self._log_lines() if "look_at" in line]

    def start(self) -> DaemonProcess:
        """Start it and wait until it takes and stores messages."""
        self.launch()
        self.wait_ready()
        return self

    def launch(self) -> None:
        """Start it and don't wait."""
        variables = {name: value for name, value in os.environ.items() if not name.startswith("LOGSTREAMD_")}
        with self._log_file.open("ab") as log:
            self._starts = len(self._start_lines())
            self._process = subprocess.Popen(
                self._service_manager.command(
                    [sys.executable, "-m", "logstreamd", "run", "--config", str(self.config_file)]
                ),
                env={**variables, "PYTHONPATH": str(PROJECT), **self._service_manager.variables, **self.environment},
                pass_fds=self._service_manager.descriptors,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def wait_ready(self) -> None:
        """Wait until it takes and stores messages."""
        self.wait_listening()
        wait_for("/ready", lambda: self.get("/ready").status == 200)

    def wait_listening(self) -> None:
        """Wait for the line that says where to send and where to look; the database may be away."""
        (line,) = wait_for("the ready line", self._ready_line, seconds=_START_SECONDS)[self._starts :]
        self._http = line["look_at"].partition("://")[2]
        self.psql = line["psql"]

    def _ready_line(self) -> list[dict[str, Any]]:
        code = self._process.poll() if self._process else None
        assert code is None, f"the daemon ended with {code}:\n{self.output}"
        lines = self._start_lines()
        return lines if len(lines) > self._starts else []

    def get(self, path: str, parameters: Mapping[str, Any] | Sequence[tuple[str, Any]] = ()) -> Answer:
        """Ask over HTTP."""
        return self._request("GET", f"{path}?{urlencode(parameters)}" if parameters else path)

    def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send a body over HTTP."""
        return self._request("POST", path, body, headers)

    def delete(self, path: str) -> Answer:
        """Delete something over HTTP."""
        return self._request("DELETE", path)

    def _request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        if self.trust is None:
            connection = HTTPConnection(self._http, timeout=30)
        else:
            connection = HTTPSConnection(self._http, timeout=30, context=self.trust)
        try:
            ours = {"Authorization": f"Bearer {self.token}"} if self.token else {}
            connection.request(method, path, body, ours | dict(headers or {}))
            response = connection.getresponse()
            return Answer(response.status, dict(response.headers), response.read())
        finally:
            connection.close()

    def status(self) -> dict[str, Any]:
        """Ask for ``/status``."""
        return dict(self.get("/status").json())

    def ledger(self, name: str) -> dict[str, int]:
        """Return the ledger of one input as ``/status`` has it."""
        return dict(self.status()["ledger"][name])

    def logs(self, **parameters: Any) -> list[dict[str, Any]]:
        """Search over HTTP; the answer must be a good one."""
        answer = self.get("/api/v1/logs", parameters)
        assert answer.status == 200, answer
        return list(answer.json()["logs"])

    def address(self, name: str) -> tuple[str, int]:
        """Return host and port of an input."""
        host, _, port = self.status()["inputs"][name]["listen"][0].rpartition(":")
        return host.strip("[]"), int(port)

    @property
    def runs(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def signal(self, number: int) -> None:
        """Send a signal to the daemon, and only to it."""
        os.kill(self.pid, number)

    def wait_exit(self) -> int:
        """Return the exit code once it has ended."""
        assert self._process is not None
        return self._process.wait(_STOP_SECONDS)

    def stop(self, number: int = SIGTERM) -> dict[str, dict[str, int]]:
        """Stop it in order; it must exit with 0 and account for every message.

        Returns:
            Its last ledger, by input.
        """
        self.signal(number)
        code = self.wait_exit()
        assert code == 0, f"exit code {code}:\n{self.output}"
        ledger: dict[str, dict[str, int]] = self.events("stopped")[-1]["ledger"]
        assert all(line["imbalance"] == 0 for line in ledger.values()), ledger
        return ledger

    def kill(self) -> None:
        """End it as a crash would."""
        self.signal(SIGKILL)
        self.wait_exit()

    def dispose(self, number: int = SIGTERM) -> None:
        """Make sure it is gone, whatever happened."""
        if self._process is not None and self._process.poll() is None:
            self.signal(number)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_STOP_SECONDS)
                return
            self.kill()
