"""What the HTTP side answers."""

from __future__ import annotations

from logstreamd.metrics.declaring import STAGE_SECONDS, Declaring
from logstreamd.metrics.labels import HTTP_DENIAL_REASONS, TAIL_SKIP_REASONS

__all__ = ["ServingMetrics"]


class ServingMetrics(Declaring):
    """What the HTTP side answers."""

    def _declare_http(self) -> None:
        self.http_requests = self._counter("http_requests", "HTTP requests answered.", "route", "status")
        self.http_seconds = self._histogram("http_seconds", "Time to answer.", STAGE_SECONDS, "route")
        self.http_denied_requests = self._counter(
            "http_denied_requests",
            "Requests turned away before they were read: address, one that http.allow lacks; host, a name that "
            "http.allowed_hosts lacks; token_missing; token_unknown; scope_missing. The log says where from.",
            "reason",
        )
        for reason in HTTP_DENIAL_REASONS:
            self.http_denied_requests.labels(reason)
        self.http_slow_heads = self._counter(
            "http_slow_heads", "HTTP connections closed because no request came over them in time."
        )
        self.tail_clients = self._gauge("tail_clients", "Clients that follow a live tail.")
        self.tail_skipped_rows = self._counter(
            "tail_skipped_rows",
            "Rows left out of live tails, for each client: slow, it did not read them in time; unread, they may have "
            "matched, and there was no time to look. Narrow the filter.",
            "reason",
        )
        for reason in TAIL_SKIP_REASONS:
            self.tail_skipped_rows.labels(reason)
