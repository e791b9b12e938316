"""Datagrams of senders with limits, and of senders that are not allowed: both twins keep and cut the same ones."""

from __future__ import annotations

import random
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from logstreamd.inputs import receive
from logstreamd.inputs.admission import Admission
from logstreamd.metrics import Metrics
from logstreamd.wire.batch import Batch

Receive = Callable[..., tuple[int, bool]]


@pytest.fixture(params=["python", "compiled"])
def receive_datagrams(request: pytest.FixtureRequest) -> Receive:
    if request.param == "python":
        return receive.receive_datagrams
    compiled = pytest.importorskip("logstreamd.inputs._receive", reason="the compiled receive is not built")
    found: Receive = compiled.receive_datagrams
    return found


class Wire:
    """A socket that receives, and senders to it by their addresses."""

    def __init__(self, family: socket.AddressFamily = socket.AF_INET, host: str = "127.0.0.1") -> None:
        self._family = family
        self.receiver = self._socket(host)
        self._senders: dict[str, socket.socket] = {}

    def _socket(self, host: str) -> socket.socket:
        sock = socket.socket(self._family, socket.SOCK_DGRAM)
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        sock.bind((host, 0))
        return sock

    def send(self, host: str, *datagrams: bytes) -> None:
        if host not in self._senders:
            self._senders[host] = self._socket(host)
        for datagram in datagrams:
            self._senders[host].sendto(datagram, self.receiver.getsockname())

    def close(self) -> None:
        for sock in (self.receiver, *self._senders.values()):
            sock.close()


@pytest.fixture
def wire() -> Iterator[Wire]:
    one = Wire()
    yield one
    one.close()


def admission_of(**settings: Any) -> Admission:
    """Limits at a moment that does not pass."""
    return Admission("in", Metrics(version="test", wire="python"), clock=lambda: 0.0, **settings)


def frames(batch: Batch) -> list[tuple[bytes, str]]:
    return [(frame, batch.peers[number]) for frame, number in zip(batch.frames(), batch.peer_ids, strict=True)]


def cut(admission: Admission) -> dict[str, tuple[int, int]]:
    return {one["source"]: (one["cut_records"], one["cut_bytes"]) for one in admission.top()}  # type: ignore[misc]


def test_a_sender_over_its_limit_is_cut_and_the_one_beside_it_is_not(receive_datagrams: Receive, wire: Wire) -> None:
    admission = admission_of(max_records_per_second=3)
    wire.send("127.0.0.3", b"quiet 0")
    wire.send("127.0.0.2", *(b"loud %d" % number for number in range(200)))
    wire.send("127.0.0.3", b"quiet 1")
    batch = Batch("test")
    got = receive_datagrams(wire.receiver, batch, max_frame_bytes=99, received_at=0, limit=1_000, admission=admission)
    assert got == (2 * 7 + sum(len(b"loud %d" % number) for number in range(200)), True)
    assert frames(batch) == [
        (b"quiet 0", "127.0.0.3"),
        *((b"loud %d" % number, "127.0.0.2") for number in range(3)),
        (b"quiet 1", "127.0.0.3"),
    ]
    assert cut(admission) == {"127.0.0.2": (197, sum(len(b"loud %d" % number) for number in range(3, 200)))}
    assert admission.take_dropped() == 197


def test_bytes_are_those_of_the_whole_datagram(receive_datagrams: Receive, wire: Wire) -> None:
    admission = admission_of(max_bytes_per_second=100)
    wire.send("127.0.0.2", b"x" * 60 + b"\n", b"y" * 60, b"z" * 39, b"", b"w")
    batch = Batch("test")
    got = receive_datagrams(wire.receiver, batch, max_frame_bytes=10, received_at=0, limit=99, admission=admission)
    assert got == (61 + 60 + 39 + 1, True)
    assert [frame for frame, _ in frames(batch)] == [b"x" * 10, b"z" * 10]
    assert cut(admission) == {"127.0.0.2": (2, 61)}


