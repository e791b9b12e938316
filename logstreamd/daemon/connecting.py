"""What the configuration says about the database → the settings of a connection."""

from __future__ import annotations

from logstreamd.config import DatabaseConfig
from logstreamd.storage.connections import ConnectionSettings

__all__ = ["connection_settings"]


def connection_settings(config: DatabaseConfig, dsn: str, *, statement_timeout_seconds: float) -> ConnectionSettings:
    """Return where to connect to, and when to give up.

    Args:
        config: the section ``database``.
        dsn: where the database is; of the embedded one the configuration does not know it.
        statement_timeout_seconds: for one statement, 0 for no limit; it depends on who asks.
    """
    return ConnectionSettings(
        dsn,
        password_file=config.password_file,
        connect_timeout_seconds=config.connect_timeout_seconds,
        statement_timeout_seconds=statement_timeout_seconds,
        lock_timeout_seconds=config.lock_timeout_seconds,
    )
