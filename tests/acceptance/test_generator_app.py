"""The generator's command: what it writes, how it ends, and that a daemon gets each line once."""

from __future__ import annotations

import csv
import json
import os
import pty
import re
import socket
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGTERM

import pytest

from generator.event import FIELDS
from tests.acceptance.daemon_process import PROJECT, DaemonProcess, wait_for
from tests.acceptance.database import Database
from tests.acceptance.generator_process import generate, generating

TEXT_LINE = re.compile(
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \| (DEBUG  |INFO   |WARNING|ERROR  ) \| [a-z]{3}-\d{4} \| [a-z-]+"
    r" \| user-\d{5} \| req-[a-z0-9]{6} \| \d+ms \| .+"
)
SENT = re.compile(r"^  (\S+).*: sent ([\d,]+), failed ([\d,]+), retried ([\d,]+)$", re.MULTILINE)


def sent(errors: str) -> dict[str, tuple[int, ...]]:
    """Return sent, failed and retried of each output, as the summary says."""
    return {name: tuple(int(count.replace(",", "")) for count in counts) for name, *counts in SENT.findall(errors)}


def test_lines_on_the_console_look_as_they_should_and_the_summary_counts_them() -> None:
    done = generate("--count", "500", "--rate", "5000")
    lines = done.stdout.splitlines()
    assert len(lines) == 500
    assert not [line for line in lines if not TEXT_LINE.fullmatch(line)]
    assert done.returncode == 0
    assert "made 500 lines" in done.stderr
    assert sent(done.stderr) == {"console": (500, 0, 0)}


def test_it_needs_the_standard_library_only() -> None:
    code = f"import sys; sys.path.insert(0, {str(PROJECT)!r}); from generator.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, "--count", "3", "--rate", "100"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 3), done.stderr


def test_a_duration_has_exactly_its_lines() -> None:
    done = generate(LOG_RATE="50", LOG_DURATION="2s")
    assert len(done.stdout.splitlines()) == 100


def test_file_and_console_get_the_same_lines_at_once(tmp_path: Path) -> None:
    file = tmp_path / "logs" / "app.log"
    done = generate(LOG_RATE="1000", LOG_COUNT="200", OUTPUT_FILE=str(file), CONSOLE_OUTPUT="true")
    assert file.read_text() == done.stdout
    assert sent(done.stderr) == {"file": (200, 0, 0), "console": (200, 0, 0)}


def test_csv_in_a_file_is_read_by_a_reader_of_csv(tmp_path: Path) -> None:
    file = tmp_path / "app.csv"
    for _ in range(2):
        generate("--format", "csv", "--count", "2000", "--rate", "20000", "--output-file", str(file))
    with file.open(newline="") as text:
        rows = list(csv.DictReader(text))
    assert len(rows) == 4_000
    assert all(tuple(row) == FIELDS and None not in row.values() for row in rows)
    assert any("," in row["message"] for row in rows)
    assert any('"' in row["message"] for row in rows)


def test_a_seed_repeats_a_run_to_the_byte() -> None:
    flags = ["--seed=7", "--start-time=2025-05-14T10:23:45Z", "--count=2000", "--rate=4000"]
    flags += ["--bursts", "--burst-frequency=0.9"]
    first, second = generate(*flags), generate(*flags)
    assert first.stdout == second.stdout
    assert first.stdout.startswith("2025-05-14 10:23:45 | ")
    assert generate(*flags, "--seed", "8").stdout != first.stdout


def test_weights_from_the_environment_are_the_shares() -> None:
    done = generate(LOG_COUNT="4000", LOG_RATE="40000", LOG_FORMAT="json", LOG_DISTRIBUTION="INFO:0.5,CRITICAL:0.5")
    assert Counter(json.loads(line)["level"] for line in done.stdout.splitlines()) == {"INFO": 2_000, "CRITICAL": 2_000}


@pytest.mark.parametrize("number", [SIGTERM, SIGINT])
def test_a_signal_closes_the_file_cleanly_and_tells_what_was_sent(tmp_path: Path, number: int) -> None:
    file = tmp_path / "app.log"
    with generating(tmp_path, "--rate", "2000", "--output-file", str(file)) as process:
        wait_for("lines", lambda: file.exists() and file.stat().st_size > 100_000)
        assert process.stop(number) == 0
    text = file.read_text()
    assert text.endswith("\n")
    lines = text.splitlines()
    assert not [line for line in lines if not TEXT_LINE.fullmatch(line)]
    assert sent(process.errors) == {"file": (len(lines), 0, 0)}


def test_a_hangup_opens_the_file_anew_and_no_line_is_lost(tmp_path: Path) -> None:
    file, moved = tmp_path / "app.log", tmp_path / "app.log.1"
    with generating(tmp_path, "--rate", "500", "--output-file", str(file)) as process:
        wait_for("lines", lambda: file.exists() and file.stat().st_size > 1_000)
        file.rename(moved)
        process.process.send_signal(SIGHUP)
        wait_for("the new file", lambda: file.exists() and file.stat().st_size > 1_000)
        process.stop(SIGTERM)
    lines = [*moved.read_text().splitlines(), *file.read_text().splitlines()]
    assert sent(process.errors)["file"] == (len(lines), 0, 0)
    assert all(TEXT_LINE.fullmatch(line) for line in lines)
    assert len({line.split(" | ")[2] for line in lines}) == len(lines)


