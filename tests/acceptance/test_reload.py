"""SIGHUP: a changed configuration is put in force while messages arrive, all of it or nothing."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from signal import SIGHUP
from typing import Any

import pytest
import yaml

from tests.acceptance.daemon_process import LOOPBACK, DaemonProcess, wait_for
from tests.acceptance.database import Database
from tests.acceptance.reloading import Reloading, SteadySender
from tests.acceptance.senders import Address, numbered_lines, send_stream
from tests.certificates import Authority
from tests.notify_socket import NotifySocket

StartDaemon = Callable[..., DaemonProcess]

RELOADS = 10


def rules(*names: str) -> str:
    """Write a file of rules that never fire."""
    written = [{"alert": name, "query": "level>=error", "condition": "count > 1000000", "over": "5m"} for name in names]
    return yaml.safe_dump({"groups": [{"name": "reload", "interval": "30s", "rules": written}]})


@pytest.fixture(scope="module")
def rule_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("rules") / "rules.yaml"
    file.write_text(rules("First"))
    return file


@pytest.fixture(scope="module")
def reloading(
    make_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory, rule_file: Path
) -> Iterator[Reloading]:
    """A daemon that every test leaves with the configuration in which it found it."""
    settings = {"alerts": {"rules": [str(rule_file)]}, "http": {"listen": "127.0.0.1:0", "max_lines": 1000}}
    process = DaemonProcess(tmp_path_factory.mktemp("reload") / "state", dsn=make_database(), settings=settings)
    try:
        yield Reloading(process.start())
        process.stop()
    finally:
        process.dispose()


@pytest.fixture
def database(reloading: Reloading) -> Iterator[Database]:
    with Database(reloading.daemon.psql) as database:
        yield database


def send_datagrams(to: Address, service: str, count: int, *, first: int = 0) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for message in numbered_lines(service, count, first=first):
            sender.sendto(message.rstrip(b"\n"), to)


def free_port() -> int:
    """Return a port that nobody receives datagrams at; one that the kernel chooses could not be given to another."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def rule_names(daemon: DaemonProcess) -> list[str]:
    groups = daemon.get("/api/v1/rules").json()["data"]["groups"]
    return [rule["name"] for group in groups for rule in group["rules"]]


def test_reloads_under_load_lose_nothing_and_close_no_connection(make_daemon: StartDaemon, tmp_path: Path) -> None:
    rule_file = tmp_path / "rules.yaml"
    rule_file.write_text(rules("First"))
    inputs = [{"type": "udp", "listen": f"127.0.0.1:{free_port()}"}, LOOPBACK[1]]
    daemon = make_daemon(inputs=inputs, settings={"alerts": {"rules": [str(rule_file)]}}).start()
    reloading = Reloading(daemon)
    datagrams = SteadySender(daemon.address("udp"), "datagrams", socket.SOCK_DGRAM)
    stream = SteadySender(daemon.address("tcp"), "stream", socket.SOCK_STREAM)
    udp, tcp = reloading.inputs
    with datagrams, stream:
        for number in range(RELOADS):
            rule_file.write_text(rules(f"Number{number}"))
            extra = {"type": ("udp", "tcp")[number % 2], "name": f"extra-{number}", "listen": "127.0.0.1:0"}
            renamed = {**udp, "name": f"udp-{number % 3}", "receive_buffer_bytes": (16 + number) << 20}
            reloading.apply(
                inputs=[extra, renamed, {**tcp, "max_connections": 100 + number}],
                writer={"batch_max_rows": 100 + 1000 * number, "batch_max_age_seconds": 0.01 + number / 100},
            )
            assert rule_names(daemon) == [f"Number{number}"]
            assert list(daemon.status()["inputs"]) == [f"extra-{number}", f"udp-{number % 3}", "tcp"]
    assert daemon.status()["config"]["generation"] == RELOADS + 1
    sent = {"datagrams": datagrams.sent, "stream": stream.sent}
    with Database(daemon.psql) as database:
        for service, count in sent.items():
            database.wait_for_rows(service, count)
            database.assert_each_once(service, count)
        names = {name for (name,) in database.fetch("SELECT DISTINCT input FROM logs WHERE service = 'datagrams'")}
    assert names >= {"udp-0", "udp-1", "udp-2"}
    ledger = daemon.stop()
    assert sum(line["stored"] for line in ledger.values()) == sum(sent.values())
    assert ledger["tcp"]["stored"] == sent["stream"]  # over one connection, which nobody closed
    assert not any(line["dropped"] for line in ledger.values())


