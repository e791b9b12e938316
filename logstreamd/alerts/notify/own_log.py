"""Alerts in the daemon's own log, one line each."""

from __future__ import annotations

import structlog

from logstreamd.alerts.alert import Alert
from logstreamd.alerts.message import Message
from logstreamd.alerts.notify.text import labels_text, sample_line

__all__ = ["LogNotifier"]

_log = structlog.get_logger(__name__)


class LogNotifier:
    """Writes to the log, which escapes the control characters of log lines."""

    async def send(self, message: Message) -> None:
        """Write a line for every alert of the message."""
        for alert in message.alerts:
            _write(message.receiver, alert)
        if message.truncated_alerts:
            _log.warning("alerts not shown", notifier=message.receiver, alerts=message.truncated_alerts)

    async def close(self) -> None:
        """Nothing to let go of."""


def _write(receiver: str, alert: Alert) -> None:
    write = _log.warning if alert.status == "firing" else _log.info
    write(
        f"alert {alert.status}",
        notifier=receiver,
        alert=alert.labels.get("alertname", ""),
        labels=labels_text(alert.labels),
        annotations=labels_text(alert.annotations),
        value=alert.value,
        since=alert.starts_at.isoformat(),
        until=alert.ends_at.isoformat() if alert.ends_at else None,
        fingerprint=alert.fingerprint,
        sample=sample_line(alert.samples[0]) if alert.samples else None,
    )
