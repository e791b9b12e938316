from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from spooling import append, crash_copy, fill, make_batch, names_left, running

from logstreamd.spool import SpoolError, SpoolVersionError
from logstreamd.spool.inspect import batch_summaries, export_frames, spool_status
from logstreamd.wire.batch import PARTIAL, Batch
from logstreamd.wire.sender import sender_entry

FROM_ELSEWHERE = """
import json, sys
from pathlib import Path
from logstreamd.spool.inspect import batch_summaries, export_frames, spool_status

path = Path(sys.argv[1])
status = spool_status(path)
print(json.dumps([status.owner_pid, status.batches, status.frames_by_input, len(list(batch_summaries(path))),
                  [line["frame"][:4] for line in export_frames(path)]]))
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def frames_of(directory: Path) -> list[str]:
    return [line["frame"] for line in export_frames(directory)]


def text_batch(*frames: bytes) -> Batch:
    batch = Batch("udp")
    for position, frame in enumerate(frames):
        batch.append(frame, 1_700_000_000_000_000 + position, batch.peer_id("2001:db8::1"), PARTIAL * (position == 1))
    return batch


async def test_a_spool_at_rest_is_counted_listed_and_exported(directory: Path) -> None:
    async with running(directory, clock=lambda: 1_700_000_000.5) as spool:
        await append(spool, text_batch(b"<13>one", b"\xff\x00two", "drei \N{SNOWMAN}".encode()))
        await append(spool, make_batch("b", frames=7))
        spool.assign((await spool.take()).seq, 42)
        spool_id = str(spool.id)

    status = spool_status(directory)
    assert (status.id, status.owner_pid, status.batches) == (spool_id, None, 2)
    assert status.frames_by_input == {"udp": 3, "tcp": 7}
    assert status.oldest_appended_at == 1_700_000_000_500_000
    assert 0 < status.body_bytes < status.file_bytes

    first, second = batch_summaries(directory)
    assert (first.seq, first.input, first.frames, first.number, first.problem) == (1, "udp", 3, 42, None)
    assert (second.seq, second.frames, second.number) == (2, 7, None)

    lines = list(export_frames(directory))
    assert len(lines) == 10
    arrival = {"seq": 1, "input": "udp", "peer": "2001:db8::1"}
    assert lines[0] == {**arrival, "received_at": 1_700_000_000_000_000, "flags": 0, "frame": "<13>one"}
    encoded = base64.b64encode(b"\xff\x00two").decode()
    assert lines[1] == {**arrival, "received_at": 1_700_000_000_000_001, "flags": PARTIAL, "frame_base64": encoded}
    assert lines[2]["frame"] == "drei \N{SNOWMAN}"
    assert json.loads(json.dumps(lines[3])) == lines[3]


async def test_what_is_known_of_a_sender_stands_beside_its_address(directory: Path) -> None:
    batch = Batch("tls")
    batch.append(b"<13>x", 1_700_000_000_000_000, batch.peer_id(sender_entry("192.0.2.1", {"tls_subject": "CN=web-1"})))
    async with running(directory) as spool:
        await append(spool, batch)
    (line,) = export_frames(directory)
    assert (line["peer"], line["known"]) == ("192.0.2.1", {"tls_subject": "CN=web-1"})


async def test_looking_changes_nothing_the_next_run_would_see(directory: Path) -> None:
    await fill(directory, ["a", "b"])
    before = (directory / "spool.db").read_bytes()
    list(export_frames(directory))
    assert (directory / "spool.db").read_bytes() == before
    assert await names_left(directory) == (["a", "b"], [])


async def test_what_a_kill_left_in_the_log_is_seen(directory: Path, tmp_path: Path) -> None:
    async with running(directory) as spool:
        await append(spool, text_batch(b"in the log"))
        crash_copy(directory, tmp_path / "killed")
    assert frames_of(tmp_path / "killed") == ["in the log"]


async def test_it_works_beside_a_running_daemon(directory: Path) -> None:
    async with running(directory) as spool:
        await append(spool, text_batch(b"live1", b"live2"))
        other = subprocess.run(
            [sys.executable, "-c", FROM_ELSEWHERE, directory], capture_output=True, text=True, check=True
        )
        assert json.loads(other.stdout) == [os.getpid(), 1, {"udp": 2}, 1, ["live", "live"]]
        await append(spool, text_batch(b"after"))
        spool.acknowledge([(await spool.take()).seq, (await spool.take()).seq])
    assert frames_of(directory) == []


async def test_a_corrupt_batch_is_named_and_the_rest_exported(directory: Path) -> None:
    async with running(directory) as spool:
        await append(spool, text_batch(b"the bad one"))
        await append(spool, text_batch(b"the good one"))
    content = (directory / "spool.db").read_bytes()
    (directory / "spool.db").write_bytes(content.replace(b"the bad one", b"the mad one"))
    bad, good = export_frames(directory)
    assert (bad["seq"], bad["input"]) == (1, "udp")
    assert "checksum" in bad["problem"]
    assert good["frame"] == "the good one"
    assert ["checksum" in (summary.problem or "") for summary in batch_summaries(directory)] == [True, False]
    await names_left(directory)
    assert spool_status(directory).set_aside == ("corrupt/1.batch",)


def test_no_spool_is_said_as_that(directory: Path) -> None:
    with pytest.raises(SpoolError, match="no spool in"):
        spool_status(directory)


async def test_a_database_that_is_none_is_said_as_that(directory: Path) -> None:
    await fill(directory, ["a"])
    (directory / "spool.db").write_bytes(b"nonsense" * 2000)
    with pytest.raises(SpoolError, match="cannot be read: not a spool's database"):
        list(export_frames(directory))


async def test_a_newer_spool_is_refused(directory: Path) -> None:
    await fill(directory, ["a"])
    (directory / "identity").write_text((directory / "identity").read_text().replace('"format": 2', '"format": 9'))
    with pytest.raises(SpoolVersionError, match="format 9"):
        spool_status(directory)
