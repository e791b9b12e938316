"""Every metric of the daemon, declared once: what it counts, and what to do when it moves.

One frame becomes one row, and the ledger closes at every scrape, for each input:

    received + recovered = stored + quarantined + dropped + spooled + in flight

The counters are advanced per batch, never per record. What lies in the spool and what is on its way there is asked of
the parts that hold it, at the moment of the scrape (:meth:`Metrics.watch_input`): the difference is a check, not a sum
that was made to fit.
"""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, disable_created_metrics
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from logstreamd.metrics.alerts import AlertMetrics
from logstreamd.metrics.declaring import STAGE_SECONDS
from logstreamd.metrics.files import FileMetrics
from logstreamd.metrics.labels import DROP_REASONS, LOG_LEVELS, RELOAD_OUTCOMES
from logstreamd.metrics.ledger import LedgerLine
from logstreamd.metrics.listening import ListeningMetrics
from logstreamd.metrics.serving import ServingMetrics
from logstreamd.metrics.storing import StoringMetrics

__all__ = ["Metrics"]


class Metrics(ListeningMetrics, FileMetrics, StoringMetrics, ServingMetrics, AlertMetrics):
    """The daemon's metrics in a registry of their own.

    Args:
        version: the daemon's version, for ``logstreamd_build_info``.
        wire: which implementation of the hot functions runs, ``python`` or ``compiled``.
    """

    def __init__(self, *, version: str, wire: str) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series per counter: nobody asks for it
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        build = self._gauge("build_info", "Always 1; the labels say what runs.", "version", "wire")
        build.labels(version=version, wire=wire).set(1)
        self.ready = self._gauge("ready", "1 when messages can be taken and stored; /ready says what is wrong.")
        self._inputs: dict[str, tuple[Callable[[], int], Callable[[], int]]] = {}
        self._declare_configuration()
        self._declare_ledger()
        self._declare_inputs()
        self._declare_files()
        self._declare_writer()
        self._declare_storage()
        self._declare_spool()
        self._declare_http()
        self._declare_deliveries()
        self._declare_evaluations()
        self._declare_self()

    def _declare_configuration(self) -> None:
        self.config_reloads = self._counter("config_reloads", "Reloads of the configuration.", "outcome")
        for outcome in RELOAD_OUTCOMES:
            self.config_reloads.labels(outcome)
        self.config_last_reload_successful = self._gauge(
            "config_last_reload_successful",
            "0 when the last reload was refused and an earlier configuration is in force; /status says why.",
        )
        self.config_last_reload_success_timestamp_seconds = self._gauge(
            "config_last_reload_success_timestamp_seconds", "When the configuration in force was put in force."
        )

    def _declare_ledger(self) -> None:
        self.received_frames = self._counter("received_frames", "Messages taken from an input.", "input")
        self.recovered_frames = self._counter(
            "recovered_frames", "Messages an earlier run had left in the spool.", "input"
        )
        self.stored_rows = self._counter("stored_rows", "Messages committed to the table logs.", "input")
        self.quarantined_rows = self._counter(
            "quarantined_rows",
            "Messages PostgreSQL refused, kept in the table quarantine with the reason. Look there.",
            "input",
        )
        self.dropped_frames = self._counter(
            "dropped_frames",
            "Messages received and not kept. Refused and duplicate are no losses, rate_limited and not_allowed are as "
            "configured (/status names the senders); the others should never move.",
            "input",
            "reason",
        )
        self.spooled_frames = self._gauge(
            "spooled_frames", "Messages in the spool, not stored yet. Grows while PostgreSQL is away.", "input"
        )
        self.in_flight_frames = self._gauge(
            "in_flight_frames", "Messages received that are not in the spool yet.", "input"
        )
        self.ledger_imbalance_frames = self._gauge(
            "ledger_imbalance_frames", "Messages the ledger can't account for. Anything but 0 is a bug.", "input"
        )

    def _declare_self(self) -> None:
        self.event_loop_lag_seconds = self._histogram(
            "event_loop_lag_seconds",
            "How late the event loop wakes what waits. Above a second something keeps the daemon from everything else.",
            STAGE_SECONDS,
        )
        self.log_lines = self._counter("log_lines", "Lines of the daemon's own log.", "level")
        self.suppressed_log_lines = self._counter(
            "suppressed_log_lines", "Lines of the daemon's own log left out: they repeated what others say.", "level"
        )
        for level in LOG_LEVELS:
            self.log_lines.labels(level)
            self.suppressed_log_lines.labels(level)
        self.lost_spans = self._counter(
            "lost_spans", "Spans of traces that were given up: the receiver is away, or slower than they come."
        )

    def watch_input(self, name: str, *, in_flight: Callable[[], int], spooled: Callable[[], int]) -> None:
        """Open the ledger of an input: every series exists from the start, at 0.

        Args:
            name: the input's name, the label ``input``.
            in_flight: asked at each scrape: messages received and not spooled yet.
            spooled: asked at each scrape: messages in the spool.
        """
        self._inputs[name] = (in_flight, spooled)
        for counter in (
            self.received_frames,
            self.recovered_frames,
            self.stored_rows,
            self.quarantined_rows,
            self.received_bytes,
            self.truncated_frames,
            self.partial_frames,
        ):
            counter.labels(name)
        for reason in DROP_REASONS:
            self.dropped_frames.labels(name, reason)
        self.in_flight_frames.labels(name).set_function(in_flight)
        self.spooled_frames.labels(name).set_function(spooled)
        self.ledger_imbalance_frames.labels(name).set_function(lambda: self.ledger(name).imbalance)

    def ledger(self, name: str) -> LedgerLine:
        """Return the ledger of one input as it stands now."""
        in_flight, spooled = self._inputs[name]
        return LedgerLine(
            received=_value(self.received_frames.labels(name)),
            recovered=_value(self.recovered_frames.labels(name)),
            stored=_value(self.stored_rows.labels(name)),
            quarantined=_value(self.quarantined_rows.labels(name)),
            dropped=sum(_value(self.dropped_frames.labels(name, reason)) for reason in DROP_REASONS),
            spooled=spooled(),
            in_flight=in_flight(),
        )

    def ledgers(self) -> dict[str, LedgerLine]:
        """Return the ledger of every input."""
        return {name: self.ledger(name) for name in self._inputs}


def _value(counter: Counter) -> int:
    """Read a counter back; the client library offers no shorter public way."""
    (metric,) = counter.collect()
    return int(next(sample.value for sample in metric.samples if sample.name.endswith("_total")))
