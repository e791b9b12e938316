from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from logstreamd.query.cursor import encode_cursor
from logstreamd.query.errors import BadParameterError
from logstreamd.query.parameters import Search, parse_search
from logstreamd.record import LEVELS

NOW = datetime(2026, 11, 22, 3, 0, 0, 0, UTC)


def parse(*given: tuple[str, str], max_rows: int = 1000, **more: str) -> Search:
    return parse_search([*given, *more.items()], now=NOW, max_rows=max_rows)


def problem(*given: tuple[str, str], **more: str) -> BadParameterError:
    with pytest.raises(BadParameterError) as raised:
        parse(*given, **more)
    return raised.value


def test_without_parameters_everything_is_asked_for_newest_first() -> None:
    assert parse() == Search(start=datetime(1970, 1, 1, tzinfo=UTC), end=datetime(9999, 1, 1, tzinfo=UTC))
    assert (parse().limit, parse().order) == (100, "desc")


def test_every_parameter_has_its_place() -> None:
    cursor = encode_cursor(NOW, 7)
    assert parse(
        start="-1h",
        end="now",
        level="error,crit",
        service="a,b",
        host=" web-1 ",
        trace_id="t",
        q="two  words",
        limit="7",
        order="asc",
        cursor=cursor,
    ) == Search(
        start=NOW - timedelta(hours=1),
        end=NOW,
        severities=(2, 3),
        services=("a", "b"),
        hosts=("web-1",),
        trace_ids=("t",),
        words=("two", "words"),
        limit=7,
        order="asc",
        after=(NOW, 7),
    )


def test_a_list_may_be_repeated_or_separated_by_commas() -> None:
    assert parse(("service", "a"), ("service", "b,c")).services == ("a", "b", "c")


@pytest.mark.parametrize("position", range(8))
def test_a_least_level_is_it_and_everything_worse(position: int) -> None:
    assert parse(min_level=LEVELS[position].upper()).severities == tuple(range(position + 1))


def test_levels_and_a_least_level_hold_both() -> None:
    assert parse(level="info,error", min_level="warn").severities == (3,)
    assert parse(level="info", min_level="error").severities == ()


def test_a_search_without_words_restricts_nothing() -> None:
    assert parse(q="").words is None
    assert parse(q="   ").words is None


def test_the_limit_is_capped_and_the_default_with_it() -> None:
    assert parse(max_rows=50).limit == 50
    assert parse(limit="1000").limit == 1000
    assert problem(limit="1001").message == "must be a whole number 1..1000 (got '1001')"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("start", "yesterday"),
        ("start", ""),
        ("end", "2026-11-22"),
        ("end", "-1y"),
        ("level", "loud"),
        ("level", ""),
        ("level", "error,"),
        ("min_level", "error,info"),
        ("min_level", "8"),
        ("service", ""),
        ("service", "a,,b"),
        ("host", " "),
        ("trace_id", ","),
        ("service", ",".join(["s"] * 101)),
        ("service", "s" * 1025),
        ("host", "nul\0"),
        ("q", "x" * 1025),
        ("q", "a\0b"),
        ("q", " ".join(["w"] * 33)),
        ("limit", "0"),
        ("limit", "-1"),
        ("limit", "1.5"),
        ("limit", "ten"),
        ("limit", ""),
        ("limit", "٣"),
        ("limit", "²"),
        ("limit", "1_0"),
        ("limit", "9" * 1000),
        ("order", "newest"),
        ("order", ""),
        ("cursor", ""),
        ("cursor", "not ours"),
        ("cursor", "ä"),
        ("cursor", encode_cursor(NOW, 1)[:-1]),
        ("cursor", encode_cursor(NOW, 1) + "AAAA"),
        ("cursor", "Aw" + encode_cursor(NOW, 1)[2:]),
        ("cursor", "AX" + "_" * 21),
    ],
)
def test_a_bad_value_is_named_by_its_parameter(field: str, value: str) -> None:
    assert problem((field, value)).field == field


def test_as_many_values_and_words_as_allowed_are_taken() -> None:
    services = parse(service=",".join(["s"] * 100)).services
    words = parse(q=" ".join(["w"] * 32)).words
    assert services is not None
    assert words is not None
    assert (len(services), len(words)) == (100, 32)
    assert parse(host="h" * 1024).hosts == ("h" * 1024,)


@pytest.mark.parametrize("field", ["start", "end", "min_level", "limit", "order", "cursor", "q"])
def test_what_has_one_value_must_come_once(field: str) -> None:
    assert problem((field, "now"), (field, "now")).message == "must be given once"


def test_an_unknown_parameter_is_named_with_the_one_that_was_meant() -> None:
    assert problem(sevice="x").message == "is not a parameter of this resource; did you mean service?"
    assert "known: start, end, level" in problem(xyzzy="x").message


def test_the_start_lies_before_the_end() -> None:
    assert problem(start="now", end="now").field == "start"
    assert problem(start="-1h", end="-2h").field == "start"


def test_a_cursor_survives_the_way_through_a_url() -> None:
    for row_id in (0, 1, 2**63 - 1):
        for ts in (datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC), NOW):
            text = encode_cursor(ts, row_id)
            assert text.replace("-", "").replace("_", "").isalnum()
            assert parse(cursor=text).after == (ts, row_id)


@pytest.mark.parametrize("value", ["' OR 1=1 --", "%", "_", "\\", '"; DROP TABLE logs; --', "$1", "{}"])
@pytest.mark.parametrize("field", ["service", "host", "trace_id", "q"])
def test_texts_are_taken_as_they_are(field: str, value: str) -> None:
    taken: Any = getattr(parse((field, value)), {"q": "words"}.get(field, field + "s"))
    assert " ".join(taken) == value
