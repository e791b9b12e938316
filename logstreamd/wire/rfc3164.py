"""BSD syslog (RFC 3164) and what devices make of it → records.

The order of decisions, after the priority:

1. blanks, then Cisco's counters, host and clock mark, if a stamp, a ``%MNEMONIC`` or nothing follows them;
2. the stamp. Without one there is no host either: the rest is ``TAG: MSG`` or just MSG;
3. the next word is the host, unless it ends with ``:`` or holds a ``[`` (then it is the tag), holds a ``=``,
   or has no letter or digit. An address is always a host, never a tag;
4. the tag: up to ``:`` or ``[pid]``. Without either there is none, except when it is the only word;
5. one blank after the ``:`` is dropped, everything else is the message.

Source: RFC 3164 section 4, and the formats listed in ``tests/conformance``.
"""

from __future__ import annotations

import re

from logstreamd.record import Record
from logstreamd.wire import cisco
from logstreamd.wire.event_time import settle_event_time
from logstreamd.wire.policy import Policy
from logstreamd.wire.rfc5424 import fill_fields
from logstreamd.wire.structured_data import attach_elements, scan_elements
from logstreamd.wire.tag import is_address, scan_tag
from logstreamd.wire.text import decode_text, fit_column, note
from logstreamd.wire.timestamps import Stamp, scan_stamp

__all__ = ["fill"]

_COMMON_HOST = re.compile(rb"[A-Za-z0-9][\w.-]{0,254}(?= |\Z)")
_LETTER_OR_DIGIT = re.compile(rb"[0-9A-Za-z\x80-\xff]")
_FORWARDED = re.compile(rb"Message forwarded from ([^ :]{1,255}): ")
_REPEATED = b"last message repeated "
_ONE_WORD = re.compile(rb"[A-Za-z][\w./-]{0,47}")
# HOSTNAME is known and these follow: RFC 5424 without its version, as several appliances send it.
_VERSIONLESS_5424 = re.compile(rb"[!-9;-Z\\^-~][!-Z\\^-~]* (?:-|\d{1,10}) [!-~]+ (?:-(?: |\Z)|\[[!-~]+[ \]])")


def fill(record: Record, data: bytes, pos: int, policy: Policy) -> None:
    """Fill a record from the text after the priority (or from a frame without one).

    Args:
        record: its priority is known already.
        data: the frame.
        pos: where the text starts.
        policy: times of the input.
    """
    pos = start = _skip_blanks(data, pos)
    prefix = None
    stamp = scan_stamp(data, pos, record.received_at, policy.zone)
    if stamp is None:
        prefix = cisco.scan_prefix(data, pos)
        if prefix is not None:
            start = prefix.end
            stamp = scan_stamp(data, start, record.received_at, policy.zone)
    if stamp is None:
        _fill_without_stamp(record, data, pos, prefix)
        return
    settle_event_time(record, stamp.us, data[start : stamp.end].rstrip(b":"), policy)
    if prefix is not None:
        cisco.note_prefix(record, prefix)
    _fill_after_stamp(record, data, stamp, prefix)


def _fill_without_stamp(record: Record, data: bytes, pos: int, prefix: cisco.Prefix | None) -> None:
    if prefix is not None and prefix.host is None and data[prefix.end : prefix.end + 1] in (b"", b"%"):
        cisco.note_prefix(record, prefix)
        pos = prefix.end
    _fill_content(record, data, pos, keep_mnemonic=True, tag_may_be_number=False)


def _fill_after_stamp(record: Record, data: bytes, stamp: Stamp, prefix: cisco.Prefix | None) -> None:
    pos = stamp.end
    is_cisco = stamp.colon or prefix is not None
    if prefix is not None and prefix.host is not None:
        _set_host(record, prefix.host)
    elif not (stamp.colon and prefix is not None):
        host_start = _skip_blanks(data, pos)
        host_end = _scan_host(data, host_start)
        if host_end > host_start:
            pos = _take_host(record, data, host_start, host_end)
            if stamp.zoned_iso and _VERSIONLESS_5424.match(data, pos + 1):
                fill_fields(record, data, host_start)
                return
            if data.startswith(b" : ", pos):
                is_cisco = True
                pos += 2
    if data[pos : pos + 1] == b" ":
        pos += 1
    _fill_content(record, data, pos, keep_mnemonic=is_cisco, tag_may_be_number=True)


def _scan_host(data: bytes, pos: int) -> int:
    """Return where the host that starts at ``pos`` ends; ``pos`` itself when what stands there is not a host."""
    common = _COMMON_HOST.match(data, pos)
    if common is not None and not data.startswith(_REPEATED, pos):
        return common.end()
    end = data.find(b" ", pos)
    word = data[pos:] if end < 0 else data[pos:end]
    if word.endswith(b":"):
        return pos + len(word) if is_address(word[:-1]) else pos
    if b"[" in word or b"=" in word or word.startswith((b"%", b"CEF:", b"LEEF:")):
        return pos
    if data.startswith(_REPEATED, pos) or not _LETTER_OR_DIGIT.search(word):
        return pos
    return pos + len(word)


def _take_host(record: Record, data: bytes, start: int, end: int) -> int:
    """Set the host from a word; return the offset where the rest begins."""
    forwarded = _FORWARDED.match(data, start) if data.startswith(b"M", start) else None
    if forwarded is not None:  # AIX
        _set_host(record, forwarded[1])
        return forwarded.end() - 1
    _set_host(record, data[start:end].removesuffix(b":"))
    return end


def _set_host(record: Record, word: bytes) -> None:
    text = decode_text(word, record)
    if not text.isprintable():
        text = ascii(text)[1:-1]
    if "," in text:  # UniFi: host,hardware address,firmware
        note(record, "host", text)
        text = text.partition(",")[0]
    record.host = fit_column(text, "host", record) or None


def _fill_content(record: Record, data: bytes, pos: int, *, keep_mnemonic: bool, tag_may_be_number: bool) -> None:
    """Fill tag and message from ``pos``, the start of RFC 3164's CONTENT."""
    tag = scan_tag(data, _skip_blanks(data, pos) if data.startswith(b" ", pos) else pos)
    if tag is None or (not tag_may_be_number and tag.name.isdigit()):
        word = data[pos:]
        if tag_may_be_number and record.host is not None and _ONE_WORD.fullmatch(word):
            record.service = word.decode()
        record.message = decode_text(word, record)
        return
    record.service = fit_column(decode_text(tag.name, record), "service", record)
    if tag.proc_id:
        record.proc_id = fit_column(decode_text(tag.proc_id, record), "proc_id", record)
    if not (keep_mnemonic and tag.name.startswith(b"%")):
        pos = _take_structured_data(record, data, tag.end)
    record.message = decode_text(data[pos:], record)


def _take_structured_data(record: Record, data: bytes, pos: int) -> int:
    """Take well-formed structured data at the start of the message, as rsyslog writes it in its own messages."""
    if b"[" not in data[pos : pos + 2]:  # one more blank than usual is possible
        return pos
    start = _skip_blanks(data, pos)
    scanned = scan_elements(data, start)
    if scanned is None or not all(element.params for element in scanned[0]):
        return pos
    attach_elements(record, scanned[0])
    return scanned[1] + 1


def _skip_blanks(data: bytes, pos: int) -> int:
    return len(data) - len(data[pos:].lstrip(b" "))
