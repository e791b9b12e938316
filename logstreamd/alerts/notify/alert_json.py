"""Alerts as Alertmanager writes them, with the log lines that prove them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from logstreamd.alerts.alert import Alert
from logstreamd.alerts.notify.text import sample_line

__all__ = ["SAMPLES_ANNOTATION", "annotations_with_samples", "encode", "number", "time_text"]

SAMPLES_ANNOTATION = "samples"
"""The annotation that holds the log lines, where a rule has not given it a text of its own."""

_NEVER = "0001-01-01T00:00:00Z"  # Go's zero time: how Alertmanager writes "not yet"
_ANNOTATED_SAMPLES = 3  # annotations are shown in full, in places that are narrow


def time_text(time: datetime | None) -> str:
    """Write a time as RFC 3339 with milliseconds."""
    if time is None:
        return _NEVER
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def annotations_with_samples(alert: Alert) -> dict[str, str]:
    """Return an alert's annotations and, as one more, its newest log lines."""
    lines = "\n".join(sample_line(sample) for sample in alert.samples[:_ANNOTATED_SAMPLES])
    return ({SAMPLES_ANNOTATION: lines} if lines else {}) | dict(alert.annotations)


def encode(document: Mapping[str, Any] | list[Any]) -> bytes:
    """Encode a body: ASCII, so that nothing in it depends on the receiver's idea of an encoding."""
    return json.dumps(document, default=str, separators=(",", ":")).encode("ascii")


def number(value: float) -> float | None:
    """Return a number that JSON has."""
    return value if math.isfinite(value) else None
