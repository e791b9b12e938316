"""Connections that give up in time.

Every wait has an end on the server as well as here: a connection whose other side fell silent must not hold
locks or a batch's marker for ever. The TCP settings do nothing on a local socket, where the kernel knows when
a process ends.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import asyncpg

__all__ = ["ConnectionSettings", "connect", "create_reader_pool"]

_ANSWER_MARGIN_SECONDS = 10.0
"""Past the statement timeout, which the server watches itself: one that did not answer by then is gone, or the way
to it is.
"""

# A peer that vanished without a word is noticed after 30 s when data is under way (user timeout), and after
# 60 s when not: 30 s of silence, then three probes 10 s apart.
_TCP_SETTINGS = {
    # A backend in the middle of a statement looks this often whether its client is still there: one that went away
    # must not keep its locks, or a batch's marker, until the statement is over.
    "client_connection_check_interval": "2000",
    "tcp_user_timeout": "30000",
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """Where the database is, and when to give up.

    Attributes:
        dsn: address of the database; it may hold a password, and is not shown.
        password_file: holds the password, if that is not in the address.
        connect_timeout_seconds: for a connection to be made.
        statement_timeout_seconds: for one statement; 0 is no limit, for migrations.
        lock_timeout_seconds: for a lock, so that no batch stands behind somebody's ``LOCK TABLE`` for ever.
        idle_in_transaction_timeout_seconds: for a client that fell silent in the middle of a transaction.
    """

    dsn: str
    password_file: Path | None = None
    connect_timeout_seconds: float = 10.0
    statement_timeout_seconds: float = 30.0
    lock_timeout_seconds: float = 10.0
    idle_in_transaction_timeout_seconds: float = 60.0

    def __repr__(self) -> str:
        return f"ConnectionSettings(statement_timeout_seconds={self.statement_timeout_seconds})"

    @property
    def command_timeout_seconds(self) -> float | None:
        """How long to wait here for the answer to one command."""
        if not self.statement_timeout_seconds:
            return None
        return self.statement_timeout_seconds + _ANSWER_MARGIN_SECONDS


async def connect(settings: ConnectionSettings, *, purpose: str) -> asyncpg.Connection:
    """Open a connection.

    Args:
        settings: where to and how long.
        purpose: shown to people in ``pg_stat_activity`` as ``logstreamd <purpose>``.

    Raises:
        OSError, asyncpg.PostgresError, asyncpg.InterfaceError: see :mod:`logstreamd.storage.errors`.
    """
    return await asyncpg.connect(
        settings.dsn,
        password=_password(settings),
        timeout=settings.connect_timeout_seconds,
        command_timeout=settings.command_timeout_seconds,
        server_settings=_server_settings(settings, purpose),
    )


async def create_reader_pool(settings: ConnectionSettings, *, max_size: int, purpose: str = "query") -> asyncpg.Pool:
    """Open a pool of connections that can only read; each is made when it is first needed.

    Every execution is planned anew, so that the partitions of other days are pruned by the times asked for. All
    statements of a transaction see one state of the database: what is read in several steps must not change between.

    Args:
        settings: where to and how long.
        max_size: connections at most.
        purpose: shown to people in ``pg_stat_activity`` as ``logstreamd <purpose>``.
    """
    pool: asyncpg.Pool = asyncpg.create_pool(
        settings.dsn,
        password=_password(settings),
        min_size=0,
        max_size=max_size,
        timeout=settings.connect_timeout_seconds,
        command_timeout=settings.command_timeout_seconds,
        server_settings=_server_settings(settings, purpose)
        | {
            "default_transaction_read_only": "on",
            "default_transaction_isolation": "repeatable read",
            "plan_cache_mode": "force_custom_plan",
            # To compile the conditions of a filter takes half a second in each process and is never made up for: nearly
            # all of a row's time goes into functions that are compiled already.
            "jit": "off",
            # A question whose client is gone must not go on: here nothing but processor time depends on how soon.
            "client_connection_check_interval": "500",
        },
    )
    await pool
    return pool


def _password(settings: ConnectionSettings) -> Callable[[], str] | None:
    """Return what the driver calls for each connection: a password can be changed without a restart."""
    file = settings.password_file
    if file is None:
        return None
    return lambda: file.read_text(errors="replace").removesuffix("\n").removesuffix("\r")


def _server_settings(settings: ConnectionSettings, purpose: str) -> dict[str, str]:
    return {
        "application_name": f"logstreamd {purpose}",
        "search_path": "public",
        "timezone": "UTC",
        "statement_timeout": _milliseconds(settings.statement_timeout_seconds),
        "lock_timeout": _milliseconds(settings.lock_timeout_seconds),
        "idle_in_transaction_session_timeout": _milliseconds(settings.idle_in_transaction_timeout_seconds),
        **_TCP_SETTINGS,
    }


def _milliseconds(seconds: float) -> str:
    return str(round(seconds * 1_000))
