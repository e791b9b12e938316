"""The embedded PostgreSQL: a private cluster under the state directory, started and stopped with the daemon.

=====================  ================================================================  ========
in ``data_dir``        what                                                              owner
=====================  ================================================================  ========
``lock``               held by the daemon that runs the cluster; names its process       daemon
``logstreamd.conf``    the server settings, written at every start                       daemon
``binaries/``          a copy of the programs, when the server's user can't read them    daemon
``pgdata/``            the cluster                                                       server
``socket/``            its socket; a link to a short path when this one is too long      server
``postgres.log``       what the server says                                              server
=====================  ================================================================  ========

Daemon and server are the same user unless the daemon is root. Root writes nothing inside a directory that the
server's user owns.

The server is stopped by :meth:`EmbeddedPostgres.stop`. It outlives a daemon that was killed, because a
running server is easier to look into than a crashed one; the next start stops it, so that no half-done
transaction of the old daemon lives on, and starts it with the settings of now. A half-made cluster is never
called ``pgdata``.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import asyncpg

from logstreamd.storage import postmaster
from logstreamd.storage.cluster import OWNER, Cluster
from logstreamd.storage.cluster_directory import RELOCATED, place_cluster
from logstreamd.storage.directory_lock import DirectoryLock
from logstreamd.storage.errors import ClusterError, ClusterInUseError
from logstreamd.storage.os_account import Account, owner_account, unprivileged_account
from logstreamd.storage.postgres_binaries import PostgresBinaries, find_binaries, inspect_binaries
from logstreamd.storage.socket_directory import ensure_socket_directory

__all__ = ["DATABASE", "EmbeddedPostgres"]

DATABASE = "logstreamd"
"""Name of the database in the embedded cluster."""


class EmbeddedPostgres:
    """A PostgreSQL server of our own.

    Args:
        data_dir: where everything of it lies; made when missing.
        relocated: where the files go when the server's user can't reach ``data_dir``, which then is a link.
        bin_dir: the directory of PostgreSQL's programs, instead of the first that are found.
        start_timeout_seconds: after a crash the server replays up to ``max_wal_size`` before it answers.
        stop_timeout_seconds: for stopping in order, after which it is told to stop at once.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        relocated: Path = RELOCATED,
        bin_dir: Path | None = None,
        start_timeout_seconds: int = 300,
        stop_timeout_seconds: int = 30,
    ) -> None:
        self.data_dir = data_dir.absolute()
        self._relocated = relocated
        self._bin_dir = bin_dir
        self._start_timeout_seconds = start_timeout_seconds
        self._stop_timeout_seconds = stop_timeout_seconds
        self._lock = DirectoryLock(self.data_dir / "lock")
        self._cluster: Cluster | None = None
        self._socket_dir: Path | None = None

    @property
    def _pgdata(self) -> Path:
        return self.data_dir / "pgdata"

    @property
    def version(self) -> str | None:
        """The server's version, None before the first start."""
        return self._cluster.binaries.version if self._cluster else None

    @property
    def user(self) -> str | None:
        """The operating-system user the server runs as, None before the first start."""
        return self._cluster.account.name if self._cluster else None

    def dsn(self, database: str = DATABASE) -> str:
        """Return the address of a database in this cluster, for asyncpg and psql alike.

        Raises:
            ClusterError: the server was never started.
        """
        if self._socket_dir is None:
            raise ClusterError("the embedded PostgreSQL was not started")
        # The port is spelled out: PGPORT in somebody's environment would win over the default.
        return f"postgresql:///{database}?host={quote(str(self._socket_dir))}&port=5432&user={OWNER}"

    async def start(self) -> str:
        """Start the server, making the cluster first when there is none.

        Returns:
            The DSN of the database :data:`DATABASE`.

        Raises:
            ClusterError: it can't run here, or another daemon runs it; the message says what to do.
        """
        await asyncio.to_thread(self._start_server)
        await self._ensure_database()
        return self.dsn()

    async def stop(self) -> None:
        """Stop the server, ending its connections, and unlock the data directory; harmless when stopped."""
        await asyncio.to_thread(self._stop_server)

    async def wait_stopped(self) -> None:
        """Return once the server process is gone, whoever ended it."""
        await postmaster.wait_gone(self._pgdata)

    @asynccontextmanager
    async def borrowed(self) -> AsyncIterator[str]:
        """Yield the DSN of the server that a daemon runs here, or run it for as long as it is needed.

        Raises:
            ClusterError: as :meth:`start`.
        """
        try:
            dsn = await self.start()
        except ClusterInUseError:
            self._socket_dir = (self.data_dir / "socket").resolve()
            dsn = self.dsn()
        try:
            yield dsn
        finally:
            await self.stop()

    def _start_server(self) -> None:
        account = self._choose_account()
        # The lock's file stays where it is whether the way there leads over a link or not.
        self.data_dir = place_cluster(self.data_dir, account, relocated=self._relocated)
        self._lock.acquire()
        try:
            cluster = Cluster(
                data_dir=self.data_dir,
                account=account,
                binaries=self._choose_binaries(account),
                start_timeout_seconds=self._start_timeout_seconds,
                stop_timeout_seconds=self._stop_timeout_seconds,
            )
            cluster.stop()  # a server that outlived its daemon
            self._socket_dir = ensure_socket_directory(self.data_dir, account)
            postmaster.clear_leftovers(cluster.pgdata, self._socket_dir)
            cluster.write_settings(self._socket_dir)
            if not cluster.pgdata.exists():
                cluster.initialise()
            cluster.start()
            self._cluster = cluster
        except BaseException:
            self._lock.release()
            raise

    def _stop_server(self) -> None:
        if self._lock.held and self._cluster is not None:
            self._cluster.stop()
            self._lock.release()

    def _choose_account(self) -> Account:
        """Return who runs the server: the owner of the cluster there is, else an unprivileged user."""
        account = owner_account(self._pgdata) if self._pgdata.exists() else unprivileged_account()
        if account.uid == 0 or os.geteuid() not in (0, account.uid):
            raise ClusterError(
                f"{self._pgdata} belongs to the user {account.name}: "
                "run logstreamd as an ordinary user who owns it, or name another state_dir"
            )
        return account

    def _choose_binaries(self, account: Account) -> PostgresBinaries:
        major = postmaster.data_major(self._pgdata)
        if self._bin_dir is None:
            return find_binaries(account, self.data_dir / "binaries", major=major)
        binaries = inspect_binaries(self._bin_dir, account)
        if binaries is None:
            raise ClusterError(f"{self._bin_dir} holds no PostgreSQL that the user {account.name} can run")
        if major not in (None, binaries.major):
            raise ClusterError(
                f"{self._pgdata} was made by PostgreSQL {major} and {self._bin_dir} is {binaries.version}: "
                f"use {major}, or move the data over with pg_dump or pg_upgrade"
            )
        return binaries

    async def _ensure_database(self) -> None:
        """Create the database; a daemon may have been killed between making the cluster and this."""
        connection = await asyncpg.connect(self.dsn("postgres"), timeout=30)
        try:
            if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", DATABASE):
                await connection.execute(f"CREATE DATABASE {DATABASE}")
        finally:
            await connection.close()
