from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from followed_logs import Reader, Writer

from logstreamd.inputs.files.collector import FORGET_SECONDS
from logstreamd.wire.batch import PARTIAL, TRUNCATED


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "app.log"


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    reader = Reader(tmp_path / "*.log")
    yield reader
    reader.collector.close()


def test_lines_are_read_as_they_come(log: Path, reader: Reader) -> None:
    writer = Writer(log)
    for _ in range(3):
        writer.write(5)
        reader.finish()
    assert reader.durable == writer.written
    assert set(reader.sources) == {str(log)}


def test_a_run_goes_on_where_the_one_before_had_come(log: Path, reader: Reader) -> None:
    writer = Writer(log)
    writer.write(5)
    reader.finish()
    reader.crash()
    writer.write(5)
    reader.finish()
    assert reader.durable == writer.written


def test_a_half_line_waits_for_its_end(log: Path, reader: Reader) -> None:
    writer = Writer(log)
    rest = writer.write_half()
    reader.finish()
    assert reader.durable == []
    writer.write_rest(rest)
    reader.finish()
    assert reader.durable == writer.written


def test_a_half_line_at_the_end_of_a_rotated_file_is_kept_and_marked(log: Path, reader: Reader) -> None:
    writer = Writer(log)
    reader.finish()
    writer.write_half()
    writer.rename()
    reader.finish()
    assert reader.durable == [writer.written[0][:15]]
    assert reader.flags == [PARTIAL]


def test_a_log_deleted_and_made_anew_is_read_from_its_start(log: Path, reader: Reader) -> None:
    for content in (b"first\n", b"second, which is longer\n", b"third\n"):
        log.write_bytes(content)  # often the same inode
        reader.finish()
        log.unlink()
        reader.look()
        while reader.turn():
            pass
        reader.collector.close()
    assert reader.durable == [b"first", b"second, which is longer", b"third"]


def test_content_exchanged_in_place_is_read_whole_however_long_it_is(log: Path, reader: Reader) -> None:
    log.write_bytes(b"first line\n")
    reader.finish()
    with log.open("r+b") as file:
        file.truncate()
        file.write(b"another one\nand one more\n")
    reader.finish()
    assert reader.durable == [b"first line", b"another one", b"and one more"]
    assert reader.collector.rotations["truncated"] == 1


def test_the_hole_that_a_writer_without_append_leaves_is_no_line(log: Path, reader: Reader) -> None:
    with log.open("wb", buffering=0) as file:
        file.write(b"x" * 9000 + b"\n")
        reader.finish()
        os.truncate(log, 0)
        file.write(b"behind the hole\n")
        reader.finish()
    assert reader.durable[-1] == b"behind the hole"
    assert len(reader.durable) == 2


def test_a_truncation_before_everything_was_read_is_told_when_there_is_no_copy(log: Path, reader: Reader) -> None:
    writer = Writer(log)
    writer.write(3)
    reader.finish()
    writer.write(2)
    reader.look()
    os.truncate(log, 0)
    reader.finish()
    assert reader.collector.lost_bytes == 2 * 31


def test_what_was_rotated_before_a_log_was_known_is_not_read(log: Path, reader: Reader) -> None:
    log.with_name("app.log.1").write_bytes(b"of last week\n")
    log.write_bytes(b"of today\n")
    reader.finish()
    assert reader.durable == [b"of today"]


def test_compressed_files_directories_and_pipes_are_not_read(tmp_path: Path) -> None:
    reader = Reader(tmp_path / "*")
    (tmp_path / "app.log.2.gz").write_bytes(b"compressed\n")
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "nowhere").symlink_to(tmp_path / "missing")
    (tmp_path / "app.log").write_bytes(b"read\n")
    (tmp_path / "app.log.1").write_bytes(b"its past\n")
    reader.finish()
    assert reader.durable == [b"read"]
    assert set(reader.collector.problems) == {str(tmp_path / "directory"), str(tmp_path / "fifo")}
    reader.collector.close()


def test_a_symlink_to_a_followed_file_is_not_a_second_file(tmp_path: Path, log: Path, reader: Reader) -> None:
    log.write_bytes(b"once\n")
    (tmp_path / "z.log").symlink_to(log)
    reader.finish()
    assert reader.durable == [b"once"]


def test_numbered_workers_are_no_past_of_each_other(tmp_path: Path, reader: Reader) -> None:
    for name in ("worker.log", "worker-1.log", "worker-2.log"):
        (tmp_path / name).write_bytes(name.encode() + b"\n")
    reader.finish()
    assert sorted(reader.durable) == [b"worker-1.log", b"worker-2.log", b"worker.log"]


def test_a_line_longer_than_the_buffer_is_cut_and_the_next_one_read(log: Path, reader: Reader) -> None:
    log.write_bytes(b"a" * 3_000_000 + b"\nnext\n")
    reader.finish()
    assert [(len(frame), flags) for frame, flags in zip(reader.durable, reader.flags, strict=True)] == [
        (1024, TRUNCATED),
        (4, 0),
    ]


def test_bytes_of_any_kind_are_kept(log: Path, reader: Reader) -> None:
    log.write_bytes(b"nul \0 and \xff\xfe\nlast\n")
    reader.finish()
    assert reader.durable == [b"nul \0 and \xff\xfe", b"last"]


def test_descriptors_are_bounded(tmp_path: Path) -> None:
    reader = Reader(tmp_path / "*.log", max_open=3)
    for number in range(20):
        (tmp_path / f"{number}.log").write_bytes(b"line\n")
    reader.finish()
    assert len(reader.durable) == 20
    assert reader.collector.open_count <= 3
    reader.collector.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_told_and_read_when_it_may(log: Path, reader: Reader) -> None:
    log.write_bytes(b"secret\n")
    log.chmod(0)
    reader.finish()
    assert reader.collector.problems == {str(log): "Permission denied"}
    log.chmod(0o600)
    reader.finish()
    assert reader.durable == [b"secret"]


def test_the_position_of_a_file_that_is_gone_is_forgotten_after_a_day(log: Path, reader: Reader) -> None:
    log.write_bytes(b"line\n")
    reader.finish()
    log.unlink()
    reader.finish()
    assert len(reader.positions) == 1
    reader.now += FORGET_SECONDS
    reader.look()
    assert reader.positions == {}


def test_a_deleted_file_is_read_to_its_end_while_it_is_open(log: Path, reader: Reader) -> None:
    writer = Writer(log)
    writer.write(3)
    reader.finish()
    writer.write(3)
    log.unlink()
    writer.write_rest(b"the last line\n")
    reader.finish()
    assert reader.durable == [*writer.written, b"the last line"]
