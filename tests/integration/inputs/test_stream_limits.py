"""What keeps one sender from the others: allow-lists, caps and limits; and what is no sender at all."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

Listen = Callable[..., Any]
QUIET, LOUD = "127.0.0.1", "127.0.0.2"


@asynccontextmanager
async def connected(one: Any, sender: str = QUIET) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(*one.address, local_addr=(sender, 0))
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def is_refused(one: Any, sender: str) -> None:
    with contextlib.suppress(ConnectionError):
        async with connected(one, sender) as (reader, _):
            assert await reader.read() == b""


def client_hello() -> bytes:
    outgoing = ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


@pytest.mark.parametrize("piece", [1, 2, 1000])
async def test_a_tls_client_on_the_plain_port_is_said_so_and_nothing_of_it_is_stored(
    listen_tcp: Listen, piece: int
) -> None:
    one = await listen_tcp()
    hello = client_hello()
    with capture_logs() as lines:
        async with connected(one) as (reader, writer):
            writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with contextlib.suppress(ConnectionError):
                for start in range(0, len(hello), piece):
                    writer.write(hello[start : start + piece])
                    await writer.drain()
                    await asyncio.sleep(0)
                assert await reader.read() == b""
            await one.reaches("closed_connections_total", 1, reason="tls_on_plain_port")
    await one.stop()
    assert one.spool.frames == []
    assert [line["event"] for line in lines if line["log_level"] == "warning"] == [
        "a TLS client speaks to a plain port: nothing of it is stored; let it use an input of type tls"
    ]


@pytest.mark.parametrize("line", [b"\x16", b"\x16\x04", b"\x16<34>odd", b"<34>\x16\x03"])
async def test_what_only_begins_like_it_is_a_message(listen_tcp: Listen, line: bytes) -> None:
    one = await listen_tcp()
    async with connected(one) as (_, writer):
        writer.write(line[:1])
        await one.reaches("connections", 1)
        for _ in range(10):
            await asyncio.sleep(0)
        writer.write(line[1:] + b"\n" if len(line) > 1 else b"")
    await one.received(1)
    await one.stop()
    assert one.spool.frames == [line]


async def test_one_address_has_a_cap_of_its_own(listen_tcp: Listen) -> None:
    one = await listen_tcp(max_connections_per_peer=2)
    with capture_logs() as lines:
        async with AsyncExitStack() as served:
            _, first = await served.enter_async_context(connected(one, LOUD))
            await served.enter_async_context(connected(one, LOUD))
            await one.reaches("connections", 2)
            await is_refused(one, LOUD)
            await served.enter_async_context(connected(one, QUIET))
            await one.reaches("connections", 3)
            first.close()
            await one.reaches("connections", 2)
            await served.enter_async_context(connected(one, LOUD))
            await one.reaches("connections", 3)
    assert one.count("rejected_connections_total") == 1
    (refusal,) = [line for line in lines if line["event"] == "connection refused"]
    assert (refusal["peer"], refusal["reason"]) == (LOUD, "max_connections_per_peer (2) are open")


async def test_who_is_not_on_the_list_is_closed_before_a_byte_is_read(listen_tcp: Listen) -> None:
    one = await listen_tcp(admission={"allow": [QUIET]})
    await is_refused(one, LOUD)
    async with connected(one, QUIET) as (_, writer):
        writer.write(b"<34>welcome\n")
    await one.received(1)
    await one.stop()
    assert one.spool.frames == [b"<34>welcome"]
    assert one.count("denied_connections_total") == 1
    assert one.input.admission.top()[0]["source"] == LOUD


LINES = [b"<34>%06d %s" % (number, b"x" * 88) for number in range(30_000)]  # 3 MB, in many reads


async def flood(one: Any) -> None:
    async with connected(one, LOUD) as (_, writer):
        writer.write(b"\n".join(LINES) + b"\n")
        await writer.drain()


async def test_a_loud_sender_is_slowed_a_quiet_one_is_not_and_nothing_is_lost(listen_tcp: Listen) -> None:
    limits = {"max_records_per_second": 0, "max_bytes_per_second": 65_536}
    one = await listen_tcp(rows=65_535, admission={**limits, "clock": lambda: 0.0})  # no time passes: no debt is paid
    flooding = asyncio.create_task(flood(one))
    await one.received(1)
    while not one.count("slowed_seconds_total"):
        await asyncio.sleep(0.001)
    async with connected(one, QUIET) as (_, writer):
        before = one.count("received_frames_total")
        writer.write(b"<34>quiet\n")
        await one.received(before + 1)
    assert one.count("received_bytes_total") <= 65_536 + 2 * 16_384
    one.input.admission.apply(allow=(), max_records_per_second=0, max_bytes_per_second=0)
    one.input.apply(one.input.limits)
    await flooding
    await one.received(len(LINES) + 1)
    await one.stop()
    assert [frame for frame in one.spool.frames if frame != b"<34>quiet"] == LINES


async def test_a_debt_is_paid_by_waiting(listen_tcp: Listen) -> None:
    one = await listen_tcp(rows=65_535, admission={"max_records_per_second": 20_000})
    await flood(one)
    await one.received(len(LINES))
    assert 0 < one.count("slowed_seconds_total") < 60
    await one.stop()
    assert one.spool.frames == LINES


async def test_two_reasons_to_wait_hold_until_neither_does(listen_tcp: Listen) -> None:
    one = await listen_tcp(rows=10, admission={"max_bytes_per_second": 10_000, "clock": lambda: 0.0})
    one.spool.has_room = False
    flooding = asyncio.create_task(flood(one))
    await one.reaches("input_paused", 1)
    while not one.count("slowed_seconds_total"):
        await asyncio.sleep(0.001)
    read = one.count("received_bytes_total")
    one.spool.open_up()
    one.gatherer.room()
    await one.reaches("input_paused", 0)
    for _ in range(50):
        await asyncio.sleep(0)
    assert one.count("received_bytes_total") == read  # the spool has room, and the sender still owes
    one.input.admission.apply(allow=(), max_records_per_second=0, max_bytes_per_second=0)
    one.input.apply(one.input.limits)
    await flooding
    await one.received(len(LINES))
    await one.stop()
    assert one.spool.frames == LINES


async def test_who_waits_for_us_is_not_overdue(listen_tcp: Listen) -> None:
    one = await listen_tcp(
        rows=65_535,
        admission={"max_bytes_per_second": 65_536, "clock": lambda: 0.0},
        idle_timeout_seconds=0.05,
        frame_deadline_seconds=0.05,
        sweep_seconds=0.001,
    )
    flooding = asyncio.create_task(flood(one))
    while not one.count("slowed_seconds_total"):
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.2)  # several times the deadline; being slower than that can't make it fail
    assert one.count("connections") == 1
    one.input.admission.apply(allow=(), max_records_per_second=0, max_bytes_per_second=0)
    one.input.apply(one.input.limits)
    await flooding
    await one.received(len(LINES))


async def test_a_stop_reads_what_a_sender_over_its_limit_has_sent(listen_tcp: Listen) -> None:
    one = await listen_tcp(rows=65_535, admission={"max_records_per_second": 10, "clock": lambda: 0.0})
    lines = LINES[:2_000]
    async with connected(one, LOUD) as (_, writer):
        writer.write(b"\n".join(lines) + b"\n")
        await writer.drain()
    while not one.count("slowed_seconds_total"):
        await asyncio.sleep(0.001)
    assert one.count("received_frames_total") < len(lines)
    await one.stop()
    assert one.spool.frames == lines


async def test_new_limits_are_for_connections_that_come_and_none_is_closed(listen_tcp: Listen) -> None:
    one = await listen_tcp(max_connections=3)
    async with AsyncExitStack() as served:
        for _ in range(3):
            await served.enter_async_context(connected(one))
        await one.reaches("connections", 3)
        one.input.apply(type(one.input.limits)(**{**LIMITS, "max_connections": 1}))
        await is_refused(one, QUIET)
        assert one.count("connections") == 3
        one.input.apply(type(one.input.limits)(**{**LIMITS, "max_connections": 4}))
        await served.enter_async_context(connected(one))
        await one.reaches("connections", 4)


LIMITS = {"max_frame_bytes": 4096, "max_connections": 3, "idle_timeout_seconds": 0.0, "frame_deadline_seconds": 60.0}


async def test_a_reload_ends_the_connections_of_senders_that_may_no_longer_send(listen_tcp: Listen) -> None:
    one = await listen_tcp()
    async with connected(one, QUIET) as (_, quiet), connected(one, LOUD) as (reader, loud):
        quiet.write(b"<34>before\n")
        loud.write(b"<34>before\n<34>half")
        await one.received(2)
        one.input.admission.apply(allow=[QUIET], max_records_per_second=0, max_bytes_per_second=0)
        one.input.apply(one.input.limits)
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        await one.reaches("closed_connections_total", 1, reason="not_allowed")
        quiet.write(b"<34>after\n")
        await one.received(4)
    await one.stop()
    assert sorted(one.spool.frames) == [b"<34>after", b"<34>before", b"<34>before", b"<34>half"]
