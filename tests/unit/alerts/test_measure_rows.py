"""Measurements of rows in memory, and the questions rules ask."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from logstreamd.alerts import measure_rows
from logstreamd.alerts.aggregate import Aggregate, Distinct, Lines, Measured, Share, Silence, Windows
from logstreamd.alerts.condition_text import read_condition
from logstreamd.alerts.group_key import read_group_key
from logstreamd.alerts.measure import Answer, Measurement, measurement_of, proof_filter
from logstreamd.alerts.measure_rows import RowMeasurer
from logstreamd.alerts.rule import Rule
from logstreamd.query.filter import matches, parse_filter
from logstreamd.query.filter.tree import EVERYTHING
from logstreamd.record import severity_from_name

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
SERVICE, HOST = read_group_key("service"), read_group_key("host")


def row(seconds: float, service: str | None = "shop", host: str | None = "web1", level: str = "info") -> dict[str, Any]:
    columns = dict.fromkeys(("trace_id", "proc_id", "msg_id", "peer", "attrs"))
    ts = NOON + timedelta(seconds=seconds)
    return {**columns, "ts": ts, "service": service, "host": host, "severity": severity_from_name(level), "message": ""}


def ask(rows: list[dict[str, Any]], aggregate: Aggregate, *by: str, query: str = "", window: int = 60) -> Answer:
    """Ask about the window that ends at noon."""
    keys = tuple(map(read_group_key, by))
    start = NOON - timedelta(seconds=window)
    return RowMeasurer(rows).measure(Measurement(aggregate, parse_filter(query), keys, start, NOON))


def test_the_begin_of_a_window_belongs_to_it_and_the_end_does_not() -> None:
    rows = [row(-60.001), row(-60), row(-0.001), row(0)]
    assert ask(rows, Lines()) == Answer((Measured((), 2, 2),))


def test_groups_come_with_most_lines_first() -> None:
    rows = [row(-1, "a"), row(-2, "c"), row(-3, "c"), row(-4, "b"), row(-5, None)]
    assert ask(rows, Lines(), "service").measured == (
        Measured(("c",), 2, 2), Measured(("",), 1, 1), Measured(("a",), 1, 1), Measured(("b",), 1, 1),
    )  # fmt: skip


def test_only_lines_that_pass_the_filter_are_measured() -> None:
    rows = [row(-1, level="error"), row(-2)]
    assert ask(rows, Lines(), "service", query="level:error").measured == (Measured(("shop",), 1, 1),)


def test_without_keys_there_is_always_one_group() -> None:
    assert ask([], Lines()) == Answer((Measured((), 0, 0),))
    assert ask([], Share(EVERYTHING)) == Answer((Measured((), 0, 0),))
    assert ask([], Silence(timedelta(hours=1))) == Answer((Measured((), 3600, 0),))
    assert ask([], Windows(2)) == Answer((Measured((), 0, 0, ()),))
    assert ask([], Lines(), "service") == Answer(())


def test_a_share_is_that_of_the_lines_of_the_group() -> None:
    rows = [row(-1, level="error"), row(-2), row(-3), row(-4), row(-5, "blog")]
    assert ask(rows, Share(parse_filter("level:error")), "service").measured == (
        Measured(("shop",), 0.25, 4), Measured(("blog",), 0, 1),
    )  # fmt: skip


def test_distinct_values_are_counted_without_the_empty_one() -> None:
    rows = [row(-1, host="a"), row(-2, host="b"), row(-3, host="b"), row(-4, host=None)]
    assert ask(rows, Distinct(HOST)).measured == (Measured((), 2, 4),)


def test_a_silence_is_measured_from_the_last_line_in_the_look_back() -> None:
    rows = [row(-600, "shop"), row(-90, "shop"), row(-3601, "blog"), row(-3600, "cart"), row(0, "shop")]
    assert ask(rows, Silence(timedelta(hours=1)), "service").measured == (
        Measured(("shop",), 90, 2), Measured(("cart",), 3600, 1),
    )  # fmt: skip


def test_earlier_windows_come_newest_first() -> None:
    rows = [row(-1)] + [row(-61)] * 2 + [row(-120)] * 3 + [row(-121)] * 4 + [row(-181)] * 5 + [row(-300)]
    assert ask(rows, Windows(3), "service").measured == (Measured(("shop",), 1, 1, (5, 4, 5)),)


def test_windows_from_before_the_first_line_of_all_are_left_out() -> None:
    rows = [row(-1, "shop"), row(-150, "blog")]
    assert ask(rows, Windows(3), "service").measured == (
        Measured(("shop",), 1, 1, (0,)), Measured(("blog",), 0, 0, (0,)),
    )  # fmt: skip


def test_more_groups_than_an_answer_holds_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure_rows, "MAX_GROUPS", 2)
    rows = [row(-1, "a"), row(-2, "b"), row(-3, "c"), row(-4, "c")]
    assert ask(rows, Lines(), "service") == Answer((Measured(("c",), 2, 2), Measured(("a",), 1, 1)), cut=True)
    assert not ask(rows[1:], Lines(), "service").cut


@pytest.mark.parametrize(
    ("condition", "aggregate", "earliest"),
    [
        ("count > 1", Lines(), 300),
        ("rate > 1/s", Lines(), 300),
        ("ratio(x) > 1%", Share(parse_filter("x")), 300),
        ("distinct(host) > 1", Distinct(HOST), 300),
        ("absent(lookback=1h)", Silence(timedelta(hours=1)), 3600),
        ("spike(windows=5)", Windows(5), 1800),
    ],
)
def test_a_rule_asks_about_a_window_that_ends_the_delay_ago(
    condition: str, aggregate: Aggregate, earliest: int
) -> None:
    rule = Rule("A", read_condition(condition), timedelta(minutes=5), parse_filter("boom"), (SERVICE,))
    asked = measurement_of(rule, NOON, timedelta(seconds=10))
    end = NOON - timedelta(seconds=10)
    assert asked == Measurement(aggregate, parse_filter("boom"), (SERVICE,), end - timedelta(minutes=5), end)
    assert asked.earliest == end - timedelta(seconds=earliest)


def test_the_lines_that_prove_an_alert_are_those_of_its_group_that_count() -> None:
    rule = Rule("A", read_condition("ratio(level>=error) > 1%"), timedelta(minutes=5), EVERYTHING, (SERVICE, HOST))
    proof = proof_filter(rule, ("shop", ""))
    assert matches(proof, row(0, "shop", None, "error"))
    assert not matches(proof, row(0, "shop", None, "info"))
    assert not matches(proof, row(0, "shop", "web1", "error"))
    assert not matches(proof, row(0, "blog", None, "error"))


def test_a_rule_about_everything_is_proved_by_every_line() -> None:
    assert proof_filter(Rule("A", read_condition("count > 1"), timedelta(minutes=5)), ()) == EVERYTHING