def test_who_is_not_allowed_leaves_no_trace_in_the_batch(receive_datagrams: Receive, wire: Wire) -> None:
    admission = admission_of(allow=["127.0.0.3", "192.0.2.0/24"])
    for _ in range(3):
        wire.send("127.0.0.2", b"let me in")
        wire.send("127.0.0.3", b"hello")
    batch = Batch("test")
    got = receive_datagrams(wire.receiver, batch, max_frame_bytes=99, received_at=0, limit=99, admission=admission)
    assert got == (3 * 9 + 3 * 5, True)
    assert frames(batch) == [(b"hello", "127.0.0.3")] * 3
    assert batch.peers == ["127.0.0.3"]
    assert [(one["source"], one["refused"]) for one in admission.top()] == [("127.0.0.2", 3)]


def test_an_ipv4_sender_at_a_socket_for_both_versions_is_on_the_list_of_its_own(receive_datagrams: Receive) -> None:
    try:
        wire = Wire(socket.AF_INET6, "::ffff:127.0.0.1")
    except OSError:
        pytest.skip("no IPv6 on this machine")
    wire.send("::ffff:127.0.0.2", b"a")
    wire.send("::ffff:127.0.0.3", b"b")
    admission = admission_of(allow=["127.0.0.2"])
    batch = Batch("test")
    receive_datagrams(wire.receiver, batch, max_frame_bytes=99, received_at=0, limit=99, admission=admission)
    wire.close()
    assert frames(batch) == [(b"a", "127.0.0.2")]
    assert admission.top()[0]["source"] == "127.0.0.3"


def test_a_call_that_only_cuts_ends_after_as_many_as_it_may_read(receive_datagrams: Receive, wire: Wire) -> None:
    admission = admission_of(allow=["192.0.2.1"])
    wire.send("127.0.0.2", *[b"x"] * 100)
    batch = Batch("test", max_rows=1)
    got = receive_datagrams(wire.receiver, batch, max_frame_bytes=9, received_at=0, limit=70, admission=admission)
    assert got == (70, False)
    assert admission.take_dropped() == 70


def test_what_was_cut_before_an_error_is_counted(receive_datagrams: Receive, wire: Wire) -> None:
    admission = admission_of(max_records_per_second=1)
    wire.send("127.0.0.2", *[b"x"] * 5)
    receive_datagrams(wire.receiver, Batch("test"), max_frame_bytes=9, received_at=0, limit=5, admission=admission)
    wire.receiver.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        receive_datagrams(wire.receiver, Batch("test"), max_frame_bytes=9, received_at=0, limit=5, admission=admission)
    assert admission.take_dropped() == 4


@pytest.mark.parametrize("seed", range(3))
def test_both_twins_keep_and_cut_the_same_however_many_senders_there_are(wire: Wire, seed: int) -> None:
    compiled = pytest.importorskip("logstreamd.inputs._receive", reason="the compiled receive is not built")
    chance = random.Random(seed)
    # As many as /status shows; of 100, some meet in one of the 256 places where the compiled twin remembers them.
    hosts = [f"127.0.{number // 50}.{number % 50 + 2}" for number in range(100)]
    sent = [(chance.choice(hosts), b"x" * chance.randrange(40)) for _ in range(3_000)]
    settings = {"allow": ["127.0.0.0/24"], "max_records_per_second": 5, "max_bytes_per_second": 90}
    results = []
    for twin in (receive.receive_datagrams, compiled.receive_datagrams):
        for host, datagram in sent:
            wire.send(host, datagram)
        admission, kept, received_bytes = admission_of(**settings), [], 0
        for _ in range(4):  # some of it in each call: what is left in the buckets goes on
            batch = Batch("test")
            got, _ = twin(wire.receiver, batch, max_frame_bytes=20, received_at=0, limit=1_000, admission=admission)
            received_bytes += got
            kept += frames(batch)
        assert received_bytes == sum(len(datagram) for _, datagram in sent)
        results.append((kept, admission.take_dropped(), sorted(map(str, admission.top()))))
    assert results[0] == results[1]
    assert results[0][0]
    assert results[0][1] >= 1_000
