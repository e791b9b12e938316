"""The batch: one buffer of raw frames with a table beside it, and the only thing that moves through the daemon.

A frame is one message as it came, without its transport framing. Frames are appended in the order of their arrival and
never changed; once a batch is sealed (handed to the spool) its contents and their order are frozen, so that a repeated
attempt to store it stores the same rows.

=========== ======================= ====================================================
part         type                    one entry per frame
=========== ======================= ====================================================
data         bytearray               its bytes, one after the other
ends         array of uint32         where it ends in ``data``
received_at  array of int64          arrival, microseconds since the epoch
peer_ids     array of uint16         index into ``peers``, the senders of this batch
flags        bytearray               ``TRUNCATED`` | ``PARTIAL``
=========== ======================= ====================================================

A batch of lines that were read from files has the files' paths as its ``peers``, and says in ``positions`` how far each
file is read once this batch is kept: the two become durable in one step.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias
from uuid import UUID

from logstreamd.wire.sender import address_of

__all__ = ["MAX_ROWS", "PARTIAL", "TRUNCATED", "Batch", "FileKey", "FilePosition"]

TRUNCATED = 1
"""The frame was longer than ``max_frame_bytes``: its beginning is kept."""
PARTIAL = 2
"""The connection ended inside this frame: what had arrived is kept."""

MAX_ROWS = 65_535
"""A row's id is batch number x 65536 + its position (and ``peer_ids`` is 16 bits wide)."""


FileKey: TypeAlias = tuple[int, int]
"""The device and the inode of a file: what stays the same when it is renamed."""


class FilePosition(NamedTuple):
    """How far a file is read.

    Attributes:
        device: of the file.
        inode: of the file.
        offset: the first byte that is in no batch yet.
        anchor: digest of the last bytes before ``offset``: whether it is still the same content.
        path: where the file was.
    """

    device: int
    inode: int
    offset: int
    anchor: bytes
    path: str

    @property
    def key(self) -> FileKey:
        """Which file."""
        return self.device, self.inode


class Batch:
    """Raw frames of one input, gathered until the batch is full or old enough.

    Args:
        input: the name of the input that gathers it.
        max_rows: frames it takes before it is full (1..65535).
        max_bytes: bytes of frames after which it is full; the frame that crosses the line is still taken.
    """

    __slots__ = (
        "_peer_index",
        "data",
        "ends",
        "flags",
        "input",
        "max_bytes",
        "max_rows",
        "peer_ids",
        "peers",
        "positions",
        "received_at",
        "request",
    )

    def __init__(self, input: str, *, max_rows: int = 16_384, max_bytes: int = 2 << 20) -> None:  # noqa: A002
        if not 1 <= max_rows <= MAX_ROWS:
            raise ValueError(f"max_rows must be 1..{MAX_ROWS} (got {max_rows})")
        self.input = input
        self.max_rows = max_rows
        self.max_bytes = max_bytes
        self.data = bytearray()
        self.ends = array("I")
        self.received_at = array("q")
        self.peer_ids = array("H")
        self.flags = bytearray()
        self.peers: list[str] = []
        self.request: tuple[UUID, int] | None = None
        """For a request that may come again: its name, and which part of it this batch is."""
        self.positions: dict[FileKey, FilePosition] | None = None
        """For lines of files: how far the files are read with this batch. ``peers`` are their paths then."""
        self._peer_index: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self.ends)

    @property
    def nbytes(self) -> int:
        """Bytes this batch counts for in a bounded queue: its frames and 15 bytes of table per frame."""
        return len(self.data) + 15 * len(self.ends)

    @property
    def full(self) -> bool:
        """Whether the batch takes no more frames."""
        return len(self.ends) >= self.max_rows or len(self.data) >= self.max_bytes

    def peer_id(self, peer: str) -> int:
        """Return the index of ``peer`` (an entry as of :mod:`.sender`) in this batch, adding it when it is new."""
        index = self._peer_index.get(peer)
        if index is None:
            index = self._peer_index[peer] = len(self.peers)
            self.peers.append(peer)
        return index

    def address(self, index: int) -> str | None:
        """Return the IP address that sent a frame; None for a line of a file and for a local sender."""
        return None if self.positions is not None else address_of(self.peers[self.peer_ids[index]])

    def append(self, frame: bytes | bytearray | memoryview, received_at: int, peer_id: int, flags: int = 0) -> None:
        """Add one frame; the caller looks at :attr:`full` first."""
        self.data += frame
        self.ends.append(len(self.data))
        self.received_at.append(received_at)
        self.peer_ids.append(peer_id)
        self.flags.append(flags)

    def frame(self, index: int) -> bytes:
        """Return the bytes of one frame."""
        start = self.ends[index - 1] if index else 0
        return bytes(self.data[start : self.ends[index]])

    def frames(self) -> Iterator[bytes]:
        """Yield the frames in order."""
        data = bytes(self.data)
        start = 0
        for end in self.ends:
            yield data[start:end]
            start = end
