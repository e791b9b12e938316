"""Alerts and messages for tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from logstreamd.alerts.alert import Alert
from logstreamd.alerts.message import Message

BEGIN = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


def firing(name: str = "ErrorBurst", *, since: float = 0, value: float = 12.0, **labels: str) -> Alert:
    """An alert that began to fire ``since`` seconds after the beginning."""
    return Alert(
        status="firing",
        labels={"alertname": name, **labels},
        annotations={"summary": f"{name} happened"},
        starts_at=BEGIN + timedelta(seconds=since),
        ends_at=None,
        value=value,
    )


def resolved(name: str = "ErrorBurst", *, since: float = 0, until: float = 60, **labels: str) -> Alert:
    """The same alert, resolved."""
    one = firing(name, since=since, **labels)
    return Alert("resolved", one.labels, one.annotations, one.starts_at, BEGIN + timedelta(seconds=until), one.value)


def sample(message: str, **columns: Any) -> dict[str, Any]:
    """A log row as the API shows it."""
    return {
        "id": 1,
        "ts": "2026-11-22T10:00:00Z",
        "level": "error",
        "host": "web-1",
        "service": "checkout",
        "message": message,
        "attrs": {},
        **columns,
    }


def message_of(*alerts: Alert, receiver: str = "ops", truncated: int = 0) -> Message:
    """A message about alerts of the first one's group."""
    labels = {"alertname": alerts[0].labels["alertname"]}
    return Message(receiver, labels, alerts, truncated)
