"""What one notifier still has to tell: alerts in, messages out. Pure: the time is an argument.

- The evaluator may say the same thing at every evaluation; only what is new about an alert waits to be told.
- A message is made from what is known when it is sent. While a receiver is away, an alert that fires and resolves
  becomes one line in one message.
- What was composed waits for its outcome: :meth:`Mailbox.delivered`, :meth:`Mailbox.rejected` or
  :meth:`Mailbox.failed`. There is one message in flight at a time.
- Every change is noted for the outbox (:meth:`Mailbox.take_changes`), so that a restart goes on from here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from logstreamd.alerts.alert import Alert
from logstreamd.alerts.alert_codec import bounded
from logstreamd.alerts.group import Entry, Group, Key, Policy
from logstreamd.alerts.message import Message
from logstreamd.alerts.rate_limit import RateLimit

__all__ = ["KEEP_RESOLVED_SECONDS", "MAX_KNOWN", "MAX_WAITING", "Mailbox"]

MAX_WAITING = 1_000
"""Alerts that wait to be told: with all their samples 32 MiB, and twenty full messages. The oldest gives way."""

MAX_KNOWN = 20_000
"""Alerts that are remembered so that they are not told twice: a hundred rules at the limit of 200 alerts each."""

KEEP_RESOLVED_SECONDS = 900.0
"""An alert that has resolved is remembered for this long, as Prometheus does: the evaluator may say it again."""

_KEEP_UNHEARD_SECONDS = 86_400.0  # an evaluator that is away for a day finds its alerts told when it comes back
_SWEEP_SECONDS = 60.0
_FIRST_PAUSE_SECONDS = 5.0
_LONGEST_PAUSE_SECONDS = 300.0  # a receiver that comes back is noticed within five minutes
_LONGEST_WISH_SECONDS = 3_600.0  # a receiver that says Retry-After is believed up to an hour


class Mailbox:
    """Gathers alerts into messages for one notifier.

    Args:
        receiver: the notifier's name.
        policy: how.
        on_drop: told why and how many alerts were given up: ``queue_full``, ``expired`` or ``rejected``.
    """

    def __init__(self, receiver: str, policy: Policy, on_drop: Callable[[str, int], None]) -> None:
        self._receiver = receiver
        self._policy = policy
        self._on_drop = on_drop
        self._limit = RateLimit(policy.messages_per_minute) if policy.messages_per_minute else None
        self._entries: dict[Key, Entry] = {}
        self._waiting: dict[Key, Entry] = {}  # in the order in which they came
        self._groups: dict[tuple[str, ...], Group] = {}
        self._changed: set[Key] = set()
        self._in_flight: list[tuple[Entry, Alert]] = []
        self._groups_in_flight: list[Group] = []
        self._failures = 0
        self._retry_at: float | None = None
        self._swept_at = 0.0
        self._hurried = False

    @property
    def waiting(self) -> int:
        """How many alerts have something new about them that has not been told."""
        return len(self._waiting)

    @property
    def firing(self) -> int:
        """How many alerts fire."""
        return sum(entry.firing for entry in self._entries.values())

    @property
    def retry_at(self) -> float | None:
        """When delivery is attempted again after a failure, None when it did not fail."""
        return self._retry_at

    def restore(self, entries: Iterable[Entry]) -> None:
        """Go on with what an earlier run left."""
        for entry in sorted(entries, key=lambda entry: entry.waiting_since or 0.0):
            self._add(entry)

    def put(self, alert: Alert, interval_seconds: float, now: float) -> None:
        """Take what the evaluator says about an alert; most of the time it is nothing new.

        Args:
            alert: firing or resolved.
            interval_seconds: how often its rule is evaluated.
            now: the time.
        """
        entry = self._entries.get((alert.fingerprint, alert.starts_at))
        if entry is None:
            self._put_new(Entry(alert, interval_seconds, now, now, waiting_since=now))
        elif alert.status == "resolved":
            if entry.firing:
                self._resolve(entry, alert, now)
        elif entry.firing:
            entry.alert, entry.interval_seconds = _with_samples(alert, entry), interval_seconds
            entry.vouched_at = now

    def _put_new(self, entry: Entry) -> None:
        if not entry.firing and not self._policy.send_resolved:
            return
        if len(self._entries) >= MAX_KNOWN:
            self._on_drop("queue_full", 1)
            return
        if len(self._waiting) >= MAX_WAITING:
            self._give_up([next(iter(self._waiting.values()))], "queue_full", entry.changed_at)
        self._add(entry)
        self._changed.add(entry.key)

    def _add(self, entry: Entry) -> None:
        self._entries[entry.key] = entry
        if entry.waiting_since is not None:
            self._waiting[entry.key] = entry
        group = self._groups.setdefault(self._group_of(entry.alert), Group(self._group_labels(entry.alert)))
        group.entries[entry.key] = entry
        if entry.told_at is not None:
            group.messaged_at = max(entry.told_at, group.messaged_at or entry.told_at)

    def _group_of(self, alert: Alert) -> tuple[str, ...]:
        if self._policy.group_by is None:
            return (alert.fingerprint, alert.starts_at.isoformat())
        return tuple(alert.labels.get(name, "") for name in self._policy.group_by)

    def _group_labels(self, alert: Alert) -> dict[str, str]:
        return {name: alert.labels[name] for name in self._policy.group_by or () if name in alert.labels}

    def _resolve(self, entry: Entry, alert: Alert, now: float) -> None:
        if not self._policy.send_resolved:
            if entry.waiting_since is None:
                self._forget(entry)
            return
        entry.alert, entry.changed_at = _with_samples(alert, entry), now
        if entry.waiting_since is None:
            entry.waiting_since = now
            self._waiting[entry.key] = entry
        self._changed.add(entry.key)

    def _forget(self, entry: Entry) -> None:
        del self._entries[entry.key]
        self._waiting.pop(entry.key, None)
        key = self._group_of(entry.alert)
        del self._groups[key].entries[entry.key]
        if not self._groups[key].entries:
            del self._groups[key]
        self._changed.add(entry.key)

    def _give_up(self, entries: list[Entry], reason: str, now: float) -> None:
        """Stop waiting to tell; they stay known, or the next evaluation would bring them back."""
        for entry in entries:
            entry.waiting_since, entry.told_at = None, now
            group = self._groups[self._group_of(entry.alert)]
            group.messaged_at = now  # who still fires is told when the group is repeated
            self._waiting.pop(entry.key, None)
            self._changed.add(entry.key)
        self._on_drop(reason, len(entries))

    def hurry(self) -> None:
        """Tell what waits without waiting for more of its group, and repeat nothing: the daemon stops."""
        self._hurried = True

    def due(self, now: float) -> Message | None:
        """Return the message that is to be sent now, None when there is none; it is in flight then."""
        self._expire(now)
        self._sweep(now)
        if self._in_flight or (self._retry_at is not None and now < self._retry_at):
            return None
        groups = self._due_groups(now)
        if not groups or (self._limit is not None and self._limit.available(now) < 1):
            return None
        if self._limit is not None:
            self._limit.take(now)
        return self._compose(groups, now)

    def _due_groups(self, now: float) -> list[Group]:
        """Return the groups of the next message: one, or all that have something to tell when these are too many."""
        due = []
        for group in list(self._groups.values()):
            at = self._due_at(group)
            if at is not None and at <= now and self._is_worth_it(group, now):
                due.append(group)
        if not due or self._limit is None:
            return due
        known = set(due)
        others = [group for group in self._groups.values() if group not in known and any(group.waiting())]
        if len(due) + len(others) > self._limit.available(now):
            return due + others
        return due[:1]

    def _due_at(self, group: Group) -> float | None:
        if not self._hurried:
            return group.due_at(self._policy)
        return min((entry.changed_at for entry in group.waiting()), default=None)

    def _is_worth_it(self, group: Group, now: float) -> bool:
        """Whether there is something to tell; stale alerts of a group that is to be repeated are forgotten."""
        if any(group.waiting()):
            return True
        for entry in list(group.entries.values()):
            if entry.is_stale(now):
                self._forget(entry)
        return any(self._is_told(entry, now) for entry in group.entries.values())

    def _is_told(self, entry: Entry, now: float) -> bool:
        """Whether the next message about its group names an alert."""
        if entry.waiting_since is not None:
            return True
        return not entry.is_stale(now) if entry.firing else self._policy.repeat_resolved_seconds > 0

    def _compose(self, groups: list[Group], now: float) -> Message:
        told = [entry for group in groups for entry in group.entries.values() if self._is_told(entry, now)]
        told.sort(key=lambda entry: (entry.waiting_since is None, not entry.firing, entry.alert.starts_at))
        shown = told[: self._policy.max_alerts]
        self._in_flight = [(entry, entry.alert) for entry in told]
        self._groups_in_flight = groups
        return Message(
            receiver=self._receiver,
            group_labels=groups[0].labels if len(groups) == 1 else {},
            alerts=tuple(bounded(entry.alert) for entry in shown),
            truncated_alerts=len(told) - len(shown),
            interval_seconds=max(entry.interval_seconds for entry in told),
        )

    def delivered(self, now: float) -> None:
        """The receiver has the message."""
        for entry, said in self._in_flight:
            entry.told_at = now
            if entry.waiting_since is not None and entry.alert.status == said.status:
                entry.waiting_since = None
                self._waiting.pop(entry.key, None)
            if entry.key in self._entries:
                self._changed.add(entry.key)
        for group in self._groups_in_flight:
            group.messaged_at = now
        self._landed()
        self._failures, self._retry_at = 0, None

    def rejected(self, now: float) -> None:
        """The receiver does not want the message, now or later."""
        lost = [entry for entry, _ in self._in_flight if entry.waiting_since is not None]
        self.delivered(now)
        self._on_drop("rejected", len(lost))

    def failed(self, now: float, *, at_least_seconds: float = 0.0, jitter: float = 0.0) -> None:
        """The message could not be delivered; what is in it is told later.

        Args:
            now: the time.
            at_least_seconds: what the receiver asked for.
            jitter: 0..1, spreads the attempts of many daemons.
        """
        self._landed()
        pause = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2.0 ** min(self._failures, 10))
        wish = min(at_least_seconds, _LONGEST_WISH_SECONDS)
        self._failures += 1
        self._retry_at = now + max(pause * (1 - jitter / 2), wish)

    def _landed(self) -> None:
        self._in_flight, self._groups_in_flight = [], []

    def _expire(self, now: float) -> None:
        expired = []
        for entry in self._waiting.values():
            if now - (entry.waiting_since or now) < self._policy.max_age_seconds:
                break
            expired.append(entry)
        if expired and not self._in_flight:
            self._give_up(expired, "expired", now)

    def _sweep(self, now: float) -> None:
        """Forget what has resolved, or has not been heard of, for long enough."""
        if now - self._swept_at < _SWEEP_SECONDS:
            return
        self._swept_at = now
        for entry in list(self._entries.values()):
            if entry.firing:
                over = now - entry.vouched_at > _KEEP_UNHEARD_SECONDS
            else:
                over = now - entry.changed_at > KEEP_RESOLVED_SECONDS
            if over and entry.waiting_since is None and not self._in_flight:
                self._forget(entry)

    def next_due(self, now: float) -> float | None:
        """Return when to ask for a message again, None when there is nothing to tell."""
        times = [at for group in self._groups.values() if (at := self._due_at(group)) is not None]
        if not times:
            return None
        return max(min(times), self._retry_at or now, self._limit.next_at(now) if self._limit else now)

    def take_changes(self) -> list[tuple[Key, Entry | None]]:
        """Return what the outbox has to write: an entry as it is now, or None where it is to be deleted."""
        entries = [(key, self._entries.get(key)) for key in self._changed]
        self._changed.clear()
        return [(key, None if entry is None else replace(entry)) for key, entry in entries]

    def note_changes(self, keys: Iterable[Key]) -> None:
        """Keep changes that could not be written for the next time."""
        self._changed.update(keys)


def _with_samples(alert: Alert, entry: Entry) -> Alert:
    """Return the alert with the lines that prove it, which may have been gathered only when it began to fire."""
    if alert.samples or entry.waiting_since is None:
        return alert
    return replace(alert, samples=entry.alert.samples)
