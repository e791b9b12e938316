"""Whatever the sizes of parts, steps and pieces: what was compressed comes back, and no other error gets out."""

from __future__ import annotations

import contextlib
import gzip
import sys
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from logstreamd.wire import inflate as module
from logstreamd.wire.inflate import InflateError, TooLargeError, inflate

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

COMPRESS = {"gzip": gzip.compress, "zstd": zstd.compress}
ENCODINGS = st.sampled_from(["gzip", "zstd"])
PARTS = st.lists(st.binary(max_size=60) | st.integers(0, 90).map(lambda size: b"a" * size), min_size=1, max_size=4)


@settings(max_examples=150)
@given(ENCODINGS, PARTS, st.integers(1, 33), st.integers(1, 33), st.integers(-2, 2))
def test_any_parts_come_back_in_any_steps_within_the_bound(
    encoding: str, parts: list[bytes], step: int, feed: int, spare: int
) -> None:
    whole = b"".join(parts)
    body = b"".join(map(COMPRESS[encoding], parts))
    with patch.object(module, "_STEP_BYTES", step), patch.object(module, "_FEED_BYTES", feed):
        try:
            assert inflate(body, encoding, max_bytes=len(whole) + spare) == whole
            assert spare >= 0
        except TooLargeError:
            assert spare < 0


@settings(max_examples=150)
@given(ENCODINGS, st.binary(max_size=40), st.data())
def test_a_changed_body_gives_bytes_or_says_what_is_wrong(encoding: str, text: bytes, data: st.DataObject) -> None:
    body = bytearray(COMPRESS[encoding](text))
    body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(InflateError, TooLargeError):
        assert len(inflate(bytes(body), encoding, max_bytes=100)) <= 100


@settings(max_examples=150)
@given(ENCODINGS, st.binary(max_size=100))
def test_any_bytes_give_bytes_or_say_what_is_wrong(encoding: str, body: bytes) -> None:
    with contextlib.suppress(InflateError, TooLargeError):
        inflate(body, encoding, max_bytes=1000)
