"""What file inputs follow."""

from __future__ import annotations

from collections.abc import Callable

from logstreamd.metrics.declaring import Declaring
from logstreamd.metrics.labels import ROTATION_KINDS

__all__ = ["FileMetrics"]


class FileMetrics(Declaring):
    """What file inputs follow."""

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
