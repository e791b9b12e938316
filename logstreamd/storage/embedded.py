"""The embedded PostgreSQL: a private cluster under the state directory, started and stopped with the daemon.

=====================  ==================================================================  ==========
in ``data_dir``        what                                                                owner
=====================  ==================================================================  ==========
``lock``               held by the daemon that runs the cluster; names its process         daemon
``logstreamd.conf``    the server settings, written at every start                         daemon
``binaries/``          a copy of the programs, when the server's user can't read them      daemon
``pgdata/``            the cluster                                                         server
``socket/``            its socket; a link to a short path when this one is too long        server
``postgres.log``       what the server and ``pg_ctl`` say                                  server
=====================  ==================================================================  ==========

Daemon and server are the same user unless the daemon is root. Root writes nothing inside a directory the server owns.

The server is stopped by :meth:`EmbeddedPostgres.stop`. It outlives a daemon that was killed, because a running server is
easier to look into than a crashed one; the next start stops it, so that no half-done transaction of the old daemon lives
on, and starts it with the settings of now. A half-made cluster never has the name ``pgdata``.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import quote

import asyncpg

from logstreamd.storage import postmaster
from logstreamd.storage.cluster_settings import render_settings
from logstreamd.storage.directory_lock import DirectoryLock
from logstreamd.storage.errors import ClusterError
from logstreamd.storage.os_account import Account, blocking_directory, owner_account, run_as, unprivileged_account
from logstreamd.storage.postgres_binaries import PostgresBinaries, find_binaries, inspect_binaries
from logstreamd.storage.socket_directory import ensure_socket_directory
from logstreamd.storage.state_directory import SYSTEM_STATE_DIR, create_state_dir

__all__ = ["DATABASE", "EmbeddedPostgres"]

DATABASE = "logstreamd"
"""Name of the database and of its owner in the embedded cluster."""
MAX_LOG_BYTES = 4 << 20
"""The server's log is put aside as ``postgres.log.1`` at a start that finds it larger; little is written to it."""


