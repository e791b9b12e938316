"""A flood from one sender beside a quiet one: the quiet one loses nothing, and the books close to the message."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.acceptance.daemon_process import DaemonProcess, wait_for
from tests.acceptance.database import Database
from tests.acceptance.reloading import Reloading
from tests.acceptance.senders import numbered_lines, program

LOUD, QUIET = "127.0.0.2", "127.0.0.3"
PER_SECOND = 500
INPUTS: list[dict[str, Any]] = [
    {"type": "udp", "name": "udp", "listen": "127.0.0.1:0", "max_records_per_second": PER_SECOND},
    {"type": "tcp", "name": "tcp", "listen": "127.0.0.1:0", "max_records_per_second": PER_SECOND},
    {"type": "udp", "name": "guarded", "listen": "127.0.0.1:0", "allow": [QUIET]},
    {"type": "tcp", "name": "guarded-tcp", "listen": "127.0.0.1:0", "allow": [QUIET]},
]


@pytest.fixture(scope="module")
def limited(make_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    """A daemon with limits, allow-lists and a socket for this machine's own processes."""
    directory = tmp_path_factory.mktemp("limited")
    unix = {"type": "unix", "listen": str(directory / "log"), "mode": "0600"}
    daemon = DaemonProcess(directory / "state", dsn=make_database(), inputs=[*INPUTS, unix])
    try:
        yield daemon.start()
        daemon.stop()
    finally:
        daemon.dispose()


@pytest.fixture(scope="module")
def database(limited: DaemonProcess) -> Iterator[Database]:
    with Database(limited.psql) as database:
        yield database


def metric(daemon: DaemonProcess, name: str, **labels: str) -> float:
    wanted = ",".join(f'{label}="{value}"' for label, value in sorted(labels.items()))
    lines = daemon.get("/metrics").body.decode().splitlines()
    (value,) = (line.rpartition(" ")[2] for line in lines if line.startswith(f"logstreamd_{name}{{{wanted}}} "))
    return float(value)


