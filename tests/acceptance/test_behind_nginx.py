"""nginx in front: under which name it asks, and that streams pass through it at once."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.acceptance.daemon_process import DaemonProcess, wait_for

NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")

CONFIGURATION = """
daemon off;
master_process off;
pid {directory}/nginx.pid;
error_log {directory}/error.log;
events {{}}
http {{
  access_log off;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  server {{
    listen 127.0.0.1:{plain};
    location / {{ proxy_pass {url}; }}
  }}
  server {{
    listen 127.0.0.1:{named};
    location / {{ proxy_pass {url}; proxy_set_header Host $host; proxy_http_version 1.1; }}
  }}
}}
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def ports(make_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    """A daemon that knows one name beside its own, and the ports of an nginx that keeps or replaces the name."""
    directory: Path = tmp_path_factory.mktemp("nginx")
    http = {"listen": "127.0.0.1:0", "allowed_hosts": ["logs.example.org"]}
    daemon = DaemonProcess(directory / "state", dsn=make_database(), settings={"http": http})
    ports = {"plain": free_port(), "named": free_port()}
    try:
        daemon.start()
        file = directory / "nginx.conf"
        file.write_text(CONFIGURATION.format(directory=directory, url=daemon.url, **ports))
        with subprocess.Popen([str(NGINX), "-e", str(directory / "error.log"), "-c", str(file)]) as nginx:
            try:
                wait_for("nginx", lambda: all(map(answers, ports.values())))
                yield ports
            finally:
                nginx.terminate()
        daemon.stop()
    finally:
        daemon.dispose()


@pytest.mark.parametrize(
    ("server", "host", "status"),
    [
        ("plain", "anything.example", 200),  # nginx asks for the address that it was told to connect to
        ("named", "logs.example.org", 200),
        ("named", "logs.example.org:443", 200),
        ("named", "localhost", 200),
        ("named", "anything.example", 421),
    ],
)
def test_the_name_that_nginx_passes_on_must_be_allowed(
    ports: dict[str, int], server: str, host: str, status: int
) -> None:
    connection = HTTPConnection("127.0.0.1", ports[server], timeout=30)
    connection.request("GET", "/api/v1/logs", headers={"Host": host})
    answer = connection.getresponse()
    assert answer.status == status
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    if status == 421:
        assert b"http.allowed_hosts" in answer.read()
    connection.close()


@pytest.mark.parametrize("server", ["plain", "named"])
def test_a_live_tail_is_not_held_back(ports: dict[str, int], server: str) -> None:
    connection = HTTPConnection("127.0.0.1", ports[server], timeout=10)
    connection.request("GET", "/api/v1/logs/tail", headers={"Host": "logs.example.org"})
    assert connection.getresponse().readline() == b"retry: 2000\n"
    connection.close()
