"""Where a rule stands between two evaluations, and what changed in one of them.

=========== ============================================================================================
inactive    the condition does not hold; nothing is kept of it
pending     it holds, for less than ``for`` so far
firing      it has held for that long, or has stopped to hold since less than ``keep_firing_for``
resolved    it fired and holds no more; kept for a while, for those who have to be told again
=========== ============================================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias

from logstreamd.alerts.alert import Alert
from logstreamd.alerts.rule import Rule

__all__ = ["AlertState", "Evaluation", "Instance", "RuleState", "Transition", "alert_of"]

AlertState: TypeAlias = Literal["inactive", "pending", "firing", "resolved"]


@dataclass(frozen=True, slots=True)
class Instance:
    """One alert of a rule: that of one group.

    Attributes:
        group: the values of the rule's keys.
        state: where it stands.
        active_at: since when the condition holds; put back when the clock was.
        value: what was measured when it last held.
        fired_at: when it began to fire.
        cleared_at: while it fires: since when the condition holds no more; put back when the clock was.
        resolved_at: when it was resolved.
    """

    group: tuple[str, ...]
    state: AlertState
    active_at: datetime
    value: float
    fired_at: datetime | None = None
    cleared_at: datetime | None = None
    resolved_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RuleState:
    """Where a rule stands.

    Attributes:
        instances: its alerts, pending, firing or resolved.
        attempted_at: when it was last evaluated, in vain or not.
        measured_at: when it was last evaluated with success.
        missed: evaluations that should have been and were not, ever.
        problem: why the last evaluation failed; empty: it did not.
        left_out: groups whose condition held and that were more than the rule may have, in the last evaluation.
        cut: whether not all groups were measured in the last evaluation.
    """

    instances: tuple[Instance, ...] = ()
    attempted_at: datetime | None = None
    measured_at: datetime | None = None
    missed: int = 0
    problem: str = ""
    left_out: int = 0
    cut: bool = False

    @property
    def timers(self) -> frozenset[tuple[tuple[str, ...], datetime, datetime | None]]:
        """What ``for`` and ``keep_firing_for`` count from, of each alert: whoever goes on with the rule needs it."""
        living = (one for one in self.instances if one.state in ("pending", "firing"))
        return frozenset((one.group, one.active_at, one.cleared_at) for one in living)

    @property
    def state(self) -> AlertState:
        """The rule's own state: that of its worst alert."""
        states = {instance.state for instance in self.instances}
        return "firing" if "firing" in states else "pending" if "pending" in states else "inactive"


@dataclass(frozen=True, slots=True)
class Transition:
    """One alert went from one state into another.

    Attributes:
        alert: the rule's name.
        before: the state it was in.
        instance: the alert as it is now; its state is ``inactive`` when nothing is kept of it.
        at: when it was found out.
        labels: what identifies the alert.
        annotations: filled in with the value.
    """

    alert: str
    before: AlertState
    instance: Instance
    at: datetime
    labels: Mapping[str, str]
    annotations: Mapping[str, str]

    @property
    def after(self) -> AlertState:
        """The state it is in."""
        return self.instance.state


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What became of a rule."""

    state: RuleState
    transitions: tuple[Transition, ...] = ()


def alert_of(
    rule: Rule, instance: Instance, *, samples: tuple[Mapping[str, Any], ...] = (), generator_url: str = ""
) -> Alert:
    """Return what people and programs are told about an instance that fires or has resolved.

    Raises:
        ValueError: it never fired.
    """
    if instance.fired_at is None:
        raise ValueError(f"an alert of {rule.alert!r} that is {instance.state} is told to nobody")
    labels = rule.labels_of(instance.group)
    return Alert(
        status="resolved" if instance.state == "resolved" else "firing",
        labels=labels,
        annotations=rule.annotations_of(labels, instance.value),
        starts_at=instance.fired_at,
        ends_at=instance.resolved_at,
        value=instance.value,
        samples=samples,
        generator_url=generator_url,
    )
