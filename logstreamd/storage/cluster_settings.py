"""The server settings of the embedded cluster, for a log store on a small machine.

They are written anew at every start, into a file that the cluster's ``postgresql.conf`` includes. Settings of
one's own go below that line, or through ``ALTER SYSTEM``; both win over these.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["SETTINGS_FILE", "render_settings"]

SETTINGS_FILE = "logstreamd.conf"

_SETTINGS = """\
# Written by logstreamd at every start: changes here are lost. Put yours below the include in postgresql.conf.

# Reached through this directory only, which nobody but the server's user and root can enter.
listen_addresses = ''
port = 5432
unix_socket_directories = {socket_dir}
unix_socket_permissions = 0700

# Writers, queries and a few psql sessions; each connection costs memory.
max_connections = 50
# A query over many days locks every partition and its three indexes.
max_locks_per_transaction = 256

# What is stored is stored: a committed batch survives a power cut.
fsync = on
full_page_writes = on
synchronous_commit = on

# Rows are appended and seldom read again: the page cache of the system serves better than a large one here.
shared_buffers = 256MB
work_mem = 16MB
maintenance_work_mem = 128MB

# A checkpoint costs a burst of writes: let a few minutes of full load pass between two, and spread them out.
max_wal_size = 4GB
min_wal_size = 256MB
checkpoint_timeout = 15min
checkpoint_completion_target = 0.9
wal_compression = on
wal_buffers = 16MB

# Queries are short and touch many partitions: compiling them costs more than it gains.
jit = off
random_page_cost = 1.1

# Times are UTC everywhere; a client may ask for its own zone.
timezone = 'UTC'
log_timezone = 'UTC'

# Errors are told to the client that made them. Logged here too, a hostile sender could fill the disk.
logging_collector = off
log_min_messages = log
log_checkpoints = off
log_line_prefix = '%m [%p] %q%a '
"""


def render_settings(socket_dir: Path) -> str:
    """Return the text of the settings file.

    Args:
        socket_dir: the directory of the server's socket, without a comma (PostgreSQL reads a list there).
    """
    return _SETTINGS.format(socket_dir=_quote(str(socket_dir)))


def _quote(value: str) -> str:
    """Quote a value for ``postgresql.conf``. Source: PostgreSQL manual, section "Setting Parameters"."""
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
