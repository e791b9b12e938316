"""What one notifier still has to tell: alerts in, messages out. Pure: the time is an argument.

- The evaluator may say the same thing at every evaluation; only what is new about an alert waits to be told.
- A message is made from what is known when it is sent. While a receiver is away, an alert that fires and resolves
  becomes one line in one message.
- Who is silenced when a message is made is left out of it: what was not told yet is withheld until the evaluator says
  it without being silenced. Who was told that an alert fires is told that it has resolved, silence or not.
- What was composed waits for its outcome: :meth:`Mailbox.delivered`, :meth:`Mailbox.rejected` or
  :meth:`Mailbox.failed`. There is one message in flight at a time.
- Every change is noted for the outbox (:meth:`Mailbox.take_changes`), so that a restart goes on from here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from logstreamd.alerts.alert import Alert
from logstreamd.alerts.alert_codec import bounded
from logstreamd.alerts.backoff import Backoff
from logstreamd.alerts.group import Entry, Group, Key, Policy
from logstreamd.alerts.known_alerts import KnownAlerts
from logstreamd.alerts.message import Message
from logstreamd.alerts.rate_limit import RateLimit
from logstreamd.alerts.rule import ALERT_NAME_LABEL

__all__ = ["KEEP_RESOLVED_SECONDS", "MAX_KNOWN", "MAX_WAITING", "Mailbox"]

MAX_WAITING = 1_000
"""Alerts that wait to be told: with all their samples 32 MiB, and twenty full messages. The oldest gives way."""

MAX_KNOWN = 20_000
"""Alerts that are remembered so that they are not told twice: a hundred rules at the limit of 200 alerts each."""

KEEP_RESOLVED_SECONDS = 900.0
"""An alert that has resolved is remembered for this long, as Prometheus does: the evaluator may say it again."""

_KEEP_UNHEARD_SECONDS = 86_400.0  # an evaluator that is away for a day finds its alerts told when it comes back
_SWEEP_SECONDS = 60.0
_SOMETIME = 0.0  # when somebody told that an alert fires of which we hear only that it has resolved


class Mailbox:
    """Gathers alerts into messages for one notifier.

    Args:
        receiver: the notifier's name.
        policy: how.
        on_drop: told why and how many alerts were given up: ``queue_full``, ``expired`` or ``rejected``.
        is_silenced: tells whether an alert with these labels is silenced now.
    """

    def __init__(
        self,
        receiver: str,
        policy: Policy,
        on_drop: Callable[[str, int], None],
        is_silenced: Callable[[Mapping[str, str]], bool],
    ) -> None:
        self._receiver = receiver
        self._policy = policy
        self._on_drop = on_drop
        self._is_silenced = is_silenced
        self._limit = RateLimit(policy.messages_per_minute) if policy.messages_per_minute else None
        self._known = KnownAlerts(policy.group_by)
        self._in_flight: list[tuple[Entry, Alert]] = []
        self._groups_in_flight: list[Group] = []
        self._backoff = Backoff()
        self._swept_at = 0.0
        self._hurried = False

    @property
    def waiting(self) -> int:
        """How many alerts have something new about them that has not been told."""
        return self._known.waiting_count

    @property
    def firing(self) -> int:
        """How many alerts fire."""
        return sum(entry.firing for entry in self._known.entries)

    @property
    def retry_at(self) -> float | None:
        """When delivery is attempted again after a failure, None when it did not fail."""
        return self._backoff.until

    @property
    def untold(self) -> set[str]:
        """The names of the rules whose alerts wait to be told."""
        return {entry.alert.labels[ALERT_NAME_LABEL] for entry in self._known.waiting}

    def restore(self, entries: Iterable[Entry]) -> None:
        """Go on with what an earlier run left."""
        for entry in sorted(entries, key=lambda entry: entry.waiting_since or 0.0):
            self._known.restore(entry)

    @property
    def entries(self) -> list[Entry]:
        """All that is known."""
        return self._known.entries

    def take_over(self, other: Mailbox) -> None:
        """Go on with what another mailbox of the same notifier knew; it is not used any more."""
        self.restore(other.entries)
        # All of them: what the other one had given to be written may not have been.
        self.note_changes([*(entry.key for entry in other.entries), *(key for key, _ in other.take_changes())])

    def put(self, alert: Alert, interval_seconds: float, now: float) -> None:
        """Take what the evaluator says about an alert; most of the time it is nothing new.

        Args:
            alert: firing or resolved.
            interval_seconds: how often its rule is evaluated.
            now: the time.
        """
        entry = self._known.find((alert.fingerprint, alert.starts_at))
        if entry is None:
            told_at = None if alert.status == "firing" else _SOMETIME
            self._put_new(Entry(alert, interval_seconds, now, now, told_at=told_at), now)
        elif alert.status == "resolved":
            if entry.firing:
                self._resolve(entry, alert, now)
        elif entry.firing:
            entry.alert, entry.interval_seconds = _with_samples(alert, entry), interval_seconds
            entry.vouched_at = now
            if entry.withheld:  # the silence has ended
                self._wait(entry, now)

    def _put_new(self, entry: Entry, now: float) -> None:
        if not entry.firing and not self._policy.send_resolved:
            return
        if len(self._known) >= MAX_KNOWN:
            self._on_drop("queue_full", 1)
            return
        self._known.add(entry)
        self._wait(entry, now)

    def _wait(self, entry: Entry, now: float) -> None:
        """Let an alert wait to be told."""
        if self._known.waiting_count >= MAX_WAITING:
            self._give_up([self._known.first_waiting], "queue_full", now)
        self._known.wait(entry, now)

    def _resolve(self, entry: Entry, alert: Alert, now: float) -> None:
        if not self._policy.send_resolved:
            if entry.waiting_since is None:
                self._known.forget(entry)
            return
        withheld = entry.withheld
        entry.alert, entry.changed_at = _with_samples(alert, entry), now
        if entry.waiting_since is None and not withheld:
            self._wait(entry, now)
        self._known.note(entry)

    def _give_up(self, entries: list[Entry], reason: str, now: float) -> None:
        """Stop waiting to tell; they stay known, or the next evaluation would bring them back."""
        for entry in entries:
            entry.told_at = now
            self._known.settle(entry)
            self._known.group_of(entry).messaged_at = now  # who still fires is told when the group is repeated
        self._on_drop(reason, len(entries))

    def stand_by(self, now: float) -> None:
        """Leave what fires to another daemon, which tells it; what has resolved may be known to nobody else.

        What was told stays known, so that it is not told again should this daemon take over once more.
        """
        for entry in self._known.entries:
            if entry.firing and entry.waiting_since is not None:
                self._known.forget(entry)
            elif entry.firing:
                entry.disown(now)

    def hurry(self) -> None:
        """Tell what waits without waiting for more of its group, and repeat nothing: the daemon stops."""
        self._hurried = True

    def due(self, now: float) -> Message | None:
        """Return the message that is to be sent now, None when there is none; it is in flight then."""
        self._expire(now)
        self._sweep(now)
        if self._in_flight or self._backoff.holds(now):
            return None
        groups = self._due_groups(now)
        if not groups or (self._limit is not None and self._limit.available(now) < 1):
            return None
        if self._limit is not None:
            self._limit.take(now)
        return self._compose(groups, now)

    def _due_groups(self, now: float) -> list[Group]:
        """Return the groups of the next message: one, or all that have something to tell when these are too many."""
        groups = self._known.groups
        due = [group for group in groups if self._is_due(group, now) and self._is_worth_it(group, now)]
        if not due or self._limit is None:
            return due
        known = set(due)
        others = [group for group in groups if group not in known and self._withhold(group)]
        if len(due) + len(others) > self._limit.available(now):
            return due + others
        return due[:1]

    def _due_at(self, group: Group) -> float | None:
        if not self._hurried:
            return group.due_at(self._policy)
        return min((entry.changed_at for entry in group.waiting()), default=None)

    def _is_due(self, group: Group, now: float) -> bool:
        """Whether it is time for a message, also when those who are silenced do not count."""
        at = self._due_at(group)
        if at is None or at > now:
            return False
        self._withhold(group)
        at = self._due_at(group)
        return at is not None and at <= now

    def _withhold(self, group: Group) -> bool:
        """Withhold the alerts that are silenced and that nobody was told of; return whether others wait."""
        for entry in list(group.waiting()):
            if entry.told_at is None and self._is_silenced(entry.alert.labels):
                self._known.settle(entry)
        return any(group.waiting())

    def _is_worth_it(self, group: Group, now: float) -> bool:
        """Whether there is something to tell; a group that is to be repeated forgets the alerts that are not."""
        if any(group.waiting()):
            return True
        for entry in list(group.entries.values()):
            if entry.firing and not entry.withheld and not self._is_told(entry, now):
                self._known.forget(entry)
        return any(self._is_told(entry, now) for entry in group.entries.values())

    def _is_told(self, entry: Entry, now: float) -> bool:
        """Whether the next message about its group names an alert."""
        if entry.waiting_since is not None:
            return True
        if entry.withheld:
            return False
        if entry.firing:
            return not entry.is_stale(now) and not self._is_silenced(entry.alert.labels)
        return self._policy.repeat_resolved_seconds > 0

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
            if self._known.find(entry.key) is not entry:
                continue  # it was left to another daemon meanwhile
            entry.told_at = now
            if entry.alert.status == said.status:
                self._known.settle(entry)
            self._known.note(entry)
        for group in self._groups_in_flight:
            group.messaged_at = now
        self._landed()
        self._backoff.succeeded()

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
        self._backoff.failed(now, at_least_seconds=at_least_seconds, jitter=jitter)

    def _landed(self) -> None:
        self._in_flight, self._groups_in_flight = [], []

    def _expire(self, now: float) -> None:
        expired = []
        for entry in self._known.waiting:
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
        for entry in self._known.entries:
            if entry.firing:
                over = now - entry.vouched_at > _KEEP_UNHEARD_SECONDS
            else:
                over = now - entry.changed_at > KEEP_RESOLVED_SECONDS
            if over and entry.waiting_since is None and not self._in_flight:
                self._known.forget(entry)

    def next_due(self, now: float) -> float | None:
        """Return when to ask for a message again, None when there is nothing to tell."""
        times = [at for group in self._known.groups if (at := self._due_at(group)) is not None]
        if not times:
            return None
        return max(min(times), self._backoff.until or now, self._limit.next_at(now) if self._limit else now)

    def take_changes(self) -> list[tuple[Key, Entry | None]]:
        """Return what the outbox has to write: an entry as it is now, or None where it is to be deleted."""
        return self._known.take_changes()

    def note_changes(self, keys: Iterable[Key]) -> None:
        """Keep changes that could not be written for the next time."""
        self._known.note_keys(keys)


def _with_samples(alert: Alert, entry: Entry) -> Alert:
    """Return the alert with the lines that prove it, which may have been gathered only when it began to fire."""
    if alert.samples or entry.waiting_since is None:
        return alert
    return replace(alert, samples=entry.alert.samples)
