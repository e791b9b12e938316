from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from logstreamd.query.errors import BadParameterError
from logstreamd.query.steps import MAX_STEPS, Steps, ceil_to, floor_to, steps_between

START = datetime(2026, 11, 22, 3, 7, 30, 1, tzinfo=UTC)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


def test_steps_are_those_of_the_clock() -> None:
    assert floor_to(5 * MINUTE, START) == datetime(2026, 11, 22, 3, 5, tzinfo=UTC)
    assert ceil_to(5 * MINUTE, START) == datetime(2026, 11, 22, 3, 10, tzinfo=UTC)
    assert floor_to(DAY, START) == datetime(2026, 11, 22, tzinfo=UTC)
    edge = datetime(2026, 11, 22, 3, 10, tzinfo=UTC)
    assert floor_to(5 * MINUTE, edge) == ceil_to(5 * MINUTE, edge) == edge
    # Seven days are no part of any calendar: they are counted from the epoch, which was a Thursday.
    assert floor_to(7 * DAY, START) == datetime(2026, 11, 19, tzinfo=UTC)


def test_the_first_and_the_last_step_may_be_partly_outside() -> None:
    steps = steps_between(START, START + 10 * MINUTE, 5 * MINUTE)
    assert steps == Steps(datetime(2026, 11, 22, 3, 5, tzinfo=UTC), 5 * MINUTE, 3)
    assert [begin.minute for begin in steps.begins()] == [5, 10, 15]
    assert steps_between(START, START + timedelta(microseconds=1), 5 * MINUTE).count == 1
    assert steps_between(floor_to(MINUTE, START), ceil_to(MINUTE, START), MINUTE).count == 1


def test_an_empty_range_has_no_steps() -> None:
    assert steps_between(START, START - DAY, MINUTE).count == 0


def test_too_many_steps_are_refused() -> None:
    begin = floor_to(MINUTE, START)
    assert steps_between(begin, begin + MAX_STEPS * MINUTE, MINUTE).count == MAX_STEPS
    with pytest.raises(BadParameterError, match="step: must make at most 11000 steps") as raised:
        steps_between(begin, begin + (MAX_STEPS + 1) * MINUTE, MINUTE)
    assert raised.value.field == "step"
