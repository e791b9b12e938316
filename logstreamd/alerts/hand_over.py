"""Alerts → the outbox of the notifiers, without those that are silenced already."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Protocol
from urllib.parse import urlencode

from logstreamd.alerts.alert import Alert
from logstreamd.alerts.measure import measurement_of, proof_filter
from logstreamd.alerts.rule import Rule
from logstreamd.alerts.silence import Silence, is_withheld
from logstreamd.alerts.state import Instance
from logstreamd.alerts.watched import Watched

__all__ = ["HandOver", "Messenger"]


class Messenger(Protocol):
    """Whoever brings alerts to notifiers."""

    @property
    def receivers(self) -> tuple[str, ...]:
        """All notifiers."""

    async def notify(self, alerts: Iterable[Alert], receivers: Iterable[str], *, interval_seconds: float) -> None:
        """Take alerts; what is new about them is durable when this returns."""

    def untold(self) -> set[str]:
        """Return the names of the rules whose alerts wait to be told."""

    async def stand_by(self) -> None:
        """Leave what fires to another daemon; what has resolved and waits is told all the same."""


class HandOver:
    """Hands alerts over.

    Args:
        messenger: to whom.
        silences: those that have not ended.
        now: the time.
        external_url: where this daemon is found, for links to a rule's lines; empty: nowhere.
        delay: how late lines may be.
    """

    def __init__(
        self,
        messenger: Messenger,
        silences: Callable[[], Sequence[Silence]],
        now: Callable[[], datetime],
        *,
        external_url: str,
        delay: timedelta,
    ) -> None:
        self._messenger = messenger
        self._silences = silences
        self._now = now
        self._external_url = external_url
        self._delay = delay

    async def rule(self, watched: Watched, resolved: Iterable[Instance]) -> None:
        """Hand over the alerts of a rule that fire, and those of them that have just resolved."""
        firing = (one for one in watched.state.instances if one.state == "firing")
        alerts = [watched.alert(one, self._link(watched.rule, one)) for one in (*firing, *resolved)]
        await self.alerts(alerts, watched.rule.notify, watched.rule.interval.total_seconds())

    async def alerts(self, alerts: Iterable[Alert], notify: Sequence[str], interval_seconds: float) -> None:
        """Hand over alerts.

        Args:
            alerts: firing and resolved.
            notify: notifiers; empty: all of them. One that is gone is told nothing.
            interval_seconds: how often their rule is evaluated.
        """
        told = list(self._not_silenced(alerts))
        known = self._messenger.receivers
        receivers = [name for name in notify if name in known] if notify else known
        if told and receivers:
            await self._messenger.notify(told, receivers, interval_seconds=interval_seconds)

    def untold(self) -> set[str]:
        """Return the names of the rules whose alerts were handed over and wait to be told."""
        return self._messenger.untold()

    async def stand_by(self) -> None:
        """Leave what fires to another daemon, which has it from the journal."""
        await self._messenger.stand_by()

    def _not_silenced(self, alerts: Iterable[Alert]) -> Iterator[Alert]:
        silences, now = self._silences(), self._now()
        for alert in alerts:
            resolved = alert.status == "resolved"
            if not is_withheld(silences, alert.labels, now, fired_at=alert.starts_at, resolved=resolved):
                yield alert

    def _link(self, rule: Rule, instance: Instance) -> str:
        """Return where to find the lines because of which the alert began to fire."""
        if not self._external_url or instance.fired_at is None:
            return ""
        measurement = measurement_of(rule, instance.fired_at, self._delay)
        query = {
            "q": str(proof_filter(rule, instance.group)),
            "start": measurement.proof_start.isoformat(),
            "end": measurement.end.isoformat(),
        }
        return f"{self._external_url}/api/v1/logs?{urlencode(query)}"
