"""One frame → one record, whatever the frame holds.

============================ ======================================== =================================
the frame starts with        read by                                  format
============================ ======================================== =================================
``<PRI>`` and VERSION        :mod:`.rfc5424`                          ``rfc5424``
``<PRI>``                    :mod:`.rfc3164`                          ``rfc3164``
``{``                        :mod:`.jsonlines`                        ``json``
``1 `` and an ISO stamp      :mod:`.rfc5424`, priority 13             ``rfc5424``
a BSD stamp                  :mod:`.rfc3164`, priority 13             ``rfc3164``
an ISO stamp, host and tag   :mod:`.rfc3164`, priority 13             ``rfc3164``
anything else                kept whole as the message, priority 13   ``raw``
============================ ======================================== =================================

A message that begins with a CEF or LEEF header has that as its format. Priority 13 is user.notice (RFC 3164
section 4.3.3). Nothing raises on any bytes, and every repair is named in ``attrs["logstreamd"]["flags"]``.
"""

from __future__ import annotations

import re

from logstreamd.record import Facility, Record, Severity
from logstreamd.wire import jsonlines, rfc3164, rfc5424
from logstreamd.wire.batch import PARTIAL, TRUNCATED
from logstreamd.wire.cef import note_event_header
from logstreamd.wire.json_document import decode_object
from logstreamd.wire.policy import Policy
from logstreamd.wire.priority import scan_priority
from logstreamd.wire.text import add_derived, decode_text, fit_column, note
from logstreamd.wire.timestamps import read_iso, scan_stamp

__all__ = ["parse_frame"]

_LINE_ENDS = b"\r\n\0"
_BLANKS = b" \t\r\n"
_PRIORITYLESS_5424 = re.compile(rb"1 (\d{4}-\d\d-\d\dT\S+) ")
_COUNT = re.compile(rb"([1-9]\d{0,9}) (?=[<{])")
_CEE_COOKIE = "@cee:"
_NOTICE, _USER = int(Severity.NOTICE), int(Facility.USER)


def parse_frame(frame: bytes, received_at: int, policy: Policy, flags: int = 0) -> Record:
    """Parse one frame.

    Args:
        frame: one message without its transport framing; line ends and NULs at its end do not count.
        received_at: arrival, microseconds since the epoch.
        policy: zone and time window of the input it came by.
        flags: what the framing knows about it: ``TRUNCATED`` | ``PARTIAL``.

    Returns:
        The record; this function raises on no bytes at all.
    """
    data = frame.rstrip(_LINE_ENDS)
    if data[:1] not in (b"<", b"{"):
        data = _unwrap(data)
    record = _read(data, received_at, policy)
    if b"EF:" in data:
        note_event_header(record)
    if flags & TRUNCATED:
        record.flag("truncated")
    if flags & PARTIAL:
        record.flag("partial")
    return record


def _unwrap(data: bytes) -> bytes:
    """Take off what stands around a frame: blanks, or a count of octets where the transport does not count."""
    stripped = data.lstrip(_BLANKS)
    if len(stripped) < len(data) and stripped[:1] in (b"<", b"{"):
        return stripped.rstrip(_BLANKS)
    count = _COUNT.match(data)
    if count is not None and int(count[1]) == len(data) - count.end():
        return data[count.end() :]
    return data


def _read(data: bytes, received_at: int, policy: Policy) -> Record:
    priority = scan_priority(data)
    if priority is not None:
        facility, severity = divmod(priority[0], 8)
        record = Record(received_at, received_at, severity, facility, "", "rfc3164")
        _fill_syslog(record, data, priority[1], policy)
        return record
    record = Record(received_at, received_at, _NOTICE, _USER, "", "raw")
    if data.startswith(b"{"):
        _fill_json(record, data, policy)
        return record
    return _read_without_priority(record, data, policy)


def _fill_syslog(record: Record, data: bytes, pos: int, policy: Policy) -> None:
    header = rfc5424.scan_version(data, pos)
    if header is not None:
        record.format = "rfc5424"
        version = data[pos : header - 1] or b"1"
        if version != b"1":
            note(record, "version", int(version))
        if not rfc5424.fill(record, data, header, policy):
            # What stands where the stamp should be may still be one of the older RFC.
            record.flag("header")
            rfc3164.fill(record, data, header, policy)
    else:
        rfc3164.fill(record, data, pos, policy)
    if record.message.startswith(_CEE_COOKIE):
        _note_cee(record)


def _note_cee(record: Record) -> None:
    """Read the JSON after the ``@cee:`` cookie into ``attrs["cee"]``; the message keeps its text."""
    document = decode_object(record.message[len(_CEE_COOKIE) :].encode())
    if document is None:
        return
    trace_id = document.fields.get("trace_id")
    if record.trace_id is None and isinstance(trace_id, str) and trace_id:
        record.trace_id = fit_column(trace_id, "trace_id", record)
    add_derived(record, "cee", document.fields)
    for flag in sorted(document.flags):
        record.flag(flag)


def _fill_json(record: Record, data: bytes, policy: Policy) -> None:
    document = decode_object(data)
    if document is None:
        record.message = decode_text(data, record)
        record.flag("invalid_json")
        return
    record.format = "json"
    jsonlines.fill(record, document, data, policy)


def _read_without_priority(record: Record, data: bytes, policy: Policy) -> Record:
    header = _PRIORITYLESS_5424.match(data)
    if header is not None and read_iso(header[1], policy.zone) is not None:
        record.format = "rfc5424"
        rfc5424.fill(record, data, 2, policy)
        return record
    stamp = scan_stamp(data, 0, record.received_at, policy.zone)
    if stamp is not None and (data[:1].isalpha() or stamp.zoned_iso):
        syslog = Record(record.ts, record.received_at, _NOTICE, _USER, "", "rfc3164")
        rfc3164.fill(syslog, data, 0, policy)
        # A line that begins with an ISO stamp is mostly an application's own; host and tag make it syslog.
        if data[:1].isalpha() or (syslog.host is not None and syslog.service is not None):
            return syslog
    record.message = decode_text(data, record)
    return record
