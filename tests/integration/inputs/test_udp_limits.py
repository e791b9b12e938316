"""Allow-lists and limits on a UDP input: what one sender sends too much is not at the cost of another."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from logstreamd.inputs import receive, udp

Listen = Callable[..., Any]


@pytest.fixture(params=["python", "compiled"], autouse=True)
def receive_datagrams(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "python":
        monkeypatch.setattr(udp, "receive_datagrams", receive.receive_datagrams)
    else:
        compiled = pytest.importorskip("logstreamd.inputs._receive", reason="the compiled receive is not built")
        monkeypatch.setattr(udp, "receive_datagrams", compiled.receive_datagrams)


@pytest.fixture
def send() -> Iterator[Callable[..., None]]:
    senders: dict[str, socket.socket] = {}

    def send(one: Any, host: str, *datagrams: bytes) -> None:
        if host not in senders:
            senders[host] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            senders[host].bind((host, 0))
        for datagram in datagrams:
            senders[host].sendto(datagram, one.address)

    yield send
    for sock in senders.values():
        sock.close()


def kept(one: Any) -> dict[str, int]:
    """How many frames of each sender are kept."""
    found: dict[str, int] = {}
    for batch in one.spool.kept:
        for number in batch.peer_ids:
            found[batch.peers[number]] = found.get(batch.peers[number], 0) + 1
    return found


async def test_beside_a_flood_the_quiet_one_loses_nothing(listen_udp: Listen, send: Callable[..., None]) -> None:
    one = await listen_udp(rows=64, max_records_per_second=100, clock=lambda: 0.0)
    for turn in range(1, 11):  # less at once than the kernel's buffer holds: that loses nothing here
        send(one, "127.0.0.3", b"<34>quiet", b"<34>quiet")
        send(one, "127.0.0.2", *(b"<34>flood %d" % number for number in range(500)))
        send(one, "127.0.0.3", b"<34>quiet")
        await one.received(turn * 503)
    await one.stop()
    assert kept(one) == {"127.0.0.3": 30, "127.0.0.2": 100}
    assert one.count("dropped_frames_total", reason="rate_limited") == 5_000 - 100
    assert one.count("received_frames_total") == 5_030
    (top,) = one.input.admission.top()
    assert (top["source"], top["cut_records"]) == ("127.0.0.2", 4_900)


async def test_who_is_not_allowed_is_counted_and_never_parsed(listen_udp: Listen, send: Callable[..., None]) -> None:
    one = await listen_udp(allow=["127.0.0.3"])
    send(one, "127.0.0.2", *[b"<34>x"] * 1_500)  # more than one turn
    send(one, "127.0.0.3", b"<34>y")
    await one.received(1_501)
    await one.stop()
    assert kept(one) == {"127.0.0.3": 1}
    assert one.count("dropped_frames_total", reason="not_allowed") == 1_500
    assert one.count("received_bytes_total") == 1_501 * 5


async def test_a_turn_that_only_cuts_is_bounded_like_any_other(
    listen_udp: Listen, send: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(udp, "_DATAGRAMS_PER_TURN", 10)
    one = await listen_udp(rows=1, allow=["127.0.0.3"])
    (listening,) = one.input.sockets
    for _ in range(25):
        send(one, "127.0.0.2", b"x")
    assert [one.input._on_readable(listening) for _ in range(3)] == [False, False, True]
    for _ in range(5):  # each batch ends a call, and what was cut in between counts
        send(one, "127.0.0.2", *[b"x"] * 4)
        send(one, "127.0.0.3", b"y")
    assert [one.input._on_readable(listening) for _ in range(3)] == [False, False, True]


async def test_settings_change_while_the_socket_is_open(listen_udp: Listen, send: Callable[..., None]) -> None:
    one = await listen_udp(receive_buffer_bytes=1 << 16)
    (listening,) = one.input.sockets
    send(one, "127.0.0.2", b"x" * 2_000)
    await one.received(1)
    one.input.admission.apply(allow=["127.0.0.3"], max_records_per_second=0, max_bytes_per_second=0)
    one.input.apply(max_frame_bytes=1_024, receive_buffer_bytes=1 << 17)
    send(one, "127.0.0.2", b"x" * 2_000)
    send(one, "127.0.0.3", b"y" * 2_000)
    await one.received(3)
    assert one.input.sockets == [listening]
    assert one.count("receive_buffer_bytes") == listening.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2
    assert one.count("receive_buffer_bytes") >= 1 << 17
    await one.stop()
    assert one.spool.frames == [b"x" * 2_000, b"y" * 1_024]