def send_datagrams(daemon: DaemonProcess, name: str, sender: str, lines: list[bytes], *, per_pause: int) -> None:
    """Send with a pause after so many: without privileges the kernel's buffer holds some hundred, and may lose none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((sender, 0))
        sock.connect(daemon.address(name))
        for number, line in enumerate(lines, 1):
            sock.send(line)
            if number % per_pause == 0:
                time.sleep(0.003)


def test_over_udp_the_flood_is_cut_and_the_quiet_one_arrives(limited: DaemonProcess, database: Database) -> None:
    flood, quiet = numbered_lines("udp-loud", 6_000), numbered_lines("udp-quiet", 100)
    began = time.monotonic()
    loud = threading.Thread(target=send_datagrams, args=(limited, "udp", LOUD, flood), kwargs={"per_pause": 50})
    loud.start()
    send_datagrams(limited, "udp", QUIET, quiet, per_pause=1)
    loud.join()
    seconds = time.monotonic() - began
    wait_for("all datagrams", lambda: limited.ledger("udp")["received"] == len(flood) + len(quiet))
    database.wait_for_rows("udp-quiet", len(quiet))
    database.assert_each_once("udp-quiet", len(quiet))
    wait_for("the rest", lambda: limited.ledger("udp")["in_flight"] + limited.ledger("udp")["spooled"] == 0)
    ledger = limited.ledger("udp")
    taken = ledger["stored"] - len(quiet)
    assert PER_SECOND <= taken <= PER_SECOND * (seconds + 2)
    assert ledger["dropped"] == len(flood) - taken
    assert ledger["imbalance"] == 0
    assert metric(limited, "dropped_frames_total", input="udp", reason="rate_limited") == len(flood) - taken
    assert metric(limited, "kernel_dropped_datagrams_total", input="udp") == 0
    (top,) = limited.status()["held_back"]["udp"]
    assert (top["source"], top["cut_records"]) == (LOUD, len(flood) - taken)


def test_over_tcp_the_flood_waits_and_nothing_is_lost(limited: DaemonProcess, database: Database) -> None:
    flood, quiet = numbered_lines("tcp-loud", 3 * PER_SECOND), numbered_lines("tcp-quiet", 300)

    def send(sender: str, lines: list[bytes]) -> None:
        with socket.create_connection(limited.address("tcp"), timeout=30, source_address=(sender, 0)) as connection:
            connection.sendall(b"".join(lines))
            connection.shutdown(socket.SHUT_WR)
            connection.recv(1)  # until the daemon has read it all and closed

    loud = threading.Thread(target=send, args=(LOUD, flood))
    loud.start()
    wait_for("the flood to be slowed", lambda: metric(limited, "slowed_seconds_total", input="tcp") > 0)
    send(QUIET, quiet)
    assert loud.is_alive()
    database.wait_for_rows("tcp-quiet", len(quiet))
    loud.join()
    database.wait_for_rows("tcp-loud", len(flood))
    database.assert_each_once("tcp-quiet", len(quiet))
    database.assert_each_once("tcp-loud", len(flood))
    ledger = limited.ledger("tcp")
    assert (ledger["received"], ledger["dropped"], ledger["imbalance"]) == (len(flood) + len(quiet), 0, 0)
    (top,) = limited.status()["held_back"]["tcp"]
    assert top["source"] == LOUD
    assert top["slowed_seconds"] > 0


def test_who_is_not_on_the_list_is_counted_and_never_stored(limited: DaemonProcess, database: Database) -> None:
    send_datagrams(limited, "guarded", LOUD, numbered_lines("refused", 40), per_pause=10)
    send_datagrams(limited, "guarded", QUIET, numbered_lines("allowed", 4), per_pause=10)
    with (
        socket.create_connection(limited.address("guarded-tcp"), timeout=30, source_address=(LOUD, 0)) as connection,
        pytest.raises(OSError, match=r"reset|Broken pipe"),
    ):
        while True:
            connection.sendall(numbered_lines("refused", 1)[0])
    database.wait_for_rows("allowed", 4)
    wait_for("all datagrams", lambda: limited.ledger("guarded")["received"] == 44)
    assert metric(limited, "dropped_frames_total", input="guarded", reason="not_allowed") == 40
    assert metric(limited, "denied_connections_total", input="guarded-tcp") == 1
    assert database.fetch("SELECT count(*) FROM logs WHERE service = 'refused'") == [(0,)]
    held_back = limited.status()["held_back"]
    assert [(one["source"], one["refused"]) for one in held_back["guarded"]] == [(LOUD, 40)]
    assert [(one["source"], one["refused"]) for one in held_back["guarded-tcp"]] == [(LOUD, 1)]


def test_a_local_message_has_this_machines_name_and_its_process(limited: DaemonProcess) -> None:
    (path,) = limited.status()["inputs"]["unix"]["listen"]
    logger = program("logger", "bsdutils")
    pid = os.spawnl(os.P_NOWAIT, logger, "logger", "-u", path, "-t", "local-app", "-p", "local2.err", "disk failing")
    assert os.waitpid(pid, 0)[1] == 0
    (row,) = wait_for("the row", lambda: limited.logs(service="local-app"))
    assert (row["message"], row["level"], row["input"], row["peer"]) == ("disk failing", "error", "unix", None)
    assert row["host"] == socket.gethostname()
    assert row["attrs"] == {"peer_pid": pid, "peer_uid": os.getuid(), "peer_gid": os.getgid()}
    assert limited.logs(q=f"service:local-app attrs.peer_pid:{pid}") == [row]


def test_a_reload_changes_who_may_send_and_keeps_every_socket(limited: DaemonProcess, database: Database) -> None:
    reloading = Reloading(limited)
    (path,) = limited.status()["inputs"]["unix"]["listen"]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as local:
        local.connect(path)
        local.send(b"<14>local: seq=0")
        inputs = [one | {"allow": [LOUD]} if "allow" in one else one for one in reloading.inputs]
        inputs = [one | {"name": "dev-log"} if one["type"] == "unix" else one for one in inputs]
        reloading.apply(inputs=inputs)
        local.send(b"<14>local: seq=1")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as local:  # also by its name
        local.sendto(b"<14>local: seq=2", path)
    send_datagrams(limited, "guarded", QUIET, numbered_lines("allowed-before", 20), per_pause=10)
    send_datagrams(limited, "guarded", LOUD, numbered_lines("allowed-now", 20), per_pause=10)
    database.wait_for_rows("allowed-now", 20)
    database.assert_each_once("allowed-now", 20)
    assert database.count("allowed-before") == 0
    database.wait_for_rows("local", 3)
    database.assert_each_once("local", 3)
