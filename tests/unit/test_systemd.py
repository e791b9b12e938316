from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from notify_socket import NotifySocket

from logstreamd.systemd import Notifier, take_listen_sockets, take_watchdog_seconds

# What a service sees that was started with descriptors 3 and 4; then what its child would see.
SERVICE = """
import json, os, sys
given, keep = json.loads(sys.argv[1])
os.dup2(given[0], 3)
os.dup2(given[-1], 4)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="2", LISTEN_FDNAMES=keep)
from logstreamd.systemd import take_listen_sockets
try:
    taken = take_listen_sockets(os.environ)
except OSError as problem:
    sys.exit(f"{problem.strerror}")
print(json.dumps({
    "names": [one.name for one in taken],
    "addresses": [one.sock.getsockname() for one in taken],
    "inheritable": [one.sock.get_inheritable() for one in taken],
    "left": [name for name in os.environ if name.startswith("LISTEN_")],
}))
"""


def serve(names: str, *descriptors: int) -> subprocess.CompletedProcess[str]:
    for descriptor in descriptors:
        os.set_inheritable(descriptor, True)
    return subprocess.run(
        [sys.executable, "-c", SERVICE, json.dumps([descriptors, names])],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        close_fds=False,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[NotifySocket]:
    address = tmp_path / "notify" if request.param == "path" else f"@logstreamd-test-{os.getpid()}"
    with NotifySocket(address) as one:
        yield one


def test_a_message_holds_one_assignment_a_line_whatever_a_text_holds(manager: NotifySocket) -> None:
    environ = {"NOTIFY_SOCKET": manager.address, "HOME": "/"}
    notifier = Notifier.from_environment(environ)
    assert notifier.send("READY=1", "STATUS=all\nis\nwell")
    assert manager.next() == ["READY=1", "STATUS=all is well"]
    assert environ == {"HOME": "/"}  # a child would speak for us


def test_without_a_manager_nothing_is_said_and_nothing_wrong() -> None:
    notifier = Notifier.from_environment({})
    assert not notifier.listens
    assert notifier.send("READY=1")


def test_a_manager_that_went_away_is_noticed(tmp_path: Path) -> None:
    assert not Notifier(str(tmp_path / "gone")).send("READY=1")


@pytest.mark.parametrize("address", ["", "@", "vsock:2:1234", "relative"])
def test_an_address_of_another_kind_is_refused(address: str) -> None:
    with pytest.raises(OSError, match="NOTIFY_SOCKET must be a path or begin with @"):
        Notifier.from_environment({"NOTIFY_SOCKET": address})


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({"WATCHDOG_USEC": "1500000"}, 1.5),
        ({"WATCHDOG_USEC": "1500000", "WATCHDOG_PID": str(os.getpid())}, 1.5),
        ({"WATCHDOG_USEC": "1500000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_ours_when_it_names_us_or_nobody(environ: dict[str, str], seconds: float | None) -> None:
    assert take_watchdog_seconds(environ) == seconds
    assert environ == {}


@pytest.mark.parametrize("pid", ["1", "", "me"])
def test_sockets_for_another_process_are_left_alone(pid: str) -> None:
    environ = {"LISTEN_PID": pid, "LISTEN_FDS": "1", "LISTEN_FDNAMES": "udp"}
    assert take_listen_sockets(environ) == []
    assert environ == {}


def test_sockets_come_with_their_names_and_are_not_for_children() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as one, socket.create_server(("127.0.0.1", 0)) as two:
        one.bind(("127.0.0.1", 0))
        taken = serve("syslog", one.fileno(), two.fileno())
        addresses = [list(one.getsockname()), list(two.getsockname())]
    assert json.loads(taken.stdout) == {
        "names": ["syslog", "unknown"],
        "addresses": addresses,
        "inheritable": [False, False],
        "left": [],
    }, taken.stderr


def test_a_descriptor_that_is_no_socket_is_named() -> None:
    reading, writing = os.pipe()
    try:
        refused = serve("pipe:pipe", reading, writing)
    finally:
        os.close(reading)
        os.close(writing)
    assert (refused.returncode, refused.stderr) == (1, "descriptor 3 (pipe): Socket operation on non-socket\n")
