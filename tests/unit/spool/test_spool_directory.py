from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from spooling import append, fill, make_batch, names_left, new_spool, running

from logstreamd.spool import SpoolDirectoryError, SpoolOwnedError
from logstreamd.spool.directory import SpoolDirectory

OPEN_ELSEWHERE = """
import asyncio, sys
from pathlib import Path
from logstreamd.spool import DiskSpool

spool = DiskSpool(directory=Path(sys.argv[1]), max_bytes=16 << 20, window_bytes=1 << 20)
try:
    asyncio.run(spool.open())
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
async def test_directory_and_files_are_private_whatever_the_umask(directory: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        async with running(directory) as spool:
            await append(spool, make_batch("a"))
            modes = {file.name: file.stat().st_mode & 0o777 for file in directory.iterdir()}
    finally:
        os.umask(before)
    assert directory.stat().st_mode & 0o777 == 0o700
    assert modes.keys() == {"spool.db", "spool.db-wal", "spool.db-shm", "identity", "lock"}
    assert set(modes.values()) == {0o600}


async def test_a_directory_others_may_read_is_made_private(directory: Path) -> None:
    directory.mkdir(mode=0o755)
    await fill(directory, ["a"])
    assert directory.stat().st_mode & 0o777 == 0o700


async def test_a_directory_everyone_may_write_is_refused(directory: Path) -> None:
    directory.mkdir()
    directory.chmod(0o777)
    with pytest.raises(SpoolDirectoryError, match="writable by everyone"):
        await new_spool(directory).open()
    assert list(directory.iterdir()) == []


@pytest.mark.parametrize("target", ["directory", "file", "nowhere"])
async def test_a_symlink_or_a_file_is_no_spool_directory(directory: Path, tmp_path: Path, target: str) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "file").touch()
    directory.symlink_to(tmp_path / target)
    with pytest.raises(SpoolDirectoryError, match="not a directory"):
        await new_spool(directory).open()


@pytest.mark.parametrize("name", ["lock", "spool.db", "identity.new"])
async def test_a_symlink_in_the_directory_is_not_followed(directory: Path, tmp_path: Path, name: str) -> None:
    directory.mkdir(mode=0o700)
    (tmp_path / "victim").write_text("precious")
    (directory / name).symlink_to(tmp_path / "victim")
    with pytest.raises(Exception, match=r"symlink|symbolic"):
        await new_spool(directory).open()
    assert (tmp_path / "victim").read_text() == "precious"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
async def test_another_user_s_directory_is_refused(directory: Path) -> None:
    directory.mkdir(mode=0o700)
    os.chown(directory, 65534, 65534)
    with pytest.raises(SpoolDirectoryError, match="belongs to uid 65534"):
        await new_spool(directory).open()


async def test_a_second_owner_is_refused_and_the_first_unaffected(directory: Path) -> None:
    async with running(directory) as spool:
        await append(spool, make_batch("a"))
        with pytest.raises(SpoolOwnedError, match=f"in use by process {os.getpid()}"):
            await new_spool(directory).open()
        other = subprocess.run(
            [sys.executable, "-c", OPEN_ELSEWHERE, directory], capture_output=True, text=True, check=True
        )
        assert other.stdout.startswith("SpoolOwnedError")
        assert str(directory) in other.stdout
        assert f"process {os.getpid()}" in other.stdout
        await append(spool, make_batch("b"))
    assert (await names_left(directory))[0] == ["a", "b"]


async def test_the_owner_is_known_without_taking_the_lock(directory: Path) -> None:
    assert SpoolDirectory(directory).owner_pid() is None
    async with running(directory):
        assert SpoolDirectory(directory).owner_pid() == os.getpid()
    assert SpoolDirectory(directory).owner_pid() is None


async def test_the_directory_is_free_again_after_a_failed_open(directory: Path) -> None:
    directory.mkdir(mode=0o700)
    (directory / "spool.db").mkdir()
    with pytest.raises(Exception, match="cannot be opened"):
        await new_spool(directory).open()
    (directory / "spool.db").rmdir()
    await fill(directory, ["a"])
