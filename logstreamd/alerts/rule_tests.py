"""Unit tests of rules: given these lines at these times, which alerts fire when?

Time begins at :data:`BEGIN`. Every rule is evaluated there and then every interval of its group, with the window ending
at that very instant: a line at 5m is seen by the evaluations after 5m. What is expected at a time is what fires after
the last evaluation up to it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from logstreamd.alerts.alert import Alert
from logstreamd.alerts.evaluate import evaluate
from logstreamd.alerts.measure import measurement_of
from logstreamd.alerts.measure_rows import RowMeasurer
from logstreamd.alerts.rule import Rule
from logstreamd.alerts.state import RuleState, alert_of
from logstreamd.config.problems import Place

__all__ = ["BEGIN", "Expectation", "ExpectedAlert", "Failure", "RuleTest", "run_test"]

BEGIN = datetime(1970, 1, 1, tzinfo=UTC)
"""When a test begins, as in promtool."""


@dataclass(frozen=True, slots=True)
class ExpectedAlert:
    """An alert that should fire.

    Attributes:
        labels: all of them, ``alertname`` included.
        annotations: all of them; None: any.
    """

    labels: Mapping[str, str]
    annotations: Mapping[str, str] | None

    def is_met_by(self, alert: Alert) -> bool:
        """Tell whether it is this one."""
        return self.labels == alert.labels and self.annotations in (None, alert.annotations)


@dataclass(frozen=True, slots=True)
class Expectation:
    """What should fire of one rule at one time.

    Attributes:
        at: the time since the begin.
        rule: the rule.
        alerts: exactly these, in any order.
        place: where it is written.
    """

    at: timedelta
    rule: Rule
    alerts: tuple[ExpectedAlert, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class RuleTest:
    """Lines, and what should become of them."""

    name: str
    rows: tuple[Mapping[str, Any], ...]
    expectations: tuple[Expectation, ...]


@dataclass(frozen=True, slots=True)
class Failure:
    """What was expected, and what fired instead."""

    test: str
    expectation: Expectation
    got: tuple[Alert, ...]


def run_test(test: RuleTest) -> list[Failure]:
    """Run a test, and return what was not as expected."""
    measurer = RowMeasurer(test.rows)
    by_alert: dict[str, list[Expectation]] = defaultdict(list)
    for one in test.expectations:
        by_alert[one.rule.alert].append(one)
    failures = [failure for ones in by_alert.values() for failure in _failures(test.name, ones, measurer)]
    return sorted(failures, key=lambda failure: failure.expectation.place.line or 0)


def _failures(test: str, expectations: list[Expectation], measurer: RowMeasurer) -> Iterator[Failure]:
    """Yield the failures of one rule."""
    rule = expectations[0].rule
    pending = sorted(expectations, key=lambda one: one.at, reverse=True)
    for now, state in _states(rule, measurer):
        while pending and BEGIN + pending[-1].at < now + rule.interval:
            expectation = pending.pop()
            got = tuple(alert_of(rule, one) for one in state.instances if one.state == "firing")
            if not _same(expectation.alerts, got):
                yield Failure(test, expectation, got)
        if not pending:
            return


def _states(rule: Rule, measurer: RowMeasurer) -> Iterator[tuple[datetime, RuleState]]:
    """Yield where a rule stands after each evaluation, for ever."""
    state, now = RuleState(), BEGIN
    while True:
        state = evaluate(rule, state, now, measurer.measure(measurement_of(rule, now))).state
        yield now, state
        now += rule.interval


def _same(expected: Iterable[ExpectedAlert], got: Iterable[Alert]) -> bool:
    """Tell whether the alerts are those expected; no two alerts of a rule have the same labels."""
    by_labels = {frozenset(one.labels.items()): one for one in got}
    wanted = {frozenset(one.labels.items()): one for one in expected}
    return by_labels.keys() == wanted.keys() and all(one.is_met_by(by_labels[labels]) for labels, one in wanted.items())