@pytest.mark.slow
def test_a_hundred_reloads_of_every_kind_lose_nothing_and_leave_nothing_behind(
    make_daemon: StartDaemon, tmp_path: Path
) -> None:
    rule_file, log = tmp_path / "rules.yaml", tmp_path / "app.log"
    rule_file.write_text(rules("First"))
    udp = {"type": "udp", "listen": f"127.0.0.1:{free_port()}"}
    file = {"type": "file", "name": "app", "paths": [str(log)], "service": "app", "poll_interval_seconds": "100ms"}
    daemon = make_daemon(inputs=[udp, LOOPBACK[1], file], settings={"alerts": {"rules": [str(rule_file)]}}).start()
    reloading = Reloading(daemon)
    datagrams = SteadySender(daemon.address("udp"), "datagrams", socket.SOCK_DGRAM)
    stream = SteadySender(daemon.address("tcp"), "stream", socket.SOCK_STREAM)
    written, descriptors = 0, []
    with datagrams, stream:
        for number in range(100):
            with log.open("a") as lines:
                lines.writelines(f"INFO worker seq={written + position} of the run\n" for position in range(50))
            written += 50
            rule_file.write_text(rules(f"Number{number}") if number % 3 else "groups: none")
            reloading.write(
                inputs=[
                    {**udp, "name": f"udp-{number % 7}", "receive_buffer_bytes": (16 + number % 5) << 20},
                    {**LOOPBACK[1], "max_connections": 100 + number},
                    {**file, "join_timeout_seconds": f"{50 + number % 2}ms"},
                    *({"type": "tcp", "name": f"extra-{one}", "listen": "127.0.0.1:0"} for one in range(number % 4)),
                ],
                writer={"batch_max_rows": 100 + 100 * number, "batch_max_age_seconds": 0.01 + number / 1000},
                retention={"days": 20 + number % 5, "rules": [{"level": "debug", "days": 1 + number % 3}]},
            )
            assert reloading.hang_up()["outcome"] == ("applied" if number % 3 else "refused")
            if number % 28 == 1:  # the same configuration but for numbers
                descriptors.append(len(list(Path(f"/proc/{daemon.pid}/fd").iterdir())))
    sent = {"datagrams": datagrams.sent, "stream": stream.sent, "app": written}
    with Database(daemon.psql) as database:
        for service, count in sent.items():
            database.wait_for_rows(service, count)
            database.assert_each_once(service, count)
    assert max(descriptors) - min(descriptors) < 5  # of connections to PostgreSQL, which come and go
    ledger = daemon.stop()
    assert sum(line["stored"] for line in ledger.values()) == sum(sent.values())
    assert not any(line["dropped"] for line in ledger.values())


def test_a_broken_file_leaves_everything_as_it_was_and_says_why(
    reloading: Reloading, rule_file: Path, database: Database
) -> None:
    daemon, inputs = reloading.daemon, reloading.inputs
    listening, generation = daemon.status()["inputs"], daemon.status()["config"]["generation"]
    taken = f"127.0.0.1:{daemon.address('tcp')[1]}"
    rule_file.write_text(rules("Good") + "  - name: unfinished\n")
    with socket.create_connection(daemon.address("tcp")) as connection:
        connection.sendall(numbered_lines("kept", 1)[0])
        problems = reloading.refused(inputs=[{**inputs[0], "name": "other"}, {"type": "tcp", "listen": "1:2:3"}])
        assert "inputs[1].listen: must be" in problems[0]
        problems = reloading.refused(inputs=[*inputs, {"type": "tcp", "name": "more", "listen": taken}])
        assert all(problem.startswith(f"{rule_file}:9:5: ") for problem in problems)
        rule_file.write_text(rules("Good"))
        problems = reloading.refused(
            inputs=[
                *inputs,
                {"type": "udp", "name": "new", "listen": "127.0.0.1:0"},
                {"type": "tcp", "name": "more", "listen": taken},
            ],
            spool={"max_bytes": "1GiB"},
        )
        assert [problem.partition(": ")[2] for problem in problems] == [
            "spool.max_bytes: takes effect only at a restart",
            f"inputs[3].listen: [Errno 98] cannot bind 127.0.0.1 port {taken[10:]}: Address already in use",
        ]
        status = daemon.status()
        assert status["config"]["generation"] == generation
        assert len(status["config"]["last_reload"]["problems"]) == 2
        assert status["inputs"] == listening
        assert rule_names(daemon) == ["First"]
        assert reloading.metric("logstreamd_config_last_reload_successful") == 0
        (line,) = daemon.events("configuration not reloaded: everything stays as it was")[-1:]
        assert (line["level"], line["problems"]) == ("error", status["config"]["last_reload"]["problems"])
        reloading.apply()  # the file is as it was: the next SIGHUP repairs
        assert rule_names(daemon) == ["Good"]
        assert reloading.metric("logstreamd_config_last_reload_successful") == 1
        connection.sendall(numbered_lines("kept", 1, first=1)[0])
    database.wait_for_rows("kept", 2)


