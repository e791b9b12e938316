from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from logstreamd.alerts import sliding
from logstreamd.alerts.aggregate import Aggregate, Distinct, Lines, Share, Silence, Windows
from logstreamd.alerts.group_key import read_group_key
from logstreamd.alerts.measure import Answer, Measurement
from logstreamd.alerts.measure_rows import RowMeasurer
from logstreamd.alerts.sliding import SlidingMeasurer, StepTally
from logstreamd.query.filter import matches, parse_filter
from logstreamd.query.filter.tree import EVERYTHING

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
STEP = timedelta(seconds=30)
SERVICE, HOST = read_group_key("service"), read_group_key("host")
ERRORS = parse_filter("level>=error")
AGGREGATES = (Lines(), Share(ERRORS), Distinct(HOST), Silence(STEP * 7), Windows(4))


def rows(random: Random, count: int) -> list[dict[str, Any]]:
    return [
        {
            "ts": NOON + timedelta(seconds=random.randrange(3600)),
            "service": random.choice(("shop", "blog", None)),
            "host": random.choice(("a", "b", None)),
            "severity": random.randrange(8),
            "attrs": None,
        }
        for _ in range(count)
    ]


def tallies(rows: list[dict[str, Any]], aggregate: Aggregate) -> list[StepTally]:
    """One for each row."""
    return [
        StepTally(
            (SERVICE.value_in(row),),
            HOST.value_in(row) if isinstance(aggregate, Distinct) else "",
            row["ts"] - (row["ts"] - NOON) % STEP,
            1,
            int(matches(ERRORS, row)),
            row["ts"],
        )
        for row in sorted(rows, key=lambda row: row["ts"])
    ]


def in_order(answer: Answer) -> Answer:
    return Answer(tuple(sorted(answer.measured, key=lambda one: one.group)), answer.cut)


@pytest.mark.parametrize("aggregate", AGGREGATES, ids=lambda aggregate: type(aggregate).__name__)
@pytest.mark.parametrize(("steps", "pace"), [(1, 1), (4, 1), (4, 3), (2, 5)])
def test_windows_that_slide_measure_what_windows_anew_do(aggregate: Aggregate, steps: int, pace: int) -> None:
    lines = rows(Random(steps), 120)
    expected, measurer = RowMeasurer(lines), SlidingMeasurer(STEP, min(row["ts"] for row in lines))
    measurer.add(tallies(lines, aggregate))
    end = NOON
    while end < NOON + timedelta(minutes=80):
        measurement = Measurement(aggregate, EVERYTHING, (SERVICE,), end - steps * STEP, end)
        assert in_order(measurer.measure(measurement)) == in_order(expected.measure(measurement)), end
        end += pace * STEP
    assert measurer.size == 0


def test_of_more_groups_than_an_answer_holds_the_largest_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sliding, "MAX_GROUPS", 1)
    measurer = SlidingMeasurer(STEP, None)
    measurer.add(StepTally((name,), "", NOON, lines, 0, None) for name, lines in (("few", 1), ("many", 2)))
    answer = measurer.measure(Measurement(Lines(), EVERYTHING, (SERVICE,), NOON, NOON + STEP))
    assert ([one.group for one in answer.measured], answer.cut) == ([("many",)], True)
