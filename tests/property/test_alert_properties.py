"""What holds of every alert, whatever is measured and whenever: it fires in time, once, and over any restart."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from logstreamd.alerts.aggregate import Measured
from logstreamd.alerts.condition_text import read_condition
from logstreamd.alerts.evaluate import evaluate, fail
from logstreamd.alerts.group_key import read_group_key
from logstreamd.alerts.measure import Answer, measurement_of
from logstreamd.alerts.measure_rows import RowMeasurer
from logstreamd.alerts.rule import Rule
from logstreamd.alerts.snapshot import restore, snapshot
from logstreamd.alerts.state import RuleState, Transition

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
GROUPS = ("a", "b", "c")
LEGAL = {
    ("inactive", "pending"), ("inactive", "firing"), ("pending", "inactive"), ("pending", "firing"),
    ("firing", "resolved"),
}  # fmt: skip
COLUMNS: dict[str, Any] = dict.fromkeys(("service", "host", "trace_id", "attrs", "proc_id", "msg_id", "peer"))

RULES = st.builds(
    Rule,
    alert=st.just("Many"),
    condition=st.just(read_condition("count > 10")),
    over=st.just(timedelta(minutes=5)),
    by=st.just((read_group_key("service"),)),
    for_=st.integers(0, 4).map(lambda minutes: timedelta(minutes=minutes)),
    keep_firing_for=st.integers(0, 4).map(lambda minutes: timedelta(minutes=minutes)),
    limit=st.sampled_from([1, 2, 10]),
)
COUNTS = st.dictionaries(st.sampled_from(GROUPS), st.integers(9, 13), max_size=len(GROUPS))
ANSWERS = st.builds(
    lambda counts, cut: Answer(tuple(Measured((name,), count, count) for name, count in counts.items()), cut),
    COUNTS,
    st.booleans(),
)
STEPS = st.lists(st.one_of(ANSWERS, st.none()), max_size=25)
"""What each evaluation is answered; None: it fails."""


def step(
    rule: Rule, state: RuleState, now: datetime, answer: Answer | None
) -> tuple[RuleState, tuple[Transition, ...]]:
    if answer is None:
        return fail(rule, state, now, "away"), ()
    evaluation = evaluate(rule, state, now, answer)
    return evaluation.state, evaluation.transitions


def run(rule: Rule, times: Sequence[datetime], answers: Sequence[Answer | None]) -> Iterator[Transition]:
    state = RuleState()
    for now, answer in zip(times, answers, strict=True):
        state, transitions = step(rule, state, now, answer)
        yield from transitions


def minutes(count: int) -> list[datetime]:
    return [NOON + timedelta(minutes=minute) for minute in range(count)]


def held_since(answers: Sequence[Answer | None], group: str, index: int) -> int:
    """Return since which evaluation the group's condition has held, as far as anyone could know, up to one."""
    first = index
    for earlier in range(index, -1, -1):
        answer = answers[earlier]
        count = None if answer is None else next((one.value for one in answer.measured if one.group == (group,)), None)
        known = answer is not None and (count is not None or not answer.cut)
        if known and not (count is not None and count > 10):
            break
        if count is not None:
            first = earlier
    return first


@given(rule=RULES, answers=STEPS)
def test_no_alert_fires_before_its_condition_has_held_for_long_enough(rule: Rule, answers: list[Answer | None]) -> None:
    times = minutes(len(answers))
    for one in run(rule, times, answers):
        if one.after == "firing":
            since = held_since(answers, one.instance.group[0], times.index(one.at))
            assert one.at - times[since] >= rule.for_


@given(rule=RULES, answers=STEPS, jumps=st.lists(st.integers(-7_200, 7_200), min_size=25, max_size=25))
def test_every_change_is_legal_and_follows_the_one_before_whatever_the_clock_does(
    rule: Rule, answers: list[Answer | None], jumps: list[int]
) -> None:
    times = [NOON + timedelta(seconds=sum(jumps[:index])) for index in range(len(answers))]
    states = dict.fromkeys(GROUPS, "inactive")
    for one in run(rule, times, answers):
        assert (one.before, one.after) in LEGAL
        (group,) = one.instance.group
        assert one.before == ("inactive" if states[group] == "resolved" else states[group])
        assert one.instance.resolved_at is None or one.instance.resolved_at >= (one.instance.fired_at or one.at)
        states[group] = one.after


