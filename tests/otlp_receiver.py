"""A receiver of OTLP traces over HTTP, as a collector is one: reads what was sent and says what the test wants."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from logstreamd import tracing

__all__ = ["OtlpReceiver", "ReceivedSpan", "only", "traced"]


@dataclass(frozen=True)
class ReceivedSpan:
    """A span as it came over the wire."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    start_ns: int
    end_ns: int
    failed: bool
    attributes: dict[str, Any] = field(default_factory=dict)


def only(spans: Sequence[ReceivedSpan], name: str) -> ReceivedSpan:
    """Return the one span of this name."""
    (found,) = (span for span in spans if span.name == name)
    return found


@contextmanager
def traced(endpoint: str, **settings: Any) -> Iterator[Any]:
    """Trace to an endpoint while the block lasts; yields the tracer. Skips where OpenTelemetry is not installed."""
    otel = pytest.importorskip("logstreamd.tracing.otel", reason="the extra otel is not installed")
    logger = logging.getLogger("opentelemetry")
    wanted = {"service_name": "logs", "sample_ratio": 1.0, "timeout_seconds": 1.0, "on_lost": lambda _: None}
    tracer = otel.OtelTracer(endpoint=endpoint, **(wanted | settings))
    tracing.use(tracer)
    try:
        yield tracer
    finally:
        tracing.use(tracing.NO_TRACER)
        logger.handlers[:], logger.propagate = [], True


class OtlpReceiver:
    """Listens on a port of its own while the block lasts.

    Attributes:
        spans: everything received.
        resources: the attributes of whoever sent it.
        headers: of every request.
        status: what is answered.
        gate: answers wait for it.
    """

    def __init__(self) -> None:
        self.spans: list[ReceivedSpan] = []
        self.resources: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.status = 200
        self.gate = asyncio.Event()
        self.gate.set()
        self._changed = asyncio.Condition()
        application = web.Application()
        application.router.add_post("/v1/traces", self._take)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)

    @property
    def endpoint(self) -> str:
        """Where traces are sent."""
        host, port = self._runner.addresses[0][:2]
        return f"http://{host}:{port}/v1/traces"

    async def __aenter__(self) -> OtlpReceiver:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.gate.set()
        await self._runner.cleanup()

    async def wait_for(self, name: str, count: int = 1) -> list[ReceivedSpan]:
        """Return the spans of a name when there are so many."""
        async with asyncio.timeout(30), self._changed:
            await self._changed.wait_for(lambda: len(self.named(name)) >= count)
        return self.named(name)

    def named(self, name: str) -> list[ReceivedSpan]:
        """Return the spans of a name that are here."""
        return [span for span in self.spans if span.name == name]

    async def _take(self, request: web.Request) -> web.Response:
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        message = ExportTraceServiceRequest.FromString(await request.read())
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        await self.gate.wait()
        if self.status == 200:
            for resource in message.resource_spans:
                self.resources.append(_attributes(resource.resource.attributes))
                self.spans += [_span(one) for scope in resource.scope_spans for one in scope.spans]
        async with self._changed:
            self._changed.notify_all()
        return web.Response(status=self.status)


def _span(message: Any) -> ReceivedSpan:
    from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

    return ReceivedSpan(
        name=message.name,
        kind=Span.SpanKind.Name(message.kind).removeprefix("SPAN_KIND_").lower(),
        trace_id=message.trace_id.hex(),
        span_id=message.span_id.hex(),
        parent_id=message.parent_span_id.hex(),
        start_ns=message.start_time_unix_nano,
        end_ns=message.end_time_unix_nano,
        failed=message.status.code == Status.STATUS_CODE_ERROR,
        attributes=_attributes(message.attributes),
    )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}
