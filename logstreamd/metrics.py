"""Every metric of the daemon, declared once: what it counts, and what to do when it moves.

One frame becomes one row, and the ledger closes at every scrape, for each input:

    received + recovered = stored + quarantined + dropped + spooled + in flight

The counters are advanced per batch, never per record. What lies in the spool and what is on its way there is asked of
the parts that hold it, at the moment of the scrape (:meth:`Metrics.watch_input`): the difference is a check, not a sum
that was made to fit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from logstreamd.ledger import LedgerLine
from logstreamd.metric_labels import (
    ALERT_DROP_REASONS,
    DELIVERY_OUTCOMES,
    DROP_REASONS,
    EVALUATION_OUTCOMES,
    HTTP_DENIAL_REASONS,
    LOG_LEVELS,
    RELOAD_OUTCOMES,
    ROTATION_KINDS,
    TAIL_SKIP_REASONS,
)

__all__ = ["Metrics"]

_STAGE_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_BATCH_ROWS = (1, 10, 100, 1_000, 4_000, 8_000, 16_384, 32_768, 65_536)


class Metrics:
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

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"logstreamd_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"logstreamd_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"logstreamd_{name}", text, labels, buckets=buckets, registry=self.registry)

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

    def _declare_inputs(self) -> None:
        self.received_bytes = self._counter("received_bytes", "Bytes of the messages received.", "input")
        self.truncated_frames = self._counter(
            "truncated_frames", "Messages cut at max_frame_bytes and stored with a mark.", "input"
        )
        self.partial_frames = self._counter(
            "partial_frames", "Messages whose connection ended inside them, stored with a mark.", "input"
        )
        self.kernel_dropped_datagrams = self._counter(
            "kernel_dropped_datagrams",
            "Datagrams the kernel threw away because the receive buffer was full. Raise receive_buffer_bytes.",
            "input",
        )
        self.receive_buffer_bytes = self._gauge(
            "receive_buffer_bytes", "Receive buffer the kernel granted to a datagram socket.", "input"
        )
        self.connections = self._gauge("connections", "Open connections.", "input")
        self.accepted_connections = self._counter("accepted_connections", "Connections accepted.", "input")
        self.rejected_connections = self._counter(
            "rejected_connections",
            "Connections refused because max_connections or max_connections_per_peer was reached.",
            "input",
        )
        self.denied_connections = self._counter(
            "denied_connections", "Connections and requests from addresses that allow does not name.", "input"
        )
        self.slowed_seconds = self._counter(
            "slowed_seconds",
            "Seconds that streams were not read and requests were told to wait, over all of those above their limit.",
            "input",
        )
        self.closed_connections = self._counter("closed_connections", "Connections ended.", "input", "reason")
        self.tls_failures = self._counter(
            "tls_failures",
            "TLS connections that came to nothing. The log says whose; docs/tls.md says what to do.",
            "input",
            "reason",
        )
        self.tls_handshakes = self._gauge("tls_handshakes", "TLS handshakes that are going on.", "input")
        self.tls_certificate_expiry = self._gauge(
            "tls_certificate_expiry_timestamp_seconds",
            "When the certificate that an input shows expires. Put a new one in its place and reload.",
            "input",
        )
        self.paused = self._gauge(
            "input_paused", "1 while an input does not read because what it has is not in the spool yet.", "input"
        )

    def _declare_files(self) -> None:
        self.followed_files = self._gauge("followed_files", "Files that are followed.", "input")
        self.open_files = self._gauge("open_files", "Of these, files that are open.", "input")
        self.file_lag_bytes = self._gauge(
            "file_lag_bytes", "Bytes of followed files that are not read yet. Grows while the spool is full.", "input"
        )
        self.file_lines = self._counter(
            "file_lines", "Lines read from files; a stack trace is several lines and one message.", "input"
        )
        self.file_rotations = self._counter("file_rotations", "Rotations noticed.", "input", "kind")
        self.file_errors = self._counter(
            "file_errors",
            "Files that could not be opened or read; /status names them. Look at their permissions.",
            "input",
        )
        self.file_lost_bytes = self._counter(
            "file_lost_bytes",
            "Bytes truncated away before they were read, with no uncompressed copy beside the file. Should never move.",
            "input",
        )

    def watch_files(
        self, name: str, *, followed: Callable[[], int], lag_bytes: Callable[[], int], opened: Callable[[], int]
    ) -> None:
        """Open the books of a file input: every series exists from the start.

        Args:
            name: the input's name.
            followed: asked at each scrape: how many files.
            lag_bytes: asked at each scrape: what is not read yet.
            opened: asked at each scrape: how many are open.
        """
        for kind in ROTATION_KINDS:
            self.file_rotations.labels(name, kind)
        for counter in (self.file_lines, self.file_errors, self.file_lost_bytes):
            counter.labels(name)
        self.followed_files.labels(name).set_function(followed)
        self.file_lag_bytes.labels(name).set_function(lag_bytes)
        self.open_files.labels(name).set_function(opened)

    def _declare_writer(self) -> None:
        self.stored_batches = self._counter("stored_batches", "Batches committed.")
        self.repeated_batches = self._counter(
            "repeated_batches", "Batches found to be stored already and not stored again."
        )
        self.batch_rows = self._histogram("batch_rows", "Rows per committed batch.", _BATCH_ROWS)
        self.encode_seconds = self._histogram("encode_seconds", "Parsing and encoding a batch.", _STAGE_SECONDS)
        self.store_seconds = self._histogram("store_seconds", "Storing a batch, begin to commit.", _STAGE_SECONDS)
        self.store_lag_seconds = self._histogram(
            "store_lag_seconds", "From the arrival of a batch's last message to its commit.", _STAGE_SECONDS
        )
        self.store_failures = self._counter("store_failures", "Failed attempts to store a batch.", "kind")
        self.database_up = self._gauge("database_up", "1 when the last exchange with PostgreSQL succeeded.")
        self.breaker_open = self._gauge("breaker_open", "1 while the writer leaves PostgreSQL alone after failures.")

    def _declare_storage(self) -> None:
        self.folded_counts = self._counter(
            "folded_counts", "Counts of batches added to those of their minutes; follows what is stored within seconds."
        )
        self.merged_blocks = self._counter("merged_blocks", "Small blocks that became part of a larger one.")
        self.retired_rows = self._counter("retired_rows", "Rows that retention deleted, or dropped with their day.")
        self.retired_bytes = self._counter("retired_bytes", "Disk that retention freed by dropping days.")

    def _declare_spool(self) -> None:
        self.spool_batches = self._gauge("spool_batches", "Batches in the spool.")
        self.spool_bytes = self._gauge("spool_bytes", "Disk the spool uses.")
        self.spool_max_bytes = self._gauge("spool_max_bytes", "Disk the spool may use.")
        self.spool_full = self._gauge("spool_full", "1 while the spool has no room and inputs have to wait or drop.")
        self.spool_oldest_age_seconds = self._gauge(
            "spool_oldest_age_seconds", "Age of the oldest batch in the spool. Grows while PostgreSQL is away."
        )
        self.spool_window_bytes = self._gauge("spool_window_bytes", "Memory the spool's read-ahead holds.")
        self.spool_corrupt_records = self._counter(
            "spool_corrupt_records", "Spool records that could not be read and were set aside."
        )

    def _declare_http(self) -> None:
        self.http_requests = self._counter("http_requests", "HTTP requests answered.", "route", "status")
        self.http_seconds = self._histogram("http_seconds", "Time to answer.", _STAGE_SECONDS, "route")
        self.http_denied_requests = self._counter(
            "http_denied_requests",
            "Requests turned away before they were read: address, one that http.allow lacks; host, a name that "
            "http.allowed_hosts lacks; token_missing; token_unknown; scope_missing. The log says once a minute from "
            "where.",
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

    def _declare_deliveries(self) -> None:
        self.alert_deliveries = self._counter(
            "alert_deliveries", "Attempts to deliver a message about alerts.", "notifier", "outcome"
        )
        self.alert_delivery_seconds = self._histogram(
            "alert_delivery_seconds", "One attempt to deliver a message about alerts.", _STAGE_SECONDS, "notifier"
        )
        self.alert_queue_alerts = self._gauge(
            "alert_queue_alerts", "Alerts that wait to be told. Grows while a receiver is away.", "notifier"
        )
        self.dropped_alerts = self._counter(
            "dropped_alerts", "Alerts that were given up without being told. Should never move.", "notifier", "reason"
        )
        self.alert_outbox_failures = self._counter(
            "alert_outbox_failures",
            "Writes of the alerts' outbox that failed; until one succeeds, a crash may lose or repeat alerts.",
        )

    def _declare_evaluations(self) -> None:
        self.alert_evaluations = self._counter(
            "alert_evaluations", "Evaluations of alert rules. One that failed changed no alert.", "outcome"
        )
        for outcome in EVALUATION_OUTCOMES:
            self.alert_evaluations.labels(outcome)
        self.alert_evaluation_seconds = self._histogram(
            "alert_evaluation_seconds", "One evaluation of one rule.", _STAGE_SECONDS
        )
        self.alert_missed_evaluations = self._counter(
            "alert_missed_evaluations",
            "Evaluations that were due and not made: the daemon was away, or rules take too long.",
        )
        self.alert_unproven = self._counter(
            "alert_unproven", "Alerts that began to fire without log lines, because these could not be had in time."
        )
        self.alert_rules = self._gauge("alert_rules", "Alert rules.")
        self.alert_rules_unhealthy = self._gauge(
            "alert_rules_unhealthy", "Rules whose last evaluation failed; GET /api/v1/rules says why."
        )
        self.alerts = self._gauge("alerts", "Alerts that are pending or fire, silenced ones included.", "state")
        self.alert_leader = self._gauge(
            "alert_leader", "1 while this daemon evaluates the rules of its database; 0: another one does, or none can."
        )

    def _declare_self(self) -> None:
        self.event_loop_lag_seconds = self._histogram(
            "event_loop_lag_seconds",
            "How late the event loop wakes what waits. Above a second something keeps the daemon from everything else.",
            _STAGE_SECONDS,
        )
        self.log_lines = self._counter("log_lines", "Lines of the daemon's own log.", "level")
        for level in LOG_LEVELS:
            self.log_lines.labels(level)
        self.suppressed_log_lines = self._counter(
            "suppressed_log_lines", "Lines of the daemon's own log left out: they repeated what others say.", "level"
        )
        for level in LOG_LEVELS:
            self.suppressed_log_lines.labels(level)

        self.lost_spans = self._counter(
            "lost_spans", "Spans of traces that were given up: the receiver is away, or slower than they come."
        )

    def watch_rules(
        self,
        *,
        rules: Callable[[], int],
        unhealthy: Callable[[], int],
        alerts: Mapping[str, Callable[[], int]],
        leads: Callable[[], bool],
    ) -> None:
        """Show how alert rules are; each argument is asked at each scrape.

        Args:
            rules: how many there are.
            unhealthy: how many of them could not be evaluated.
            alerts: how many alerts there are, by state.
            leads: whether this daemon evaluates.
        """
        self.alert_rules.set_function(rules)
        self.alert_rules_unhealthy.set_function(unhealthy)
        self.alert_leader.set_function(leads)
        for state, count in alerts.items():
            self.alerts.labels(state).set_function(count)

    def watch_notifier(self, name: str, *, waiting: Callable[[], int]) -> None:
        """Open the books of a notifier: every series exists from the start, at 0.

        Args:
            name: the notifier's name, the label ``notifier``.
            waiting: asked at each scrape: alerts that wait to be told.
        """
        for outcome in DELIVERY_OUTCOMES:
            self.alert_deliveries.labels(name, outcome)
        for reason in ALERT_DROP_REASONS:
            self.dropped_alerts.labels(name, reason)
        self.alert_delivery_seconds.labels(name)
        self.alert_queue_alerts.labels(name).set_function(waiting)

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

    def show_spool(
        self,
        *,
        batches: int,
        file_bytes: int,
        max_bytes: int,
        window_bytes: int,
        oldest_age_seconds: float,
        full: bool,
    ) -> None:
        """Bring the spool's gauges up to date."""
        self.spool_batches.set(batches)
        self.spool_bytes.set(file_bytes)
        self.spool_max_bytes.set(max_bytes)
        self.spool_window_bytes.set(window_bytes)
        self.spool_oldest_age_seconds.set(oldest_age_seconds)
        self.spool_full.set(full)

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
