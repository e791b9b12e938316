"""The benchmark itself works; its numbers are nobody's condition."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

from logstreamd.storage.embedded import EmbeddedPostgres
from tests.acceptance.daemon_process import PROJECT
from tests.bench.varied_lines import COMMON_WORD, NEEDLE, varied_messages


def _bench(*arguments: str) -> Any:
    command = [sys.executable, "-m", "tests.bench", "--rows", "2000", "--json", *arguments]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, check=True, timeout=60)
    return json.loads(done.stdout)


def test_a_short_run_measures_what_was_asked_for_and_its_yardstick(postgres: EmbeddedPostgres) -> None:
    dsn = postgres.dsn("postgres")
    results = _bench("--only", "tcp-counted,udp", "--udp-rate", "20000", "--repeat", "2", "--dsn", dsn)["results"]
    assert [(one["rows"], one["lost"]) for one in results] == [(2_000, 0)] * 3
    assert results[0]["ratio_to_copy"] == 1
    # Processor time is counted in ticks of 10 ms: so few messages may take none.
    assert all(one["cpu_us_per_row"] >= 0 and one["peak_bytes"] > 0 for one in results[1:])
    assert all(one["spread"] >= 0 for one in results)


def test_http_batches_are_counted_to_the_last_row_and_an_outage_to_the_spool(postgres: EmbeddedPostgres) -> None:
    results = _bench("--only", "http,outage", "--dsn", postgres.dsn("postgres"))["results"]
    assert [one["rows"] for one in results] == [2_000] * 3
    assert results[-1]["ratio_to_copy"] is None


def test_an_idle_daemon_is_looked_at(postgres: EmbeddedPostgres) -> None:
    (idle,) = _bench("--only", "idle", "--idle-seconds", "1", "--dsn", postgres.dsn("postgres"))["results"]
    assert idle["rows"] == 0
    assert idle["cpu_us_per_row"] is None


def test_every_stage_is_measured_with_both_twins_where_there_are_two(postgres: EmbeddedPostgres) -> None:
    stages = _bench("--stages", "--dsn", postgres.dsn("postgres"))["stages"]
    assert [one["name"].split(",")[0] for one in stages if one["python_us"]] == [
        "split",
        "receive",
        "encode",
        "encode",
        "encode",
        "of that: survey",
        "of that: survey",
    ]


def test_an_unknown_measurement_is_refused_with_the_names_there_are() -> None:
    command = [sys.executable, "-m", "tests.bench", "--only", "tpc"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "no such measurement: tpc (there are: copy, tcp-lines" in done.stderr


def test_every_question_is_asked_beside_a_scan(postgres: EmbeddedPostgres) -> None:
    answers = _bench("--search", "--dsn", postgres.dsn("postgres"))["search"]
    found = {one["name"]: one["found"] for one in answers}
    assert found["a rare word anywhere"] == 3
    assert found["newest 100 of everything"] == 100
    assert found["a trace id"] >= 1
    assert all(one["ms"] > 0 and one["scan_ms"] > 0 for one in answers)


def test_the_lines_are_the_same_ones_each_time() -> None:
    end = datetime(2026, 11, 22, tzinfo=UTC)
    lines = list(varied_messages(3_000, end=end))
    assert lines == list(varied_messages(3_000, end=end))
    assert [number for number, one in enumerate(lines) if NEEDLE.encode() in one] == [90, 1_500, 2_910]
    assert 100 < sum(COMMON_WORD.encode() in one for one in lines) < 400


def test_rules_are_evaluated_on_a_table_that_grows(postgres: EmbeddedPostgres) -> None:
    arguments = ("--alerts", "20", "--alerts-rate", "1", "--alerts-rounds", "1", "--dsn", postgres.dsn("postgres"))
    found = _bench(*arguments)["alerts"]
    # 1,995 lines are whole rounds of 15 s; three rounds to warm up and one that is measured follow.
    assert (found["rules"], found["rows"]) == (20, 1_995 + 4 * 15)
    assert found["daemon_share"] > 0
