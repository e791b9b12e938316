"""The alerts that a mailbox knows: all, those that wait to be told, those of a group; and what the outbox lacks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from logstreamd.alerts.alert import Alert
from logstreamd.alerts.group import Entry, Group, Key

__all__ = ["KnownAlerts"]


class KnownAlerts:
    """Keeps its views of the same entries together.

    Args:
        group_by: labels; None puts every alert into a group of its own.
    """

    def __init__(self, group_by: tuple[str, ...] | None) -> None:
        self._group_by = group_by
        self._entries: dict[Key, Entry] = {}
        self._waiting: dict[Key, Entry] = {}
        self._groups: dict[tuple[str, ...], Group] = {}
        self._changed: set[Key] = set()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def entries(self) -> list[Entry]:
        """All."""
        return list(self._entries.values())

    @property
    def waiting(self) -> list[Entry]:
        """Those that wait to be told, in the order in which they came."""
        return list(self._waiting.values())

    @property
    def waiting_count(self) -> int:
        """How many wait to be told."""
        return len(self._waiting)

    @property
    def first_waiting(self) -> Entry:
        """The one that waits to be told the longest; there must be one."""
        return next(iter(self._waiting.values()))

    @property
    def groups(self) -> list[Group]:
        """The groups that have alerts."""
        return list(self._groups.values())

    def find(self, key: Key) -> Entry | None:
        """Return an entry, None when it is not known."""
        return self._entries.get(key)

    def group_of(self, entry: Entry) -> Group:
        """Return the group of an entry that is known."""
        return self._groups[self._group_key(entry.alert)]

    def restore(self, entry: Entry) -> None:
        """Know an entry that the outbox has already."""
        self._entries[entry.key] = entry
        if entry.waiting_since is not None:
            self._waiting[entry.key] = entry
        group = self._groups.setdefault(self._group_key(entry.alert), Group(self._group_labels(entry.alert)))
        group.entries[entry.key] = entry
        if entry.told_at is not None:
            group.messaged_at = max(entry.told_at, group.messaged_at or entry.told_at)

    def add(self, entry: Entry) -> None:
        """Know an entry."""
        self.restore(entry)
        self.note(entry)

    def wait(self, entry: Entry, now: float) -> None:
        """Let an entry wait to be told."""
        entry.waiting_since = now
        self._waiting[entry.key] = entry
        self.note(entry)

    def settle(self, entry: Entry) -> None:
        """Let an entry wait no more."""
        entry.waiting_since = None
        self._waiting.pop(entry.key, None)
        self.note(entry)

    def forget(self, entry: Entry) -> None:
        """Know an entry no more."""
        del self._entries[entry.key]
        self._waiting.pop(entry.key, None)
        key = self._group_key(entry.alert)
        del self._groups[key].entries[entry.key]
        if not self._groups[key].entries:
            del self._groups[key]
        self.note(entry)

    def note(self, entry: Entry) -> None:
        """Remember that the outbox has something to write about an entry."""
        self._changed.add(entry.key)

    def note_keys(self, keys: Iterable[Key]) -> None:
        """Remember the same of entries that may be forgotten by now."""
        self._changed.update(keys)

    def take_changes(self) -> list[tuple[Key, Entry | None]]:
        """Return what the outbox has to write: an entry as it is now, or None where it is to be deleted."""
        entries = [(key, self._entries.get(key)) for key in self._changed]
        self._changed.clear()
        return [(key, None if entry is None else replace(entry)) for key, entry in entries]

    def _group_key(self, alert: Alert) -> tuple[str, ...]:
        if self._group_by is None:
            return (alert.fingerprint, alert.starts_at.isoformat())
        return tuple(alert.labels.get(name, "") for name in self._group_by)

    def _group_labels(self, alert: Alert) -> dict[str, str]:
        return {name: alert.labels[name] for name in self._group_by or () if name in alert.labels}
