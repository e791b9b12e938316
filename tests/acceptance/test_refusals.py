"""Starts that can't work end at once, with the right exit code and a message that says what to do."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.daemon_process import LOOPBACK, DaemonProcess

StartDaemon = Callable[..., DaemonProcess]


def refused(daemon: DaemonProcess) -> tuple[int, str]:
    """Launch a daemon that ends by itself; return its exit code and its last line."""
    daemon.launch()
    code = daemon.wait_exit()
    return code, daemon.output.splitlines()[-1]


def test_a_bad_configuration_is_refused_with_every_place(make_daemon: StartDaemon) -> None:
    daemon = make_daemon(dsn="embedded")
    daemon.config_file.write_text("writer:\n  connections: 0\ninputs:\n  - {type: upd, listen: '127.0.0.1:0'}\n")
    daemon.launch()
    assert daemon.wait_exit() == 2
    places = [line.removeprefix(f"{daemon.config_file}:").split(" ")[0] for line in daemon.output.splitlines()]
    assert places == ["2:16:", "4:12:"]
    assert "writer.connections" in daemon.output
    assert "upd" in daemon.output


def test_a_missing_configuration_file_is_refused(make_daemon: StartDaemon) -> None:
    daemon = make_daemon(dsn="embedded")
    daemon.config_file.unlink()
    code, message = refused(daemon)
    assert code == 2
    assert str(daemon.config_file) in message


def test_an_unknown_variable_is_refused(make_daemon: StartDaemon) -> None:
    code, message = refused(make_daemon(dsn="embedded", environment={"LOGSTREAMD_WRITER__CONECTIONS": "4"}))
    assert code == 2
    assert "LOGSTREAMD_WRITER__CONECTIONS" in message


@pytest.mark.parametrize(("kind", "index"), [(socket.SOCK_DGRAM, 0), (socket.SOCK_STREAM, 1)])
def test_a_port_in_use_is_named(make_daemon: StartDaemon, kind: socket.SocketKind, index: int) -> None:
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            taken.listen()
        port = taken.getsockname()[1]
        inputs = [dict(one) for one in LOOPBACK]
        inputs[index]["listen"] = f"127.0.0.1:{port}"
        code, message = refused(make_daemon(inputs=inputs))
    assert code == 1
    assert f"cannot bind 127.0.0.1 port {port}: Address already in use" in message


def test_a_second_daemon_on_the_same_state_is_refused(make_daemon: StartDaemon, tmp_path: Path) -> None:
    first = make_daemon(tmp_path / "state").start()
    second = make_daemon(tmp_path / "state", dsn=first.psql)
    second.launch()
    assert second.wait_exit() == 1
    assert str(first.pid) in second.output
    first.stop()
