"""A POST of JSON, in the shape that receivers of Alertmanager's webhook already read (version 4), and signed.

Beyond that shape every alert has its ``value`` and its ``samples``: the log lines that prove it.

Source: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from logstreamd.alerts.alert import Alert
from logstreamd.alerts.message import Message
from logstreamd.alerts.notify.alert_json import annotations_with_samples, encode, number, time_text
from logstreamd.alerts.notify.http_client import HttpClient
from logstreamd.alerts.notify.notifier import UnavailableError
from logstreamd.alerts.notify.secret import Secret, SecretError
from logstreamd.alerts.notify.signature import SIGNATURE_HEADER, sign

__all__ = ["WebhookNotifier", "webhook_body"]

MAX_BODY_BYTES = 1 << 20
"""What receivers take: the default limit of nginx. A larger message is sent without its samples."""


class WebhookNotifier:
    """Posts messages.

    Args:
        client: how.
        url: returns where to; asked for each message.
        key: what a message is signed with; None: it is not signed.
        external_url: where this daemon's page is.
    """

    def __init__(self, client: HttpClient, url: Callable[[], str], key: Secret | None, external_url: str) -> None:
        self._client = client
        self._url = url
        self._key = key
        self._external_url = external_url

    async def send(self, message: Message) -> None:
        """Deliver a message."""
        body = webhook_body(message, self._external_url)
        try:
            headers = {SIGNATURE_HEADER: sign(self._key.read(), body, int(time.time()))} if self._key else {}
            url = self._url()
        except SecretError as problem:
            raise UnavailableError(str(problem)) from problem
        await self._client.post(url, body, headers)

    async def close(self) -> None:
        """Close the client."""
        await self._client.close()


def webhook_body(message: Message, external_url: str) -> bytes:
    """Return what is posted."""
    body = encode(_document(message, external_url, samples=True))
    return body if len(body) <= MAX_BODY_BYTES else encode(_document(message, external_url, samples=False))


def _document(message: Message, external_url: str, *, samples: bool) -> dict[str, Any]:
    return {
        "version": "4",
        "groupKey": message.group_key,
        "truncatedAlerts": message.truncated_alerts,
        "status": message.status,
        "receiver": message.receiver,
        "groupLabels": message.group_labels,
        "commonLabels": message.common_labels,
        "commonAnnotations": message.common_annotations,
        "externalURL": external_url,
        "alerts": [_alert(alert, samples=samples) for alert in message.alerts],
    }


def _alert(alert: Alert, *, samples: bool) -> dict[str, Any]:
    return {
        "status": alert.status,
        "labels": dict(alert.labels),
        "annotations": annotations_with_samples(alert) if samples else dict(alert.annotations),
        "startsAt": time_text(alert.starts_at),
        "endsAt": time_text(alert.ends_at),
        "generatorURL": alert.generator_url,
        "fingerprint": alert.fingerprint,
        "value": number(alert.value),
        "samples": alert.samples if samples else [],
    }
