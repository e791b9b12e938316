"""OpenTelemetry traces: off, and then next to free, unless :func:`start` was called.

=================== ======== ================================= ===========================================
span                kind     parent                            attributes
=================== ======== ================================= ===========================================
``GET /api/v1/…``   server   the request's ``traceparent``     method, route, status
``batch``           internal none: it is of many requests      input, rows, bytes, age, batch, spool_seq
``encode``          internal ``batch``
``COPY``            client   ``batch``, once per attempt       rows, quarantined
``commit``          client   ``batch``
``rule``            internal none                              rule, group, outcome
``POST``            client   none; it goes along as            host, status
                             ``traceparent``
=================== ======== ================================= ===========================================

Attributes that OpenTelemetry has no name for begin with ``logstreamd.``.

Whoever makes spans calls :func:`span` through this module, so that starting swaps the tracer for every caller. A line
of the log that is written inside a span has its ids. What is traced is this daemon: the trace ids of the lines it
stores are data, and never touched.

Source: https://www.w3.org/TR/trace-context/, https://opentelemetry.io/docs/specs/semconv/http/http-spans/
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from logstreamd.tracing.spans import (
    NO_TRACER,
    Span,
    SpanKind,
    Tracer,
    current_ids,
    outgoing_headers,
    record,
    span,
    use,
)

__all__ = [
    "NO_TRACER",
    "Span",
    "SpanKind",
    "Tracer",
    "current_ids",
    "outgoing_headers",
    "record",
    "span",
    "start",
    "use",
]


_FLUSH_SECONDS = 3.0  # at the end, for what waits to be sent: a stop has better things to do


def start(
    *, endpoint: str, service_name: str, sample_ratio: float, timeout_seconds: float, on_lost: Callable[[int], None]
) -> Callable[[], Awaitable[None]]:
    """Trace from now on.

    Args:
        endpoint: the receiver's URL for traces.
        service_name: what this daemon is called there.
        sample_ratio: how many of the traces that begin here are kept, 0 to 1.
        timeout_seconds: for one request to the receiver.
        on_lost: told how many spans were given up.

    Returns:
        What ends it: sends what waits, for a few seconds at most.

    Raises:
        ImportError: the extra ``otel`` is not installed.
    """
    from logstreamd.tracing.otel import OtelTracer

    tracer = OtelTracer(
        endpoint=endpoint,
        service_name=service_name,
        sample_ratio=sample_ratio,
        timeout_seconds=timeout_seconds,
        on_lost=on_lost,
    )
    use(tracer)
    return partial(tracer.stop, _FLUSH_SECONDS)
