import socket

from logstreamd.inputs.admission import Admission
from logstreamd.wire.batch import Batch

__all__ = ["receive_datagrams"]

def receive_datagrams(
    sock: socket.socket,
    batch: Batch,
    *,
    max_frame_bytes: int,
    received_at: int,
    limit: int,
    admission: Admission | None = None,
) -> tuple[int, bool]: ...
