"""The scenarios as real processes: ``web-api``, ``faults`` and ``fleet``."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from signal import SIGTERM

from tests.acceptance.daemon_process import DaemonProcess, wait_for
from tests.acceptance.database import Database
from tests.acceptance.generator_process import generate, generating

StartDaemon = Callable[..., DaemonProcess]

COMBINED = re.compile(
    r'127\.0\.0\.1 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "([A-Z]+) (\S+) HTTP/1\.1" (\d{3}) (\d+|-)'
    r' "(?:[^"\\]|\\.)*" "(?:[^"\\]|\\.)*"'
)
APPLICATION = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (DEBUG  |INFO   |WARNING|ERROR  ) \[web-api\] .+")


def web_api(*more: str) -> tuple[str, ...]:
    return ("--scenario", "web-api", "--listen", "127.0.0.1:0", "--log-dir", "web-logs", *more)


def ask(url: str, method: str, path: str, body: object = None) -> tuple[int, dict[str, object]]:
    connection = HTTPConnection(url.removeprefix("http://"), timeout=30)
    connection.request(method, path, None if body is None else json.dumps(body), {"User-Agent": 'a "quoted" one'})
    response = connection.getresponse()
    answer = response.status, json.loads(response.read())
    connection.close()
    return answer


def test_the_web_service_answers_logs_and_stops_cleanly(tmp_path: Path) -> None:
    asked: list[tuple[str, str, int]] = []
    with generating(tmp_path, *web_api("--error-rates", "0,0,0", "--maintenance-interval", "100ms")) as process:
        url = process.wait_said("listens on").split()[-1]

        def expect(status: int, method: str, path: str, body: object = None) -> dict[str, object]:
            answer = ask(url, method, path, body)
            asked.append((method, path, answer[0]))
            assert answer[0] == status
            return answer[1]

        assert expect(200, "GET", "/health")["status"] == "ok"
        created = expect(201, "POST", "/users", {"name": "Ada", "email": "ada@example.org"})
        assert expect(200, "GET", f"/users/{created['id']}") == created
        assert created in expect(200, "GET", "/users")["users"]  # type: ignore[operator]
        expect(400, "POST", "/users", {"name": ""})
        expect(400, "GET", "/users/ada")
        expect(404, "GET", "/users/4711")
        expect(404, "GET", "/nowhere")
        expect(405, "DELETE", "/users")
        expect(200, "GET", "/simulate-load?steps=7")
        expect(400, "GET", "/simulate-load?steps=0")
        log = tmp_path / "web-logs" / "application.log"
        wait_for("maintenance", lambda: "maintenance: " in log.read_text())
        assert process.stop(SIGTERM) == 0
    lines = log.read_text().splitlines()
    assert all(APPLICATION.fullmatch(line) for line in lines), lines
    assert "started on" in lines[0]
    assert lines[-1].endswith(f"stopped after {len(asked)} requests")
    assert sum("load step" in line for line in lines) == 7
    access = [COMBINED.fullmatch(line) for line in (tmp_path / "web-logs" / "access.log").read_text().splitlines()]
    assert [(found[1], found[2], int(found[3])) for found in access if found] == asked
    assert (tmp_path / "web-logs" / "error.log").read_text() == ""


def test_errors_of_the_web_service_have_a_stack_trace(tmp_path: Path) -> None:
    with generating(tmp_path, *web_api("--error-rates", "1,1,1")) as process:
        url = process.wait_said("listens on").split()[-1]
        assert ask(url, "GET", "/users")[0] == 500
        assert ask(url, "POST", "/users", {"name": "Ada", "email": "ada@example.org"})[0] == 500
        assert ask(url, "GET", "/simulate-load")[0] == 500
        assert ask(url, "GET", "/health")[0] == 200
        process.stop(SIGTERM)
    errors = (tmp_path / "web-logs" / "error.log").read_text()
    assert errors.count("\nTraceback (most recent call last):\n") == 3
    everything = (tmp_path / "web-logs" / "application.log").read_text()
    assert all(line in everything for line in errors.splitlines(keepends=True))


def test_the_web_service_visits_itself_and_goes_on_after_rotation(tmp_path: Path) -> None:
    access = tmp_path / "web-logs" / "access.log"
    with generating(tmp_path, *web_api("--traffic", "100", "--seed", "1")) as process:
        wait_for("requests", lambda: access.exists() and access.read_text().count("\n") > 20)
        access.rename(access.with_suffix(".log.1"))
        wait_for("requests", lambda: access.exists() and access.read_text().count("\n") > 20)
        assert process.stop(SIGTERM) == 0
    lines = access.with_suffix(".log.1").read_text().splitlines() + access.read_text().splitlines()
    assert all(COMBINED.fullmatch(line) for line in lines)
    assert f"answered {len(lines):,} requests" in process.errors


def test_an_address_in_use_is_a_clear_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        listen = f"127.0.0.1:{server.getsockname()[1]}"
        done = generate("--scenario", "web-api", "--listen", listen, cwd=tmp_path)
    assert done.returncode == 2
    assert "can't start: " in done.stderr
    assert "Traceback" not in done.stderr


def test_faults_are_made_and_the_statistics_of_the_daemon_shown(daemon: DaemonProcess) -> None:
    done = generate("--scenario", "faults", "--rounds", "2", "--url", daemon.url)
    assert done.returncode == 0, done.stderr
    assert "answered by the task API: 4 x 200, 2 x 201, 4 x 400, 4 x 404, 2 x 500" in done.stdout
    for name, count in (("400_BAD_REQUEST", 4), ("404_NOT_FOUND", 4), ("500_INTERNAL_ERROR", 2)):
        assert re.search(rf"^  {name} +[\d,]+  \(\+{count}\)$", done.stdout, re.MULTILINE), done.stdout
    assert "task-api" in done.stdout


def test_faults_without_a_daemon_are_a_clear_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    done = generate("--scenario", "faults", "--url", f"http://127.0.0.1:{port}")
    assert (done.returncode, done.stdout) == (1, "")
    assert "Connection refused" in done.stderr


def test_telemetry_is_kept_while_the_receiver_is_away_and_stored_once_in_order(
    make_daemon: StartDaemon, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    daemon = make_daemon(settings={"http": {"listen": f"127.0.0.1:{port}"}})
    buffered = tmp_path / "fleet-buffer" / "edge-1.buffer"
    flags = f"--scenario fleet --url http://127.0.0.1:{port} --nodes 2 --trucks 3 --interval 20ms".split()
    with generating(tmp_path, *flags) as process:
        process.wait_said("circuit open")
        size = buffered.stat().st_size
        wait_for("more in the buffer", lambda: buffered.stat().st_size > size + 2_000)
        process.process.kill()
        process.process.wait(30)
    with generating(tmp_path, *flags) as process:
        process.wait_said("circuit open")
        daemon.start()
        process.wait_said("edge-2: circuit closed")
        daemon.stop()
        process.wait_said("circuit open, tried again every 2 s: [Errno 111] Connection refused\n")
        daemon.start()
        wait_for("the second return", lambda: process.errors.count("circuit closed") == 4)
        wait_for("an empty buffer", lambda: buffered.stat().st_size < 10_000)
        assert process.stop(SIGTERM) == 0, process.errors
    assert "0 lines wait for the next run" in process.errors
    with Database(daemon.psql) as database:
        for node in ("edge-1", "edge-2"):
            last = json.loads((tmp_path / "fleet-buffer" / f"{node}.state").read_text())["delivered"]
            question = (
                "SELECT right(attrs->>'sample_id', 8)::integer, attrs->>'machine_id', attrs->>'request_id' FROM logs"
                f" WHERE attrs->>'edge_id' = '{node}' ORDER BY id"
            )
            wait_for("the rows", lambda question=question, last=last: len(database.fetch(question)) >= last)
            rows = database.fetch(question)
            assert [number for number, _, _ in rows] == list(range(1, last + 1))
            assert {machine for _, machine, _ in rows} >= {node}
            assert len({machine for _, machine, _ in rows}) == 4
            rounds = [request for _, _, request in rows]
            assert len(set(rounds)) == sum(a != b for a, b in zip(rounds, [None, *rounds], strict=False))
    daemon.stop()
