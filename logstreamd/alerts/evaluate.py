"""One evaluation of one rule: where it stood, the time and what was measured → where it stands, and what changed.

Nothing is read and nobody is told here; ``now`` is an argument, and it may be any time:

- After a pause the time passed: ``for`` and ``keep_firing_for`` went on, and the evaluations that were due are counted
  as missed. After more than :data:`OUTAGE_TOLERANCE` without a measurement nobody knows whether a pending condition
  held all the while, so its ``for`` begins anew.
- When the clock was put back, the instants that run (``active_at``, ``cleared_at``) are put back with it: what had been
  pending for two minutes still is. What others were told (``fired_at``, ``resolved_at``) stays.
- A measurement that failed changes no alert.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeAlias

from logstreamd.alerts.condition import Verdict
from logstreamd.alerts.measure import Answer
from logstreamd.alerts.rule import Rule
from logstreamd.alerts.state import AlertState, Evaluation, Instance, RuleState, Transition

__all__ = ["OUTAGE_TOLERANCE", "PROBLEM_MAX_CHARS", "RESOLVED_KEPT", "carry_over", "evaluate", "fail", "retire"]

OUTAGE_TOLERANCE = timedelta(hours=1)
"""Prometheus' default for the same."""
RESOLVED_KEPT = timedelta(minutes=15)
"""As long as Prometheus tells its Alertmanager that an alert has resolved."""
PROBLEM_MAX_CHARS = 500
"""A database's message may quote the whole question."""

_Step: TypeAlias = tuple[Instance | None, Instance]
"""An alert before (None: there was none) and after."""


def evaluate(rule: Rule, state: RuleState, now: datetime, answer: Answer) -> Evaluation:
    """Evaluate a rule.

    Args:
        rule: the rule.
        state: where it stood.
        now: the instant of the evaluation.
        answer: to ``measurement_of(rule, now, …)``.

    Returns:
        Where it stands, and every alert whose state changed, once. When not all groups were measured, the alerts of
        those that are missing stay as they are.
    """
    state = _at(rule, state, now)
    judged = {one.group: rule.condition.judge(one, rule.over) for one in answer.measured}
    holding = {group: verdict for group, verdict in judged.items() if verdict.holds}
    steps: list[_Step] = list(_advanced(rule, state.instances, judged, now, cut=answer.cut))
    living = {after.group for _, after in steps if after.state in ("pending", "firing")}
    news = sorted(holding.keys() - living, key=lambda group: (-holding[group].value, group))
    room = max(0, rule.limit - len(living))
    steps += [(None, _begun(rule, group, holding[group], now)) for group in news[:room]]
    after = replace(
        state,
        instances=tuple(_kept(rule, (after for _, after in steps), now)),
        measured_at=now,
        problem="",
        left_out=len(news) - len(news[:room]),
        cut=answer.cut,
    )
    return Evaluation(after, tuple(_transitions(rule, steps, now)))


def fail(rule: Rule, state: RuleState, now: datetime, problem: str) -> RuleState:
    """Return where a rule stands when nothing could be measured: all alerts as they were, and unhealthy."""
    return replace(_at(rule, state, now), problem=problem[:PROBLEM_MAX_CHARS] or "nothing could be measured")


def retire(rule: Rule, state: RuleState, now: datetime) -> Evaluation:
    """Return what becomes of a rule that is evaluated no more: what fires is resolved, what is pending is not."""
    steps: list[_Step] = [(one, _ended(one, now)) for one in state.instances if one.state in ("pending", "firing")]
    return Evaluation(RuleState(), tuple(_transitions(rule, steps, now)))


def carry_over(old: Rule, new: Rule, state: RuleState, now: datetime) -> Evaluation:
    """Return what becomes of a rule's state when the rule was written anew.

    Alerts live on when they are still identified by the same labels; otherwise they are retired.
    """
    if old.by == new.by and old.labels == new.labels:
        return Evaluation(state)
    return retire(old, state, now)


