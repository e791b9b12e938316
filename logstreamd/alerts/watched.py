"""Rules that are being watched: each with where it stands, in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from logstreamd.alerts.alert import Alert
from logstreamd.alerts.journal import Kept, Living
from logstreamd.alerts.records import living_of, state_row
from logstreamd.alerts.rule import Rule, RuleGroup
from logstreamd.alerts.schedule import offset_of
from logstreamd.alerts.snapshot import SnapshotError, restore
from logstreamd.alerts.state import AlertState, Instance, RuleState, alert_of

__all__ = ["Roster", "Samples", "Watched", "WatchedGroup"]

_log = structlog.get_logger(__name__)

Samples = tuple[Mapping[str, Any], ...]
"""Log lines as the API shows them, newest first."""


@dataclass(slots=True, eq=False)
class Watched:
    """One rule.

    Attributes:
        rule: as it was written.
        state: where it stands.
        samples: the lines that prove its alerts, by group.
        handed_over: whether the outbox has what changed last.
        dirty: whether the journal does not have all of this.
        marked: whether the journal still says that the notifiers have not been told everything.
        busy: whether it is being evaluated, or waits for its turn.
        slow: whether the last evaluation took so long that others should not have to wait for the next one.
        seconds: how long the last evaluation took.
    """

    rule: Rule
    state: RuleState = field(default_factory=RuleState)
    samples: dict[tuple[str, ...], Samples] = field(default_factory=dict)
    handed_over: bool = True
    dirty: bool = False
    marked: bool = False
    busy: bool = False
    slow: bool = False
    seconds: float = 0.0

    def accept(self, state: RuleState, samples: Mapping[tuple[str, ...], Samples]) -> None:
        """Take over what an evaluation found; of lines, those of alerts that fire."""
        self.state = state
        firing = {one.group for one in state.instances if one.state == "firing"}
        known = {**self.samples, **samples}
        self.samples = {group: known[group] for group in firing & known.keys()}
        self.dirty = True

    def adopt(self, kept: Kept) -> tuple[Living, ...]:
        """Go on where the rule stood; return the alerts that are not the rule's any more.

        Evaluations that failed since then have been made: they do not count as missed.
        """
        try:
            state = restore(self.rule, kept.state)
        except SnapshotError as problem:
            _log.error("where a rule stood can't be read; it begins anew", rule=self.rule.alert, problem=str(problem))
            state = RuleState()
        self.state = _not_older(state, self.state)
        self.handed_over, self.dirty, self.marked = kept.handed_over, False, not kept.handed_over
        ours = {_identity(self.rule.labels_of(one.group)): one for one in state.instances}
        self.samples = {}
        strangers = []
        for alert in kept.alerts:
            instance = ours.get(_identity(alert.labels))
            if instance is None:
                strangers.append(alert)
            elif alert.samples:
                self.samples[instance.group] = alert.samples
        return tuple(strangers)

    def row(self, state: RuleState | None = None, *, handed_over: bool | None = None) -> dict[str, Any]:
        """Return what the journal keeps: of now, or of what will be."""
        return state_row(
            self.rule,
            self.state if state is None else state,
            handed_over=self.handed_over if handed_over is None else handed_over,
        )

    def kept(self) -> Kept:
        """Return where it stands as if the journal had kept it."""
        seconds = self.rule.interval.total_seconds()
        alerts = tuple(self.living())
        return Kept(self.rule.alert, self.row()["state"], alerts, self.rule.notify, seconds, self.handed_over)

    def alert(self, instance: Instance, generator_url: str = "") -> Alert:
        """Return what is told about one of its alerts."""
        samples = self.samples.get(instance.group, ())
        return alert_of(self.rule, instance, samples=samples, generator_url=generator_url)

    def living(self) -> Iterator[Living]:
        """Yield its alerts that are pending or fire, as people see them."""
        for one in self.state.instances:
            if one.state in ("pending", "firing"):
                yield living_of(self.rule, one, self.samples.get(one.group, ()))


@dataclass(slots=True, eq=False)
class WatchedGroup:
    """A group of rules that are evaluated at the same instants.

    Attributes:
        group: as it was written.
        rules: in their order.
        evaluated: the instant of the last evaluation.
    """

    group: RuleGroup
    rules: tuple[Watched, ...]
    evaluated: datetime | None = None
    offset: timedelta = field(init=False)

    def __post_init__(self) -> None:
        self.offset = offset_of(self.group.name, self.group.interval)

    def resume(self) -> None:
        """Go on behind the evaluation that all rules had."""
        attempts = [one.state.attempted_at for one in self.rules]
        self.evaluated = min((one for one in attempts if one is not None), default=None) if all(attempts) else None


class Roster:
    """The groups that are watched at the moment.

    Args:
        groups: as they were written.
    """

    def __init__(self, groups: Iterable[RuleGroup]) -> None:
        self.groups = _watch(groups)

    @property
    def rules(self) -> list[Watched]:
        """All rules, in their order."""
        return [one for group in self.groups for one in group.rules]

    def replace(self, groups: Iterable[RuleGroup]) -> None:
        """Watch other groups. A rule whose alerts are still the same stands where it stood."""
        earlier = {one.rule.alert: one for one in self.rules}
        self.groups = _watch(groups)
        for watched in self.rules:
            if old := earlier.get(watched.rule.alert):
                watched.adopt(old.kept())

    def count(self, state: AlertState) -> int:
        """Return how many alerts are in a state."""
        return sum(one.state == state for watched in self.rules for one in watched.state.instances)

    def unhealthy(self) -> list[Watched]:
        """Return the rules whose last evaluation failed."""
        return [one for one in self.rules if one.state.problem]


def _watch(groups: Iterable[RuleGroup]) -> tuple[WatchedGroup, ...]:
    return tuple(WatchedGroup(group, tuple(Watched(rule) for rule in group.rules)) for group in groups)


def _not_older(kept: RuleState, known: RuleState) -> RuleState:
    """Return what was kept, with the times of later evaluations that are known to have been made."""
    if known.attempted_at is None or kept.attempted_at is None or kept.attempted_at >= known.attempted_at:
        return kept
    missed = max(known.missed, kept.missed)
    return replace(kept, attempted_at=known.attempted_at, measured_at=known.measured_at, missed=missed)


def _identity(labels: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    return frozenset(labels.items())
