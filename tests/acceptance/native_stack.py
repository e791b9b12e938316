"""docker-compose.yml without containers: its services as processes, with its configurations, commands and variables.

What is exchanged: host names and ports for those of this machine, paths inside containers for others, the role of the
daemon (the server of the tests is made by a role of that name), and how long Prometheus' rules wait.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import yaml

from logstreamd.storage.embedded import EmbeddedPostgres
from tests.acceptance.daemon_process import PROJECT, wait_for
from tests.acceptance.database import Database
from tests.acceptance.monitoring import Alertmanager, Prometheus, alertmanager, answers, free_port, prometheus
from tests.acceptance.senders import program

__all__ = ["NativeStack"]

_CONFIG = PROJECT / "config"
_SERVICES: dict[str, Any] = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())["services"]
_STOP_SECONDS = 60
DAEMON_ROLE = "stack_daemon"
_PASSWORDS = "local all stack_daemon,grafana scram-sha-256"


class NativeStack:
    """The services, started in the order that compose would take.

    Args:
        directory: for everything they write; the server's user can reach it.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._secrets = directory / "secrets"
        self._logs = directory / "logs"
        self._stack = ExitStack()
        self.postgres = EmbeddedPostgres(directory / "postgres")
        ports = {
            name: free_port() for name in ("logs", "logstreamd", "web-api-logs", "web-api", "prometheus", "alerts")
        }
        self._ports = ports
        self.addresses = {
            "logstreamd:8514": f"127.0.0.1:{ports['logstreamd']}",
            "logstreamd:5514": f"127.0.0.1:{ports['logs']}",
            "web-api-logs:8514": f"127.0.0.1:{ports['web-api-logs']}",
            "localhost:9090": f"127.0.0.1:{ports['prometheus']}",
            "alertmanager:9093": f"127.0.0.1:{ports['alerts']}",
            "0.0.0.0:8080": f"127.0.0.1:{ports['web-api']}",
        }
        self.prometheus: Prometheus
        self.alertmanager: Alertmanager

    def start(self) -> None:
        """Start everything.

        Raises:
            TimeoutError: something does not answer.
        """
        self._start_database()
        self.alertmanager = self._stack.enter_context(
            alertmanager(self._directory, self._ports["alerts"], *_options("alertmanager", "cluster"))
        )
        self._start_daemon("logstreamd")
        self._start_source("web-api")
        self._start_daemon("web-api-logs")
        self._start_source("generator")
        options = _options("prometheus", "storage.tsdb.retention")
        self.prometheus = self._stack.enter_context(
            prometheus(self._directory, self._ports["prometheus"], self.addresses, *options, secrets=self._secrets)
        )

    def stop(self) -> None:
        """Stop everything, in the reverse order."""
        self._stack.close()

    def as_grafana(self) -> Database:
        """Return a connection of Grafana's role, with its password."""
        password = (self._secrets / "grafana_database_password").read_text()
        return Database(self._dsn("grafana") + f"&password={password}")

    def stop_database(self) -> None:
        """End PostgreSQL as an operator would."""
        asyncio.run(self.postgres.stop())

    def start_database(self) -> None:
        """Start it again."""
        asyncio.run(self.postgres.start())

    def _dsn(self, role: str) -> str:
        return re.sub(r"user=\w+", f"user={role}", self.postgres.dsn("logs"))

    def _start_database(self) -> None:
        """Start PostgreSQL, give it its roles by compose's script, and have it ask for passwords."""
        make_secrets = self._directory / "make-secrets"
        make_secrets.write_bytes((_CONFIG / "compose" / "make-secrets").read_bytes())
        self._secrets.mkdir()
        subprocess.run(["sh", make_secrets], check=True, capture_output=True, timeout=30)
        asyncio.run(self.postgres.start())
        self._stack.callback(self.stop_database)
        with Database(self.postgres.dsn("postgres")) as server:
            server.execute("CREATE DATABASE logs")
            ((hba_file,),) = server.fetch("SHOW hba_file")
            server.execute(f"COPY (VALUES ('{_PASSWORDS}'), ('local all all trust')) TO '{hba_file}'")
            server.execute("SELECT pg_reload_conf()")
        script = self._directory / "roles.sql"
        text = (_CONFIG / "compose" / "postgres" / "10-roles.sql").read_text()
        script.write_text(re.sub(r"\blogstreamd\b", DAEMON_ROLE, text).replace("/run/secrets", str(self._secrets)))
        psql = [program("psql", "postgresql-client"), "--no-psqlrc", "--quiet", "--file", str(script)]
        subprocess.run([*psql, self.postgres.dsn("logs")], check=True, timeout=30)

    def _start_daemon(self, name: str) -> None:
        text = (_CONFIG / "compose" / name / "logstreamd.yaml").read_text()
        for inside, here in (
            ("postgresql://logstreamd@postgres/logs", self._dsn(DAEMON_ROLE)),
            ("/run/secrets", str(self._secrets)),
            ('"*:5514"', f'"*:{self._ports["logs"]}"'),
            ('"*:8514"', f'"*:{self._ports[name]}"'),
            ("alertmanager:9093", self.addresses["alertmanager:9093"]),
            ("[/alerts/*.yaml]", f"[{_CONFIG}/alerts/*.yaml, {PROJECT}/tests/acceptance/any_line.yaml]"),
            ("/logs/*", f"{self._logs}/*"),
        ):
            text = text.replace(inside, here)
        config = self._directory / f"{name}.yaml"
        config.write_text(text)
        state = {"LOGSTREAMD_STATE_DIR": str(self._directory / name)}
        self._run(name, ["logstreamd", "run", "--config", str(config)], state)
        url = f"http://127.0.0.1:{self._ports[name]}/ready"
        wait_for(name, lambda: answers(url))

    def _start_source(self, name: str) -> None:
        """Start a generator as compose does."""
        service = _SERVICES[name]
        assert service["entrypoint"] == ["logstream-generate"]
        variables = {}
        for variable, value in service["environment"].items():
            value = re.sub(r"\$\{\w+:-(.*?)\}", r"\1", value)
            variables[variable] = str(self._logs) if value == "/logs" else self.addresses.get(value, value)
        self._run(name, ["generator", *service["command"]], variables)

    def _run(self, name: str, arguments: list[str], variables: dict[str, str]) -> None:
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("LOGSTREAMD_")}
        output = self._stack.enter_context((self._directory / f"{name}.log").open("wb"))
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            env={**inherited, "PYTHONPATH": str(PROJECT), **variables},
            cwd=self._directory,
            stdout=output,
            stderr=output,
        )
        self._stack.callback(process.wait, _STOP_SECONDS)
        self._stack.callback(process.terminate)


def _options(service: str, prefix: str) -> list[str]:
    """Return the options of a service's command that begin so; the others name paths."""
    return [option for option in _SERVICES[service]["command"] if option.startswith(f"--{prefix}")]