@given(rule=RULES, answers=STEPS)
def test_no_more_alerts_live_than_the_rule_may_have(rule: Rule, answers: list[Answer | None]) -> None:
    state = RuleState()
    for now, answer in zip(minutes(len(answers)), answers, strict=True):
        state, _ = step(rule, state, now, answer)
        living = [one for one in state.instances if one.state in ("pending", "firing")]
        assert len(living) <= rule.limit
        assert len(state.instances) <= 2 * rule.limit
        assert len({one.group for one in state.instances}) == len(state.instances)


@given(rule=RULES, answers=STEPS, restart=st.integers(0, 24))
def test_a_restart_at_any_step_changes_nothing(rule: Rule, answers: list[Answer | None], restart: int) -> None:
    straight, restarted = RuleState(), RuleState()
    for index, (now, answer) in enumerate(zip(minutes(len(answers)), answers, strict=True)):
        if index == restart:
            restarted = restore(rule, json.loads(json.dumps(snapshot(rule, restarted))))
        before = step(rule, straight, now, answer)
        after = step(rule, restarted, now, answer)
        assert before == after
        straight, restarted = before[0], after[0]


def spans_above(times: Sequence[float], over: float, threshold: int) -> list[tuple[float, float]]:
    """Return when more lines than the threshold lie in the window: behind the first instant, up to the second."""
    # A line is seen by windows that end behind it, for as long as the window is.
    changes = sorted([(time, 1) for time in times] + [(time + over, -1) for time in times])
    spans: list[tuple[float, float]] = []
    count = 0
    for instant, change in changes:
        before, count = count, count + change
        if before <= threshold < count:
            begin = spans.pop()[0] if spans and spans[-1][1] == instant else instant
        elif count <= threshold < before:
            spans.append((begin, instant))
    return spans


@given(
    times=st.lists(st.integers(0, 1_800), max_size=60),
    threshold=st.integers(0, 5),
    wait=st.sampled_from([0, 30, 60]),
    interval=st.sampled_from([5, 15, 60]),
    offset=st.floats(0, 1, exclude_max=True),
)
def test_an_alert_fires_and_resolves_within_two_intervals_of_the_truth(
    times: list[int], threshold: int, wait: int, interval: int, offset: float
) -> None:
    spans = spans_above(times, 120, threshold)
    # What happens between two evaluations nobody sees.
    assume(all(later[0] - earlier[1] >= interval for earlier, later in pairwise(spans)))
    rule = Rule(
        "Many",
        read_condition(f"count > {threshold}"),
        over=timedelta(seconds=120),
        for_=timedelta(seconds=wait),
        interval=timedelta(seconds=interval),
    )
    rows = [{**COLUMNS, "ts": NOON + timedelta(seconds=time), "severity": 6, "message": ""} for time in times]
    measurer, state = RowMeasurer(rows), RuleState()
    fired: list[float] = []
    resolved: list[float] = []
    for number in range(2_200 // interval):
        now = NOON + timedelta(seconds=(number + offset) * interval)
        evaluation = evaluate(rule, state, now, measurer.measure(measurement_of(rule, now)))
        state = evaluation.state
        for one in evaluation.transitions:
            kind = {"firing": fired, "resolved": resolved}.get(one.after)
            if kind is not None:
                kind.append((now - NOON).total_seconds())
    assert len(fired) == len(resolved) <= len(spans)
    for begin, end in spans:
        if end - begin >= wait + 2 * interval:
            assert any(begin + wait < instant <= begin + wait + 2 * interval for instant in fired), "missed or late"
    for instant in fired:
        assert any(begin + wait < instant <= end for begin, end in spans), "too early"
    for instant in resolved:
        assert any(end < instant <= end + 2 * interval for _, end in spans), "too early or too late"
