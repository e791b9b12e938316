"""Which time an event gets: its own, when that can be believed."""

from __future__ import annotations

from logstreamd.record import Record
from logstreamd.wire.policy import Policy
from logstreamd.wire.text import decode_text, note

__all__ = ["settle_event_time"]


def settle_event_time(record: Record, event_us: int | None, stamp: bytes, policy: Policy) -> None:
    """Take the event's own time if it is near enough to its arrival; otherwise keep the stamp in ``attrs``.

    A device that believes it is 1970 or 2036 must neither create partitions nor hide its rows.

    Args:
        record: has the arrival time as its ``ts`` already.
        event_us: the stamp in microseconds since the epoch, or None when it is not a possible time.
        stamp: the stamp as it was sent.
        policy: the window around the arrival.
    """
    arrival = record.received_at
    if event_us is not None and arrival - policy.max_past_us <= event_us <= arrival + policy.max_future_us:
        record.ts = event_us
    else:
        note(record, "event_time", decode_text(stamp, record))
