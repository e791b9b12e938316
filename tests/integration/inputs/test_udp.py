from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from logstreamd.inputs import udp
from logstreamd.inputs.kernel_drops import kernel_drops, parse_drops
from logstreamd.wire.batch import TRUNCATED

Listen = Callable[..., Any]


@contextmanager
def sender(one: Any) -> Iterator[socket.socket]:
    """A socket that sends to the input."""
    family = socket.AF_INET6 if ":" in one.address[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        sock.connect(one.address)
        yield sock


async def test_one_datagram_is_one_frame_whatever_its_size(listen_udp: Listen) -> None:
    one = await listen_udp()
    sizes = [1, 2, 480, 1180, 2048, 8192, 65_507]
    with sender(one) as sock:
        for size in sizes:
            sock.send(b"x" * size)
    await one.received(len(sizes))
    await one.stop()
    assert [len(frame) for frame in one.spool.frames] == sizes
    assert one.count("received_bytes_total") == sum(sizes)


async def test_a_datagram_is_not_split_at_what_ends_a_line_on_a_stream(listen_udp: Listen) -> None:
    one = await listen_udp()
    sent = [b"<34>two\nlines", b"<34>nul\0inside", bytes(range(1, 256)), b"5 <34>counted", b"<34>trimmed\r\n\0"]
    with sender(one) as sock:
        for data in sent:
            sock.send(data)
    await one.received(len(sent))
    await one.stop()
    assert one.spool.frames == [*sent[:-1], b"<34>trimmed"]


async def test_an_empty_datagram_is_no_message_and_stops_nothing(listen_udp: Listen) -> None:
    one = await listen_udp()
    with sender(one) as sock:
        for data in (b"", b"a", b"", b"b"):
            sock.send(data)
    await one.received(2)
    await one.stop()
    assert one.spool.frames == [b"a", b"b"]


async def test_a_flood_of_empty_datagrams_takes_its_turn_like_any_other(
    listen_udp: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(udp, "_DATAGRAMS_PER_TURN", 10)
    one = await listen_udp()
    with sender(one) as sock:
        for _ in range(25):
            sock.send(b"")
    (listening,) = one.input._sockets
    assert [one.input._on_readable(listening) for _ in range(3)] == [False, False, True]


async def test_one_turn_of_the_loop_reads_a_bounded_number(listen_udp: Listen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udp, "_DATAGRAMS_PER_TURN", 10)
    one = await listen_udp(rows=4)  # so that batches end inside a turn
    with sender(one) as sock:
        for number in range(25):
            sock.send(b"%d" % number)
    (listening,) = one.input._sockets
    assert one.input._on_readable(listening) is False
    assert one.count("received_frames_total") == 10
    await one.received(25)
    await one.stop()
    assert one.spool.frames == [b"%d" % number for number in range(25)]


async def test_a_long_datagram_is_cut_and_marked(listen_udp: Listen) -> None:
    one = await listen_udp(max_frame_bytes=1024)
    with sender(one) as sock:
        sock.send(b"x" * 1024)
        sock.send(b"y" * 1025)
    await one.received(2)
    await one.stop()
    assert one.spool.frames == [b"x" * 1024, b"y" * 1024]
    assert [flag for batch in one.spool.kept for flag in batch.flags] == [0, TRUNCATED]
    assert one.count("truncated_frames_total") == 1


async def test_senders_of_both_ip_versions_keep_their_addresses(listen_udp: Listen, has_ipv6: None) -> None:
    one = await listen_udp("*")
    port = one.address[1]
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"hello", (host, port))
    await one.received(2)
    await one.stop()
    peers = [batch.peers[number] for batch in one.spool.kept for number in batch.peer_ids]
    assert sorted(peers) == ["127.0.0.1", "::1"]


async def test_the_buffer_the_kernel_granted_is_shown(listen_udp: Listen) -> None:
    one = await listen_udp(receive_buffer_bytes=1 << 16)
    (listening,) = one.input._sockets
    assert one.count("receive_buffer_bytes") == listening.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2
    assert one.count("receive_buffer_bytes") >= 1 << 16


async def test_what_the_kernel_dropped_and_what_was_read_is_what_was_sent(listen_udp: Listen) -> None:
    sent = 5_000
    one = await listen_udp(receive_buffer_bytes=1 << 16)
    with sender(one) as sock:
        for number in range(sent):  # blocks this thread: nothing is read meanwhile
            sock.send(b"<34>%d" % number)
    with capture_logs() as lines:
        await one.stop()
    dropped = one.count("kernel_dropped_datagrams_total")
    assert dropped > 0
    assert [line["messages"] for line in lines if line["event"] == "messages lost"] == [dropped]
    assert one.count("received_frames_total") + dropped == sent
    one.input.count_kernel_drops()
    assert one.count("kernel_dropped_datagrams_total") == dropped


async def test_drops_are_counted_once_however_often_one_looks(listen_udp: Listen) -> None:
    one = await listen_udp(receive_buffer_bytes=1 << 16)
    total = 0
    for _ in range(3):
        with sender(one) as sock:
            for _ in range(1_000):
                sock.send(b"x" * 1_000)
        total += 1_000
        for _ in range(2):
            one.input.count_kernel_drops()
        while one.count("received_frames_total") + one.count("kernel_dropped_datagrams_total") < total:
            await asyncio.sleep(0.001)
            one.input.count_kernel_drops()
    assert one.count("received_frames_total") + one.count("kernel_dropped_datagrams_total") == total
    await one.stop()


async def test_what_the_spool_has_no_room_for_is_dropped_newest_first_and_counted(listen_udp: Listen) -> None:
    one = await listen_udp(rows=10)
    one.spool.has_room = False
    with sender(one) as sock:
        for number in range(200):
            sock.send(b"%d" % number)
    await one.received(200)
    assert one.input.congested
    one.spool.open_up()
    await one.stop()
    kept = [int(frame) for frame in one.spool.frames]
    assert kept == list(range(len(kept)))
    assert 40 <= len(kept) <= 50
    assert one.count("dropped_frames_total", reason="spool_full") == 200 - len(kept)


async def test_a_stop_reads_what_the_kernel_holds(listen_udp: Listen) -> None:
    one = await listen_udp(rows=50)
    with sender(one) as sock:
        for number in range(3_000):
            sock.send(b"%d" % number)
        await one.stop()
    assert one.count("received_frames_total") + one.count("kernel_dropped_datagrams_total") == 3_000
    assert one.input.endpoints == []


async def test_a_flood_that_does_not_end_does_not_keep_it_from_stopping(
    listen_udp: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(udp, "_LAST_READ_SECONDS", 0.05)
    one = await listen_udp(receive_buffer_bytes=1 << 16)
    over = threading.Event()

    def flood() -> None:
        with sender(one) as sock:
            while not over.is_set():
                try:
                    sock.send(b"x")
                except ConnectionRefusedError:  # it has closed
                    return

    thread = threading.Thread(target=flood)
    thread.start()
    await one.received(1)
    await one.stop()
    over.set()
    thread.join()


def test_drops_are_read_from_the_kernels_table() -> None:
    start = "0100007F:158A 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0"
    table = (
        "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref ...\n"
        f" 1410: {start} 42001 2 00000000 18200\n"
        f" 1411: {start} 42002 2 00000000 7\n"
        "   cut off\n"
    )
    assert parse_drops(table, {42001, 9}) == {42001: 18200}
    assert parse_drops("", {42001}) == {}


def test_a_system_without_the_table_counts_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setattr("logstreamd.inputs.kernel_drops._TABLES", (tmp_path / "udp",))
    assert kernel_drops({1}) == {}
