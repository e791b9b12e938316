from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from manual_spool import turns

from logstreamd.wire.batch import PARTIAL, TRUNCATED

Listen = Callable[..., Any]


def flags_of(one: Any) -> list[int]:
    return [flag for batch in one.spool.kept for flag in batch.flags]


def peers_of(one: Any) -> list[str]:
    return [batch.peers[number] for batch in one.spool.kept for number in batch.peer_ids]


@asynccontextmanager
async def connected(
    one: Any, host: str | None = None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to the input, closed at the end and waited for."""
    reader, writer = await asyncio.open_connection(host or one.address[0], one.address[1])
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def send(one: Any, data: bytes) -> None:
    """Send on a connection of its own and wait until the other side has closed, too."""
    async with connected(one) as (reader, writer):
        writer.write(data)
        await writer.drain()
        writer.write_eof()
        assert await reader.read() == b""


async def test_octet_counts_and_lines_come_mixed_on_one_connection(listen_tcp: Listen) -> None:
    one = await listen_tcp()
    await send(one, b"<34>line\n8 <34>a\nb\n<34>again\r\n9 <34>count" + b"last without an end")
    await one.stop()
    assert one.spool.frames == [b"<34>line", b"<34>a\nb\n", b"<34>again", b"<34>count", b"last without an end"]
    assert set(peers_of(one)) == {"127.0.0.1"}


async def test_ipv6_senders_keep_their_address(listen_tcp: Listen, has_ipv6: None) -> None:
    one = await listen_tcp("::1")
    assert one.input.endpoints[0].startswith("[::1]:")
    await send(one, b"hello\n")
    await one.stop()
    assert peers_of(one) == ["::1"]


async def test_every_address_of_both_versions_gets_a_socket_on_one_port(listen_tcp: Listen, has_ipv6: None) -> None:
    one = await listen_tcp("*")
    assert [where.rpartition(":")[0] for where in one.input.endpoints] == ["0.0.0.0", "[::]"]
    assert {int(where.rpartition(":")[2]) for where in one.input.endpoints} == {one.address[1]}
    for host in ("127.0.0.1", "::1"):
        async with connected(one, host) as (_, writer):
            writer.write(b"hello\n")
    await one.received(2)
    await one.stop()
    assert sorted(peers_of(one)) == ["127.0.0.1", "::1"]


async def test_an_address_in_use_is_said_with_its_name(listen_tcp: Listen) -> None:
    one = await listen_tcp()
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        one.input._port = other.getsockname()[1]
        with pytest.raises(OSError, match=r"cannot bind 127\.0\.0\.1 port \d+: Address already in use"):
            await one.input.start()


async def test_bytes_that_come_one_by_one_make_the_same_frames(listen_tcp: Listen) -> None:
    one = await listen_tcp()
    async with connected(one) as (_, writer):
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"<34>first\n11 <34>sec\nond<34>third\n":
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)
    await one.received(3)
    await one.stop()
    assert one.spool.frames == [b"<34>first", b"<34>sec\nond", b"<34>third"]


async def test_half_a_counted_frame_at_close_is_kept_and_marked(listen_tcp: Listen) -> None:
    one = await listen_tcp()
    await send(one, b"<34>whole\n100 <34>only half of")
    await one.received(2)
    await one.stop()
    assert one.spool.frames == [b"<34>whole", b"<34>only half of"]
    assert flags_of(one) == [0, PARTIAL]
    assert one.count("partial_frames_total") == 1


async def test_a_peer_that_resets_the_connection_loses_nothing_that_was_read(listen_tcp: Listen) -> None:
    one = await listen_tcp()
    async with connected(one) as (_, writer):
        writer.write(b"<34>whole\n<34>half")
        await one.received(1)
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        await one.reaches("closed_connections_total", 1, reason="peer")
    await one.stop()
    assert one.spool.frames == [b"<34>whole", b"<34>half"]
    assert flags_of(one) == [0, PARTIAL]


def send_and_go(address: tuple[str, int], numbers: range) -> None:
    """Send one message over each of many connections, and reset every other one."""
    for number in numbers:
        with socket.create_connection(address) as sender:
            sender.sendall(b"<34>%d\n" % number)
            if number % 2:
                sender.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def test_connections_that_come_and_go_leave_their_messages_and_nothing_else(listen_tcp: Listen) -> None:
    one = await listen_tcp(rows=65_535, max_connections=2_000)
    open_files = len(os.listdir("/proc/self/fd"))
    await asyncio.to_thread(send_and_go, one.address, range(2_000))
    await one.received(2_000)
    await one.reaches("connections", 0)
    assert len(os.listdir("/proc/self/fd")) <= open_files
    await one.stop()
    assert sorted(one.spool.frames) == sorted(b"<34>%d" % number for number in range(2_000))
    assert one.count("accepted_connections_total") == 2_000
    assert one.count("closed_connections_total", reason="peer") == 2_000


async def test_a_longer_message_is_cut_marked_and_followed_by_the_next(listen_tcp: Listen) -> None:
    one = await listen_tcp(max_frame_bytes=1024)
    await send(one, b"x" * 300_000 + b"\n<34>next\n5000 <" + b"y" * 4999 + b"<34>last\n")
    await one.stop()
    assert one.spool.frames == [b"x" * 1024, b"<34>next", b"<" + b"y" * 1023, b"<34>last"]
    assert flags_of(one) == [TRUNCATED, 0, TRUNCATED, 0]
    assert one.count("truncated_frames_total") == 2


async def test_frames_beyond_one_batch_go_into_the_next(listen_tcp: Listen) -> None:
    one = await listen_tcp(rows=7)
    lines = [b"<34>%d" % number for number in range(1000)]
    await send(one, b"\n".join(lines) + b"\n")
    await one.stop()
    assert one.spool.frames == lines
    assert max(map(len, one.spool.kept)) == 7


async def test_connections_beyond_the_cap_are_closed_and_counted(listen_tcp: Listen) -> None:
    one = await listen_tcp(max_connections=2)
    async with AsyncExitStack() as served:
        _, first = await served.enter_async_context(connected(one))
        await served.enter_async_context(connected(one))
        await one.reaches("connections", 2)
        async with connected(one) as (reader, _):
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
        assert one.count("rejected_connections_total") == 1
        assert one.count("accepted_connections_total") == 2
        first.close()
        await one.reaches("connections", 1)
        await send(one, b"there is a place again\n")
    await one.reaches("connections", 0)
    await one.stop()
    assert one.spool.frames == [b"there is a place again"]


async def test_a_connection_that_says_nothing_is_closed_as_idle(listen_tcp: Listen) -> None:
    one = await listen_tcp(idle_timeout_seconds=0.05, sweep_seconds=0.01)
    async with connected(one) as (reader, _):
        assert await reader.read() == b""
    await one.reaches("closed_connections_total", 1, reason="idle")


@pytest.mark.parametrize("head", [b"100 ", b""], ids=["counted", "line"])
async def test_a_message_that_does_not_end_is_kept_and_its_connection_closed(listen_tcp: Listen, head: bytes) -> None:
    one = await listen_tcp(frame_deadline_seconds=0.05, sweep_seconds=0.01)
    async with connected(one) as (reader, writer):
        writer.write(head + b"<34>announced and never sent")
        assert await reader.read() == b""
    await one.reaches("closed_connections_total", 1, reason="deadline")
    await one.stop()
    assert one.spool.frames == [b"<34>announced and never sent"]
    assert flags_of(one) == [PARTIAL]


async def test_neither_strikes_while_it_is_we_who_do_not_read(listen_tcp: Listen) -> None:
    one = await listen_tcp(rows=1, idle_timeout_seconds=0.1, frame_deadline_seconds=0.1, sweep_seconds=0.001)
    one.spool.has_room = False
    async with connected(one) as (reader, writer):
        writer.write(b"<34>1\n<34>2\n<34>3\n<34>4\n<34>half")
        await one.reaches("input_paused", 1)
        with pytest.raises(TimeoutError):  # several times the deadline; being slower than that can't make it fail
            await asyncio.wait_for(reader.read(), 0.4)
        writer.write(b" and whole\n")
        await writer.drain()
        one.spool.open_up()
        one.gatherer.room()
        await one.received(5)
    await one.stop()
    assert one.spool.frames[-1] == b"<34>half and whole"


async def test_a_sender_is_made_to_wait_within_bounds_and_loses_nothing(listen_tcp: Listen) -> None:
    batch_bytes, lines = 1 << 20, 100_000  # 100 MB
    one = await listen_tcp(rows=65_535, nbytes=batch_bytes)
    one.spool.has_room = False
    async with connected(one) as (_, writer):
        sending = asyncio.create_task(_send_numbered(writer, b"<34>" + b"x" * 987, lines))
        await one.reaches("input_paused", 1)
        read = one.count("received_bytes_total")
        # Four sealed batches, one open, and what one read of 256 KiB brings beyond the last.
        assert read <= 5 * batch_bytes + (256 << 10)
        for _ in range(200):
            await asyncio.sleep(0)
        assert one.count("received_bytes_total") == read
        assert not sending.done()
        one.spool.open_up()
        one.gatherer.room()
        await sending
    await one.received(lines)
    await one.stop()
    assert [int(frame[-8:]) for frame in one.spool.frames] == list(range(lines))


async def _send_numbered(writer: asyncio.StreamWriter, line: bytes, count: int) -> None:
    for first in range(0, count, 1000):
        writer.write(b"".join(b"%s%08d\n" % (line, number) for number in range(first, first + 1000)))
        await writer.drain()


async def test_a_connection_that_comes_while_nothing_is_read_waits_like_the_others(listen_tcp: Listen) -> None:
    one = await listen_tcp(rows=1)
    one.spool.has_room = False
    async with connected(one) as (_, first):
        first.write(b"1\n2\n3\n4\n")
        await one.reaches("input_paused", 1)
        async with connected(one) as (_, second):
            second.write(b"5\n")
            await one.reaches("connections", 2)
            for _ in range(50):
                await asyncio.sleep(0)
            assert one.count("received_frames_total") == 4
            one.spool.open_up()
            one.gatherer.room()
            await one.received(5)
    await one.stop()
    assert one.spool.frames == [b"1", b"2", b"3", b"4", b"5"]


async def test_a_stop_reads_what_has_arrived_on_open_connections(listen_tcp: Listen) -> None:
    one = await listen_tcp()
    async with connected(one) as (_, writer):
        await one.reaches("connections", 1)
        writer.write(b"<34>in the kernel\n<34>half")
        await one.stop()
    assert one.spool.frames == [b"<34>in the kernel", b"<34>half"]
    assert flags_of(one) == [0, PARTIAL]
    assert one.count("closed_connections_total", reason="shutdown") == 1


async def test_a_stop_shows_senders_that_it_ends_and_reads_what_they_still_send(listen_tcp: Listen) -> None:
    one = await listen_tcp()
    async with connected(one) as (reader, writer):
        writer.write(b"<34>before\n")
        await one.received(1)
        stopping = asyncio.create_task(one.stop())
        assert await reader.read() == b""
        writer.write(b"<34>on its way\n")
    await stopping
    assert one.spool.frames == [b"<34>before", b"<34>on its way"]
    assert one.count("closed_connections_total", reason="peer") == 1


async def test_a_stop_waits_for_a_busy_spool_to_read_what_has_arrived(listen_tcp: Listen) -> None:
    one = await listen_tcp(rows=1)
    one.spool.has_room = False
    async with connected(one) as (_, writer):
        writer.write(b"1\n2\n3\n4\n")
        await one.reaches("input_paused", 1)
        writer.write(b"5\n")
        stopping = asyncio.create_task(one.stop())
        await turns()
        one.spool.open_up()
        one.gatherer.room()
        await stopping
    assert one.spool.frames == [b"1", b"2", b"3", b"4", b"5"]


async def test_a_stop_still_serves_connections_that_nobody_had_accepted(listen_tcp: Listen) -> None:
    one = await listen_tcp()
    with socket.create_connection(one.address) as sender:  # blocks this very thread: nothing is accepted meanwhile
        sender.sendall(b"<34>sent and gone\n")
    await one.stop()
    assert one.spool.frames == [b"<34>sent and gone"]


async def test_a_stop_does_not_wait_for_ever_for_a_sender_that_never_pauses(
    listen_tcp: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("logstreamd.inputs.tcp._CLOSE_SECONDS", 0.2)
    one = await listen_tcp()
    async with connected(one) as (_, writer):
        talking = asyncio.create_task(_talk(writer))
        await one.received(1)
        await one.stop()
        assert one.input.connection_count == 0
        with contextlib.suppress(ConnectionError):
            await talking


async def _talk(writer: asyncio.StreamWriter) -> None:
    while not writer.is_closing():
        writer.write(b"<34>and another thing\n")
        await writer.drain()
        await asyncio.sleep(0.001)


@pytest.mark.asyncio(loop_factories=["asyncio"])  # the only one whose clock can be set
async def test_a_sender_that_is_always_inside_some_frame_is_not_overdue(
    listen_tcp: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = asyncio.get_running_loop().time()
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now)
    one = await listen_tcp(rows=1, frame_deadline_seconds=30, sweep_seconds=1)
    async with connected(one) as (reader, writer):
        writer.write(b"<34>begin")
        for before in range(10):
            writer.write(b" and end\n<34>begin")
            while one.count("received_frames_total") <= before:
                await asyncio.sleep(0)
            now += 29
            for _ in range(5):
                await asyncio.sleep(0)
        assert one.count("closed_connections_total", reason="deadline") == 0
        now += 2
        assert await reader.read() == b""
        assert one.count("closed_connections_total", reason="deadline") == 1
    monkeypatch.undo()
