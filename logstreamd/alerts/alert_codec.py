"""An alert ↔ the bytes the outbox keeps, and an alert cut to the size that may be kept and sent.

Log lines are as long as their senders like. What proves an alert can be read in a few of them, so lines are shortened
and the rest of the samples left out; labels stay as they are, because they identify the alert.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from logstreamd.alerts.alert import Alert

__all__ = [
    "MAX_ANNOTATION_CHARS",
    "MAX_SAMPLES_BYTES",
    "MAX_SAMPLE_CHARS",
    "bounded",
    "bounded_samples",
    "from_bytes",
    "to_bytes",
]

MAX_SAMPLE_CHARS = 1_000
"""Of one text in a sample: several lines of a terminal."""

MAX_SAMPLES_BYTES = 16_384
"""Of all samples of an alert: a message of 50 alerts stays below a megabyte."""

MAX_ANNOTATION_CHARS = 4_000
"""What chat services show of one text."""

# What remains of a sample that is too large for all samples together.
_CORE = ("ts", "level", "host", "service", "message")


def bounded(alert: Alert) -> Alert:
    """Return the alert with its texts shortened and as many samples as fit, at least the first one."""
    annotations = {name: _cut(text, MAX_ANNOTATION_CHARS) for name, text in alert.annotations.items()}
    return replace(alert, samples=bounded_samples(alert.samples), annotations=annotations)


def bounded_samples(rows: Iterable[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    """Return as many rows as fit, at least the first one, with their texts shortened."""
    samples: list[Mapping[str, Any]] = []
    room = MAX_SAMPLES_BYTES
    for sample in rows:
        short = {key: _shortened(value) for key, value in sample.items()}
        if _size(short) > MAX_SAMPLES_BYTES:
            short = {key: short[key] for key in _CORE if isinstance(short.get(key), str)}
        room -= _size(short)
        if samples and room < 0:
            break
        samples.append(short)
    return tuple(samples)


def to_bytes(alert: Alert) -> bytes:
    """Encode an alert."""
    return _encoded(
        {
            "status": alert.status,
            "labels": dict(alert.labels),
            "annotations": dict(alert.annotations),
            "starts_at": alert.starts_at.isoformat(),
            "ends_at": alert.ends_at.isoformat() if alert.ends_at is not None else None,
            "value": alert.value if math.isfinite(alert.value) else str(alert.value),
            "samples": alert.samples,
            "generator_url": alert.generator_url,
        }
    )


def from_bytes(data: bytes) -> Alert:
    """Decode an alert.

    Raises:
        ValueError: these bytes are no alert.
    """
    try:
        read = json.loads(data)
        ends_at = read["ends_at"]
        return Alert(
            status=read["status"],
            labels=read["labels"],
            annotations=read["annotations"],
            starts_at=datetime.fromisoformat(read["starts_at"]),
            ends_at=None if ends_at is None else datetime.fromisoformat(ends_at),
            value=float(read["value"]),
            samples=tuple(read["samples"]),
            generator_url=read["generator_url"],
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"not an alert: {error!r}") from error


def _encoded(value: object) -> bytes:
    # The standard library: numbers of any length and lone surrogates get through. Times in a sample become text.
    return json.dumps(value, default=str, separators=(",", ":")).encode()


def _size(sample: Mapping[str, Any]) -> int:
    return len(_encoded(sample))


def _shortened(value: object) -> object:
    match value:
        case str():
            return _cut(value, MAX_SAMPLE_CHARS)
        case Mapping():
            return {key: _shortened(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_shortened(inner) for inner in value]
        case _:
            return value


def _cut(text: str, max_chars: int) -> str:
    return text if len(text) <= max_chars else text[: max_chars - 1] + "…"
