"""A batch → rows, whether its frames are messages of a socket or lines of files.

Messages take the way of :mod:`.implementation`, untouched by this. Lines of files are parsed in Python, one by one:
they come in more shapes than a compiled parser is worth for (10 us a line, with the survey compiled).
"""

from __future__ import annotations

from logstreamd.wire.batch import Batch
from logstreamd.wire.copy_binary import Encoded, rows_without_peer
from logstreamd.wire.file_line import parse_line
from logstreamd.wire.implementation import encode, survey_rows
from logstreamd.wire.policy import Policy

__all__ = ["encode_batch_rows"]


def encode_batch_rows(batch: Batch, first_id: int, policy: Policy) -> Encoded:
    """Parse every frame of a batch and encode it as one row; see :func:`.copy_binary.encode`."""
    if batch.positions is None:
        return encode(batch, first_id, policy)
    lines = zip(batch.frames(), batch.received_at, batch.peer_ids, batch.flags, strict=True)
    records = (parse_line(line, read_at, policy, flags, batch.peers[file]) for line, read_at, file, flags in lines)
    rows, row_ends = rows_without_peer(records, first_id, batch.input)
    blocks, counts = survey_rows(rows, row_ends)
    return Encoded(rows, row_ends, first_id, blocks, counts)
