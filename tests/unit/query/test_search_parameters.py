from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from logstreamd.query.cursor import encode_cursor
from logstreamd.query.errors import BadParameterError
from logstreamd.query.filter import FilterError, parse_filter
from logstreamd.query.filter.tree import EVERYTHING, And, Attribute, Column, Equals, Filter, LevelIs, Or, Phrase
from logstreamd.query.scope import EARLIEST, LATEST, Scope
from logstreamd.query.search import Search, parse_search
from logstreamd.record import LEVELS, Severity

NOW = datetime(2026, 11, 22, 3, 0, 0, 0, UTC)


def parse(*given: tuple[str, str], max_rows: int = 1000, **more: str) -> Search:
    return parse_search([*given, *more.items()], now=NOW, max_rows=max_rows)


def filter_of(*given: tuple[str, str], **more: str) -> Filter:
    return parse(*given, **more).scope.filter


def problem(*given: tuple[str, str], **more: str) -> BadParameterError:
    with pytest.raises(BadParameterError) as raised:
        parse(*given, **more)
    return raised.value


def test_without_parameters_everything_is_asked_for_newest_first() -> None:
    assert parse() == Search(Scope(EARLIEST, LATEST, EVERYTHING), limit=100, order="desc", after=None)


def test_every_parameter_has_its_place() -> None:
    found = parse(
        ("tag.env", "prod"),
        start="-1h",
        end="now",
        level="error,crit",
        min_level="warn",
        service="a,b",
        host=" web-1 ",
        trace_id="t",
        q="two  words",
        limit="7",
        order="asc",
        cursor=encode_cursor(NOW, 7),
    )
    service = Column("service")
    assert found.scope == Scope(
        NOW - timedelta(hours=1),
        NOW,
        And(
            (
                Or((LevelIs("=", Severity.ERROR), LevelIs("=", Severity.CRITICAL))),
                LevelIs(">=", Severity.WARNING),
                Or((Equals(service, "a"), Equals(service, "b"))),
                Equals(Column("host"), "web-1"),
                Equals(Column("trace_id"), "t"),
                Equals(Attribute(("tags", "env")), "prod"),
                Phrase("two"),
                Phrase("words"),
            )
        ),
    )
    assert (found.limit, found.order, found.after) == (7, "asc", (NOW, 7))


def test_parameters_are_short_forms_of_the_filter_language() -> None:
    assert filter_of(service="a,b", level="error") == parse_filter("level:error service:a,b")
    assert filter_of(min_level="warn") == parse_filter("level>=warning")
    assert filter_of(("tag.env", "prod")) == parse_filter("tag.env:prod")
    assert filter_of(q="a OR b") == parse_filter("a OR b")
    assert filter_of(q="a OR b", host="h") == parse_filter("host:h (a OR b)")


def test_a_list_may_be_repeated_or_separated_by_commas() -> None:
    assert filter_of(("service", "a"), ("service", "b,c")) == parse_filter("service:a,b,c")


@pytest.mark.parametrize("level", LEVELS)
def test_a_least_level_is_read_in_any_case(level: str) -> None:
    assert filter_of(min_level=level.upper()) == parse_filter(f"level>={level}")


def test_a_filter_of_nothing_restricts_nothing() -> None:
    assert filter_of(q="") == filter_of(q="   ") == EVERYTHING


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
        ("tag.env", ""),
        ("tag.", "prod"),
        ("service", ",".join(["s"] * 101)),
        ("service", "s" * 1025),
        ("host", "nul\0"),
        ("q", "x" * 4097),
        ("q", "a\0b"),
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


@pytest.mark.parametrize(
    ("text", "column"),
    [("a OR", 5), ("(a", 3), ("level>=loud", 8), ("nosuch:x", 1), (" ".join(["w"] * 65), 129), ('"open', 1)],
)
def test_a_bad_filter_is_shown_where_it_is_wrong(text: str, column: int) -> None:
    with pytest.raises(FilterError) as raised:
        parse(q=text)
    assert raised.value.column == column


def test_as_many_values_as_allowed_are_taken() -> None:
    services = filter_of(service=",".join(["s"] * 100))
    assert isinstance(services, Or)
    assert len(services.terms) == 100
    assert filter_of(host="h" * 1024) == Equals(Column("host"), "h" * 1024)


def test_parameters_are_counted() -> None:
    assert problem(*[("service", "s")] * 201).message == "must be among the first 200 parameters"


@pytest.mark.parametrize("field", ["start", "end", "min_level", "limit", "order", "cursor", "q"])
def test_what_has_one_value_must_come_once(field: str) -> None:
    assert problem((field, "now"), (field, "now")).message == "must be given once"


def test_an_unknown_parameter_is_named_with_the_one_that_was_meant() -> None:
    assert problem(sevice="x").message == "is not a parameter of this resource; did you mean service?"
    assert "known: start, end, q, level" in problem(xyzzy="x").message
    assert "cursor, tag.NAME)" in problem(xyzzy="x").message


def test_the_start_lies_before_the_end() -> None:
    assert problem(start="now", end="now").field == "start"
    assert problem(start="-1h", end="-2h").field == "start"


def test_a_range_ends_where_the_calendar_leaves_room_for_a_step() -> None:
    assert parse(start="0001-01-01T00:00:00Z", end="9999-12-31T23:59:59Z").scope == Scope(EARLIEST, LATEST, EVERYTHING)
    assert problem(start="0001-01-01T00:00:00Z", end="0002-01-01T00:00:00Z").field == "start"


def test_a_cursor_survives_the_way_through_a_url() -> None:
    for row_id in (0, 1, 2**63 - 1):
        for ts in (datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC), NOW):
            text = encode_cursor(ts, row_id)
            assert text.replace("-", "").replace("_", "").isalnum()
            assert parse(cursor=text).after == (ts, row_id)


@pytest.mark.parametrize("value", ["' OR 1=1 --", "%", "_", "\\", '"; DROP TABLE logs; --', "$1", "{}"])
@pytest.mark.parametrize("column", ["service", "host", "trace_id"])
def test_texts_are_taken_as_they_are(column: str, value: str) -> None:
    assert filter_of((column, value)) == Equals(Column(column), value)  # type: ignore[arg-type]
