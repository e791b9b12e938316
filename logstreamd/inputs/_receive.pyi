import socket

from logstreamd.wire.batch import Batch

__all__ = ["receive_datagrams"]

def receive_datagrams(
    sock: socket.socket, batch: Batch, *, max_frame_bytes: int, received_at: int, limit: int
) -> tuple[int, bool]: ...
