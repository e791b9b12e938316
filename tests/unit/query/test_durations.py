from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from logstreamd.query.durations import read_duration, within_window
from logstreamd.query.errors import BadParameterError
from logstreamd.query.filter.tree import EVERYTHING
from logstreamd.query.scope import EARLIEST, LATEST, Scope

NOW = datetime(2026, 11, 22, 3, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def read(text: str) -> timedelta | None:
    return read_duration({"step": [text]}, "step", at_least=timedelta(milliseconds=500), at_most=7 * DAY)


def window(scope: Scope, **values: str) -> Scope:
    given = {name: [value] for name, value in values.items()}
    return within_window(scope, given, now=NOW, default=HOUR, at_most=DAY)


def test_durations_are_a_number_and_a_unit() -> None:
    assert [read(text) for text in ("500ms", "10s", "5m", "1h", " 7d ")] == [
        timedelta(milliseconds=500),
        timedelta(seconds=10),
        timedelta(minutes=5),
        HOUR,
        7 * DAY,
    ]
    assert read_duration({}, "step", at_least=HOUR, at_most=DAY) is None


@pytest.mark.parametrize(
    "text", ["", "1", "m", "-1m", "+1m", "1.5h", "1 m", "1w", "١m", "499ms", "8d", "9999999999s", "999999999d"]
)
def test_what_is_no_duration_or_out_of_bounds_is_refused(text: str) -> None:
    with pytest.raises(BadParameterError) as raised:
        read(text)
    assert (raised.value.field, raised.value.message) == (
        "step",
        f"must be a duration like 10s, 5m or 1h, 500ms..7d (got {text!r})",
    )


def test_a_window_ends_where_the_scope_does_or_now() -> None:
    everything = Scope(EARLIEST, LATEST, EVERYTHING)
    assert window(everything).start == NOW - HOUR
    assert window(everything, window="5m") == Scope(NOW - timedelta(minutes=5), LATEST, EVERYTHING)
    assert window(Scope(EARLIEST, NOW - DAY, EVERYTHING), window="5m").start == NOW - DAY - timedelta(minutes=5)
    assert window(Scope(EARLIEST, NOW + DAY, EVERYTHING)).start == NOW - HOUR
    assert window(Scope(EARLIEST, EARLIEST + timedelta(seconds=1), EVERYTHING)).start == EARLIEST


def test_a_start_stands_for_itself() -> None:
    given = Scope(NOW - DAY, NOW, EVERYTHING)
    assert window(given, start="-1d") == given
    with pytest.raises(BadParameterError, match="window: must not be given together with start"):
        window(given, start="-1d", window="1h")
    with pytest.raises(BadParameterError, match=r"window: must be a duration like 10s, 5m or 1h, 1m\.\.1d"):
        window(given, window="2d")
