"""States and transitions → the rows that are kept, as plain values that JSON can hold; and back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from logstreamd.alerts.alert import Alert, fingerprint
from logstreamd.alerts.journal import Living
from logstreamd.alerts.rule import Rule
from logstreamd.alerts.snapshot import snapshot
from logstreamd.alerts.state import Instance, RuleState, Transition

__all__ = ["ending_of", "event_row", "living_of", "plain_rows", "read_living", "resolved_alert", "state_row"]

_LONGEST_NUMBER_CHARS = 40  # of what fits a 128-bit integer or a double; longer ones are shown as text


def state_row(rule: Rule, state: RuleState, *, handed_over: bool) -> dict[str, Any]:
    """Return where a rule stands for keeping."""
    return {
        "rule": rule.alert,
        "state": snapshot(rule, state),
        "alerts": list(_living_rows(rule, state.instances)),
        "notify": rule.notify,
        "interval_seconds": rule.interval.total_seconds(),
        "handed_over": handed_over,
    }


def _living_rows(rule: Rule, instances: Iterable[Instance]) -> Iterator[dict[str, Any]]:
    for one in instances:
        if one.state in ("pending", "firing"):
            labels = rule.labels_of(one.group)
            yield {
                "state": one.state,
                "fingerprint": fingerprint(labels),
                "labels": labels,
                "annotations": rule.annotations_of(labels, one.value),
                "value": one.value,
                "active_at": one.active_at.isoformat(),
                "starts_at": _iso(one.fired_at),
            }


def read_living(row: Mapping[str, Any], samples: Mapping[tuple[str, datetime], Sequence[Mapping[str, Any]]]) -> Living:
    """Read an alert that was kept; ``samples`` are lines by fingerprint and begin."""
    starts_at = row["starts_at"] and datetime.fromisoformat(row["starts_at"])
    return Living(
        state=row["state"],
        labels=row["labels"],
        annotations=row["annotations"],
        value=row["value"],
        active_at=datetime.fromisoformat(row["active_at"]),
        starts_at=starts_at,
        samples=tuple(samples.get((row["fingerprint"], starts_at), ())) if starts_at else (),
    )


def living_of(rule: Rule, instance: Instance, samples: tuple[Mapping[str, Any], ...]) -> Living:
    """Return an alert that is pending or fires, as people see it."""
    labels = rule.labels_of(instance.group)
    annotations = rule.annotations_of(labels, instance.value)
    return Living(instance.state, labels, annotations, instance.value, instance.active_at, instance.fired_at, samples)


def event_row(transition: Transition, samples: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """Return a transition for the history.

    Args:
        transition: what happened.
        samples: the lines that prove it; kept where the alert begins to fire.
    """
    instance = transition.instance
    return {
        "at": transition.at.isoformat(),
        "alert": transition.alert,
        "fingerprint": fingerprint(transition.labels),
        "before": transition.before,
        "after": transition.after,
        "labels": dict(transition.labels),
        "annotations": dict(transition.annotations),
        "value": instance.value,
        "active_at": instance.active_at.isoformat(),
        "starts_at": _iso(instance.fired_at),
        "ends_at": _iso(instance.resolved_at),
        "reason": None,
        "samples": list(samples) if transition.after == "firing" else [],
    }


def ending_of(rule: str, alert: Living, now: datetime, reason: str) -> dict[str, Any]:
    """Return the event that ends an alert whose rule is not evaluated any more, and why."""
    ends_at = None if alert.starts_at is None else max(now, alert.starts_at)
    return {
        "at": now.isoformat(),
        "alert": rule,
        "fingerprint": fingerprint(alert.labels),
        "before": alert.state,
        "after": "inactive" if alert.starts_at is None else "resolved",
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
        "value": alert.value,
        "active_at": alert.active_at.isoformat(),
        "starts_at": _iso(alert.starts_at),
        "ends_at": _iso(ends_at),
        "reason": reason,
        "samples": [],
    }


def resolved_alert(alert: Living, now: datetime, reason: str) -> Alert | None:
    """Return what is told when the rule of an alert is not evaluated any more; nothing when it did not fire.

    The reason is an annotation, so that nobody takes the end for good news.
    """
    if alert.starts_at is None:
        return None
    ends_at = max(now, alert.starts_at)
    annotations = {**alert.annotations, "reason": reason}
    return Alert("resolved", alert.labels, annotations, alert.starts_at, ends_at, alert.value)


def plain_rows(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return log rows as plain values: times as text, ``attrs`` decoded, no number that JSON readers choke on."""
    text = msgspec.json.encode(list(rows))
    plain: list[dict[str, Any]] = json.loads(text, parse_int=_whole_number, parse_float=_number)
    return plain


def _whole_number(text: str) -> int | str:
    return int(text) if len(text) <= _LONGEST_NUMBER_CHARS else text


def _number(text: str) -> float | str:
    return float(text) if len(text) <= _LONGEST_NUMBER_CHARS else text


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
