"""Alertmanager's API, version 2: alerts as Prometheus sends them.

An alert that fires is sent again and again with an end that lies ahead: should this daemon fall silent, it ends there.
Grouping, silencing and repeating is Alertmanager's business.

Source: https://prometheus.io/docs/alerting/latest/clients/
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from logstreamd.alerts.alert import Alert
from logstreamd.alerts.message import Message
from logstreamd.alerts.notify.alert_json import annotations_with_samples, encode, time_text
from logstreamd.alerts.notify.http_client import HttpClient
from logstreamd.alerts.notify.notifier import DeliveryError, RejectedError, UnavailableError
from logstreamd.config.receiver_url import ReceiverUrl

__all__ = ["MAX_ALERTS_PER_REQUEST", "AlertmanagerNotifier", "alert_document"]

_log = structlog.get_logger(__name__)

MAX_ALERTS_PER_REQUEST = 256
"""Prometheus' default batch size."""

_MISSED_RESENDS = 4  # as in Prometheus: an alert outlives three that are lost


class AlertmanagerNotifier:
    """Sends every alert to every Alertmanager.

    Args:
        client: how.
        urls: where they are, without ``/api/v2/alerts``.
        resend_delay_seconds: how often an alert that fires is sent again.
        now: the time of day.
    """

    def __init__(
        self,
        client: HttpClient,
        urls: Sequence[ReceiverUrl],
        *,
        resend_delay_seconds: float,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._client = client
        self._urls = {str(url): f"{url.text.rstrip('/')}/api/v2/alerts" for url in urls}
        self._resend_delay_seconds = resend_delay_seconds
        self._now = now
        self._down: set[str] = set()

    async def send(self, message: Message) -> None:
        """Deliver the alerts; one Alertmanager that takes them is enough, the others get them with the next resend."""
        lifetime = _MISSED_RESENDS * max(message.interval_seconds, self._resend_delay_seconds)
        end = self._now() + timedelta(seconds=lifetime)
        documents = [alert_document(alert, end) for alert in message.alerts]
        bodies = [
            encode(documents[first : first + MAX_ALERTS_PER_REQUEST])
            for first in range(0, len(documents), MAX_ALERTS_PER_REQUEST)
        ]
        outcomes = await asyncio.gather(*(self._send_to(name, url, bodies) for name, url in self._urls.items()))
        problems = [problem for problem in outcomes if problem is not None]
        if len(problems) < len(self._urls):
            return
        worth_another = [problem for problem in problems if isinstance(problem, UnavailableError)]
        raise worth_another[0] if worth_another else problems[0]

    async def _send_to(self, name: str, url: str, bodies: Sequence[bytes]) -> DeliveryError | None:
        """Send to one of them; say so in the log when it stops or begins to take alerts."""
        try:
            for body in bodies:
                await self._client.post(url, body, {})
        except (RejectedError, UnavailableError) as problem:
            if name not in self._down:
                _log.warning("an Alertmanager does not take alerts", url=name, problem=str(problem))
            self._down.add(name)
            return problem
        if name in self._down:
            _log.info("the Alertmanager takes alerts again", url=name)
            self._down.remove(name)
        return None

    async def close(self) -> None:
        """Close the client."""
        await self._client.close()


def alert_document(alert: Alert, end: datetime) -> dict[str, Any]:
    """Return an alert as Alertmanager takes it; while it fires it ends at ``end``."""
    return {
        "labels": dict(alert.labels),
        "annotations": annotations_with_samples(alert),
        "startsAt": time_text(alert.starts_at),
        "endsAt": time_text(alert.ends_at or end),
        "generatorURL": alert.generator_url,
    }