class EmbeddedPostgres:
    """A PostgreSQL server of our own.

    Args:
        data_dir: where everything of it lies; made when missing.
        bin_dir: PostgreSQL's programs, instead of the first that are found.
        start_timeout_seconds: after a crash the server replays up to ``max_wal_size`` of log before it answers.
        stop_timeout_seconds: for an orderly stop; after it the server is told to stop at once, and recovers when it starts.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        bin_dir: Path | None = None,
        start_timeout_seconds: int = 300,
        stop_timeout_seconds: int = 30,
    ) -> None:
        self.data_dir = data_dir.absolute()
        self._bin_dir = bin_dir
        self._start_timeout_seconds = start_timeout_seconds
        self._stop_timeout_seconds = stop_timeout_seconds
        self._lock = DirectoryLock(self.data_dir / "lock")
        self._pgdata = self.data_dir / "pgdata"
        self._log = self.data_dir / "postgres.log"
        self._account: Account | None = None
        self._binaries: PostgresBinaries | None = None
        self._socket_dir: Path | None = None

    @property
    def version(self) -> str:
        """The server's version, known once it was started."""
        return self._binaries.version if self._binaries else "not started"

    @property
    def account(self) -> str:
        """The operating-system user the server runs as, known once it was started."""
        return self._account.name if self._account else "not started"

    def dsn(self, database: str = DATABASE) -> str:
        """Return the address of a database in this cluster, for asyncpg and psql alike."""
        if self._socket_dir is None:
            raise ClusterError("the embedded PostgreSQL was not started")
        return f"postgresql:///{database}?host={quote(str(self._socket_dir), safe='/')}&port=5432&user={DATABASE}"

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
        """Stop the server, ending its connections, and let go of the data directory. Harmless when it does not run."""
        await asyncio.to_thread(self._stop_server)

    async def wait_stopped(self) -> None:
        """Return once the server process is gone, whoever ended it."""
        await postmaster.wait_gone(self._pgdata)

    def _start_server(self) -> None:
        self._account = self._choose_account()
        create_state_dir(self.data_dir)
        self._lock.acquire()
        try:
            self._binaries = self._choose_binaries(self._account)
            postmaster.stop_leftover(self._pgdata, stop=self._pg_ctl_stop)
            self._socket_dir = ensure_socket_directory(self.data_dir, self._account)
            self._write(self.data_dir / "logstreamd.conf", render_settings(self._socket_dir), mode=0o644)
            if not self._pgdata.exists():
                self._initialise(self._account, self._binaries)
            self._pg_ctl_start()
        except BaseException:
            self._lock.release()
            raise

    def _stop_server(self) -> None:
        if self._lock.held and self._binaries is not None:
            if postmaster.is_running(self._pgdata):
                self._pg_ctl_stop()
            self._lock.release()

    def _choose_account(self) -> Account:
        """Return who runs the server: the cluster's owner when there is a cluster, else an unprivileged user."""
        account = owner_account(self._pgdata) if self._pgdata.exists() else unprivileged_account()
        if account.uid == 0 or os.geteuid() not in (0, account.uid):
            raise ClusterError(
                f"{self._pgdata} belongs to the user {account.name}; run logstreamd as that user, or name another state_dir"
            )
        blocked = blocking_directory(account, self.data_dir)
        if blocked is not None:
            raise ClusterError(
                f"PostgreSQL refuses to run as root, and the user {account.name} that runs it instead can't pass {blocked} to "
                f"reach {self.data_dir}. Set state_dir to a path it can reach, such as {SYSTEM_STATE_DIR}, "
                "or run logstreamd as an ordinary user"
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

    def _initialise(self, account: Account, binaries: PostgresBinaries) -> None:
        """Make the cluster under another name and rename it when it is complete and on disk."""
        for abandoned in self.data_dir.glob("pgdata.unfinished-*"):
            shutil.rmtree(abandoned, ignore_errors=True)
        unfinished = Path(tempfile.mkdtemp(prefix="pgdata.unfinished-", dir=self.data_dir))
        os.chown(unfinished, account.uid, account.gid)
        # Plain C would break case-insensitive search of anything but ASCII; 17 and newer bring their own C.UTF-8.
        locale = (
            ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
            if binaries.major >= 17
            else ["--locale=C.UTF-8"]
        )
        self._run(
            [binaries.directory / "initdb", "--pgdata", unfinished, "--username", DATABASE, "--encoding=UTF8", *locale,
             "--auth-local=trust", "--auth-host=reject", "--data-checksums"],
            failure="initdb failed",
        )  # fmt: skip
        include = f"include '{Path('..') / 'logstreamd.conf'}'\n# Settings of your own go below.\n"
        self._run(
            ["/bin/sh", "-c", 'printf %s "$1" > "$2"', "sh", include, unfinished / "postgresql.conf"],
            failure="postgresql.conf could not be written",
        )
        unfinished.rename(self._pgdata)
        _sync_directory(self.data_dir)

    def _pg_ctl_start(self) -> None:
        self._prepare_log()
        log_start = self._log.stat().st_size
        result = self._pg_ctl("start", "--log", self._log, timeout_seconds=self._start_timeout_seconds)
        if result.returncode:
            with self._log.open("rb") as log:
                log.seek(log_start)
                said = log.read().decode(errors="replace").splitlines()[-20:]
            raise ClusterError("\n".join([f"PostgreSQL did not start; the end of {self._log}:", *said]))

    def _pg_ctl_stop(self) -> None:
        """Stop in order; a server that can't within the time (a stuck disk) is told to stop without tidying up."""
        for mode in ("fast", "immediate"):
            result = self._pg_ctl("stop", "--mode", mode, timeout_seconds=self._stop_timeout_seconds)
            if result.returncode == 0 or not postmaster.is_running(self._pgdata):
                return
        raise ClusterError(f"PostgreSQL does not stop: {result.stdout.strip()}")

    def _pg_ctl(self, *arguments: str | Path, timeout_seconds: int) -> subprocess.CompletedProcess[str]:
        assert self._account is not None and self._binaries is not None  # noqa: S101, PT018: set before any use
        command = [self._binaries.directory / "pg_ctl", *arguments, "--pgdata", self._pgdata, "--wait"]
        command += ["--timeout", str(timeout_seconds)]
        return run_as(self._account, command, timeout_seconds=timeout_seconds + 10)

    def _run(self, command: list[str | Path], *, failure: str) -> None:
        assert self._account is not None  # noqa: S101: set before any use
        result = run_as(self._account, command, timeout_seconds=120)
        if result.returncode:
            raise ClusterError("\n".join([f"{failure}:", *result.stdout.splitlines()[-20:]]))

    def _prepare_log(self) -> None:
        assert self._account is not None  # noqa: S101: set before any use
        if self._log.exists() and self._log.stat().st_size > MAX_LOG_BYTES:
            self._log.replace(self._log.with_suffix(".log.1"))
        descriptor = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            os.fchown(descriptor, self._account.uid, self._account.gid)
        finally:
            os.close(descriptor)

    def _write(self, path: Path, text: str, *, mode: int) -> None:
        """Replace a file at once, whatever stands in its place."""
        unfinished = path.with_name(path.name + ".unfinished")
        unfinished.unlink(missing_ok=True)
        with unfinished.open("x", encoding="utf-8") as file:
            file.write(text)
        unfinished.chmod(mode)
        unfinished.replace(path)

    async def _ensure_database(self) -> None:
        """Create the database; a daemon may have been killed between making the cluster and this."""
        connection = await asyncpg.connect(self.dsn("postgres"), timeout=30)
        try:
            if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", DATABASE):
                await connection.execute(f"CREATE DATABASE {DATABASE}")
        finally:
            await connection.close()


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
