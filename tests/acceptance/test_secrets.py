"""Secrets in every place that may hold one, and none of them in anything that the daemon or a command says."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
import yaml

from logstreamd.tokens import digest_of
from tests.acceptance.command import ask
from tests.acceptance.daemon_process import PROJECT, DaemonProcess, wait_for
from tests.acceptance.senders import send_stream

SECRET = "hunter2"  # part of every one of them
TOKEN = f"lsd_{SECRET}-token"
NOBODY = "http://127.0.0.1:1"
VARIABLES = {"HOOK_URL": f"{NOBODY}/{SECRET}-path", "HOOK_KEY": f"{SECRET}-key", "MAIL_PASSWORD": f"{SECRET}-mail"}
RULES = """
groups:
  - name: secrets
    interval: 1s
    rules: [{alert: Any, query: "level>=error", condition: count >= 1, over: 1m}]
"""


def notifiers(directory: Path) -> dict[str, Any]:
    """Some that nobody answers: each has something to complain of."""
    (directory / "chat").write_text(f"{NOBODY}/{SECRET}-chat")
    everybody = {"group_wait": "0s", "allow_private": True}
    mail = {"server": "127.0.0.1:1", "sender": "a@example.org", "recipients": ["b@example.org"], "group_wait": "0s"}
    return {
        "hook": {"type": "webhook", "url_env": "HOOK_URL", "secret_env": "HOOK_KEY", **everybody},
        "written": {"type": "webhook", "url": f"{NOBODY}/{SECRET}-written", **everybody},
        "chat": {"type": "slack", "url_file": str(directory / "chat"), **everybody},
        "mail": {"type": "email", "username": "logstreamd", "password_env": "MAIL_PASSWORD", **mail},
    }


@pytest.fixture(scope="module")
def daemon(make_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    """A daemon that says as much as it can, in trouble with everything it talks to."""
    directory = tmp_path_factory.mktemp("secretive")
    (directory / "rules.yaml").write_text(RULES)
    settings = {
        "http": {
            "listen": "127.0.0.1:0",
            "tokens": [{"name": "all", "sha256": digest_of(TOKEN).hex(), "scopes": ["query", "metrics"]}],
        },
        "alerts": {
            "rules": [str(directory / "rules.yaml")],
            "evaluation_delay": "0s",
            "notifiers": notifiers(directory),
        },
        "log": {"level": "debug"},
    }
    dsn = f"{make_database()}&password={SECRET}-dsn"
    daemon = DaemonProcess(directory / "state", dsn=dsn, settings=settings, environment=VARIABLES)
    daemon.token = TOKEN
    try:
        daemon.start()
        send_stream(daemon.address("tcp"), [b"<11>1 - web-1 shop 7 - - payment refused\n"])
        wait_for("a complaint of each notifier", lambda: failed(daemon) >= set(notifiers(directory)))
        yield daemon
        daemon.stop()
        assert SECRET not in daemon.output
    finally:
        daemon.dispose()


def failed(daemon: DaemonProcess) -> set[str]:
    """Return the notifiers that could not deliver something."""
    counted = r'^logstreamd_alert_deliveries_total\{notifier="(\w+)",outcome="failed"\} [1-9]'
    return set(re.findall(counted, daemon.get("/metrics").body.decode(), re.MULTILINE))


def run(daemon: DaemonProcess, *arguments: str, **variables: str) -> str:
    """Run a command with the daemon's configuration and environment; return all that it says."""
    config = ["--config", str(daemon.config_file)]
    done = subprocess.run(
        [sys.executable, "-m", "logstreamd", *arguments, *config],
        env={"PYTHONPATH": str(PROJECT), "PATH": "/usr/bin", **VARIABLES, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    "path", ["/status", "/metrics", "/ready", "/api/v1/rules", "/api/v1/alerts", "/api/v1/alerts/history"]
)
def test_no_answer_has_one(daemon: DaemonProcess, path: str) -> None:
    answer = daemon.get(path)
    assert answer.status == 200
    assert SECRET not in answer.body.decode()
    assert digest_of(TOKEN).hex() not in answer.body.decode()


def test_neither_the_log_nor_the_command_line_has_one(daemon: DaemonProcess) -> None:
    host, _, port = daemon.url.removeprefix("http://").rpartition(":")
    for path, token in (
        (f"/api/v1/logs?access_token={TOKEN}", TOKEN),
        (f"/nowhere?token={TOKEN}", TOKEN),
        ("/status", f"{SECRET}-wrong"),
        ("/api/v1/logs", f"{SECRET} in two words"),
    ):
        connection = HTTPConnection(host, int(port), timeout=30)
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        assert connection.getresponse().status in {400, 401, 404}
        connection.close()
    assert daemon.events("request denied")
    assert SECRET not in daemon.output
    assert SECRET not in Path(f"/proc/{daemon.pid}/cmdline").read_text()


@pytest.mark.parametrize("command", [("check-config",), ("db", "status")])
def test_no_command_prints_one(daemon: DaemonProcess, command: tuple[str, ...]) -> None:
    assert SECRET not in run(daemon, *command)


def test_no_mistake_brings_one_to_light(daemon: DaemonProcess) -> None:
    away = f"postgresql://logs:{SECRET}-dsn@127.0.0.1:1/logs"
    assert SECRET not in run(daemon, "db", "status", LOGSTREAMD_DATABASE__DSN=away)
    wrong = {
        "LOGSTREAMD_DATABASE__DSN": f"mysql://logs:{SECRET}-dsn@127.0.0.1/logs",
        "LOGSTREAMD_HTTP__TOKENS": f"[{TOKEN}]",
        "LOGSTREAMD_ALERTS__NOTIFIERS": yaml.safe_dump({"a": {"type": "webhook", "url": f"ftp://h/{SECRET}-path"}}),
    }
    said = run(daemon, "check-config", **wrong)
    assert len(said.splitlines()) == 3, said
    assert SECRET not in said


def test_commands_that_bring_a_token_keep_it_to_themselves(daemon: DaemonProcess) -> None:
    for url in (daemon.url, NOBODY, "https" + daemon.url.removeprefix("http")):
        done = ask(url, "query", "--limit", "1", LOGSTREAMD_TOKEN=TOKEN)
        assert SECRET not in done.stdout + done.stderr
        assert (done.returncode == 0) == (url == daemon.url)
