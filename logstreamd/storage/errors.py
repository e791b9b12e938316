"""What a failed write means for the batch that was being written.

=============  ===================================================  ========================================
failure        meaning                                              what the writer does
=============  ===================================================  ========================================
RETRYABLE      the server or the way to it is in trouble            keep the batch, back off, try again
POISON         a row of this batch can never be stored as it is     quarantine that row, store the rest
CONFIGURATION  a person has to act: password, database, table       keep the batch, say so loudly, try slowly
=============  ===================================================  ========================================

An error nobody foresaw counts as retryable: waiting loses nothing, quarantining might.
"""

from __future__ import annotations

import re
import ssl
from enum import Enum

import asyncpg

__all__ = ["ClusterError", "ClusterInUseError", "Failure", "SchemaError", "StorageError", "classify", "copy_line"]


class StorageError(Exception):
    """Something about the store needs a person; the message says what to do."""


class ClusterError(StorageError):
    """The embedded PostgreSQL can't be set up, started or stopped."""


class ClusterInUseError(ClusterError):
    """Another process runs the embedded PostgreSQL in this directory."""


class SchemaError(StorageError):
    """The tables in the database are not the ones this version of the code works with."""


class Failure(Enum):
    """What a failed write means for its batch."""

    RETRYABLE = "retryable"
    POISON = "poison"
    CONFIGURATION = "configuration"


# By SQLSTATE: the whole code first, then its class (the first two characters).
# Source: PostgreSQL manual, appendix A.
_BY_SQLSTATE = {
    "08": Failure.RETRYABLE,  # connection exception
    "22": Failure.POISON,  # data exception
    "23": Failure.POISON,  # integrity constraint violation
    "25006": Failure.RETRYABLE,  # read-only transaction: a standby, until the fail-over is through
    "28": Failure.CONFIGURATION,  # wrong password, no entry in pg_hba.conf
    "3D": Failure.CONFIGURATION,  # no such database
    "3F": Failure.CONFIGURATION,  # no such schema
    "42": Failure.CONFIGURATION,  # no such table or column, no permission
    "53": Failure.RETRYABLE,  # disk full, out of memory, too many connections
    "54": Failure.POISON,  # program limit: index row too large, JSON too deep
    "57P04": Failure.CONFIGURATION,  # the database was dropped
}
_COPY_LINE = re.compile(r"^COPY \S+, line (\d+)", re.MULTILINE)


def classify(error: BaseException) -> Failure:
    """Decide what a failed write means.

    Args:
        error: what asyncpg, the event loop or the encoder raised in an attempt to store.

    Source: PostgreSQL manual, appendix A, and the exceptions asyncpg 0.32 was seen to raise.
    """
    if isinstance(error, asyncpg.PostgresError):
        return _classify_server_error(error)
    if isinstance(error, (asyncpg.ClientConfigurationError, ssl.SSLCertVerificationError, SchemaError)):
        return Failure.CONFIGURATION
    if isinstance(error, asyncpg.DataError):  # asyncpg's own refusal to encode; it is an InterfaceError too
        return Failure.POISON
    if isinstance(error, (asyncpg.InterfaceError, OSError)):  # OSError includes TimeoutError
        return Failure.RETRYABLE
    if isinstance(error, (ValueError, TypeError, OverflowError)):  # UnicodeEncodeError is a ValueError
        return Failure.POISON
    return Failure.RETRYABLE


def _classify_server_error(error: asyncpg.PostgresError) -> Failure:
    sqlstate = error.sqlstate or ""
    if sqlstate[:2] == "23" and error.table_name == "spool_marks":
        return Failure.RETRYABLE  # the same batch in two hands: the marker decides at the next attempt
    if sqlstate == "23514" and error.constraint_name is None:
        return Failure.CONFIGURATION  # "no partition of relation found": the default partition was removed
    return _BY_SQLSTATE.get(sqlstate) or _BY_SQLSTATE.get(sqlstate[:2]) or Failure.RETRYABLE


def copy_line(error: BaseException) -> int | None:
    """Read which row of a COPY the server refused.

    Args:
        error: what ``copy_to_table`` raised.

    Returns:
        The row's position, 0 for the first (the server counts from 1), or None when the server named none.
    """
    if not isinstance(error, asyncpg.PostgresError):
        return None
    found = _COPY_LINE.search(getattr(error, "context", None) or "")
    return int(found[1]) - 1 if found else None
