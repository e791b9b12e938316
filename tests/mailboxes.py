"""A mailbox on a clock that tests move."""

from __future__ import annotations

import math
from collections import Counter

from logstreamd.alerts.alert import Alert
from logstreamd.alerts.group import Policy
from logstreamd.alerts.mailbox import Mailbox
from logstreamd.alerts.message import Message

__all__ = ["Box", "names"]


class Box:
    """A mailbox with a clock."""

    def __init__(self, policy: Policy = Policy()) -> None:  # noqa: B008
        self.dropped: Counter[str] = Counter()
        self.silenced: set[str] = set()  # services
        self.mailbox = Mailbox(
            "ops",
            policy,
            lambda reason, alerts: self.dropped.update({reason: alerts}),
            lambda labels: labels.get("service") in self.silenced,
        )
        self.now = 1_000.0

    def put(self, *alerts: Alert, interval: float = 15.0) -> None:
        for alert in alerts:
            self.mailbox.put(alert, interval, self.now)

    def after(self, seconds: float) -> Message | None:
        """What is sent ``seconds`` later; it is delivered."""
        self.now += seconds
        message = self.mailbox.due(self.now)
        if message is not None:
            self.mailbox.delivered(self.now)
        return message

    def run(self, seconds: float, *confirmed: Alert) -> list[tuple[float, Message]]:
        """What is sent within so many seconds while the evaluator confirms alerts every 15 s."""
        end, sent = self.now + seconds, []
        next_evaluation = self.now if confirmed else math.inf
        while self.now < end:
            if self.now >= next_evaluation:
                self.put(*confirmed)
                next_evaluation += 15
            message = self.after(0)
            if message is not None:
                sent.append((self.now - 1_000, message))
                continue
            due = self.mailbox.next_due(self.now)
            self.now = min(max(due if due is not None else end, self.now + 0.001), next_evaluation, end)
        return sent


def names(message: Message | None) -> list[str]:
    assert message is not None
    return sorted(f"{alert.labels['alertname']}/{alert.labels.get('service', '')}" for alert in message.alerts)
