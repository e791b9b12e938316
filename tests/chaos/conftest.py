"""Databases on a server that may be killed, daemons that will be, and a seed that repeats a run.

``LOGSTREAMD_CHAOS_SEED=n`` repeats the choices of an earlier run; every test prints its own.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.daemon_process import PROJECT
from tests.acceptance.database import Database
from tests.chaos.daemon import ChaosDaemon
from tests.chaos.proxy import Proxy
from tests.chaos.server import Server

MakeDaemon = Callable[..., ChaosDaemon]

_numbers = count()


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> random.Random:
    """Every choice of a test comes from here."""
    seed = os.environ.get("LOGSTREAMD_CHAOS_SEED") or str(random.randrange(1 << 32))
    print(f"LOGSTREAMD_CHAOS_SEED={seed}  # {request.node.nodeid}")
    return random.Random(seed)


@pytest.fixture
def run() -> str:
    """The name of this run, in every message."""
    return uuid.uuid4().hex[:12]


@pytest.fixture(scope="session")
def open_to_server() -> Iterator[Path]:
    """A directory on a real disk that the server's user can reach."""
    path = Path(tempfile.mkdtemp(prefix="logstreamd-chaos-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def _server(open_to_server: Path) -> Iterator[Server]:
    directory = open_to_server / "postgres"
    directory.mkdir(mode=0o711)
    server = Server(directory)
    server.initialise()
    server.start()
    yield server
    if server.running:
        server.stop("immediate")


@pytest.fixture
def server(_server: Server) -> Server:
    """The server of these tests, running; whoever stopped it need not start it again."""
    if not _server.running:
        _server.start()
    return _server


@pytest.fixture
def name(server: Server) -> Iterator[str]:
    """An empty database on it; the daemon brings the schema."""
    name = f"chaos_{next(_numbers)}"
    server.execute(f"CREATE DATABASE {name}")
    yield name
    if not server.running:
        server.start()
    server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    """A way to the server that can be blocked."""
    with Proxy(server.socket) as proxy:
        yield proxy


@pytest.fixture
def make_daemon(server: Server, name: str, tmp_path: Path) -> Iterator[MakeDaemon]:
    """Makes daemons on the test's database that are not started yet."""
    made: list[ChaosDaemon] = []

    def make(
        state_dir: Path | None = None, dsn: str = "", receive_buffer: str = "16MiB", **settings: Any
    ) -> ChaosDaemon:
        directory = state_dir or tmp_path / f"state-{len(made)}"
        made.append(ChaosDaemon(directory, dsn or server.dsn(name), settings, receive_buffer))
        return made[-1]

    yield make
    for daemon in made:
        daemon.dispose(number=9)


@pytest.fixture
def open_database(server: Server, name: str) -> Callable[[], Database]:
    """Opens connections of one's own to the test's database."""
    return lambda: Database(server.dsn(name))


@pytest.fixture(scope="session")
def preload(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, str]]:
    """Returns the environment of a process whose calls to the disk go through ``recorder.c``."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler for the recorder (Debian: apt-get install gcc libc6-dev)")
    recorder = tmp_path_factory.mktemp("recorder") / "recorder.so"
    source = Path(__file__).with_name("recorder.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", recorder, source, "-ldl"], check=True)

    def environment(**variables: Path) -> dict[str, str]:
        ours = {name: str(value) for name, value in variables.items()}
        return {**os.environ, "LD_PRELOAD": str(recorder), "PYTHONPATH": str(PROJECT), **ours}

    return environment
