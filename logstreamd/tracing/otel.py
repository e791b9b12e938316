"""The tracer of the OpenTelemetry SDK: the only module that imports it, and imported only where it is wanted.

Spans end up in a bounded queue, and a thread of the SDK sends them (OTLP over HTTP). So neither the event loop nor a
stop ever waits for a receiver: what does not fit, or can't be sent in time, is counted and forgotten.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from contextvars import Token
from types import TracebackType
from urllib.parse import urlsplit

import structlog
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from logstreamd import __version__
from logstreamd.tracing.spans import Attribute, Span, SpanKind

__all__ = ["OtelTracer"]

_log = structlog.get_logger(__name__)

QUEUE_SPANS = 2_048
"""Spans that wait to be sent: about two megabytes, and a minute of the busiest writer."""
_EXPORT_SPANS = 512  # in one request
_EXPORT_EVERY_MS = 2_000.0
_LOG_EVERY_SECONDS = 60.0
_KINDS = {
    "internal": trace.SpanKind.INTERNAL,
    "server": trace.SpanKind.SERVER,
    "client": trace.SpanKind.CLIENT,
}
_PROPAGATOR = TraceContextTextMapPropagator()


class OtelTracer:
    """Makes spans and sends them.

    Args:
        endpoint: the receiver's URL for traces, ``http://127.0.0.1:4318/v1/traces``.
        service_name: what this daemon is called there.
        sample_ratio: how many of the traces that begin here are kept, 0 to 1; those of others as they decided.
        timeout_seconds: for one request to the receiver, repetitions included.
        on_lost: told how many spans were given up.
        monotonic: a steady clock.
    """

    def __init__(
        self,
        *,
        endpoint: str,
        service_name: str,
        sample_ratio: float,
        timeout_seconds: float,
        on_lost: Callable[[int], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        # Headers, certificates and compression come from the SDK's own variables, OTEL_EXPORTER_OTLP_…
        exporter = OTLPSpanExporter(endpoint=endpoint, timeout=timeout_seconds)
        self._on_lost = on_lost
        self._exporter = _WatchedExporter(exporter, _LastWords.of_the_sdk(endpoint), on_lost, monotonic)
        self._provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(sample_ratio)),
            resource=Resource.create({"service.name": service_name, "service.version": __version__}),
            shutdown_on_exit=False,  # whoever started it stops it
        )
        self._provider.add_span_processor(_BoundedProcessor(self._exporter, on_lost))
        self._tracer = self._provider.get_tracer("logstreamd", __version__)

    def span(
        self,
        name: str,
        kind: SpanKind,
        attributes: Mapping[str, Attribute] | None,
        carrier: Mapping[str, str] | None,
        started_ns: int | None,
    ) -> AbstractContextManager[Span]:
        """See :func:`logstreamd.tracing.span`."""
        parent = None if carrier is None else _PROPAGATOR.extract(_lower(carrier), context=otel_context.Context())
        return _OpenSpan(
            self._tracer.start_span(
                name, context=parent, kind=_KINDS[kind], attributes=attributes, start_time=started_ns
            )
        )

    def record(
        self,
        name: str,
        kind: SpanKind,
        started_ns: int,
        ended_ns: int,
        attributes: Mapping[str, Attribute] | None,
    ) -> None:
        """See :func:`logstreamd.tracing.record`."""
        span = self._tracer.start_span(name, kind=_KINDS[kind], attributes=attributes, start_time=started_ns)
        span.end(ended_ns)

    def outgoing_headers(self) -> dict[str, str]:
        """See :func:`logstreamd.tracing.outgoing_headers`."""
        headers: dict[str, str] = {}
        _PROPAGATOR.inject(headers)
        return headers

    def current_ids(self) -> dict[str, str]:
        """See :func:`logstreamd.tracing.current_ids`."""
        ids = trace.get_current_span().get_span_context()
        if not ids.is_valid:
            return {}
        return {"trace_id": trace.format_trace_id(ids.trace_id), "span_id": trace.format_span_id(ids.span_id)}

    async def stop(self, deadline_seconds: float) -> None:
        """Send what waits.

        Args:
            deadline_seconds: then the rest is given up.
        """
        loop = asyncio.get_running_loop()
        sent = asyncio.Event()

        def send() -> None:
            self._provider.shutdown()
            with suppress(RuntimeError):  # too late: the event loop is closed
                loop.call_soon_threadsafe(sent.set)

        # No thread of the loop's executor: the end of the process waits for those, however long they take.
        threading.Thread(target=send, name="send traces", daemon=True).start()
        try:
            async with asyncio.timeout(deadline_seconds):
                await sent.wait()
        except TimeoutError:
            waiting = self._exporter.give_up()
            self._on_lost(waiting)
            _log.warning("traces were not sent in time", spans=waiting)


def _lower(carrier: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in carrier.items() if name.lower() in _PROPAGATOR.fields}


class _OpenSpan:
    """A span that is the current one of its task for a ``with`` block."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span
        self._token: Token[otel_context.Context] | None = None

    def __enter__(self) -> _OpenSpan:
        self._token = otel_context.attach(trace.set_span_in_context(self._span))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, place: TracebackType | None
    ) -> None:
        if isinstance(problem, Exception):  # somebody who went away, or the end of the daemon, is no failure
            self.fail(type(problem).__name__)
        if self._token is not None:
            otel_context.detach(self._token)
        self._span.end()

    def set(self, name: str, value: Attribute) -> None:
        self._span.set_attribute(name, value)

    def fail(self, kind: str) -> None:
        self._span.set_attribute("error.type", kind)
        self._span.set_status(trace.StatusCode.ERROR)


