"""Compressed bodies → bytes, never more than was agreed, however small the body that asks for it.

Three bounds: what came (the HTTP server's), what it becomes (``max_bytes``), and the ratio between the two. Real logs
compress 5 to 30 times; a body of zeros 1,000 times.
"""

from __future__ import annotations

import sys
import zlib

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ["ENCODINGS", "InflateError", "TooLargeError", "inflate"]

ENCODINGS = ("gzip", "zstd", "identity")
"""Values of ``Content-Encoding`` that are understood."""

MAX_RATIO = 100
"""Decompressed to compressed bytes; RELP, beats and HTTP receivers settled on the same figure."""
_RATIO_FREE_BYTES = 1 << 20  # below this no ratio is suspicious: a short body of one repeated line is real
_STEP_BYTES = 1 << 20
# What lies behind the end of a part is handed back: a body of tiny parts must not be copied whole for each of them.
_FEED_BYTES = 64 * 1024
# Parts of one body. Shippers join a few; block-wise compressors make one per 64 KiB, so 64 MiB of logs still fit.
_MAX_PARTS = 1_100
# A zstd frame may ask for a window of 2 GiB; every decoder has to support 8 MiB.
# Source: RFC 8878 section 3.1.1.1.2.
_MAX_ZSTD_WINDOW_LOG = 23


class InflateError(ValueError):
    """The body is not what its ``Content-Encoding`` says."""


class TooLargeError(ValueError):
    """The body becomes larger than allowed."""


def inflate(body: bytes | bytearray, encoding: str, *, max_bytes: int) -> bytes | bytearray:
    """Decompress a body.

    Args:
        body: as it came.
        encoding: one of :data:`ENCODINGS`.
        max_bytes: the most it may become.

    Raises:
        InflateError: it is corrupt, cut off, or has something behind its end.
        TooLargeError: it becomes larger than ``max_bytes`` or more than :data:`MAX_RATIO` times what it was.
    """
    match encoding:
        case "identity":
            if len(body) > max_bytes:
                raise TooLargeError(f"{len(body)} bytes, expected no more than {max_bytes}")
            return body
        case "gzip":
            return _gunzip(body, max_bytes)
        case "zstd":
            return _unzstd(body, max_bytes)
    raise InflateError(f"Content-Encoding must be one of {', '.join(ENCODINGS)} (got {encoding!r})")


def _gunzip(body: bytes | bytearray, max_bytes: int) -> bytearray:
    inflated = bytearray()
    pos = 0
    try:
        for _ in range(_MAX_PARTS):  # RFC 1952 section 2.2: members, one after the other
            member = zlib.decompressobj(wbits=31)
            while not member.eof:
                fed: bytes | bytearray = member.unconsumed_tail
                if not fed:
                    fed = body[pos : pos + _FEED_BYTES]
                    pos += len(fed)
                piece = member.decompress(fed, _STEP_BYTES)
                if not (piece or fed or member.eof):
                    raise InflateError("gzip: the body ends too early")
                inflated += piece
                _check(len(inflated), len(body), max_bytes)
            pos -= len(member.unused_data)
            if pos == len(body):
                return inflated
    except zlib.error as problem:
        raise InflateError(f"gzip: {problem}") from problem
    raise InflateError(f"gzip: more than {_MAX_PARTS} members")


def _unzstd(body: bytes | bytearray, max_bytes: int) -> bytearray:
    inflated = bytearray()
    pos = 0
    options: dict[int, int] = {zstd.DecompressionParameter.window_log_max: _MAX_ZSTD_WINDOW_LOG}
    try:
        for _ in range(_MAX_PARTS):  # RFC 8878 section 3.1: frames, one after the other
            frame = zstd.ZstdDecompressor(options=options)
            while not frame.eof:
                fed = body[pos : pos + _FEED_BYTES] if frame.needs_input else b""
                if frame.needs_input and not fed:
                    raise InflateError("zstd: the body ends too early")
                pos += len(fed)
                inflated += frame.decompress(fed, _STEP_BYTES)
                _check(len(inflated), len(body), max_bytes)
            pos -= len(frame.unused_data)
            if pos == len(body):
                return inflated
    except zstd.ZstdError as problem:
        raise InflateError(f"zstd: {problem}") from problem
    raise InflateError(f"zstd: more than {_MAX_PARTS} frames")


def _check(inflated: int, compressed: int, max_bytes: int) -> None:
    if inflated > max_bytes:
        raise TooLargeError(f"decompresses to more than {max_bytes} bytes")
    if inflated > _RATIO_FREE_BYTES and inflated > compressed * MAX_RATIO:
        raise TooLargeError(f"decompresses to more than {MAX_RATIO} times its size ({compressed} bytes)")
