"""Sockets that were open before the daemon: whose they are, and that they outlive whoever reads them."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from logstreamd.inputs import udp
from logstreamd.inputs.addresses import bind_sockets
from logstreamd.inputs.inherited import INHERITED
from logstreamd.systemd import ListenSocket

Listen = Callable[..., Any]
Inherit = Callable[..., int]

KINDS = [socket.SOCK_DGRAM, socket.SOCK_STREAM]


@pytest.fixture
def inherit() -> Iterator[Inherit]:
    """Opens sockets as a service manager does, hands them over and returns their port."""
    manager = ExitStack()
    given: list[ListenSocket] = []

    def bound(kind: socket.SocketKind, host: str, port: int, *, both: bool) -> socket.socket:
        sock = manager.enter_context(socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind))
        if ":" in host:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not both)
        sock.bind((host, port))
        if kind == socket.SOCK_STREAM:
            sock.listen(100)
        return sock

    def inherit(kind: socket.SocketKind, *hosts: str, both: bool = False) -> int:
        port = 0
        for host in hosts:
            try:
                sock = bound(kind, host, port, both=both)
            except OSError:
                pytest.skip("no IPv6 on this machine")
            port = sock.getsockname()[1]
            given.append(ListenSocket("test", sock.dup()))  # ours stays open, as systemd's does
        INHERITED.adopt(given)
        given.clear()
        return port

    yield inherit
    INHERITED.adopt([])
    manager.close()


async def test_datagrams_that_come_while_nobody_reads_wait_for_the_next_reader(
    inherit: Inherit, listen_udp: Listen
) -> None:
    port = inherit(socket.SOCK_DGRAM, "127.0.0.1")
    with socket.socket(type=socket.SOCK_DGRAM) as sender:
        sender.sendto(b"<1>before", ("127.0.0.1", port))
        first = await listen_udp("127.0.0.1", port)
        await first.received(1)
        await first.stop()
        for number in range(100):
            sender.sendto(b"<1>between %d" % number, ("127.0.0.1", port))
        second = await listen_udp("127.0.0.1", port)
        await second.received(100)
    assert second.address == ("127.0.0.1", port)
    assert second.count("kernel_dropped_datagrams_total") == 0


async def test_connections_made_while_nobody_accepts_are_served_by_the_next_one(
    inherit: Inherit, listen_tcp: Listen
) -> None:
    port = inherit(socket.SOCK_STREAM, "127.0.0.1")
    first = await listen_tcp("127.0.0.1", port)
    await first.stop()
    for number in range(20):
        with socket.create_connection(("127.0.0.1", port)) as sender:
            sender.sendall(b"<1>between %d\n" % number)
    second = await listen_tcp("127.0.0.1", port)
    await second.received(20)
    await second.reaches("accepted_connections_total", 20)


@pytest.mark.parametrize("kind", KINDS)
async def test_every_address_takes_what_was_inherited_for_both_ip_versions(
    inherit: Inherit, kind: socket.SocketKind
) -> None:
    port = inherit(kind, "0.0.0.0", "::")
    sockets = await bind_sockets("*", port, kind)
    assert [sock.getsockname()[:2] for sock in sockets] == [("0.0.0.0", port), ("::", port)]
    assert not any(sock.get_inheritable() or sock.getblocking() for sock in sockets)
    INHERITED.refuse_idle()
    for sock in sockets:
        sock.close()


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
async def test_every_address_is_content_with_the_one_ip_version_that_was_inherited(inherit: Inherit, host: str) -> None:
    port = inherit(socket.SOCK_DGRAM, host)
    (sock,) = await bind_sockets("*", port, socket.SOCK_DGRAM)
    assert sock.getsockname()[:2] == (host, port)
    sock.close()


async def test_a_socket_for_both_ip_versions_gives_ipv4_senders_their_own_address(
    inherit: Inherit, listen_udp: Listen, listen_tcp: Listen
) -> None:
    datagrams = await listen_udp("*", inherit(socket.SOCK_DGRAM, "::", both=True))
    with socket.socket(type=socket.SOCK_DGRAM) as sender:
        sender.sendto(b"<1>a", ("127.0.0.1", datagrams.address[1]))
        await datagrams.received(1)
    await datagrams.stop()
    tcp = await listen_tcp("*", inherit(socket.SOCK_STREAM, "::", both=True))
    with socket.create_connection(("127.0.0.1", tcp.address[1])) as sender:
        sender.sendall(b"<1>a\n")
        await tcp.received(1)
    await tcp.stop()
    assert [batch.peers for one in (datagrams, tcp) for batch in one.spool.kept] == [["127.0.0.1"]] * 2


async def test_an_address_of_another_kind_or_port_is_bound_as_ever(inherit: Inherit) -> None:
    port = inherit(socket.SOCK_DGRAM, "127.0.0.1")
    for host, other, kind in [("127.0.0.1", port, socket.SOCK_STREAM), ("127.0.0.2", port, socket.SOCK_DGRAM)]:
        (sock,) = await bind_sockets(host, other, kind)
        assert sock.getsockname() == (host, port)
        sock.close()
    with pytest.raises(OSError, match="nothing reads the inherited sockets"):
        INHERITED.refuse_idle()


@pytest.mark.parametrize(
    ("kind", "host", "message"),
    [
        (
            socket.SOCK_DGRAM,
            "0.0.0.0",
            r'udp 0\.0\.0\.0:\d+ \(test\): add an input of type udp with listen: "\*:\d+", or take',
        ),
        (
            socket.SOCK_STREAM,
            "::1",
            r'tcp \[::1\]:\d+ \(test\): add an input of type tcp or tls with listen: "\[::1\]:\d+"',
        ),
    ],
)
async def test_a_socket_that_nothing_reads_is_refused_with_what_to_configure(
    inherit: Inherit, kind: socket.SocketKind, host: str, message: str
) -> None:
    port = inherit(kind, host)
    with pytest.raises(OSError, match=message):
        INHERITED.refuse_idle()
    for sock in await bind_sockets(host, port, kind):
        INHERITED.refuse_idle()
        sock.close()
    with pytest.raises(OSError, match=message):  # whoever had it has closed it
        INHERITED.refuse_idle()


async def test_a_bind_that_fails_beside_an_inherited_socket_says_so(inherit: Inherit) -> None:
    port = inherit(socket.SOCK_STREAM, "0.0.0.0")
    with pytest.raises(OSError, match=rf"cannot bind 127\.0\.0\.1 port {port}: .*; tcp 0\.0\.0\.0:{port} \(test\) is"):
        await bind_sockets("127.0.0.1", port, socket.SOCK_STREAM)


async def test_an_input_that_stops_frees_its_inherited_socket(
    inherit: Inherit, listen_tcp: Listen, listen_udp: Listen
) -> None:
    for listen, kind in ((listen_tcp, socket.SOCK_STREAM), (listen_udp, socket.SOCK_DGRAM)):
        one = await listen("127.0.0.1", inherit(kind, "127.0.0.1"))
        INHERITED.refuse_idle()
        await one.stop()
        await asyncio.sleep(0)  # uvloop closes a turn later
        with pytest.raises(OSError, match="nothing reads"):
            INHERITED.refuse_idle()


def set_option_without_privilege(sock: socket.socket, level: int, option: int, value: int) -> None:
    if option == udp._SO_RCVBUFFORCE:
        raise PermissionError
    super(socket.socket, sock).setsockopt(level, option, value)


async def test_who_takes_an_inherited_socket_over_has_it_like_the_one_before(inherit: Inherit) -> None:
    port = inherit(socket.SOCK_DGRAM, "127.0.0.1")
    (first,) = await bind_sockets("127.0.0.1", port, socket.SOCK_DGRAM)
    second = INHERITED.duplicate(first)
    first.close()
    INHERITED.refuse_idle()
    second.close()
    with pytest.raises(OSError, match="nothing reads"):
        INHERITED.refuse_idle()
    with socket.socket(type=socket.SOCK_DGRAM) as own, INHERITED.duplicate(own) as other:
        assert own.fileno() != other.fileno()


async def test_a_receive_buffer_that_was_granted_to_the_opener_is_never_made_smaller(
    inherit: Inherit, listen_udp: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = inherit(socket.SOCK_DGRAM, "127.0.0.1")
    (ours,) = INHERITED.borrow(socket.SOCK_DGRAM, [("127.0.0.1", port)])
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 100_000)
    monkeypatch.setattr(socket.socket, "setsockopt", set_option_without_privilege)
    one = await listen_udp("127.0.0.1", port, receive_buffer_bytes=70_000)
    assert one.count("receive_buffer_bytes") == 100_000
    await one.stop()
    await listen_udp("127.0.0.1", port, receive_buffer_bytes=120_000)
    assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == 240_000
    ours.close()


def test_a_unix_socket_is_lent_by_its_path_and_stays_where_it_is(tmp_path: Path) -> None:
    path = str(tmp_path / "log")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        INHERITED.adopt([ListenSocket("devlog", manager.dup())])
        try:
            with pytest.raises(OSError, match=f"unix {path} .devlog.: add an input of type unix with listen: {path}"):
                INHERITED.refuse_idle()
            assert INHERITED.try_borrow_unix(socket.SOCK_STREAM, path) is None
            assert INHERITED.try_borrow_unix(socket.SOCK_DGRAM, f"{path}2") is None
            sock = INHERITED.try_borrow_unix(socket.SOCK_DGRAM, path)
            assert sock is not None
            INHERITED.refuse_idle()
            sock.close()
            assert os.path.exists(path)
        finally:
            INHERITED.adopt([])


def test_a_connection_in_place_of_a_listening_socket_is_refused() -> None:
    one, other = socket.socketpair()
    with one, pytest.raises(OSError, match="the inherited socket 'conn' does not listen: its unit must have Accept=no"):
        INHERITED.adopt([ListenSocket("conn", other)])
    INHERITED.adopt([])
