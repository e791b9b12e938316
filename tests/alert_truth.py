"""A load of lines, rules about it, and what they have to find: computed line by line, in the plainest way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from math import sqrt
from random import Random
from statistics import median
from typing import TypeAlias

from logstreamd.alerts.rule import Rule, RuleGroup
from logstreamd.alerts.schedule import offset_of

__all__ = ["BEGIN", "DELAY", "RULES", "SECOND", "Happened", "Line", "ended", "expected", "generated"]

BEGIN = datetime(2026, 11, 22, 2, 30, tzinfo=UTC)
SECOND = timedelta(seconds=1)
DELAY = 3 * SECOND
RULES = """
groups:
  - name: bursts
    interval: 3s
    rules:
      - {alert: Burst, query: level>=error, by: [service], condition: count >= 12, over: 10s, for: 6s}
      - {alert: Rate, condition: rate > 5/s, over: 6s}
  - name: shares
    interval: 2s
    rules:
      - alert: Share
        by: [service]
        condition: ratio(level>=error) > 50% and count >= 5
        over: 8s
        keep_firing_for: 4s
      - {alert: Silent, by: [service], condition: absent(lookback=40s), over: 7s}
  - name: others
    interval: 4s
    rules:
      - {alert: Hosts, query: -host:early, by: [service], condition: distinct(host) > 3, over: 5s}
      - {alert: Spike, by: [service], condition: "spike(factor=2, windows=4, min=6)", over: 5s}
"""
_SERVICES = ("cart", "checkout", "search")
_HOSTS = ("a", "b", "c", "d", "e")
_LATEST_SECONDS = 2  # that a line is late at most
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Happened: TypeAlias = tuple[datetime, str, str, str, str]
"""When, which rule, which service ("": all), from which state into which."""


@dataclass(frozen=True)
class Line:
    """One line of the load."""

    at: datetime
    service: str
    host: str
    error: bool
    arrives: int  # in which second of the load

    @property
    def json(self) -> str:
        """What is sent."""
        level = "error" if self.error else "info"
        names = f'"level": "{level}", "service": "{self.service}", "host": "{self.host}"'
        return f'{{"ts": "{self.at.isoformat()}", {names}, "message": "m"}}'


def generated(random: Random, wall: list[datetime]) -> list[Line]:
    """Return lines of services that go from calm to bursts and to silence.

    Args:
        random: every choice comes from it.
        wall: the time of day at each second of the load.
    """
    lines = [Line(BEGIN - timedelta(hours=1), "early", "early", False, 0)]  # so that all windows are known
    for service in _SERVICES:
        mood, until_second = "calm", random.randrange(15)
        for second, now in enumerate(wall):
            if second >= until_second:
                mood = random.choice([one for one in ("calm", "burst", "silence") if one != mood])
                until_second = second + random.randint(6, 22)
            errors, others = {"calm": (0, 1), "burst": (random.randint(1, 4), 1), "silence": (0, 0)}[mood]
            for number in range(errors + others):
                at = now + timedelta(microseconds=random.randrange(1_000_000))
                arrives = second + random.randint(0, _LATEST_SECONDS)
                lines.append(Line(at, service, random.choice(_HOSTS), number < errors, arrives))
    return [replace(line, arrives=_before_the_clock_is_set(line, wall)) for line in lines]


def _before_the_clock_is_set(line: Line, wall: list[datetime]) -> int:
    """Return when a line arrives: what is on its way when the clock is set ahead arrives before that."""
    for second in range(1, min(line.arrives, len(wall) - 1) + 1):
        if line.at < wall[second - 1] + SECOND < wall[second]:
            return second - 1
    return line.arrives


@dataclass
class _Truth:
    """Where a rule has to stand."""

    rule: Rule
    lines: list[Line]
    pending: dict[str, datetime] = field(default_factory=dict)
    firing: set[str] = field(default_factory=set)
    cleared: dict[str, datetime] = field(default_factory=dict)

    def at(self, instant: datetime) -> Iterator[Happened]:
        """Yield what happens at an instant."""
        for service in _SERVICES if self.rule.by else ("",):
            before = "firing" if service in self.firing else "pending" if service in self.pending else "inactive"
            after = self._step(service, before, instant)
            if after != before:
                yield instant, self.rule.alert, service, before, after

    def _step(self, service: str, before: str, instant: datetime) -> str:
        if self._holds(service, instant - DELAY):
            self.cleared.pop(service, None)
            since = self.pending.setdefault(service, instant)
            if before == "firing" or instant - since >= self.rule.for_:
                self.firing.add(service)
                return "firing"
            return "pending"
        if before == "firing" and instant - self.cleared.setdefault(service, instant) < self.rule.keep_firing_for:
            return "firing"
        for known in (self.pending, self.cleared):
            known.pop(service, None)
        self.firing.discard(service)
        return "resolved" if before == "firing" else "inactive"

    def _holds(self, service: str, end: datetime) -> bool:
        """Tell whether the condition holds of a service in the window that ends then."""
        over = self.rule.over
        mine = [line for line in self.lines if service in ("", line.service)]
        window = _between(mine, end - over, end)
        errors = sum(line.error for line in window)
        match self.rule.alert:
            case "Burst":
                return errors >= 12
            case "Rate":
                return len(window) / over.total_seconds() > 5
            case "Share":
                return len(window) >= 5 and errors / len(window) > 0.5
            case "Silent":
                return not window and bool(_between(mine, end - 40 * SECOND, end))
            case "Hosts":
                return len({line.host for line in window}) > 3
            case "Spike":
                usual = [len(_between(mine, end - (back + 1) * over, end - back * over)) for back in range(1, 5)]
                return len(window) >= 6 and len(window) > _highest_usual(usual, factor=2)
        raise AssertionError(self.rule.alert)


def _between(lines: list[Line], start: datetime, end: datetime) -> list[Line]:
    return [line for line in lines if start <= line.at < end]


def _highest_usual(counts: list[int], factor: float) -> float:
    """Return the upper edge of the band as docs/alerts.md describes it."""
    middle = median(counts)
    deviation = median(abs(count - middle) for count in counts)
    return middle + factor * max(1.4826 * deviation, sqrt(middle), 1)


def expected(groups: tuple[RuleGroup, ...], lines: list[Line], wall: list[datetime]) -> list[Happened]:
    """Return what rules have to find when the time of day is this at each second."""
    happened = []
    for group in groups:
        offset = offset_of(group.name, group.interval)
        instants = sorted({now - (now - _EPOCH - offset) % group.interval for now in wall})
        for rule in group.rules:
            truth = _Truth(rule, lines)
            happened += [one for instant in instants for one in truth.at(instant)]
    return happened


def ended(happened: list[Happened]) -> set[tuple[str, str, datetime]]:
    """Return rule, service and begin of the alerts that have ended."""
    begins: dict[tuple[str, str], datetime] = {}
    found = set()
    for at, rule, service, _, after in happened:
        if after == "firing":
            begins[rule, service] = at
        elif after == "resolved":
            found.add((rule, service, begins[rule, service]))
    return found
