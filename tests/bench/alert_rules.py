"""Alert rules, as many as wanted, of the kinds that people write.

Seven of ten ask for services and levels, the others look for words and values in the last five minutes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import yaml

__all__ = ["RuleText", "rule_texts", "write_rules"]

# Query, by, condition, minutes; the first list is what counts by service and level answer.
_BY_COUNTS = (
    ("level>=error", ["service"], "count > 50", 5),
    ("", ["service"], "ratio(level>=error) > 5% and count >= 100", 10),
    ("service:{service}", ["level"], "rate > 500/s", 1),
    ("level>=critical", [], "count > 0", 5),
    ("service:{service} level>=warning", [], "count > 1000", 15),
    ("", ["service"], "distinct(level) > 7", 5),
    ("", ["service"], "spike(factor=5, windows=24, min=100)", 5),
)
_BY_ROWS = (
    ('"no space left on device" OR "disk full" OR "quota exceeded" OR token{n}', ["host"], "count > 0", 5),
    ('"failed password" OR "invalid user" OR login{n}', ["host"], "count > 20", 5),
    ("service:{service} attrs.status>={n}", [], "ratio(attrs.status>=500) > 50%", 5),
)


@dataclass(frozen=True)
class RuleText:
    """One rule as it is written in a file."""

    name: str
    query: str
    by: Sequence[str]
    condition: str
    over: timedelta


def rule_texts(count: int, *, services: Sequence[str]) -> Iterator[RuleText]:
    """Yield rules that ask for these services in turn."""
    by_counts, by_rows = itertools.cycle(_BY_COUNTS), itertools.cycle(_BY_ROWS)
    for number in range(count):
        query, by, condition, minutes = next(by_rows if number % 10 >= 7 else by_counts)
        query = query.format(n=number, service=services[number % len(services)])
        yield RuleText(f"rule-{number}", query, by, condition, timedelta(minutes=minutes))


def write_rules(path: Path, count: int, *, services: Sequence[str], interval: str) -> None:
    """Write a file of rules that are evaluated every ``interval``."""
    rules = [
        {
            "alert": f"Rule{number}",
            "query": one.query,
            "by": list(one.by),
            "condition": one.condition,
            "over": f"{one.over // timedelta(minutes=1)}m",
        }
        for number, one in enumerate(rule_texts(count, services=services))
    ]
    path.write_text(yaml.safe_dump({"groups": [{"name": "bench", "interval": interval, "rules": rules}]}))
