"""Datagrams come out of real sockets into the batch, and the compiled receive does it as the readable one does."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from itertools import product
from typing import Protocol

import pytest

from logstreamd.inputs import receive
from logstreamd.wire.batch import TRUNCATED, Batch

FAMILIES = {"IPv4": (socket.AF_INET, "127.0.0.1"), "IPv6": (socket.AF_INET6, "::1")}
LARGEST = 65_507
SLOTS = 64  # what the compiled one takes with one system call


class Receive(Protocol):
    def __call__(
        self, sock: socket.socket, batch: Batch, *, max_frame_bytes: int, received_at: int, limit: int
    ) -> tuple[int, bool]: ...


@pytest.fixture(params=["python", "compiled"])
def receive_datagrams(request: pytest.FixtureRequest) -> Receive:
    if request.param == "python":
        return receive.receive_datagrams
    compiled = pytest.importorskip("logstreamd.inputs._receive", reason="the compiled receive is not built")
    found: Receive = compiled.receive_datagrams
    return found


class Wire:
    """A socket that receives, and senders to it."""

    def __init__(self, family: socket.AddressFamily, host: str) -> None:
        self.receiver = self._socket(family, host)
        self.senders = [self._socket(family, host)]
        self._family = family

    @staticmethod
    def _socket(family: socket.AddressFamily, host: str) -> socket.socket:
        sock = socket.socket(family, socket.SOCK_DGRAM)
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
        sock.bind((host, 0))
        return sock

    def add_sender(self, host: str) -> None:
        self.senders.append(self._socket(self._family, host))

    def send(self, *datagrams: bytes, sender: int = 0) -> None:
        for datagram in datagrams:
            assert self.senders[sender].sendto(datagram, self.receiver.getsockname()) == len(datagram)

    def close(self) -> None:
        for sock in (self.receiver, *self.senders):
            sock.close()


@pytest.fixture(params=FAMILIES)
def wire(request: pytest.FixtureRequest) -> Iterator[Wire]:
    family, host = FAMILIES[request.param]
    try:
        one = Wire(family, host)
    except OSError:
        pytest.skip(f"no {request.param} on this machine")
    yield one
    one.close()


@pytest.fixture
def wire4() -> Iterator[Wire]:
    one = Wire(*FAMILIES["IPv4"])
    yield one
    one.close()


def frames(batch: Batch) -> list[tuple[bytes, str, int, int]]:
    peers = [batch.peers[number] for number in batch.peer_ids]
    return list(zip(batch.frames(), peers, batch.flags, batch.received_at, strict=True))


def test_each_datagram_is_one_frame_with_its_sender(receive_datagrams: Receive, wire: Wire) -> None:
    wire.send(b"<1>a\n", b"<1>b\n<1>c\r\n\0", b"\n", b"x" * 16, b"x" * 17)
    batch = Batch("test")
    got = receive_datagrams(wire.receiver, batch, max_frame_bytes=16, received_at=7, limit=100)
    host = wire.receiver.getsockname()[0]
    assert got == (5 + 12 + 1 + 16 + 17, True)
    assert frames(batch) == [
        (b"<1>a", host, 0, 7),
        (b"<1>b\n<1>c", host, 0, 7),
        (b"", host, 0, 7),
        (b"x" * 16, host, 0, 7),
        (b"x" * 16, host, TRUNCATED, 7),
    ]


def test_the_largest_datagram_is_kept_whole(receive_datagrams: Receive, wire4: Wire) -> None:
    wire4.send(b"<1>" + b"x" * (LARGEST - 3), b"<1>next")
    batch = Batch("test")
    got = receive_datagrams(wire4.receiver, batch, max_frame_bytes=65_536, received_at=0, limit=100)
    assert got == (LARGEST + 7, True)
    assert list(batch.frames()) == [b"<1>" + b"x" * (LARGEST - 3), b"<1>next"]


def test_an_empty_datagram_says_nothing_and_its_sender_is_no_peer(receive_datagrams: Receive, wire4: Wire) -> None:
    wire4.add_sender("127.0.0.2")
    wire4.send(b"", sender=1)
    wire4.send(b"a", b"", b"b")
    batch = Batch("test")
    got = receive_datagrams(wire4.receiver, batch, max_frame_bytes=16, received_at=0, limit=100)
    assert got == (2, True)
    assert (list(batch.frames()), batch.peers) == ([b"a", b"b"], ["127.0.0.1"])


def test_a_silent_socket_is_dry(receive_datagrams: Receive, wire: Wire) -> None:
    assert receive_datagrams(wire.receiver, Batch("test"), max_frame_bytes=16, received_at=0, limit=1) == (0, True)


def test_a_socket_for_both_ip_versions_gives_each_sender_its_own_address(receive_datagrams: Receive) -> None:
    with (
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as receiver,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as old,
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as new,
    ):
        receiver.setblocking(False)
        receiver.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        try:
            receiver.bind(("::", 0))
            port = receiver.getsockname()[1]
            new.sendto(b"six", ("::1", port))
        except OSError:
            pytest.skip("no IPv6 on this machine")
        old.sendto(b"four", ("127.0.0.1", port))
        batch = Batch("test")
        receive_datagrams(receiver, batch, max_frame_bytes=16, received_at=0, limit=100)
    assert [frame[:2] for frame in frames(batch)] == [(b"six", "::1"), (b"four", "127.0.0.1")]


@pytest.mark.parametrize("limit", [0, 1, SLOTS - 1, SLOTS, SLOTS + 1])
def test_it_reads_no_more_datagrams_than_it_may(receive_datagrams: Receive, wire4: Wire, limit: int) -> None:
    wire4.send(*(b"%d" % number for number in range(SLOTS + 2)))
    batch = Batch("test")
    _, dry = receive_datagrams(wire4.receiver, batch, max_frame_bytes=16, received_at=0, limit=limit)
    assert (len(batch), dry) == (limit, False)
    rest = Batch("test")
    _, dry = receive_datagrams(wire4.receiver, rest, max_frame_bytes=16, received_at=0, limit=100)
    assert (len(rest), dry) == (SLOTS + 2 - limit, True)
    assert [*batch.frames(), *rest.frames()] == [b"%d" % number for number in range(SLOTS + 2)]


# Bytes until the batch is full, against frames cut at 10: every way to meet the limits inside one system call.
@pytest.mark.parametrize(("max_rows", "max_bytes"), [*product([1, 3, 65, 1000], [1, 10, 11, 95, 700, 1 << 20])])
def test_it_stops_where_the_batch_is_full_and_loses_nothing(
    receive_datagrams: Receive, wire4: Wire, max_rows: int, max_bytes: int
) -> None:
    sent = [b"x" * (1 + number % 12) for number in range(150)]
    wire4.send(*sent)
    found: list[bytes] = []
    dry = False
    while not dry:
        batch = Batch("test", max_rows=max_rows, max_bytes=max_bytes)
        _, dry = receive_datagrams(wire4.receiver, batch, max_frame_bytes=10, received_at=0, limit=1000)
        assert dry or batch.full
        before_the_last = batch.ends[-2] if len(batch) > 1 else 0
        assert len(batch) <= max_rows
        assert before_the_last < max_bytes
        found += batch.frames()
    assert found == [datagram[:10] for datagram in sent]


def test_a_full_batch_is_left_alone(receive_datagrams: Receive, wire4: Wire) -> None:
    wire4.send(b"a", b"b")
    batch = Batch("test", max_rows=1)
    for _ in range(2):
        got = receive_datagrams(wire4.receiver, batch, max_frame_bytes=16, received_at=0, limit=100)
        assert not got[1]
    assert list(batch.frames()) == [b"a"]


def test_senders_are_told_apart_by_address_however_many_there_are(receive_datagrams: Receive, wire4: Wire) -> None:
    hosts = [f"127.0.{number // 200}.{number % 200 + 2}" for number in range(300)]
    for host in hosts:
        wire4.add_sender(host)
    expected = []
    for turn in range(2):  # and the next batch numbers them anew
        for position in range(300):
            number = position if turn == 0 else 299 - position
            wire4.send(b"from %d" % number, sender=number + 1)
            expected.append((b"from %d" % number, hosts[number]))
    found = []
    for _ in range(2):
        batch = Batch("test")
        receive_datagrams(wire4.receiver, batch, max_frame_bytes=100, received_at=0, limit=300)
        assert batch.peer_ids.tolist() == list(range(300))
        found += [(frame, peer) for frame, peer, _, _ in frames(batch)]
    assert found == expected


def test_it_appends_behind_what_the_batch_has(receive_datagrams: Receive, wire4: Wire) -> None:
    batch = Batch("test")
    batch.append(b"there", 1, batch.peer_id("192.0.2.1"), TRUNCATED)
    wire4.send(b"new")
    receive_datagrams(wire4.receiver, batch, max_frame_bytes=16, received_at=2, limit=100)
    assert frames(batch) == [(b"there", "192.0.2.1", TRUNCATED, 1), (b"new", "127.0.0.1", 0, 2)]


def test_a_refusal_of_something_sent_earlier_is_no_datagram(receive_datagrams: Receive, wire4: Wire) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unused:
        unused.bind(("127.0.0.1", 0))
        nobody = unused.getsockname()
    wire4.receiver.connect(nobody)
    wire4.receiver.send(b"anybody there?")
    got = receive_datagrams(wire4.receiver, Batch("test"), max_frame_bytes=16, received_at=0, limit=100)
    assert got == (0, True)


def test_a_closed_socket_is_an_error(receive_datagrams: Receive, wire4: Wire) -> None:
    wire4.receiver.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        receive_datagrams(wire4.receiver, Batch("test"), max_frame_bytes=16, received_at=0, limit=100)
