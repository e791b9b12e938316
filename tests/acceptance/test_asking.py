"""``logstreamd query`` and ``logstreamd tail`` against a daemon that runs."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.command import ask, on_a_terminal, running
from tests.acceptance.daemon_process import DaemonProcess, wait_for
from tests.acceptance.senders import numbered_lines, send_stream

HOSTILE = "\x1b]0;title\x07 \u202egnp.exe \x9b2J \x1b[31mred"


@pytest.fixture(scope="module")
def service(daemon: DaemonProcess) -> str:
    """The service of five rows that are stored: one of each level from error to debug, with hostile text in one."""
    levels = (3, 4, 5, 6)
    lines = [
        f"<{8 + level}>1 - web-1 asking {level} - - seq={level} row of level {level}\n".encode() for level in levels
    ]
    lines.append(f"<15>1 - web-1 asking 7 - - seq=7 hostile {HOSTILE}\n".encode())
    send_stream(daemon.address("tcp"), lines)
    wait_for("five rows", lambda: len(daemon.logs(service="asking")) == 5)
    return "asking"


def test_a_query_finds_rows_newest_first(daemon: DaemonProcess, service: str) -> None:
    done = ask(daemon, "query", "row level>=notice", "--service", service, "--utc")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split("  ")[1].strip() for line in done.stdout.splitlines()] == ["notice", "warning", "error"]
    assert all("web-1  asking  seq=" in line for line in done.stdout.splitlines())


def test_json_is_what_the_daemon_sends_and_order_and_limit_hold(daemon: DaemonProcess, service: str) -> None:
    done = ask(daemon, "query", f"service:{service}", "--json", "--order", "asc", "--limit", "2", "--since", "1h")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert rows == daemon.logs(service=service, order="asc", limit=2)


def test_more_rows_than_a_page_come_all(daemon: DaemonProcess) -> None:
    send_stream(daemon.address("tcp"), numbered_lines("pages", 1_200))
    wait_for("the rows", lambda: ask_count(daemon, "pages") == 1_200)
    done = ask(daemon, "query", "service:pages", "--limit", "1100")
    assert len(done.stdout.splitlines()) == 1_100


def ask_count(daemon: DaemonProcess, service: str) -> int:
    answer = daemon.get("/api/v1/counts", {"service": service})
    return sum(one["total"] for one in answer.json()["series"])


def test_counts_are_a_table_for_people_and_json_for_programs(daemon: DaemonProcess, service: str) -> None:
    table = ask(daemon, "query", "--service", service, "--count-by", "service,level").stdout
    assert [line.split() for line in table.splitlines() if "error" in line] == [["asking", "error", "1", "20.0%"]]
    assert ["all", "5"] in [line.split() for line in table.splitlines()]
    done = ask(daemon, "query", "--service", service, "--min-level", "error", "--count-by", "level", "--json")
    assert [json.loads(line) for line in done.stdout.splitlines()] == [{"labels": {"level": "error"}, "total": 1}]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["query", "neverseen"], 0, ""),
        (["query", "neverseen", "-e"], 1, ""),
        (["query", "--service", "asking", "-e"], 0, ""),
        (["query", "--service", "neverseen", "--count-by", "level", "-e"], 1, ""),
        (["query", "level:error service:"], 2, "  level:error service:\n                      ^\n"),
        (["tail", "a (b"], 2, "q:5: expected"),
        (["query", "--since", "yesterday"], 2, "start: must be a time"),
        (["query", "--follow", "--until", "1h"], 2, "--follow goes with neither"),
        (["query", "--limit", "0"], 2, "--limit"),
    ],
)
def test_the_exit_code_says_how_it_went(
    daemon: DaemonProcess, service: str, arguments: list[str], code: int, said: str
) -> None:
    done = ask(daemon, *arguments)
    assert done.returncode == code
    assert said in done.stderr


@pytest.mark.parametrize("command", ["query", "tail"])
def test_without_a_daemon_it_says_where_none_answers_and_what_to_do(command: str) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        done = ask(url, command, "x")
    assert done.returncode == 1
    assert f"no logstreamd answers at {url} (connection refused)" in done.stderr
    assert "logstreamd run" in done.stderr


def test_what_is_not_our_daemon_is_said(daemon: DaemonProcess) -> None:
    done = ask(f"{daemon.url}/elsewhere", "query", "x")
    assert done.returncode == 1
    assert "404" in done.stderr or "Not Found" in done.stderr


def test_on_a_terminal_there_are_colours_and_nothing_that_it_obeys(daemon: DaemonProcess, service: str) -> None:
    shown = on_a_terminal(daemon, "query", "--service", service)
    assert "\x1b[31merror" in shown
    assert r"\e]0;title\x07 \u202egnp.exe \x9b2J \e[31mred" in shown
    for obeyed in ("\x1b]0", "\x07", "\u202e", "\x9b", "\x1b[31mred"):
        assert obeyed not in shown
    plain = on_a_terminal(daemon, "query", "--service", service, NO_COLOR="1")
    assert "\x1b[" not in plain
    assert "error" in plain
    as_json = on_a_terminal(daemon, "query", "hostile", "--service", service, "--json")
    assert HOSTILE in json.loads(as_json)["message"]
    assert not set(HOSTILE) & {"\x9b", "\u202e", "\x1b"} & set(as_json)
    assert "\x1b[31m" in ask(daemon, "query", "--service", service, "--color", "always").stdout


def test_a_tail_shows_what_was_there_and_what_comes(daemon: DaemonProcess, tmp_path: Path) -> None:
    send_stream(daemon.address("tcp"), numbered_lines("tailed", 3))
    wait_for("the rows", lambda: len(daemon.logs(service="tailed")) == 3)
    with running(daemon.url, tmp_path, "tail", "service:tailed", "-n", "2", "--json") as tail:
        wait_for("rows of before", lambda: len(tail.lines) == 2)
        send_stream(daemon.address("tcp"), [*numbered_lines("other", 5), *numbered_lines("tailed", 2, first=3)])
        wait_for("new rows", lambda: len(tail.lines) == 4)
        assert tail.interrupt() == 0
        assert [json.loads(line)["message"] for line in tail.lines] == ["seq=1", "seq=2", "seq=3", "seq=4"]
        assert tail.errors == ""


def test_a_query_that_follows_goes_on_behind_what_it_found(daemon: DaemonProcess, tmp_path: Path) -> None:
    send_stream(daemon.address("tcp"), numbered_lines("followed", 2))
    wait_for("the rows", lambda: len(daemon.logs(service="followed")) == 2)
    arguments = ("query", "--service", "followed", "--follow", "--since", "1h", "--color", "always")
    with running(daemon.url, tmp_path, *arguments) as query:
        wait_for("rows of before", lambda: len(query.lines) == 2)
        send_stream(daemon.address("tcp"), numbered_lines("followed", 1, first=2))
        wait_for("a new row", lambda: len(query.lines) == 3)
        assert [line.split("seq=")[1] for line in query.lines] == ["0\n", "1\n", "2\n"]


def test_a_tail_goes_on_after_a_restart_without_a_gap_or_a_repetition(
    make_daemon: Callable[..., Any], tmp_path: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    daemon = make_daemon(settings={"http": {"listen": f"127.0.0.1:{port}"}}).start()
    with running(daemon.url, tmp_path, "tail", "-n", "5", "--json") as tail:
        send_stream(daemon.address("tcp"), numbered_lines("restart", 1))
        wait_for("the first row", lambda: len(tail.lines) == 1)
        send_stream(daemon.address("tcp"), numbered_lines("restart", 20, first=1))
        daemon.stop()
        daemon.start()
        send_stream(daemon.address("tcp"), numbered_lines("restart", 20, first=21))
        wait_for("all rows", lambda: len(tail.lines) >= 41)
        assert tail.interrupt() == 0
        assert [json.loads(line)["message"] for line in tail.lines] == [f"seq={number}" for number in range(41)]
        assert "connecting again" in tail.errors


def test_a_closed_pipe_is_a_quiet_end(daemon: DaemonProcess, service: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = ask(daemon, "query", "--service", service, output=writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")
