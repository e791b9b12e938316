"""``faults``: drives a small task API into 400, 404 and 500, and shows what logstreamd counted.

The API runs here, logs each request to logstreamd, and is called by real HTTP.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from generator.http_client import HttpClient, UnreachableError
from generator.opening import make_breaker
from generator.options import Option, read_options
from generator.outputs.http import HttpOutput
from generator.scenarios.faults.error_stats import ErrorStats, describe, wait_for_errors
from generator.scenarios.faults.requests import drive
from generator.scenarios.faults.task_api import TaskApi
from generator.stop import Stop
from generator.terminal import tell
from generator.values import read_count, read_http_url

__all__ = ["OPTIONS", "run"]

OPTIONS: tuple[Option, ...] = (
    Option("url", "LOGSTREAMD_URL", read_http_url, "where logstreamd answers", "http://127.0.0.1:8514"),
    Option("rounds", "FAULT_ROUNDS", read_count(1, 1_000), "how often each request is made", "3"),
)
_BATCH_LINES = 1_000


def run(flags: Mapping[str, Any], environment: Mapping[str, str], stop: Stop) -> int:
    """Make errors, wait until they are counted, and print the statistics.

    Returns:
        0 when logstreamd counted what was made, 1 when it can't be reached or something is missing.

    Raises:
        SettingsError: the settings can't be used.
    """
    values = read_options(OPTIONS, flags, environment)
    client = HttpClient(values["url"])
    try:
        before = ErrorStats.ask(client)
        statuses = _make_errors(values["url"], values["rounds"], stop)
        made = sum(count for status, count in statuses.items() if status >= 400)
        after = wait_for_errors(client, before, made, stop)
    except UnreachableError as problem:
        tell(f"logstreamd at {values['url']}: {problem}")
        return 1
    finally:
        client.close()
    sys.stdout.write(f"{describe(statuses, before, after)}\n")
    return 0 if after.total - before.total >= made else 1


def _make_errors(url: str, rounds: int, stop: Stop) -> Counter[int]:
    """Call the task API and deliver its log; return how often each status came."""
    lines: list[str] = []
    with TaskApi(lines.append) as api:
        statuses = drive(api.url, rounds)
    output = HttpOutput(
        HttpClient(url),
        batch_lines=_BATCH_LINES,
        stop=stop,
        breaker=make_breaker(f"http {url}", tell),
        clock=time.monotonic,
        tell=tell,
    )
    output.write(lines)
    output.close()
    return statuses
