from __future__ import annotations

from dataclasses import replace
from typing import Any

from structlog.testing import capture_logs

from logstreamd.spool import MemorySpool, SpoolStats, SpoolTrouble
from logstreamd.spool.trouble import OVER_SECONDS

WELL = replace(MemorySpool(window_bytes=1 << 20).stats(), bytes=90, max_bytes=100)
FULL = replace(WELL, full=True)


def said(*looks: tuple[float, SpoolStats]) -> list[dict[str, Any]]:
    trouble = SpoolTrouble()
    with capture_logs() as lines:
        for now, stats in looks:
            trouble.look(stats, now)
    return list(lines)


def test_a_spool_that_is_well_is_not_talked_about() -> None:
    assert said((0, WELL), (1, WELL)) == []


def test_a_full_spool_is_told_once_and_so_is_the_end_of_it() -> None:
    over = 2 + OVER_SECONDS
    assert said((0, WELL), (1, FULL), (2, FULL), (over - 1, WELL), (over, WELL), (over + 1, WELL)) == [
        {"event": "the spool takes no more", "log_level": "warning", "problem": "full", "bytes": 90, "max_bytes": 100},
        {"event": "the spool takes messages again", "log_level": "info", "after": "full"},
    ]


def test_a_spool_that_is_filled_as_quickly_as_it_is_emptied_is_full_once() -> None:
    looks = [(float(second), FULL if second % 3 else WELL) for second in range(60)]
    assert [line["event"] for line in said(*looks)] == ["the spool takes no more"]


def test_a_disk_that_fails_is_another_trouble_than_a_full_spool() -> None:
    lines = said((0, FULL), (1, replace(FULL, last_error="No space left on device")), (2, FULL))
    assert [line["problem"] for line in lines] == ["full", "No space left on device", "full"]
