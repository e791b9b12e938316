"""Who plays: the daemon, the application over TCP, the web service by its files, and the incident."""

from __future__ import annotations

import glob
import json
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from demo.processes import Process, free_port

__all__ = ["INCIDENT_RATE", "INCIDENT_SECONDS", "Addresses", "Stage"]

INCIDENT_RATE = 20
INCIDENT_SECONDS = 10
_HERE = Path(__file__).parent
# The daemon drains its queue for up to 20 s (writer.drain_timeout_seconds), then ends its PostgreSQL.
_DAEMON_GRACE_SECONDS = 45


@dataclass(frozen=True, slots=True)
class Addresses:
    """The ports of 127.0.0.1 that this demo uses."""

    logs: int
    http: int
    web: int

    @classmethod
    def choose(cls) -> Addresses:
        """Return the default ports, or the next free ones.

        Raises:
            DemoError: there is none.
        """
        return cls(free_port(5514), free_port(8514), free_port(8080))

    @property
    def url(self) -> str:
        """Where the daemon answers."""
        return f"http://127.0.0.1:{self.http}"

    @property
    def web_url(self) -> str:
        """Where the web service answers."""
        return f"http://127.0.0.1:{self.web}"

    @property
    def taken(self) -> bool:
        """Whether a default port was not to be had."""
        return self != Addresses(5514, 8514, 8080)


class Stage:
    """Starts the players, and ends them in order: sources first, so that the daemon stores what is on its way.

    Args:
        directory: for everything they write.
        addresses: where they listen.
    """

    def __init__(self, directory: Path, addresses: Addresses) -> None:
        self._directory = directory
        self._addresses = addresses
        self._players: list[Process] = []
        self._cleanup = ExitStack()

    def start_daemon(self) -> Process:
        """Start the daemon on a PostgreSQL of its own."""
        logs = self._addresses.logs
        environment = {
            "LOGSTREAMD_STATE_DIR": str(self._directory / "state"),
            "LOGSTREAMD_HTTP__LISTEN": f"127.0.0.1:{self._addresses.http}",
            "LOGSTREAMD_INPUTS__0__LISTEN": f"127.0.0.1:{logs}",
            "LOGSTREAMD_INPUTS__1__LISTEN": f"127.0.0.1:{logs}",
            "LOGSTREAMD_INPUTS__2__PATHS": json.dumps([f"{self.web_logs}/*.log"]),
            "LOGSTREAMD_ALERTS__RULES": json.dumps([glob.escape(str(_HERE / "alerts.yaml"))]),
        }
        arguments = ["logstreamd", "run", "--config", str(_HERE / "logstreamd.yaml")]
        return self._play("logstreamd", arguments, environment=environment, grace_seconds=_DAEMON_GRACE_SECONDS)

    def start_sources(self) -> None:
        """Start the application and the web service."""
        self._generate("app", "--scenario", "app", "--rate", "10", "--tcp", self._log_target)
        web = ["--scenario", "web-api", "--listen", f"127.0.0.1:{self._addresses.web}"]
        self._generate("web-api", *web, "--traffic", "5", "--log-dir", str(self.web_logs))

    def start_incident(self) -> None:
        """Let many errors come for a while."""
        flags = f"--scenario app --rate {INCIDENT_RATE} --duration {INCIDENT_SECONDS}s --no-patterns".split()
        self._generate("incident", *flags, "--distribution", "ERROR:1", "--tcp", self._log_target)

    def check(self) -> None:
        """Make sure that nobody has failed.

        Raises:
            DemoError: somebody has.
        """
        for player in self._players:
            player.check()

    def stop(self) -> None:
        """End everybody: the last one who came on first, the daemon last."""
        self._cleanup.close()

    def stored(self) -> dict[str, int]:
        """Return how many lines of each input are stored, from the daemon's last words; empty before :meth:`stop`."""
        for line in reversed(self._players[0].log_file.read_text(errors="replace").splitlines()):
            if '"event":' in line and (said := json.loads(line))["event"] == "stopped":
                return {name: books["stored"] for name, books in said["ledger"].items()}
        return {}

    @property
    def web_logs(self) -> Path:
        """The directory of the log files that the daemon follows."""
        return self._directory / "web-logs"

    @property
    def _log_target(self) -> str:
        return f"127.0.0.1:{self._addresses.logs}"

    def _generate(self, name: str, *flags: str) -> Process:
        return self._play(name, ["generator", *flags])

    def _play(
        self, name: str, arguments: list[str], *, environment: dict[str, str] | None = None, grace_seconds: float = 5
    ) -> Process:
        player = Process(
            name, arguments, directory=self._directory, environment=environment, grace_seconds=grace_seconds
        )
        self._cleanup.callback(player.stop)
        self._players.append(player)
        return player