class _BoundedProcessor(BatchSpanProcessor):
    """Refuses what finds the queue full: the SDK would forget the oldest without a word to anybody."""

    def __init__(self, exporter: _WatchedExporter, on_lost: Callable[[int], None]) -> None:
        super().__init__(
            exporter,
            max_queue_size=QUEUE_SPANS,
            schedule_delay_millis=_EXPORT_EVERY_MS,
            max_export_batch_size=_EXPORT_SPANS,
        )
        self._exporter = exporter
        self._on_lost = on_lost

    def on_end(self, span: ReadableSpan) -> None:
        if span.context is None or not span.context.trace_flags.sampled:
            return
        if self._exporter.try_expect():
            super().on_end(span)
        else:
            self._on_lost(1)


class _WatchedExporter(SpanExporter):
    """Sends spans, and says when a receiver is away: once, then once a minute, and when it is back.

    Called by the SDK's thread. The SDK itself would write several lines for each attempt.
    """

    def __init__(
        self,
        exporter: OTLPSpanExporter,
        last_words: _LastWords,
        on_lost: Callable[[int], None],
        monotonic: Callable[[], float],
    ) -> None:
        self._waiting = 0
        self._lock = threading.Lock()  # spans end on one thread and are sent on another
        self._exporter = exporter
        self._on_lost = on_lost
        self._monotonic = monotonic
        self._log_at = 0.0
        self._lost = 0
        self._failing = False
        self._last_words = last_words

    def try_expect(self) -> bool:
        """Make room for one more span in the queue; False when it is full."""
        with self._lock:
            if self._waiting >= QUEUE_SPANS:
                return False
            self._waiting += 1
            return True

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        with self._lock:
            self._waiting -= len(spans)
        self._last_words.text = ""
        result = self._exporter.export(spans)
        if result is SpanExportResult.SUCCESS:
            if self._failing:
                _log.info("traces are sent again", lost_spans=self._lost)
            self._failing, self._lost = False, 0
        else:
            self._failed(len(spans))
        return result

    def _failed(self, spans: int) -> None:
        self._on_lost(spans)
        self._lost += spans
        now = self._monotonic()
        if self._failing and now < self._log_at:
            return
        self._failing, self._log_at = True, now + _LOG_EVERY_SECONDS
        _log.warning("traces can't be sent", problem=self._last_words.text, lost_spans=self._lost)

    def give_up(self) -> int:
        """Cut short what is being sent; return how many spans still wait."""
        self.shutdown()
        with self._lock:
            return self._waiting

    def shutdown(self) -> None:
        self._exporter.shutdown()  # type: ignore[no-untyped-call]


def _after_host(endpoint: str) -> str:
    parts = urlsplit(endpoint)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


class _LastWords(logging.Handler):
    """Takes what the SDK says about itself out of the log, and keeps the reason of the last failure.

    Args:
        path: of the receiver's URL, which may hold a secret: it is not repeated.
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        self.text = ""
        self._path = path

    @classmethod
    def of_the_sdk(cls, endpoint: str) -> _LastWords:
        """Listen to the SDK."""
        words, logger = cls(_after_host(endpoint)), logging.getLogger("opentelemetry")
        logger.handlers[:] = [words]
        logger.propagate = False
        return words

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage().replace(self._path, "/***")
        if "timeout, max retries" not in text or not self.text:  # the line before it says why
            self.text = text
