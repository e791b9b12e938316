"""Whatever the frames hold, each is one row of a stream that follows the format."""

from __future__ import annotations

from copy_decoder import decode_stream
from hypothesis import given, settings
from hypothesis import strategies as st

from logstreamd.wire.batch import Batch
from logstreamd.wire.copy_binary import encode
from logstreamd.wire.policy import Policy

FRAMES = st.binary(max_size=60) | st.builds(
    lambda start, rest: start + rest,
    st.sampled_from([b"<34>1 2026-11-22T03:00:00Z ", b"<34>Nov 22 03:00:00 ", b'{"message":', b'{"a":"', b"<191>"]),
    st.binary(max_size=40),
)
PEERS = st.ip_addresses().map(str) | st.just("")


@settings(max_examples=200)
@given(st.lists(st.tuples(FRAMES, PEERS), min_size=1, max_size=8), st.integers(0, 1 << 46), st.data())
def test_each_frame_is_one_row_in_order(frames: list[tuple[bytes, str]], number: int, data: st.DataObject) -> None:
    batch = Batch("any")
    for frame, peer in frames:
        batch.append(frame, 1_795_316_400_000_000, batch.peer_id(peer))
    encoded = encode(batch, number * 65_536, Policy())
    start = data.draw(st.integers(0, len(frames)))
    end = data.draw(st.integers(start, len(frames)))
    rows = decode_stream(encoded.copy_stream(start, end))
    assert [row["id"] for row in rows] == [number * 65_536 + position for position in range(start, end)]
    assert [row["peer"] or "" for row in rows] == [peer for _, peer in frames[start:end]]
    for row in rows:
        assert 0 <= row["severity"] <= 7
        assert 0 <= row["facility"] <= 23
        assert "\0" not in row["message"]
