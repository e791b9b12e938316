"""Silences: alerts that match are shown and not told, for a while.

All matchers of a silence must match the labels of an alert. A label that an alert does not have is empty, as in
Prometheus; a regex must match the whole value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from logstreamd.query.filter.automaton import Automaton
from logstreamd.query.filter.regex_tree import parse_regex

__all__ = ["Matcher", "Silence", "is_silenced", "is_withheld", "silencers"]


@dataclass(frozen=True, slots=True)
class Matcher:
    """What one label must be, or must not be.

    Args:
        name: of the label.
        value: a text, or a regex of the kind that filters have.
        is_regex: which of the two.
        is_equal: False: everything else matches.

    Raises:
        ValueError: the regex can't be used.
    """

    name: str
    value: str
    is_regex: bool = False
    is_equal: bool = True
    _automaton: Automaton | None = field(init=False, default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.is_regex:
            parse_regex(self.value)  # by itself: its mistakes are shown where they are
            object.__setattr__(self, "_automaton", Automaton(parse_regex(f"^(?:{self.value})$")))

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Tell whether an alert with these labels matches."""
        label = labels.get(self.name, "")
        found = label == self.value if self._automaton is None else self._automaton.search(label)
        return found is self.is_equal


@dataclass(frozen=True, slots=True)
class Silence:
    """What nobody wants to be told from one time until another.

    Attributes:
        id: its name.
        matchers: all of them must match.
        starts_at: inclusive.
        ends_at: exclusive.
    """

    id: str
    matchers: tuple[Matcher, ...]
    starts_at: datetime
    ends_at: datetime

    def holds(self, labels: Mapping[str, str], now: datetime) -> bool:
        """Tell whether an alert with these labels is silenced at an instant."""
        return self.starts_at <= now < self.ends_at and all(matcher.matches(labels) for matcher in self.matchers)


def silencers(silences: Iterable[Silence], labels: Mapping[str, str], now: datetime) -> list[str]:
    """Return the names of the silences that hold an alert back at an instant."""
    return [silence.id for silence in silences if silence.holds(labels, now)]


def is_silenced(silences: Iterable[Silence], labels: Mapping[str, str], now: datetime) -> bool:
    """Tell whether an alert with these labels is held back at an instant."""
    return any(silence.holds(labels, now) for silence in silences)


def is_withheld(
    silences: Iterable[Silence], labels: Mapping[str, str], now: datetime, *, fired_at: datetime, resolved: bool
) -> bool:
    """Tell whether nobody is to be told.

    Who was told that an alert fires is told as well that it has resolved: a silence that began after the alert did
    holds nothing of that back.
    """
    return any(silence.holds(labels, now) and (not resolved or silence.starts_at <= fired_at) for silence in silences)