def test_a_new_input_opens_and_one_that_is_gone_closes_with_all_that_it_has(
    reloading: Reloading, database: Database
) -> None:
    daemon, before = reloading.daemon, reloading.inputs
    reloading.apply(
        inputs=[
            *before,
            {"type": "udp", "name": "more-udp", "listen": "127.0.0.1:0"},
            {"type": "tcp", "name": "more-tcp", "listen": "127.0.0.1:0"},
        ]
    )
    udp, tcp = daemon.address("more-udp"), daemon.address("more-tcp")
    send_stream(tcp, numbered_lines("more", 1000))
    send_datagrams(udp, "more", 100, first=1000)
    reloading.apply(inputs=before)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(tcp)
    database.wait_for_rows("more", 1100)
    database.assert_each_once("more", 1100)
    assert list(daemon.status()["inputs"]) == ["udp", "tcp"]
    wait_for("closed books", lambda: daemon.ledger("more-tcp")["stored"] == 1000)
    assert daemon.ledger("more-udp") == daemon.ledger("more-udp") | {"received": 100, "stored": 100, "imbalance": 0}
    reloading.apply(inputs=[*before, {"type": "tcp", "name": "more-tcp", "listen": "127.0.0.1:0"}])
    assert daemon.ledger("more-tcp")["received"] == 1000  # its books go on
    reloading.apply(inputs=before)


def test_limits_are_those_of_the_last_reload(reloading: Reloading) -> None:
    daemon, (udp, tcp) = reloading.daemon, reloading.inputs
    body = b"".join(b'{"message": "x", "service": "limits"}\n' for _ in range(3))
    headers = {"Content-Type": "application/x-ndjson"}
    assert daemon.post("/api/v1/logs", body, headers).status == 200
    with socket.create_connection(daemon.address("tcp")) as first:
        reloading.apply(inputs=[udp, {**tcp, "max_connections": 1}], http={**reloading.config["http"], "max_lines": 2})
        with socket.create_connection(daemon.address("tcp"), timeout=10) as second:
            assert second.recv(1) == b""
        assert daemon.post("/api/v1/logs", body, headers).status == 413
        reloading.apply(inputs=[udp, tcp], http={**reloading.config["http"], "max_lines": 1000})
        first.sendall(numbered_lines("limits", 1)[0])
        with socket.create_connection(daemon.address("tcp")) as second:
            second.sendall(numbered_lines("limits", 1)[0])
    assert daemon.post("/api/v1/logs", body, headers).status == 200


def test_stamps_are_read_by_the_zone_of_the_last_reload(reloading: Reloading, database: Database) -> None:
    now = datetime.now(UTC)
    message = f"<14>{now:%b} {now.day:2} {now:%H:%M:%S} web-1 zoned[1]: "
    daemon, address = reloading.daemon, reloading.daemon.address("udp")

    def stored(text: str) -> datetime:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto((message + text).encode(), address)
        find = "SELECT ts FROM logs WHERE message = $1"
        ((ts,),) = wait_for(text, lambda: database.fetch(find, text))
        return ts

    second = timedelta(seconds=1)
    assert abs(stored("first") - now) < second
    reloading.apply(timestamps={"default_zone": "Etc/GMT-3"})  # three hours east of Greenwich
    assert abs(stored("second") - (now - timedelta(hours=3))) < second
    reloading.apply(timestamps={"default_zone": "Etc/GMT-3", "max_past": "1h"})
    assert stored("third") - now > -second
    reloading.apply(timestamps=None)
    assert list(daemon.status()["inputs"]) == ["udp", "tcp"]


def test_what_a_shorter_retention_lets_go_of_goes_soon(reloading: Reloading, database: Database) -> None:
    old = datetime.now(UTC) - timedelta(days=5)
    message = f"<14>1 {old.isoformat()} web-1 retained 7 - - old\n".encode()
    send_stream(reloading.daemon.address("tcp"), [message])
    database.wait_for_rows("retained", 1)
    reloading.apply(retention={"days": 2}, timestamps={"max_past": "2d"})
    wait_for("its day to be dropped", lambda: database.count("retained") == 0)
    reloading.apply(retention=None, timestamps=None)


