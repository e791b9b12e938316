"""Alerts that are told together, and when the next message about them is due. Pure: the time is an argument.

Times are seconds on a clock that never jumps, see ``delivery``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from logstreamd.alerts.alert import Alert

__all__ = ["Entry", "Group", "Key", "Policy", "patience_seconds"]

Key: TypeAlias = tuple[str, datetime]
"""One firing of an alert: its fingerprint, and since when. Firing again later is another one."""

# How long an alert is believed to fire without being confirmed: as Prometheus has it for endsAt, three evaluations may
# fail, and rules that are evaluated very often get four minutes.
_VOUCHED_INTERVALS = 4
_VOUCHED_INTERVAL_SECONDS = 60.0


def patience_seconds(interval_seconds: float) -> float:
    """Return for how long an alert is believed to fire when its rule is evaluated so often."""
    return _VOUCHED_INTERVALS * max(interval_seconds, _VOUCHED_INTERVAL_SECONDS)


@dataclass(frozen=True, slots=True)
class Policy:
    """How alerts become messages.

    Attributes:
        group_by: labels; None puts every alert into a group of its own.
        group_wait_seconds: from a group's first alert to its first message.
        group_interval_seconds: from a message to the next one about a change.
        repeat_interval_seconds: from a message to the next one about an unchanged group.
        messages_per_minute: beyond it groups share messages; None: every message has all that is due.
        max_alerts: alerts shown in one message; None: all.
        max_age_seconds: an alert that waited for this long is given up.
        send_resolved: whether to tell that an alert has resolved.
        repeat_resolved_seconds: how long that is repeated.
    """

    group_by: tuple[str, ...] | None = ("alertname",)
    group_wait_seconds: float = 10.0
    group_interval_seconds: float = 60.0
    repeat_interval_seconds: float = 14_400.0
    messages_per_minute: int | None = 4
    max_alerts: int | None = 50
    max_age_seconds: float = 86_400.0
    send_resolved: bool = True
    repeat_resolved_seconds: float = 0.0


@dataclass(slots=True, eq=False)
class Entry:
    """What is known about one firing of an alert.

    Attributes:
        changed_at: when it began to fire, or resolved, as far as we know.
        vouched_at: when the evaluator said last that it fires.
        waiting_since: when the first of the changes came that have not been told; None when nothing waits.
        told_at: when a message about it was delivered, or given up, last; None when it never was.
    """

    alert: Alert
    interval_seconds: float
    changed_at: float
    vouched_at: float
    waiting_since: float | None = None
    told_at: float | None = None

    @property
    def key(self) -> Key:
        """What identifies it."""
        return self.alert.fingerprint, self.alert.starts_at

    @property
    def firing(self) -> bool:
        """Whether it fires."""
        return self.alert.status == "firing"

    @property
    def withheld(self) -> bool:
        """Whether nobody was told and nobody is to be, since it is silenced."""
        return self.waiting_since is None and self.told_at is None

    def is_stale(self, now: float) -> bool:
        """Whether it is said to fire, but the evaluator has not confirmed it: another daemon may know better."""
        return self.firing and now - self.vouched_at >= patience_seconds(self.interval_seconds)

    def disown(self, now: float) -> None:
        """Believe no more that it fires, until the evaluator says so again."""
        self.vouched_at = min(self.vouched_at, now - patience_seconds(self.interval_seconds))


@dataclass(slots=True, eq=False)
class Group:
    """Alerts with the same values of the labels they are grouped by."""

    labels: dict[str, str]
    entries: dict[Key, Entry] = field(default_factory=dict)
    messaged_at: float | None = None

    def waiting(self) -> Iterator[Entry]:
        """Yield the alerts with something new about them."""
        return (entry for entry in self.entries.values() if entry.waiting_since is not None)

    def due_at(self, policy: Policy) -> float | None:
        """Return when the next message is due, None when there is nothing to say."""
        first = min((entry.waiting_since for entry in self.waiting() if entry.waiting_since is not None), default=None)
        if first is not None:
            due = first + policy.group_wait_seconds
            return due if self.messaged_at is None else max(due, self.messaged_at + policy.group_interval_seconds)
        repeated = policy.repeat_resolved_seconds > 0 or any(
            entry.firing and not entry.withheld for entry in self.entries.values()
        )
        if self.messaged_at is None or not repeated:
            return None
        return self.messaged_at + policy.repeat_interval_seconds
