"""What the parts of the daemon see of tracing: spans, and a tracer that does nothing."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Literal, Protocol

__all__ = [
    "NO_TRACER",
    "Attribute",
    "Span",
    "SpanKind",
    "Tracer",
    "current_ids",
    "outgoing_headers",
    "record",
    "span",
    "use",
]

Attribute = str | int | float | bool
SpanKind = Literal["internal", "server", "client"]


class Span(Protocol):
    """Something that takes time. What is raised inside it, cancellation aside, makes it a failed one."""

    def set(self, name: str, value: Attribute) -> None:
        """Say something about it."""

    def fail(self, kind: str) -> None:
        """Mark it as failed; ``kind`` is a word or a class, never a text with somebody's values in it."""


class Tracer(Protocol):
    """Makes spans."""

    def span(
        self,
        name: str,
        kind: SpanKind,
        attributes: Mapping[str, Attribute] | None,
        carrier: Mapping[str, str] | None,
        started_ns: int | None,
    ) -> AbstractContextManager[Span]:
        """See :func:`span`."""

    def record(
        self,
        name: str,
        kind: SpanKind,
        started_ns: int,
        ended_ns: int,
        attributes: Mapping[str, Attribute] | None,
    ) -> None:
        """See :func:`record`."""

    def outgoing_headers(self) -> dict[str, str]:
        """See :func:`outgoing_headers`."""

    def current_ids(self) -> dict[str, str]:
        """See :func:`current_ids`."""


class _NoSpan:
    """One span for all that are not made."""

    def __enter__(self) -> _NoSpan:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, place: TracebackType | None
    ) -> None:
        """Nothing was begun."""

    def set(self, name: str, value: Attribute) -> None:
        """Nobody asks."""

    def fail(self, kind: str) -> None:
        """Nobody asks."""


_NO_SPAN = _NoSpan()


class _NoTracer:
    """Makes no spans."""

    def span(
        self,
        name: str,
        kind: SpanKind,
        attributes: Mapping[str, Attribute] | None,
        carrier: Mapping[str, str] | None,
        started_ns: int | None,
    ) -> AbstractContextManager[Span]:
        return _NO_SPAN

    def record(
        self,
        name: str,
        kind: SpanKind,
        started_ns: int,
        ended_ns: int,
        attributes: Mapping[str, Attribute] | None,
    ) -> None:
        """Nothing is kept."""

    def outgoing_headers(self) -> dict[str, str]:
        return {}

    def current_ids(self) -> dict[str, str]:
        return {}


NO_TRACER: Tracer = _NoTracer()
_tracer: Tracer = NO_TRACER


def use(tracer: Tracer) -> None:
    """Let this tracer make the spans of the process from now on; :data:`NO_TRACER` ends it."""
    global _tracer
    _tracer = tracer


def span(
    name: str,
    kind: SpanKind = "internal",
    *,
    attributes: Mapping[str, Attribute] | None = None,
    carrier: Mapping[str, str] | None = None,
    started_ns: int | None = None,
) -> AbstractContextManager[Span]:
    """Begin a span that lasts for a ``with`` block, inside the one that is open in this task.

    Args:
        name: of few different ones: a route, never a path.
        kind: who is at its ends.
        attributes: what is known about it now.
        carrier: headers of the request it answers; one with a valid ``traceparent`` is its parent.
        started_ns: when it began, in nanoseconds since the epoch, if that was earlier.
    """
    return _tracer.span(name, kind, attributes, carrier, started_ns)


def record(
    name: str,
    kind: SpanKind = "internal",
    *,
    started_ns: int,
    ended_ns: int,
    attributes: Mapping[str, Attribute] | None = None,
) -> None:
    """Make a span of something that is over, inside the one that is open in this task.

    Args:
        name: of few different ones.
        kind: who is at its ends.
        started_ns: when it began, in nanoseconds since the epoch.
        ended_ns: when it was over.
        attributes: what is known about it.
    """
    _tracer.record(name, kind, started_ns, ended_ns, attributes)


def outgoing_headers() -> dict[str, str]:
    """Return what tells a receiver which span it is in: ``traceparent``; nothing while tracing is off."""
    return _tracer.outgoing_headers()


def current_ids() -> dict[str, str]:
    """Return ``trace_id`` and ``span_id`` of the open span for a line of the log; nothing outside of one."""
    return _tracer.current_ids()
