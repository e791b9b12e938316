"""What a notifier is given to tell: alerts of a group, or of several when there would be too many messages."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from logstreamd.alerts.alert import Alert

__all__ = ["Message"]


@dataclass(frozen=True, slots=True)
class Message:
    """Alerts told together.

    Attributes:
        receiver: the notifier's name.
        group_labels: what they have in common by ``group_by``; empty when several groups share the message.
        alerts: those that are shown, what is new first.
        truncated_alerts: how many more there are.
        interval_seconds: the longest evaluation interval of their rules.
    """

    receiver: str
    group_labels: Mapping[str, str]
    alerts: tuple[Alert, ...]
    truncated_alerts: int = 0
    interval_seconds: float = 60.0

    @property
    def status(self) -> Literal["firing", "resolved"]:
        """``firing`` as soon as one of the alerts is."""
        return "firing" if self.firing else "resolved"

    @property
    def firing(self) -> list[Alert]:
        """The alerts that fire."""
        return [alert for alert in self.alerts if alert.status == "firing"]

    @property
    def resolved(self) -> list[Alert]:
        """The alerts that have resolved."""
        return [alert for alert in self.alerts if alert.status == "resolved"]

    @property
    def group_key(self) -> str:
        """The same for every message about the same group; written as Alertmanager writes it."""
        labels = ", ".join(f"{name}={json.dumps(value)}" for name, value in sorted(self.group_labels.items()))
        return f"{{}}:{{{labels}}}"

    @property
    def common_labels(self) -> dict[str, str]:
        """The labels that all alerts have with the same value."""
        return _common([alert.labels for alert in self.alerts])

    @property
    def common_annotations(self) -> dict[str, str]:
        """The annotations that all alerts have with the same text."""
        return _common([alert.annotations for alert in self.alerts])


def _common(mappings: Sequence[Mapping[str, str]]) -> dict[str, str]:
    first, *others = mappings or [{}]
    return {name: value for name, value in first.items() if all(other.get(name) == value for other in others)}
