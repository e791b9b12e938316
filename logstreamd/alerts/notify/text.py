"""Messages as people read them. What comes from log lines is shown inert: a control character as its escape."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from logstreamd.alerts.alert import Alert
from logstreamd.alerts.message import Message

__all__ = ["alert_lines", "inert", "labels_text", "sample_line", "subject", "value_text"]

_SUBJECT_CHARS = 200
_SAMPLE_CHARS = 500  # of one line, in a text of many
# Said in the subject already, or by the alert's name.
_UNSAID = ("alertname",)


def inert(text: str, keep: str = "") -> str:
    """Return a text without control characters and the invisible ones that turn its direction around."""
    return "".join(char if char.isprintable() or char in keep else repr(char)[1:-1] for char in text)


def subject(message: Message) -> str:
    """Return a message in one line: what, how many, whom it concerns."""
    count = len(message.firing) or len(message.resolved)
    count += message.truncated_alerts
    names = sorted({alert.labels.get("alertname", "") for alert in message.alerts})
    what = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    common = {name: value for name, value in message.common_labels.items() if name not in _UNSAID}
    line = f"[{message.status.upper()}:{count}] {what}" + (f" ({labels_text(common)})" if common else "")
    return inert(line if len(line) <= _SUBJECT_CHARS else line[: _SUBJECT_CHARS - 1] + "…")


def labels_text(labels: Mapping[str, str]) -> str:
    """Return labels in one line: ``service=checkout host=web-1``."""
    return inert(" ".join(f"{name}={value}" for name, value in labels.items() if name not in _UNSAID))


def value_text(value: float) -> str:
    """Return what was measured, as short as it can be told."""
    return f"{value:.6g}"


def sample_line(sample: Mapping[str, Any]) -> str:
    """Return a log line as it would be looked at: time, level, host, service, message."""
    parts = (str(sample[key]) for key in ("ts", "level", "host", "service", "message") if sample.get(key))
    line = inert(" ".join(parts))
    return line if len(line) <= _SAMPLE_CHARS else line[: _SAMPLE_CHARS - 1] + "…"


def alert_lines(alert: Alert) -> Iterator[str]:
    """Yield what is said about an alert, without its samples."""
    name = alert.labels.get("alertname", "")
    yield inert(f"{alert.status.upper()} {name} {labels_text(alert.labels)}".rstrip())
    for key, text in alert.annotations.items():
        yield f"  {inert(key)}: {inert(text, keep=chr(10)).replace(chr(10), chr(10) + '    ')}"
    since = f"  since {alert.starts_at:%Y-%m-%d %H:%M:%S %Z}"
    until = f", until {alert.ends_at:%Y-%m-%d %H:%M:%S %Z}" if alert.ends_at else ""
    yield f"{since}{until}, value {value_text(alert.value)}"
    if alert.generator_url:
        yield f"  {inert(alert.generator_url)}"
