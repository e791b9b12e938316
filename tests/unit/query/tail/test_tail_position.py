from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logstreamd.query.errors import BadParameterError
from logstreamd.query.tail.position import Position, parse_position


@pytest.mark.parametrize(
    "position",
    [
        Position.after("7:7:", 1_795_325_447.9),
        Position(3, "7:9:7,8", "9:9:", 4_294_967_296),
        Position(0, "1:1:", f"1:{10**17}:{10**17 - 1}", 1),
    ],
)
def test_a_position_is_read_as_it_was_written(position: Position) -> None:
    assert parse_position(str(position)) == position


def test_a_round_begins_where_the_last_one_ended() -> None:
    ended = Position.after("7:7:", 5)
    assert ended.round_until("9:9:", 6.5) == Position(6, "7:7:", "9:9:")
    assert str(ended.round_until("9:9:", 6.5)) == f"{ended.round_until('9:9:', 6.5).prefix}0"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "2~1~5:5:~5:5:~0",
        "1~x~5:5:~5:5:~0",
        "1~1~5:5~5:5:~0",
        "1~1~0:5:~5:5:~0",  # no transaction has the number 0
        "1~1~6:5:~5:5:~0",
        "1~1~5:8:8~5:5:~0",
        "1~1~5:8:7,6~5:5:~0",
        "1~1~5:8:6,6~5:5:~0",
        "1~1~5:5:~5:5:~-1",
        "1~1~5:5:~5:5:~٣",
        "1~1~5:5:~5:5:~" + "9" * 19,
        "1~1~5:5:~5:5:~0" + " " * 20_000,
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(BadParameterError, match="Last-Event-ID"):
        parse_position(text)


@given(st.text(alphabet="1~:,0259 '", max_size=30))
def test_a_text_is_a_position_or_refused(text: str) -> None:
    with contextlib.suppress(BadParameterError):
        assert str(parse_position(text))
