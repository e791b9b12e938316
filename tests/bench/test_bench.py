"""The benchmark itself works; its numbers are nobody's condition."""

from __future__ import annotations

import json
import subprocess
import sys

from logstreamd.storage.embedded import EmbeddedPostgres
from tests.acceptance.daemon_process import PROJECT


def test_a_short_run_measures_what_was_asked_for_and_its_yardstick(postgres: EmbeddedPostgres) -> None:
    command = [sys.executable, "-m", "tests.bench", "--rows", "2000", "--only", "tcp-counted,udp", "--json"]
    done = subprocess.run(
        [*command, "--dsn", postgres.dsn("postgres")], cwd=PROJECT, capture_output=True, check=True, timeout=60
    )
    results = json.loads(done.stdout)["results"]
    assert [(one["rows"], one["lost"]) for one in results] == [(2_000, 0)] * 3
    assert results[0]["ratio_to_copy"] == 1
    assert all(one["cpu_us_per_row"] > 0 and one["peak_bytes"] > 0 for one in results[1:])


def test_an_unknown_measurement_is_refused_with_the_names_there_are() -> None:
    command = [sys.executable, "-m", "tests.bench", "--only", "tpc"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "no such measurement: tpc (there are: copy, tcp-lines" in done.stderr
