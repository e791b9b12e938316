"""A PostgreSQL of one's own to stop, kill and fill up: fsync on, on a real disk."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from urllib.parse import quote

from logstreamd.storage.cluster import OWNER, Cluster
from logstreamd.storage.os_account import run_as, unprivileged_account
from logstreamd.storage.postgres_binaries import find_binaries
from logstreamd.storage.socket_directory import SOCKET_NAME, ensure_socket_directory
from tests.acceptance.database import Database

__all__ = ["Server"]

_SETTINGS = """
shared_buffers = 64MB
max_wal_size = 1GB
"""


class Server:
    """One cluster, not made yet.

    Args:
        directory: reachable for the server's user, and empty.
    """

    def __init__(self, directory: Path) -> None:
        self.account = unprivileged_account()
        self._cluster = Cluster(
            data_dir=directory,
            account=self.account,
            binaries=find_binaries(self.account, directory / "binaries"),
            start_timeout_seconds=60,
            stop_timeout_seconds=30,
        )
        self._socket_directory = ensure_socket_directory(directory, self.account)

    @property
    def pgdata(self) -> Path:
        """The data directory."""
        return self._cluster.pgdata

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self._socket_directory / SOCKET_NAME

    @property
    def running(self) -> bool:
        """Whether there is a server process."""
        return (self.pgdata / "postmaster.pid").exists()

    def initialise(self) -> None:
        """Make the cluster."""
        self._cluster.write_settings(self._socket_directory)
        self._cluster.initialise()
        with (self.pgdata / "postgresql.conf").open("a") as conf:
            conf.write(_SETTINGS)

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._cluster.start()

    def stop(self, mode: str = "fast") -> None:
        """Stop it: ``smart`` waits for clients and is told to be ``fast`` when it takes longer than a moment."""
        pg_ctl = self._cluster.binaries.directory / "pg_ctl"
        wait = "1" if mode == "smart" else "30"
        command = [pg_ctl, "stop", "--mode", mode, "--pgdata", self.pgdata, "--wait", "--timeout", wait]
        result = run_as(self.account, command, timeout_seconds=60)
        if result.returncode and mode == "smart":
            self.stop("fast")
        else:
            assert result.returncode == 0, result.stdout

    def reload(self) -> None:
        """Have it read its files again."""
        os.kill(int((self.pgdata / "postmaster.pid").read_text().split("\n", 1)[0]), signal.SIGHUP)

    def dsn(self, database: str) -> str:
        """Return the address of a database, by the socket."""
        return f"postgresql:///{database}?host={quote(str(self._socket_directory))}&port=5432&user={OWNER}"

    def execute(self, statement: str, database: str = "postgres") -> None:
        """Run a statement."""
        with Database(self.dsn(database)) as connection:
            connection.execute(statement)
