"""How a metric is declared: its name, and what it says to a person."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

__all__ = ["STAGE_SECONDS", "Declaring"]

STAGE_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
"""Buckets for work of which most takes milliseconds."""


class Declaring:
    """A part of the metrics, in the registry of all of them."""

    registry: CollectorRegistry

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"logstreamd_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"logstreamd_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"logstreamd_{name}", text, labels, buckets=buckets, registry=self.registry)
