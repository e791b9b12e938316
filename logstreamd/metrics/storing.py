"""What becomes of batches: the spool, the writer, the database."""

from __future__ import annotations

from logstreamd.metrics.declaring import STAGE_SECONDS, Declaring

__all__ = ["StoringMetrics"]

_BATCH_ROWS = (1, 10, 100, 1_000, 4_000, 8_000, 16_384, 32_768, 65_536)


class StoringMetrics(Declaring):
    """What becomes of batches: the spool, the writer, the database."""

    def _declare_writer(self) -> None:
        self.stored_batches = self._counter("stored_batches", "Batches committed.")
        self.repeated_batches = self._counter(
            "repeated_batches", "Batches found to be stored already and not stored again."
        )
        self.batch_rows = self._histogram("batch_rows", "Rows per committed batch.", _BATCH_ROWS)
        self.encode_seconds = self._histogram("encode_seconds", "Parsing and encoding a batch.", STAGE_SECONDS)
        self.store_seconds = self._histogram("store_seconds", "Storing a batch, begin to commit.", STAGE_SECONDS)
        self.store_lag_seconds = self._histogram(
            "store_lag_seconds", "From the arrival of a batch's last message to its commit.", STAGE_SECONDS
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
