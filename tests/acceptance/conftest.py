"""A daemon for everybody, and daemons of one's own for tests that stop or break them."""

from __future__ import annotations

import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from logstreamd.storage.embedded import EmbeddedPostgres
from tests.acceptance.daemon_process import LOOPBACK, DaemonProcess
from tests.acceptance.database import Database

StartDaemon = Callable[..., DaemonProcess]

_numbers = count()


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


HAS_IPV6 = _has_ipv6()


@pytest.fixture(scope="session")
def make_database(postgres: EmbeddedPostgres) -> Iterator[Callable[[], str]]:
    """Makes empty databases on the shared server; the daemon brings the schema."""
    made: list[str] = []

    def make() -> str:
        made.append(f"acceptance_{next(_numbers)}")
        with Database(postgres.dsn("postgres")) as server:
            server.execute(f"CREATE DATABASE {made[-1]}")
        return postgres.dsn(made[-1])

    yield make
    with Database(postgres.dsn("postgres")) as server:
        for name in made:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def daemon(make_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    """One daemon that many tests send to, each under a service name of its own; it listens on IPv4 and IPv6."""
    inputs: list[dict[str, Any]] = [dict(one) for one in LOOPBACK]
    if HAS_IPV6:
        inputs += [{"type": one["type"], "name": f"{one['type']}6", "listen": "[::1]:0"} for one in LOOPBACK]
    process = DaemonProcess(tmp_path_factory.mktemp("shared") / "state", dsn=make_database(), inputs=inputs)
    try:
        yield process.start()
        process.stop()
    finally:
        process.dispose()


@pytest.fixture(scope="session")
def database(daemon: DaemonProcess) -> Iterator[Database]:
    """The tables of the shared daemon."""
    with Database(daemon.psql) as database:
        yield database


@pytest.fixture
def make_daemon(make_database: Callable[[], str], tmp_path: Path) -> Iterator[StartDaemon]:
    """Makes daemons that are not started yet, on a database of their own unless told otherwise."""
    made: list[DaemonProcess] = []

    def make(state_dir: Path | None = None, dsn: str | None = None, **options: Any) -> DaemonProcess:
        directory = state_dir or tmp_path / f"state-{len(made)}"
        made.append(DaemonProcess(directory, dsn=dsn or make_database(), **options))
        return made[-1]

    yield make
    for process in made:
        process.dispose()


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that the embedded PostgreSQL's user can reach when the tests run as root."""
    path = Path(tempfile.mkdtemp(prefix="logstreamd-acceptance-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path)