def test_it_ends_when_nobody_reads_the_console_any_more() -> None:
    command = f"{sys.executable} -m generator --rate 1000 | head -n 3"
    done = subprocess.run(command, shell=True, cwd=PROJECT, capture_output=True, text=True, timeout=60, check=True)
    assert len(done.stdout.splitlines()) == 3
    assert "made " in done.stderr


def test_progress_is_shown_on_a_terminal(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "generator", "--rate", "100", "--duration", "3", "--output-file", tmp_path / "a"]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.DEVNULL, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        with suppress(OSError):  # what Linux says when the other side has closed
            while piece := os.read(ours, 4096):
                shown += piece
        os.close(ours)
        process.wait(60)
    assert re.search(rb"\r\d s  [\d,]+ lines  \d+/s", shown)
    assert shown.endswith(b"sent 300, failed 0, retried 0\r\n")


def test_bad_settings_are_told_all_at_once(tmp_path: Path) -> None:
    done = generate("--count", "many", LOG_RATE="-1", LOG_DISTRIBUTION="INFO=1")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "logstream-generate: LOG_RATE: must be a number from 0.001 to 1000000 (got '-1')",
        "logstream-generate: LOG_DISTRIBUTION: must be LEVEL:WEIGHT,… with levels of DEBUG, INFO, WARNING, ERROR,"
        " CRITICAL (got 'INFO=1')",
        "logstream-generate: --count: must be a whole number from 1 to 1000000000000000 (got 'many')",
    ]
    (tmp_path / "file").touch()
    done = generate("--output-file", str(tmp_path / "file" / "app.log"))
    assert done.returncode == 2
    assert "an output can't be opened" in done.stderr
    assert "Traceback" not in done.stderr
    done = generate(SCENARIO="play")
    assert (done.returncode, "must be one of app, web-api, faults, fleet (got 'play')" in done.stderr) == (2, True)


@pytest.mark.parametrize("scenario", ["app", "web-api", "faults", "fleet"])
def test_help_names_flags_and_variables(scenario: str) -> None:
    done = generate("--scenario", scenario, "--help")
    assert done.returncode == 0
    assert f"the scenario {scenario}" in done.stdout
    if scenario == "app":
        for name in ("LOG_RATE", "LOG_FORMAT", "OUTPUT_FILE", "CONSOLE_OUTPUT", "LOG_DISTRIBUTION", "ENABLE_BURSTS"):
            assert name in done.stdout
        for name in (
            "BURST_FREQUENCY",
            "BURST_MULTIPLIER",
            "BURST_DURATION",
            "ENABLE_PATTERNS",
            "--seed",
            "--duration",
        ):
            assert name in done.stdout


def test_lines_that_nobody_takes_are_told_and_the_exit_code_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    address = f"127.0.0.1:{port}"
    done = generate(
        "--count", "200", "--rate", "100", "--tcp", address, "--http", f"http://{address}", "--http-batch", "10"
    )
    assert done.returncode == 1
    counts = sent(done.stderr)
    assert counts["tcp"][:2] == counts["http"][:2] == (0, 200)
    assert counts["http"][2] > 0
    assert f"http http://{address}: circuit open, tried again every 5 s" in done.stderr


SEEDS = {"udp": 1, "tcp": 2, "octets": 3, "http": 4}
WAYS = {
    "udp": (["--udp", "{udp}"], "attrs->'log@32473'->>'id'", "rfc5424"),
    "tcp": (["--tcp", "{tcp}"], "attrs->'log@32473'->>'id'", "rfc5424"),
    "octets": (
        ["--tcp", "{tcp}", "--tcp-framing", "octet-counting", "--network-format", "json"],
        "attrs->>'id'",
        "json",
    ),
    "http": (["--http", "{http}", "--http-batch", "300"], "attrs->>'id'", "json"),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_daemon_gets_each_line_once(daemon: DaemonProcess, database: Database, tmp_path: Path, way: str) -> None:
    flags, id_column, line_format = WAYS[way]
    udp, tcp = (":".join(map(str, daemon.address(name))) for name in ("udp", "tcp"))
    file = tmp_path / "sent.csv"
    done = generate(
        *(flag.format(udp=udp, tcp=tcp, http=daemon.url) for flag in flags),
        # Ids are short: of four times 5,000 random ones some would be equal, with these seeds none are.
        *(
            "--count",
            "5000",
            "--rate",
            "5000",
            "--seed",
            str(SEEDS[way]),
            "--format",
            "csv",
            "--output-file",
            str(file),
        ),
    )
    assert done.returncode == 0, done.stderr
    with file.open(newline="") as text:
        rows = {row["id"]: row for row in csv.DictReader(text)}
    assert len(rows) == 5_000
    question = (
        f"SELECT {id_column}, count(*), min(service), min(message), min(severity), min(format), min(id) FROM logs"
        f" WHERE {id_column} = ANY($1) GROUP BY 1 ORDER BY 7"
    )
    wait_for("the rows", lambda: len(database.fetch(question, list(rows))) == 5_000, seconds=30)
    stored = database.fetch(question, list(rows))
    severities = {"ERROR": 3, "WARNING": 4, "INFO": 6, "DEBUG": 7}
    for line_id, count, service, message, severity, stored_format, _ in stored:
        row = rows[line_id]
        assert (count, service, message, stored_format) == (1, row["service"], row["message"], line_format)
        assert severity == severities[row["level"]]
    order = [row[0] for row in stored]
    if way != "udp":
        assert order == list(rows)
    assert all(before[6] < after[6] for before, after in pairwise(stored))
