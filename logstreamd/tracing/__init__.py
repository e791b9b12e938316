"""OpenTelemetry traces: off, and then next to free, unless a tracer was given to :func:`use`.

=================== ======== ====================================== ==========================================
span                kind     parent                                 attributes
=================== ======== ====================================== ==========================================
``GET /api/v1/…``   server   the request's ``traceparent``          method, route, status
``batch``           internal none: a batch is of many requests      input, rows, bytes, age, batch, spool_seq
``encode``          internal ``batch``                              rows
``COPY``            client   ``batch``, once per attempt            rows, quarantined
``commit``          client   ``batch``, once per attempt
``rule``            internal none                                   rule, group, outcome
``POST``            client   none; sent along as ``traceparent``    host, status
=================== ======== ====================================== ==========================================

Whoever makes spans calls :func:`span` through this module, so that starting swaps the tracer for every caller. A line
of the log that is written inside a span has its ids. What is traced is this daemon: the trace ids of the lines it
stores are data, and never touched.

Source: https://www.w3.org/TR/trace-context/, https://opentelemetry.io/docs/specs/semconv/http/http-spans/
"""

from __future__ import annotations

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
    "use",
]
