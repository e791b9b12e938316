"""One PostgreSQL cluster on disk and the programs to make, start and stop it. Everything here blocks."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from logstreamd.storage import postmaster
from logstreamd.storage.cluster_settings import SETTINGS_FILE, render_settings
from logstreamd.storage.errors import ClusterError
from logstreamd.storage.os_account import Account, run_as
from logstreamd.storage.postgres_binaries import PostgresBinaries

__all__ = ["OWNER", "Cluster"]

OWNER = "logstreamd"
"""The superuser of the cluster."""
MAX_LOG_BYTES = 4 << 20
"""A start that finds the server's log larger puts it aside as ``postgres.log.1``; little is written to it."""
_INITDB_TIMEOUT_SECONDS = 120  # takes half a second; a slow disk may need a hundred times that
_LOG_LINES_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster in ``data_dir / "pgdata"``.

    Attributes:
        data_dir: holds the cluster, its settings and its log; the server's user need not own it.
        account: the user the server runs as and the cluster belongs to.
        binaries: the programs.
        start_timeout_seconds: how long the server may take until it answers.
        stop_timeout_seconds: how long it may take to stop in order.
    """

    data_dir: Path
    account: Account
    binaries: PostgresBinaries
    start_timeout_seconds: int
    stop_timeout_seconds: int

    @property
    def pgdata(self) -> Path:
        """The data directory in PostgreSQL's sense."""
        return self.data_dir / "pgdata"

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.data_dir / "postgres.log"

    def write_settings(self, socket_dir: Path) -> None:
        """Replace the settings file at once, whatever stands in its place."""
        path = self.data_dir / SETTINGS_FILE
        unfinished = path.with_name(f"{SETTINGS_FILE}.unfinished")
        unfinished.unlink(missing_ok=True)
        with unfinished.open("x", encoding="utf-8") as file:
            file.write(render_settings(socket_dir))
        unfinished.chmod(0o644)
        unfinished.replace(path)

    def initialise(self) -> None:
        """Make the cluster under another name, and rename it when it is complete and on disk.

        Raises:
            ClusterError: initdb failed; with what it said.
        """
        for abandoned in self.data_dir.glob("pgdata.unfinished-*"):
            shutil.rmtree(abandoned, ignore_errors=True)
        unfinished = Path(tempfile.mkdtemp(prefix="pgdata.unfinished-", dir=self.data_dir))
        os.chown(unfinished, self.account.uid, self.account.gid)
        self._run([self.binaries.directory / "initdb", "--pgdata", unfinished, *self._initdb_options()])
        # The server's user writes this file, for root must not write in that user's directory.
        conf = f"include '../{SETTINGS_FILE}'\n\n# Settings of your own go below.\n"
        self._run(["/bin/sh", "-c", 'printf %s "$1" > "$2"', "sh", conf, unfinished / "postgresql.conf"])
        unfinished.rename(self.pgdata)
        _sync_directory(self.data_dir)

    def _initdb_options(self) -> list[str]:
        # Plain C would break case-insensitive search beyond ASCII. 17 and newer bring a C.UTF-8 of their own.
        if self.binaries.major >= 17:
            locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        else:
            locale = ["--locale=C.UTF-8"]
        # Who may connect is decided at the socket's directory: only the server's user and root can enter it.
        access = ["--auth-local=trust", "--auth-host=reject", f"--username={OWNER}"]
        return ["--encoding=UTF8", *locale, *access, "--data-checksums"]

    def start(self) -> None:
        """Start the server and wait until it answers.

        Raises:
            ClusterError: it did not; with the last lines of its log.
        """
        self._prepare_log()
        log_start = self.log.stat().st_size
        if self._pg_ctl("start", "--log", self.log, timeout_seconds=self.start_timeout_seconds).returncode:
            with self.log.open("rb") as log:
                log.seek(log_start)
                said = log.read().decode(errors="replace").splitlines()[-_LOG_LINES_SHOWN:]
            raise ClusterError("\n".join([f"PostgreSQL did not start; the end of {self.log}:", *said]))

    def stop(self) -> None:
        """Stop the server, ending its connections; harmless when it does not run.

        A server that can't stop in order within its time (a stuck disk) is told to stop without tidying up,
        and recovers at the next start.

        Raises:
            ClusterError: it does not stop at all.
        """
        for mode in ("fast", "immediate"):
            if not postmaster.is_running(self.pgdata):
                return
            result = self._pg_ctl("stop", "--mode", mode, timeout_seconds=self.stop_timeout_seconds)
            if result.returncode == 0:
                return
        raise ClusterError(f"PostgreSQL does not stop: {result.stdout.strip()}")

    def _pg_ctl(self, *arguments: str | Path, timeout_seconds: int) -> subprocess.CompletedProcess[str]:
        command = [self.binaries.directory / "pg_ctl", *arguments, "--pgdata", self.pgdata]
        command += ["--wait", "--timeout", str(timeout_seconds)]
        return run_as(self.account, command, timeout_seconds=timeout_seconds + 10)

    def _run(self, command: Sequence[str | Path]) -> None:
        result = run_as(self.account, command, timeout_seconds=_INITDB_TIMEOUT_SECONDS)
        if result.returncode:
            said = result.stdout.splitlines()[-_LOG_LINES_SHOWN:]
            raise ClusterError("\n".join([f"{command[0]} failed:", *said]))

    def _prepare_log(self) -> None:
        """Give the server a log it can write to, in a directory that may not be its own."""
        if self.log.exists() and self.log.stat().st_size > MAX_LOG_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        descriptor = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            os.fchown(descriptor, self.account.uid, self.account.gid)
        finally:
            os.close(descriptor)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
