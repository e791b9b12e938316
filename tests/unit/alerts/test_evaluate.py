"""The life of an alert: every transition at the instant it is due, and none without reason."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from logstreamd.alerts.aggregate import Measured
from logstreamd.alerts.condition_text import read_condition
from logstreamd.alerts.evaluate import PROBLEM_MAX_CHARS, RESOLVED_KEPT, carry_over, evaluate, fail, retire
from logstreamd.alerts.group_key import read_group_key
from logstreamd.alerts.measure import Answer
from logstreamd.alerts.rule import Rule
from logstreamd.alerts.state import Evaluation, RuleState, alert_of
from logstreamd.alerts.template import read_template

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
RULE = Rule(
    alert="Many",
    condition=read_condition("count > 10"),
    over=timedelta(minutes=5),
    by=(read_group_key("service"),),
    for_=timedelta(minutes=2),
    labels={"severity": read_template("page", ())},
    annotations={"summary": read_template("{{ $labels.service }}: {{ $value }}", ["service"])},
)
AT_ONCE = replace(RULE, for_=timedelta())


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def answer(cut: bool = False, **counts: int) -> Answer:
    return Answer(tuple(Measured((name,), count, count) for name, count in counts.items()), cut)


def run(rule: Rule, steps: Iterable[tuple[float, Answer]], state: RuleState | None = None) -> list[Evaluation]:
    """Evaluate at some minutes, one after the other."""
    found = []
    state = state or RuleState()
    for minutes, measured in steps:
        found.append(evaluate(rule, state, at(minutes), measured))
        state = found[-1].state
    return found


def changes(evaluations: Iterable[Evaluation]) -> list[tuple[float, str, str, str]]:
    """Return every transition: minute, group, before, after."""
    return [
        ((one.at - NOON) / timedelta(minutes=1), one.instance.group[0], one.before, one.after)
        for evaluation in evaluations
        for one in evaluation.transitions
    ]


def test_an_alert_fires_once_the_condition_has_held_for_long_enough() -> None:
    done = run(RULE, [(minute, answer(shop=11)) for minute in range(5)])
    assert changes(done) == [(0, "shop", "inactive", "pending"), (2, "shop", "pending", "firing")]


def test_without_for_it_fires_at_once() -> None:
    assert changes(run(AT_ONCE, [(0, answer(shop=11))])) == [(0, "shop", "inactive", "firing")]


def test_a_condition_that_stops_to_hold_in_time_is_forgotten() -> None:
    done = run(RULE, [(0, answer(shop=11)), (1, answer(shop=10)), (2, answer(shop=11)), (3, answer(shop=11))])
    assert changes(done) == [
        (0, "shop", "inactive", "pending"), (1, "shop", "pending", "inactive"), (2, "shop", "inactive", "pending"),
    ]  # fmt: skip


def test_an_alert_is_resolved_when_its_condition_stops_to_hold() -> None:
    done = run(AT_ONCE, [(0, answer(shop=11)), (1, answer(shop=10))])
    assert changes(done)[1:] == [(1, "shop", "firing", "resolved")]


def test_a_group_that_is_no_more_is_resolved() -> None:
    assert changes(run(AT_ONCE, [(0, answer(shop=11)), (1, answer())]))[1:] == [(1, "shop", "firing", "resolved")]


def test_an_alert_goes_on_firing_for_a_while() -> None:
    rule = replace(AT_ONCE, keep_firing_for=timedelta(minutes=2))
    done = run(rule, [(0, answer(shop=11)), (1, answer()), (2, answer()), (3, answer()), (4, answer())])
    assert changes(done)[1:] == [(3, "shop", "firing", "resolved")]


def test_while_it_goes_on_firing_the_condition_may_hold_again() -> None:
    rule = replace(AT_ONCE, keep_firing_for=timedelta(minutes=2))
    steps = [(0, answer(shop=11)), (1, answer()), (2, answer(shop=12)), (3, answer()), (4, answer()), (5, answer())]
    assert changes(run(rule, steps))[1:] == [(5, "shop", "firing", "resolved")]


def test_groups_are_judged_each_by_itself() -> None:
    done = run(AT_ONCE, [(0, answer(shop=11, blog=5)), (1, answer(shop=11, blog=20)), (2, answer(shop=1, blog=20))])
    assert changes(done) == [
        (0, "shop", "inactive", "firing"), (1, "blog", "inactive", "firing"), (2, "shop", "firing", "resolved"),
    ]  # fmt: skip


def test_a_transition_says_who_and_how_much() -> None:
    (evaluation,) = run(AT_ONCE, [(0, answer(shop=11))])
    (transition,) = evaluation.transitions
    assert (transition.alert, transition.instance.value) == ("Many", 11)
    assert transition.labels == {"alertname": "Many", "service": "shop", "severity": "page"}
    assert transition.annotations == {"summary": "shop: 11"}


def test_what_is_told_of_a_resolved_alert_is_the_value_that_last_held() -> None:
    done = run(AT_ONCE, [(0, answer(shop=11)), (1, answer(shop=15)), (2, answer(shop=3))])
    (instance,) = done[-1].state.instances
    alert = alert_of(AT_ONCE, instance)
    assert (alert.status, alert.value, alert.annotations) == ("resolved", 15, {"summary": "shop: 15"})
    assert (alert.starts_at, alert.ends_at) == (at(0), at(2))


def test_a_pending_alert_is_told_to_nobody() -> None:
    (evaluation,) = run(RULE, [(0, answer(shop=11))])
    with pytest.raises(ValueError, match="pending is told to nobody"):
        alert_of(RULE, evaluation.state.instances[0])


def test_a_resolved_alert_is_kept_for_a_while() -> None:
    kept = RESOLVED_KEPT / timedelta(minutes=1)
    done = run(AT_ONCE, [(0, answer(shop=11)), (1, answer()), (kept + 0.9, answer()), (kept + 1, answer())])
    assert [len(one.state.instances) for one in done] == [1, 1, 1, 0]


def test_a_resolved_alert_that_comes_again_is_a_new_one() -> None:
    done = run(AT_ONCE, [(0, answer(shop=11)), (1, answer()), (2, answer(shop=12))])
    assert changes(done)[2:] == [(2, "shop", "inactive", "firing")]
    (instance,) = done[-1].state.instances
    assert (instance.state, instance.fired_at, instance.resolved_at) == ("firing", at(2), None)


def test_a_rule_is_as_bad_as_its_worst_alert() -> None:
    states = [
        one.state.state for one in run(RULE, [(0, answer(shop=11)), (2, answer(shop=11, blog=11)), (3, answer())])
    ]
    assert states == ["pending", "firing", "inactive"]


def test_more_groups_than_the_rule_may_have_alerts_are_left_out_and_told() -> None:
    rule = replace(AT_ONCE, limit=2)
    done = run(rule, [(0, answer(a=11)), (1, answer(a=11, b=12, c=13, d=14)), (2, answer(b=12, c=13))])
    assert changes(done) == [
        (0, "a", "inactive", "firing"), (1, "d", "inactive", "firing"),
        (2, "a", "firing", "resolved"), (2, "d", "firing", "resolved"),
        (2, "c", "inactive", "firing"), (2, "b", "inactive", "firing"),
    ]  # fmt: skip
    assert [one.state.left_out for one in done] == [0, 2, 0]


def test_no_more_resolved_alerts_are_kept_than_the_rule_may_have() -> None:
    rule = replace(AT_ONCE, limit=2)
    done = run(rule, [(0, answer(a=11, b=11)), (1, answer(c=11, d=11)), (2, answer())])
    assert [one.group for one in done[-1].state.instances] == [("d",), ("c",)]


def test_what_a_cut_answer_does_not_name_stays_as_it_is() -> None:
    steps = [(0, answer(a=11, b=11)), (1, answer(cut=True, a=11)), (2, answer(cut=True, b=5)), (3, answer(a=11))]
    done = run(AT_ONCE, steps)
    assert changes(done)[2:] == [(2, "b", "firing", "resolved")]
    assert [one.state.cut for one in done] == [False, True, True, False]


def test_a_failure_changes_no_alert_and_is_told() -> None:
    (before,) = run(RULE, [(0, answer(shop=11))])
    failed = fail(RULE, before.state, at(1), "x" * (PROBLEM_MAX_CHARS + 1))
    assert failed.instances == before.state.instances
    assert failed.problem == "x" * PROBLEM_MAX_CHARS
    (after,) = run(RULE, [(2, answer(shop=11))], failed)
    assert changes([after]) == [(2, "shop", "pending", "firing")]
    assert after.state.problem == ""


def test_an_evaluation_in_vain_is_not_a_missed_one() -> None:
    (before,) = run(RULE, [(0, answer())])
    failed = fail(RULE, before.state, at(1), "away")
    (after,) = run(RULE, [(2, answer())], failed)
    assert after.state.missed == 0


@pytest.mark.parametrize(("pause", "missed"), [(1, 0), (1.4, 0), (1.6, 1), (2, 1), (10, 9)])
def test_missed_evaluations_are_counted(pause: float, missed: int) -> None:
    done = run(RULE, [(0, answer()), (pause, answer())])
    assert done[-1].state.missed == missed


def test_for_goes_on_through_a_pause() -> None:
    done = run(RULE, [(0, answer(shop=11)), (10, answer(shop=11))])
    assert changes(done)[1:] == [(10, "shop", "pending", "firing")]


def test_for_begins_anew_after_a_long_pause() -> None:
    done = run(RULE, [(0, answer(shop=11)), (61, answer(shop=11)), (62, answer(shop=11)), (63, answer(shop=11))])
    assert changes(done)[1:] == [(63, "shop", "pending", "firing")]


def test_for_begins_anew_after_long_failures() -> None:
    (state,) = (one.state for one in run(RULE, [(0, answer(shop=11))]))
    for minute in range(1, 61):
        state = fail(RULE, state, at(minute), "away")
    done = run(RULE, [(61, answer(shop=11)), (63, answer(shop=11))], state)
    assert changes(done) == [(63, "shop", "pending", "firing")]


def test_an_alert_fires_on_through_a_long_pause() -> None:
    assert changes(run(AT_ONCE, [(0, answer(shop=11)), (600, answer(shop=11))])) == [(0, "shop", "inactive", "firing")]


def test_a_clock_that_is_put_back_neither_shortens_nor_prolongs_for() -> None:
    done = run(RULE, [(0, answer(shop=11)), (1, answer(shop=11)), (-60, answer(shop=11)), (-59, answer(shop=11))])
    assert changes(done)[1:] == [(-59, "shop", "pending", "firing")]


def test_a_clock_that_is_put_back_does_not_prolong_keep_firing_for() -> None:
    rule = replace(AT_ONCE, keep_firing_for=timedelta(minutes=2))
    done = run(rule, [(0, answer(shop=11)), (1, answer()), (2, answer()), (-60, answer()), (-59, answer())])
    assert changes(done)[1:] == [(-59, "shop", "firing", "resolved")]


def test_no_alert_ends_before_it_began() -> None:
    done = run(AT_ONCE, [(0, answer(shop=11)), (-60, answer())])
    (instance,) = done[-1].state.instances
    assert (instance.fired_at, instance.resolved_at) == (at(0), at(0))


def test_a_clock_that_is_put_back_misses_nothing() -> None:
    done = run(RULE, [(0, answer()), (-60, answer()), (-59, answer())])
    assert done[-1].state.missed == 0


def test_a_rule_that_is_taken_away_resolves_what_fires() -> None:
    (state,) = (one.state for one in run(replace(AT_ONCE, limit=1), [(0, answer(shop=11))]))
    (pending,) = (one.state for one in run(RULE, [(0, answer(blog=11))]))
    both = replace(state, instances=(*state.instances, *pending.instances))
    done = retire(RULE, both, at(1))
    assert changes([done]) == [(1, "shop", "firing", "resolved"), (1, "blog", "pending", "inactive")]
    assert done.state == RuleState()


def test_a_rule_that_is_written_anew_keeps_its_alerts_while_their_labels_stay() -> None:
    (state,) = (one.state for one in run(AT_ONCE, [(0, answer(shop=11))]))
    stricter = replace(AT_ONCE, condition=read_condition("count > 20"))
    assert carry_over(AT_ONCE, stricter, state, at(1)) == Evaluation(state)
    labelled = replace(AT_ONCE, labels={"severity": read_template("info", ())})
    moved = carry_over(AT_ONCE, labelled, state, at(1))
    assert changes([moved]) == [(1, "shop", "firing", "resolved")]
    assert moved.transitions[0].labels["severity"] == "page"
