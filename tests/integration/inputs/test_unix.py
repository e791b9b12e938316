"""Messages of this machine's own processes, at a path."""

from __future__ import annotations

import array
import asyncio
import os
import shutil
import socket
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from manual_spool import turns

from logstreamd.inputs.inherited import INHERITED
from logstreamd.inputs.unix_socket import remove_if_stale
from logstreamd.systemd import ListenSocket
from logstreamd.wire.batch import TRUNCATED
from logstreamd.wire.sender import split_sender

Listen = Callable[..., Any]


@contextmanager
def sender(one: Any) -> Iterator[socket.socket]:
    """A socket that sends to the input."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        sock.connect(path_of(one))
        yield sock


def path_of(one: Any) -> str:
    (path,) = one.input.endpoints
    return str(path)


async def send(one: Any, *datagrams: bytes) -> None:
    """Send from a thread: the kernel makes it wait while the queue is full."""

    def work() -> None:
        with sender(one) as sock:
            for datagram in datagrams:
                sock.send(datagram)

    await asyncio.to_thread(work)


async def test_each_datagram_is_one_message(listen_unix: Listen) -> None:
    one = await listen_unix(max_frame_bytes=1_024)
    sent = [b"<34>two\nlines", b"<34>ended\n\0", b"", b"x" * 1_024, b"y" * 1_025, b"z" * 100_000]
    await send(one, *sent)
    await one.received(5)
    await one.stop()
    assert one.spool.frames == [b"<34>two\nlines", b"<34>ended", b"x" * 1_024, b"y" * 1_024, b"z" * 1_024]
    assert [flag for batch in one.spool.kept for flag in batch.flags] == [0, 0, 0, TRUNCATED, TRUNCATED]
    assert one.count("received_bytes_total") == sum(map(len, sent))


async def test_the_kernel_says_who_sent_it(listen_unix: Listen) -> None:
    one = await listen_unix()
    await send(one, b"<34>from us")
    await one.received(1)
    await one.stop()
    ((address, known),) = [split_sender(entry) for batch in one.spool.kept for entry in batch.peers]
    assert address == ""
    assert known == {"peer_pid": os.getpid(), "peer_uid": os.getuid(), "peer_gid": os.getgid()}


@pytest.mark.skipif(shutil.which("logger") is None, reason="needs logger (bsdutils)")
async def test_every_line_of_logger_comes_with_its_process(listen_unix: Listen, tmp_path: Path) -> None:
    one = await listen_unix()
    lines = tmp_path / "lines"
    lines.write_text("".join(f"line {number}\n" for number in range(300)))
    logger = await asyncio.create_subprocess_exec(
        "logger", "-u", path_of(one), "-t", "web", "-f", str(lines), stdin=subprocess.DEVNULL
    )
    assert await logger.wait() == 0
    await one.received(300)
    await one.stop()
    assert [frame.rpartition(b"web: ")[2] for frame in one.spool.frames] == [b"line %d" % n for n in range(300)]
    senders = {entry for batch in one.spool.kept for entry in batch.peers}
    assert [split_sender(entry)[1]["peer_pid"] for entry in senders] == [logger.pid]


async def test_senders_wait_while_the_spool_has_no_room_and_nothing_is_lost(listen_unix: Listen) -> None:
    one = await listen_unix(rows=10)
    one.spool.has_room = False
    sending = asyncio.create_task(send(one, *(b"%d" % number for number in range(2_000))))
    while not one.input.congested:
        await asyncio.sleep(0.001)
    received = one.count("received_frames_total")
    for _ in range(100):  # turns of the loop, in which it could read
        await asyncio.sleep(0)
    assert one.count("received_frames_total") == received < 2_000
    assert not sending.done()
    one.spool.open_up()
    await sending
    await one.received(2_000)
    await one.stop()
    assert one.spool.frames == [b"%d" % number for number in range(2_000)]


async def test_a_stop_waits_for_a_busy_spool_to_read_what_is_queued(listen_unix: Listen) -> None:
    one = await listen_unix(rows=1)
    one.spool.has_room = False
    await send(one, *(b"%d" % number for number in range(4)))
    while not one.input.congested:
        await asyncio.sleep(0.001)
    await send(one, b"queued")
    stopping = asyncio.create_task(one.stop())
    await turns()
    one.spool.open_up()
    one.gatherer.room()
    await stopping
    assert one.spool.frames == [b"0", b"1", b"2", b"3", b"queued"]


async def test_a_user_over_the_limit_is_cut_and_does_not_block_the_queue(listen_unix: Listen) -> None:
    one = await listen_unix(max_records_per_second=7, clock=lambda: 0.0)
    await send(one, *[b"<34>x"] * 1_000)
    await one.received(1_000)
    await one.stop()
    assert len(one.spool.frames) == 7
    assert one.count("dropped_frames_total", reason="rate_limited") == 993
    (top,) = one.input.admission.top()
    assert (top["source"], top["cut_records"], top["cut_bytes"]) == (f"uid {os.getuid()}", 993, 993 * 5)


async def test_files_that_are_sent_along_are_never_ours(listen_unix: Listen, tmp_path: Path) -> None:
    one = await listen_unix()
    before = len(os.listdir("/proc/self/fd"))
    with sender(one) as sock, (tmp_path / "file").open("w") as file:
        files = array.array("i", [file.fileno()] * 5)
        sock.sendmsg([b"<34>take these"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, files)])
        await one.received(1)
    assert len(os.listdir("/proc/self/fd")) == before
    await one.stop()
    assert one.spool.frames == [b"<34>take these"]


async def test_a_stop_reads_what_is_queued_and_takes_the_file_away(listen_unix: Listen) -> None:
    one = await listen_unix()
    path = Path(path_of(one))
    with sender(one) as sock:
        sock.setblocking(False)
        sent = 0
        try:
            while sent < 100:
                sock.send(b"%d" % sent)
                sent += 1
        except BlockingIOError:
            pass
        await one.stop()
    assert sent
    assert one.spool.frames == [b"%d" % number for number in range(sent)]
    assert not path.exists()


async def test_senders_that_do_not_pause_do_not_keep_it_from_stopping(
    listen_unix: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("logstreamd.inputs.unix._LAST_READ_SECONDS", 0.05)
    one = await listen_unix()
    sent = 0

    def flood() -> None:
        nonlocal sent
        with sender(one) as sock:
            try:
                while True:
                    sock.send(b"x")
                    sent += 1
            except OSError:  # it has closed
                return

    thread = threading.Thread(target=flood)
    thread.start()
    await one.received(1)
    await one.stop()
    await asyncio.to_thread(thread.join)
    # What the queue held when it was closed; a sender can't know it.
    assert 0 <= sent - one.count("received_frames_total") <= 600


@pytest.mark.parametrize("mode", [0o666, 0o620, 0o600])
async def test_the_file_has_its_permissions_whatever_the_umask(listen_unix: Listen, mode: int) -> None:
    umask = os.umask(0o077)
    try:
        one = await listen_unix(mode=mode)
    finally:
        os.umask(umask)
    path = Path(path_of(one))
    assert stat.S_IMODE(path.stat().st_mode) == mode
    one.input.apply(mode=0o640, max_frame_bytes=1_024)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


async def test_a_file_that_is_gone_keeps_no_reload_from_going_on(listen_unix: Listen) -> None:
    one = await listen_unix()
    Path(path_of(one)).unlink()
    with structlog.testing.capture_logs() as lines:
        one.input.apply(mode=0o666, max_frame_bytes=1_024)
    assert [(line["event"], line["problem"]) for line in lines] == [
        ("permissions not changed", "No such file or directory")
    ]


async def test_a_longer_max_frame_bytes_is_in_force_at_once(listen_unix: Listen) -> None:
    one = await listen_unix(max_frame_bytes=1_024)
    one.input.apply(mode=0o600, max_frame_bytes=4_096)
    await send(one, b"x" * 4_000)
    await one.received(1)
    await one.stop()
    assert one.spool.frames == [b"x" * 4_000]


async def test_the_file_of_a_dead_daemon_is_replaced(listen_unix: Listen, tmp_path: Path) -> None:
    path = tmp_path / "log"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dead:
        dead.bind(str(path))
    one = await listen_unix(path)
    await send(one, b"alive")
    await one.received(1)


async def test_what_is_somebody_elses_is_left_alone(listen_unix: Listen, tmp_path: Path) -> None:
    path, file, link = tmp_path / "log", tmp_path / "file", tmp_path / "link"
    file.write_text("precious")
    link.symlink_to(tmp_path / "elsewhere")
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as alive,
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other,
    ):
        alive.bind(str(path))
        with pytest.raises(OSError, match="another process listens there"):
            await listen_unix(path)
        other.bind(str(tmp_path / "stream"))
        other.listen()
        with pytest.raises(OSError, match="another process listens there"):
            await listen_unix(tmp_path / "stream")
        with pytest.raises(OSError, match="not a socket, and it is not removed"):
            await listen_unix(file)
        with pytest.raises(OSError, match="symbolic link"):
            await listen_unix(link)
    assert file.read_text() == "precious"
    assert link.is_symlink()
    with pytest.raises(OSError, match="No such file or directory"):
        await listen_unix(tmp_path / "missing" / "log")


async def test_a_file_that_another_took_meanwhile_stays(listen_unix: Listen, tmp_path: Path) -> None:
    one = await listen_unix()
    path = Path(path_of(one))
    path.unlink()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(str(path))
        await one.stop()
        assert path.exists()
    assert remove_if_stale(path)


async def test_a_successor_takes_over_the_socket_and_its_file(listen_unix: Listen, tmp_path: Path) -> None:
    one = await listen_unix()
    with sender(one) as sock:
        sock.send(b"before")
        await one.received(1)
        successor = await listen_unix(sockets=[held.dup() for held in one.input.sockets], mode=0o620)
        assert stat.S_IMODE((tmp_path / "log").stat().st_mode) == 0o620
        await one.stop()
        sock.send(b"after")
        await successor.received(1)
        await send(successor, b"by its name")
        await successor.received(2)
    await successor.stop()
    assert one.spool.frames + successor.spool.frames == [b"before", b"after", b"by its name"]
    assert not (tmp_path / "log").exists()


async def test_an_inherited_socket_is_borrowed_and_keeps_its_file(listen_unix: Listen, tmp_path: Path) -> None:
    path = tmp_path / "log"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as held_by_systemd:
        held_by_systemd.bind(str(path))
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as early:
            early.sendto(b"while the daemon was away", str(path))
        INHERITED.adopt([ListenSocket("log.socket", held_by_systemd.dup())])
        try:
            path.chmod(0o622)
            one = await listen_unix(path)
            one.input.apply(mode=0o666, max_frame_bytes=1_024)
            assert stat.S_IMODE(path.stat().st_mode) == 0o622
            await send(one, b"now")
            await one.received(2)
            await one.stop()
        finally:
            INHERITED.adopt([])
        assert path.exists()
    assert one.spool.frames == [b"while the daemon was away", b"now"]
