"""The benchmark's sender in C sends what it says: everything, once, in order."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from bench.native_sender import NativeSender, compile_sender
from bench.sender import pack_datagrams

from logstreamd.wire.batch import Batch
from logstreamd.wire.framing import Framer
from logstreamd.wire.parse import parse_frame
from logstreamd.wire.policy import Policy

SHAPES = ("rfc5424", "rfc3164", "json")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = compile_sender(tmp_path_factory.mktemp("sender"))
    if found is None:
        pytest.skip("no C compiler")
    return found


def numbers(frames: list[bytes]) -> list[int]:
    return [int(frame.rpartition(b"seq=")[2].rstrip(b'"}')) for frame in frames]


def receive_stream(program: Path, **what: object) -> tuple[bytes, int]:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        NativeSender(program, "tcp", server.getsockname(), **what) as sender,  # type: ignore[arg-type]
    ):
        accepted, _ = server.accept()
        sender.go()
        with accepted, accepted.makefile("rb") as stream:
            received = stream.read()
        sent = sender.wait()
    assert sent.bytes == len(received)
    return received, sent.messages


@pytest.mark.parametrize("framing", ["newline", "octet"])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_stream_has_every_message_in_its_framing(program: Path, shape: str, framing: str) -> None:
    stream, messages = receive_stream(program, count=5_000, shape=shape, framing=framing)
    batch = Batch("test", max_bytes=1 << 30)
    Framer().split(stream, batch, 0, 0)
    frames = list(batch.frames())
    assert (messages, numbers(frames)) == (5_000, list(range(5_000)))
    assert stream.startswith(frames[0]) == (framing == "newline")
    assert {parse_frame(frame, 0, Policy()).format for frame in frames} == {shape}


def test_a_stream_from_a_file_is_sent_as_it_is(program: Path, tmp_path: Path) -> None:
    file = tmp_path / "stream"
    file.write_bytes(b"".join(b"<13>%d\n" % number for number in range(100_000)))
    assert receive_stream(program, file=file)[0] == file.read_bytes()


def receive_datagrams(program: Path, messages: int, **what: object) -> list[bytes]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        with NativeSender(program, "udp", sock.getsockname(), **what) as sender:  # type: ignore[arg-type]
            sender.go()
            found = [sock.recv(65_536) for _ in range(messages)]
            sent = sender.wait()
    assert (sent.messages, sent.bytes) == (messages, sum(map(len, found)))
    return found


@pytest.mark.parametrize("shape", SHAPES)
def test_a_datagram_is_one_message(program: Path, shape: str) -> None:
    found = receive_datagrams(program, 130, count=130, shape=shape)  # two full groups of 64 and two
    assert numbers(found) == list(range(130))
    assert shape != "json" or all(map(json.loads, found))


def test_datagrams_at_a_rate_are_all_sent(program: Path) -> None:
    assert numbers(receive_datagrams(program, 30, count=30, rate=1_000)) == list(range(30))


def test_datagrams_from_a_file_keep_their_lengths(program: Path, tmp_path: Path) -> None:
    datagrams = [b"x" * (1 + 37 * number % 900) for number in range(100)]
    file = tmp_path / "datagrams"
    file.write_bytes(pack_datagrams(datagrams))
    assert receive_datagrams(program, 100, file=file) == datagrams
