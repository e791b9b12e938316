"""RFC 5424 frames → records.

``<PRI>VERSION SP TIMESTAMP SP HOSTNAME SP APP-NAME SP PROCID SP MSGID SP SD [SP MSG]``; ``-`` is nil.

Lenient where the sense is plain (any version number, longer fields, nanoseconds, a stamp without zone), and
never lossy: a header that breaks off keeps the fields before the break, the rest of the frame becomes the
message, and the row is flagged ``header`` or ``structured_data``.
"""

from __future__ import annotations

from logstreamd.record import Record
from logstreamd.wire.event_time import settle_event_time
from logstreamd.wire.policy import Policy
from logstreamd.wire.structured_data import attach_elements, find_list_end, scan_elements
from logstreamd.wire.text import MAX_COLUMN_CHARS, decode_text, fit_column, note
from logstreamd.wire.timestamps import read_iso

__all__ = ["fill", "fill_fields", "scan_version"]

_COLUMNS = ("host", "service", "proc_id", "msg_id")
_BOM = b"\xef\xbb\xbf"


def scan_version(data: bytes, pos: int) -> int | None:
    """Find VERSION and its blank at ``pos``: ``0`` or up to three digits without a leading zero.

    Returns:
        The offset after the blank, or None when this is not a version.

    Source: RFC 5424 section 6.2.2; version 0 is sent by devices that counted from zero.
    """
    if data.startswith(b"1 ", pos):
        return pos + 2
    end = data.find(b" ", pos, pos + 4)
    if end < 0:
        return pos + 1 if data[pos:] == b"1" else None
    version = data[pos:end]
    if not version.isdigit() or (version[0] == 0x30 and len(version) > 1):
        return None
    return end + 1


def fill(record: Record, data: bytes, pos: int, policy: Policy) -> bool:
    """Fill a record from the text after VERSION.

    Args:
        record: its priority is known already.
        data: the frame.
        pos: the offset after the blank that ends VERSION.
        policy: times of the input.

    Returns:
        Whether this is a header of this RFC: False when its stamp is none and the fields after it are not
        whole either; the record is untouched then.
    """
    stamp_end = data.find(b" ", pos)
    if stamp_end < 0:
        stamp_end = len(data)
    stamp = data[pos:stamp_end]
    if stamp == b"-":
        fill_fields(record, data, stamp_end + 1)
        return True
    event_us = read_iso(stamp, policy.zone)
    if event_us is None and not _is_whole_header(data, stamp_end + 1):
        return False
    settle_event_time(record, event_us, stamp, policy)
    fill_fields(record, data, stamp_end + 1)
    return True


def _is_whole_header(data: bytes, pos: int) -> bool:
    """Whether the four fields and the start of structured data follow: then only the stamp is wrong."""
    parts = data[pos:].split(b" ", 4)
    return len(parts) == 5 and all(parts[:4]) and (parts[4] == b"-" or parts[4].startswith((b"- ", b"[")))


def fill_fields(record: Record, data: bytes, pos: int) -> None:
    """Fill the fields HOSTNAME to MSG from ``pos``, the offset after TIMESTAMP and its blank."""
    parts = data[pos:].split(b" ", 4)
    start = len(data) - len(parts[-1])
    header = data[pos : start - 1]
    # Nearly every header is plain: short, ASCII, nothing empty. Then it is decoded once and the limits need
    # no look.
    if len(parts) == 5 and len(header) <= MAX_COLUMN_CHARS and header.isascii() and b"EF:" not in header:
        text = header.decode()
        host, service, proc_id, msg_id = text.split(" ")
        if host and service and proc_id and msg_id and text.isprintable():
            record.host = None if host == "-" else host
            record.service = None if service == "-" else service
            record.proc_id = None if proc_id == "-" else proc_id
            record.msg_id = None if msg_id == "-" else msg_id
            _fill_structured_data(record, data, start)
            return
    _fill_odd_fields(record, data, pos, parts)


def _fill_odd_fields(record: Record, data: bytes, pos: int, parts: list[bytes]) -> None:
    """Fill the fields one by one, up to the one that is none; what begins there is the message."""
    for column, raw in zip(_COLUMNS, parts, strict=False):
        text = decode_text(raw, record)
        if not text or not text.isprintable() or raw.startswith((b"CEF:", b"LEEF:")):
            break
        if text != "-":
            setattr(record, column, fit_column(text, column, record))
        pos += len(raw) + 1
    else:
        if len(parts) == 5:
            _fill_structured_data(record, data, pos)
            return
    record.flag("header")
    record.message = decode_text(data[pos:], record)


def _fill_structured_data(record: Record, data: bytes, pos: int) -> None:
    if data.startswith(b"- ", pos):
        end = pos + 1
    elif data[pos : pos + 1] == b"[":
        end = _attach(record, data, pos)
    else:
        end = len(data) if data[pos:] == b"-" else pos
    if end == pos:
        record.flag("structured_data")
        record.message = decode_text(data[pos:], record)
        return
    start = end + 1  # exactly one blank separates MSG; more belong to it
    if data.startswith(_BOM, start):
        start += len(_BOM)
    record.message = decode_text(data[start:], record)


def _attach(record: Record, data: bytes, pos: int) -> int:
    """Put the elements at ``pos`` into ``attrs``; return the offset after them, ``pos`` if they are broken."""
    scanned = scan_elements(data, pos)
    if scanned is not None:
        attach_elements(record, scanned[0])
        return scanned[1]
    end = find_list_end(data, pos)
    if end is None:
        return pos
    record.flag("structured_data")
    note(record, "structured_data", decode_text(data[pos:end], record))
    return end
