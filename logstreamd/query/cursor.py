"""Where a page of results ended: an opaque text that the next question brings along."""

from __future__ import annotations

import base64
import binascii
import struct
from datetime import UTC, datetime, timedelta

from logstreamd.query.errors import BadParameterError

__all__ = ["decode_cursor", "encode_cursor"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAYOUT = struct.Struct("!Bqq")  # version, microseconds since the epoch, id
_VERSION = 1


def encode_cursor(ts: datetime, row_id: int) -> str:
    """Name the row a page ended with."""
    microseconds = (ts - _EPOCH) // timedelta(microseconds=1)
    return base64.urlsafe_b64encode(_LAYOUT.pack(_VERSION, microseconds, row_id)).decode().rstrip("=")


def decode_cursor(text: str) -> tuple[datetime, int]:
    """Read a cursor back.

    Raises:
        BadParameterError: it is not one of ours.
    """
    try:
        raw = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
        version, microseconds, row_id = _LAYOUT.unpack(raw)
        if version == _VERSION:
            return _EPOCH + timedelta(microseconds=microseconds), row_id
    except (UnicodeEncodeError, binascii.Error, struct.error, OverflowError):
        pass
    raise BadParameterError("cursor", "must be the next_cursor of an earlier answer")
