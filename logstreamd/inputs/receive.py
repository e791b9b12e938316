"""Datagrams from a socket into a batch: the plain Python twin of the batched receive."""

from __future__ import annotations

import socket

from logstreamd.inputs.addresses import peer_address
from logstreamd.inputs.admission import Admission
from logstreamd.wire.batch import Batch
from logstreamd.wire.framing import trim_datagram

__all__ = ["MAX_DATAGRAM_BYTES", "receive_datagrams"]

MAX_DATAGRAM_BYTES = 65_535
"""The largest UDP payload is 65,507 bytes over IPv4 and 65,527 over IPv6 (without jumbograms)."""


def receive_datagrams(
    sock: socket.socket,
    batch: Batch,
    *,
    max_frame_bytes: int,
    received_at: int,
    limit: int,
    admission: Admission | None = None,
) -> tuple[int, bool]:
    """Read the datagrams that are waiting and append each as one frame (RFC 5426 section 3.1).

    Args:
        sock: a non-blocking datagram socket.
        batch: where they go; reading stops when it is full.
        max_frame_bytes: longer datagrams are cut and marked.
        received_at: arrival time, microseconds since the epoch.
        limit: datagrams to read at most, so that other work gets its turn.
        admission: who may send, and how much; told what was read and left out.

    Returns:
        The bytes read, those left out included, and whether the socket ran dry.
    """
    received_bytes = 0
    for _ in range(limit):
        if batch.full:
            return received_bytes, False
        try:
            datagram, address = sock.recvfrom(MAX_DATAGRAM_BYTES)
        except (BlockingIOError, InterruptedError):
            return received_bytes, True
        except ConnectionRefusedError:  # what an earlier answer of ours met, on a socket that is connected
            continue
        if not datagram:  # nothing was said
            continue
        received_bytes += len(datagram)
        peer = peer_address(address[0])
        if admission is not None and not admission.gate(peer).try_take(len(datagram)):
            continue
        frame, flags = trim_datagram(datagram, max_frame_bytes)
        batch.append(frame, received_at, batch.peer_id(peer), flags)
    return received_bytes, False
