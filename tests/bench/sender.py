"""``python -m tests.bench.sender``: sends a file of messages from a process of its own, as fast as it can or at a rate.

It has everything ready before it says ``ready``, starts at the line ``go``, and ends with the seconds it took. What the
file holds: a TCP stream as it is, or for UDP datagrams each behind its length (uint16, big-endian).
"""

from __future__ import annotations

import argparse
import ctypes
import os
import socket
import struct
import sys
import time
from collections.abc import Iterable
from pathlib import Path

__all__ = ["pack_datagrams"]

_PIECE_BYTES = 256 * 1024
_PER_CALL = 64  # datagrams per sendmmsg: fewer leave the kernel's door swinging, more come in bursts
_LENGTH = struct.Struct("!H")


class _IoVec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _MsgHdr(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("iov", ctypes.POINTER(_IoVec)),
        ("iov_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _MMsgHdr(ctypes.Structure):
    _fields_ = (("header", _MsgHdr), ("sent_bytes", ctypes.c_uint))


def pack_datagrams(messages: Iterable[bytes]) -> bytes:
    """Write datagrams as the sender reads them."""
    return b"".join(_LENGTH.pack(len(message)) + message for message in messages)


class _Datagrams:
    """All datagrams as one array of message headers, for ``sendmmsg``; Linux only."""

    def __init__(self, packed: bytes) -> None:
        self._data = ctypes.create_string_buffer(packed, len(packed))
        offsets, position = [], 0
        while position < len(packed):
            (length,) = _LENGTH.unpack_from(packed, position)
            offsets.append((position + _LENGTH.size, length))
            position += _LENGTH.size + length
        self.count = len(offsets)
        base = ctypes.addressof(self._data)
        self._vectors = (_IoVec * self.count)(*(_IoVec(base + start, length) for start, length in offsets))
        self._headers = (_MMsgHdr * self.count)()
        for header, vector in zip(self._headers, self._vectors, strict=True):
            header.header.iov = ctypes.pointer(vector)
            header.header.iov_count = 1
        self._libc = ctypes.CDLL(None, use_errno=True)

    def send(self, sock: socket.socket, first: int, count: int) -> int:
        """Send a few; return how many the kernel took."""
        start = ctypes.byref(self._headers, first * ctypes.sizeof(_MMsgHdr))
        sent = int(self._libc.sendmmsg(sock.fileno(), start, min(count, self.count - first), 0))
        if sent < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return sent


def _send_stream(sock: socket.socket, data: memoryview) -> None:
    for start in range(0, len(data), _PIECE_BYTES):
        sock.sendall(data[start : start + _PIECE_BYTES])
    sock.shutdown(socket.SHUT_WR)


def _send_datagrams(sock: socket.socket, datagrams: _Datagrams, rate: int) -> None:
    """Send all, at most ``rate`` a second (0 for no limit), evenly in groups of at most a few dozen."""
    started = time.perf_counter()
    sent = 0
    while sent < datagrams.count:
        if rate:
            due = int((time.perf_counter() - started) * rate) - sent
            if due <= 0:
                time.sleep(_PER_CALL / rate / 2)
                continue
        else:
            due = _PER_CALL
        sent += datagrams.send(sock, sent, min(due, _PER_CALL))


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.bench.sender")
    parser.add_argument("protocol", choices=["tcp", "udp"])
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("file", type=Path)
    parser.add_argument("--rate", type=int, default=0, help="datagrams a second, 0 for no limit")
    arguments = parser.parse_args()
    data = arguments.file.read_bytes()
    datagrams = _Datagrams(data) if arguments.protocol == "udp" else None
    kind = socket.SOCK_STREAM if datagrams is None else socket.SOCK_DGRAM
    family = socket.AF_INET6 if ":" in arguments.host else socket.AF_INET
    with socket.socket(family, kind) as sock:
        sock.connect((arguments.host, arguments.port))
        print("ready", flush=True)
        sys.stdin.readline()
        started = time.perf_counter()
        if datagrams is None:
            _send_stream(sock, memoryview(data))
        else:
            _send_datagrams(sock, datagrams, arguments.rate)
        print(time.perf_counter() - started, flush=True)


if __name__ == "__main__":
    main()
