from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from webhook_receiver import WebhookReceiver

from logstreamd.metrics import Metrics


@pytest.fixture
async def receiver() -> AsyncIterator[WebhookReceiver]:
    """A server that takes messages."""
    receiver = WebhookReceiver()
    await receiver.start()
    yield receiver
    await receiver.stop()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(version="test", wire="python")