def _at(rule: Rule, state: RuleState, now: datetime) -> RuleState:
    """Return the state with the time moved on, or back, to ``now``."""
    if state.attempted_at is None:
        return replace(state, attempted_at=now)
    passed = now - state.attempted_at
    if passed < timedelta():
        return replace(_put_back(state, passed), attempted_at=now)
    # Half an interval late is late; from then on it is another one's turn.
    missed = max(0, round(passed / rule.interval) - 1)
    state = replace(state, attempted_at=now, missed=state.missed + missed)
    if state.measured_at is not None and now - state.measured_at > max(OUTAGE_TOLERANCE, 2 * rule.interval):
        return replace(state, instances=tuple(_pending_anew(state.instances, now)))
    return state


def _put_back(state: RuleState, by: timedelta) -> RuleState:
    moved = (
        replace(one, active_at=one.active_at + by, cleared_at=one.cleared_at and one.cleared_at + by)
        for one in state.instances
    )
    return replace(state, instances=tuple(moved), measured_at=state.measured_at and state.measured_at + by)


def _pending_anew(instances: Iterable[Instance], now: datetime) -> Iterator[Instance]:
    for one in instances:
        yield replace(one, active_at=now) if one.state == "pending" else one


def _advanced(
    rule: Rule,
    instances: Iterable[Instance],
    judged: Mapping[tuple[str, ...], Verdict],
    now: datetime,
    *,
    cut: bool,
) -> Iterator[_Step]:
    """Yield each alert before and after."""
    for one in instances:
        verdict = judged.get(one.group)
        if one.state == "resolved" or (verdict is None and cut):
            yield one, one
        elif verdict is not None and verdict.holds:
            yield one, _held(rule, replace(one, value=verdict.value, cleared_at=None), now)
        else:
            yield one, _cleared(rule, one, now)


def _begun(rule: Rule, group: tuple[str, ...], verdict: Verdict, now: datetime) -> Instance:
    return _held(rule, Instance(group, "pending", now, verdict.value), now)


def _held(rule: Rule, one: Instance, now: datetime) -> Instance:
    if one.state == "pending" and now - one.active_at >= rule.for_:
        return replace(one, state="firing", fired_at=now)
    return one


def _cleared(rule: Rule, one: Instance, now: datetime) -> Instance:
    cleared_at = one.cleared_at or now
    if one.state == "firing" and now - cleared_at < rule.keep_firing_for:
        return replace(one, cleared_at=cleared_at)
    return _ended(one, now)


def _ended(one: Instance, now: datetime) -> Instance:
    if one.fired_at is None:
        return replace(one, state="inactive")
    # Where the clock was put back, nothing ends before it began.
    return replace(one, state="resolved", cleared_at=None, resolved_at=max(now, one.fired_at))


def _kept(rule: Rule, instances: Iterable[Instance], now: datetime) -> Iterator[Instance]:
    """Yield what is kept: the living, and of the resolved the newest as many as the rule may have alerts."""
    resolved: list[tuple[datetime, Instance]] = []
    living = set()
    for one in instances:
        if one.resolved_at is not None:
            resolved.append((one.resolved_at, one))
        elif one.state != "inactive":
            living.add(one.group)
            yield one
    resolved.sort(key=lambda pair: (pair[0], pair[1].group), reverse=True)
    for resolved_at, one in resolved[: rule.limit]:
        if one.group not in living and now - resolved_at < RESOLVED_KEPT:
            yield one


def _transitions(rule: Rule, steps: Iterable[tuple[Instance | None, Instance]], now: datetime) -> Iterator[Transition]:
    for before, after in steps:
        state: AlertState = before.state if before else "inactive"
        if state != after.state:
            labels = rule.labels_of(after.group)
            yield Transition(rule.alert, state, after, now, labels, rule.annotations_of(labels, after.value))
