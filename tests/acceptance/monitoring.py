"""The real Prometheus and Alertmanager, with the files of config/, and what they say over HTTP."""

from __future__ import annotations

import json
import re
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import urlopen

from tests.acceptance.daemon_process import PROJECT, wait_for
from tests.acceptance.senders import program

__all__ = ["Alertmanager", "Prometheus", "alertmanager", "answers", "free_port", "prometheus"]

_CONFIG = PROJECT / "config"
_PATIENCE = re.compile(r"^(\s*for: \d+)m$", re.MULTILINE)
_EVERY = re.compile(r"^(\s*(?:scrape_interval|scrape_timeout|evaluation_interval|interval): )\w+$", re.MULTILINE)


def free_port() -> int:
    """Return a port of the loopback address that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _get(url: str) -> Any:
    try:
        with urlopen(url, timeout=10) as answer:
            body = answer.read()
    except HTTPError as refusal:
        raise AssertionError(f"{url}: {refusal.code} {refusal.read().decode()}") from refusal
    return json.loads(body)


def answers(url: str) -> bool:
    """Whether there is a good answer."""
    with suppress(URLError, ConnectionError, TimeoutError), urlopen(url, timeout=1) as answer:
        return bool(answer.status == 200)
    return False


class Prometheus:
    """A running Prometheus."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def _ask(self, path: str, **parameters: Any) -> Any:
        answer = _get(f"{self.url}/api/v1/{path}?{urlencode(parameters)}")
        assert answer["status"] == "success", answer
        return answer["data"]

    def targets(self) -> dict[str, str]:
        """Return how the targets are, by their addresses."""
        return {one["labels"]["instance"]: one["health"] for one in self._ask("targets")["activeTargets"]}

    def rules(self) -> list[dict[str, Any]]:
        """Return the rules, with how their last evaluation went."""
        return [rule for group in self._ask("rules")["groups"] for rule in group["rules"]]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the series of an expression now."""
        return list(self._ask("query", query=expression)["result"])

    def firing(self) -> set[str]:
        """Return the names of the alerts that fire."""
        return {one["metric"]["alertname"] for one in self.query('ALERTS{alertstate="firing"}')}


class Alertmanager:
    """A running Alertmanager."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def active(self) -> set[str]:
        """Return the names of the alerts that are active."""
        return {one["labels"]["alertname"] for one in _get(f"{self.url}/api/v2/alerts")}


@contextmanager
def prometheus(
    directory: Path, port: int, addresses: Mapping[str, str], *options: str, secrets: Path
) -> Iterator[Prometheus]:
    """Let Prometheus run with config/prometheus while the block does.

    Nothing is changed but addresses and what would take minutes: it looks and evaluates every second, and an alert
    waits for as many seconds (``for``) as it would for minutes.

    Args:
        directory: for the copy of the configuration, and the data.
        port: where it listens.
        addresses: of the configuration → of this machine.
        options: further ones of the command.
        secrets: has the token.
    """
    config = directory / "etc"
    for source in [_CONFIG / "prometheus" / "prometheus.yml", *(_CONFIG / "prometheus" / "rules").glob("*.yaml")]:
        text = _PATIENCE.sub(r"\1s", _EVERY.sub(r"\g<1>1s", source.read_text()))
        for host, address in addresses.items():
            text = text.replace(f'"{host}"', f'"{address}"').replace("/run/secrets", str(secrets))
        copy = config / source.relative_to(_CONFIG / "prometheus")
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(text)
    command = [
        program("prometheus", "prometheus"),
        f"--config.file={config / 'prometheus.yml'}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        *options,
    ]
    with _running(command, directory / "prometheus.log", f"http://127.0.0.1:{port}/-/ready"):
        yield Prometheus(port)


@contextmanager
def alertmanager(directory: Path, port: int, *options: str) -> Iterator[Alertmanager]:
    """Let Alertmanager run with config/alertmanager while the block does."""
    command = [
        program("prometheus-alertmanager", "prometheus-alertmanager"),
        f"--config.file={_CONFIG / 'alertmanager' / 'alertmanager.yml'}",
        f"--storage.path={directory / 'alertmanager'}",
        f"--web.listen-address=127.0.0.1:{port}",
        *options,
    ]
    with _running(command, directory / "alertmanager.log", f"http://127.0.0.1:{port}/-/ready"):
        yield Alertmanager(port)


@contextmanager
def _running(command: list[str], output: Path, ready_url: str) -> Iterator[None]:
    with output.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out) as process:
        try:
            wait_for(output.stem, lambda: process.poll() is not None or answers(ready_url))
            assert process.poll() is None, output.read_text()
            yield
        finally:
            process.terminate()
            process.wait(30)