def test_notifiers_come_change_and_go(reloading: Reloading) -> None:
    daemon, alerts = reloading.daemon, reloading.config["alerts"]
    assert daemon.status()["alerts"]["notifiers"] == {}
    for notifiers in ({"ops": {"type": "log"}}, {"ops": {"type": "log", "max_age": "2h"}, "more": {"type": "log"}}, {}):
        reloading.apply(alerts={**alerts, "notifiers": notifiers})
        assert daemon.status()["alerts"]["notifiers"].keys() == notifiers.keys()
    reloading.apply(alerts=alerts)


def test_an_input_with_another_name_or_type_keeps_its_address(
    reloading: Reloading, database: Database, tmp_path: Path
) -> None:
    daemon, before = reloading.daemon, reloading.inputs
    one = {"type": "tcp", "name": "old", "listen": f"127.0.0.1:{free_port()}"}
    reloading.apply(inputs=[*before, one])
    address = daemon.address("old")
    (problem,) = reloading.refused(inputs=[*before, {**one, "name": "wider", "listen": f"*:{address[1]}"}])
    assert problem.endswith("Address already in use (input 'old' has it: close that one with a reload of its own)")
    with socket.create_connection(address) as connection:
        connection.sendall(b"".join(numbered_lines("renamed", 100)))
        reloading.apply(inputs=[*before, {**one, "name": "new"}])
        assert connection.recv(1) == b""  # read out, then closed
    assert daemon.address("new") == address
    send_stream(address, numbered_lines("renamed", 100, first=100))
    authority = Authority(tmp_path)
    files = authority.issue("localhost")
    tls = {"certificate": str(files.certificate), "key": str(files.key)}
    reloading.apply(inputs=[*before, {**one, "type": "tls", "name": "safe", "tls": tls}])
    with (
        socket.create_connection(address) as connection,
        authority.client().wrap_socket(connection, server_hostname="localhost") as encrypted,
    ):
        encrypted.sendall(b"".join(numbered_lines("renamed", 100, first=200)))
    database.wait_for_rows("renamed", 300)
    assert sorted(database.distinct("input", "renamed")) == [("new",), ("old",), ("safe",)]
    database.assert_each_once("renamed", 300)
    reloading.apply(inputs=before)


def test_the_log_says_what_has_changed_and_its_level_changes_too(reloading: Reloading) -> None:
    daemon, done = reloading.daemon, "configuration reloaded"
    reloading.apply(log={"level": "error"}, writer={"batch_max_rows": 5})
    reloading.apply(log={"level": "info"}, writer=None)
    (last,) = daemon.events(done)[-1:]
    assert last["changed"] == ["writer.batch_max_rows", "log.level"]
    assert last["generation"] - daemon.events(done)[-2]["generation"] == 2  # the one before was below the level


def test_lines_of_files_are_read_once_whatever_changes(
    reloading: Reloading, database: Database, tmp_path: Path
) -> None:
    log = tmp_path / "app.log"
    sections: list[dict[str, Any]] = [
        {},
        {"join_timeout_seconds": "50ms"},
        {"join_timeout_seconds": "50ms", "zone": "Asia/Tokyo"},
        {"paths": [str(tmp_path / "*.log"), str(tmp_path / "*.txt")], "max_frame_bytes": "2KiB"},
    ]
    written = 0
    for changed in sections:
        one = {"type": "file", "name": "app", "paths": [str(log)], "service": "app", "poll_interval_seconds": "100ms"}
        reloading.apply(inputs=[*LOOPBACK, {**one, **changed}])
        with log.open("a") as file:
            file.writelines(f"INFO worker seq={written + number} of the run\n" for number in range(500))
        written += 500
    database.wait_for_rows("app", written)
    reloading.apply(inputs=[dict(one) for one in LOOPBACK])
    database.assert_each_once("app", written)
    assert reloading.daemon.ledger("app")["imbalance"] == 0


def test_a_hangup_while_it_starts_or_stops_does_no_harm(make_daemon: StartDaemon, tmp_path: Path) -> None:
    with NotifySocket(tmp_path / "notify") as notify:
        daemon = make_daemon(environment={"NOTIFY_SOCKET": notify.address})
        daemon.launch()
        wait_for("its first line", lambda: daemon.output)
        daemon.signal(SIGHUP)
        daemon.wait_ready()
        notify.wait_for("READY=1")
        assert notify.wait_for("RELOADING=1")[1].startswith("MONOTONIC_USEC=")
        notify.wait_for("READY=1")
    assert daemon.status()["config"]["generation"] == 2
    send_stream(daemon.address("tcp"), numbered_lines("hangup", 1000))
    for _ in range(10):
        daemon.signal(SIGHUP)
    wait_for("the messages", lambda: daemon.ledger("tcp")["received"] == 1000)
    daemon.signal(SIGHUP)
    assert daemon.stop()["tcp"]["stored"] == 1000
