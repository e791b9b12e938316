"""One frame → one row: the compiled side of :mod:`logstreamd.wire.parse`."""

from libc.stdint cimport int64_t

from logstreamd.wire._jsonlines cimport Document, fill_json
from logstreamd.wire._rfc3164 cimport fill_rfc3164, may_be_stamp
from logstreamd.wire._rfc5424 cimport fill_rfc5424
from logstreamd.wire._row cimport LEFT, RAW, TAKEN, Buffer, Cursor, Row, Verdict, no_span, span, start_over
from logstreamd.wire._stamp cimport Clock, Stamp, scan_iso
from logstreamd.wire._structured_data cimport StructuredData
from logstreamd.wire._text cimport (
    close_attrs, is_blank, is_digit, is_letter, is_storable, mentions_event_format, starts_with,
)

cdef enum:
    MAX_FRAME_BYTES = 1 << 18   # four times an input's default limit; few are longer
    MAX_PRIORITY = 191
    NOTICE = 5
    USER = 1
    MAX_COUNT_DIGITS = 10
    # As JSON one byte becomes six at most (\u0000); a member's quotes, braces and colon add to its brackets and quotes.
    ATTRS_BYTES_PER_BYTE = 8
    ATTRS_MORE_BYTES = 256

cdef extern from *:
    """
    /* The year 10000: later arrivals have no calendar, and up to here times are added up without overflow. */
    #define LS_END_OF_TIME_US (253402300800LL * 1000000)
    """
    const int64_t END_OF_TIME_US "LS_END_OF_TIME_US"


cdef struct Desk:
    # What one pass over a batch reads and writes beside the rows.
    Buffer attrs
    Buffer texts
    Clock clock
    StructuredData elements
    Document document


cdef inline Verdict read_frame(Cursor at, Cursor end, Row *row, Desk *desk) noexcept nogil:
    """Fill a row, whose arrival is set, from one frame; its attributes are on the desk then."""
    cdef Verdict verdict
    while end > at and _is_line_end((end - 1)[0]):
        end -= 1
    if at == end or end - at > MAX_FRAME_BYTES or not 0 <= row.received_at < END_OF_TIME_US:
        return LEFT
    if not is_storable(at, end) or mentions_event_format(at, end):
        return LEFT
    if not start_over(&desk.attrs, ATTRS_BYTES_PER_BYTE * (end - at) + ATTRS_MORE_BYTES):
        return LEFT
    if not start_over(&desk.texts, end - at):
        return LEFT
    _clear(row)
    if at[0] == 0x7b:
        verdict = fill_json(at, end, row, &desk.attrs, &desk.texts, &desk.clock, &desk.document)
    elif at[0] == 0x3c:
        verdict = _read_syslog(at, end, row, desk)
    else:
        verdict = _read_without_priority(at, end, row, desk)
    close_attrs(&desk.attrs)
    return LEFT if desk.attrs.overrun or desk.texts.overrun else verdict


cdef inline bint _is_line_end(unsigned char c) noexcept nogil:
    return c == 0x0a or c == 0x0d or c == 0


cdef inline void _clear(Row *row) noexcept nogil:
    row.ts = row.received_at
    row.severity = NOTICE
    row.facility = USER
    row.host = row.service = row.proc_id = row.msg_id = row.trace_id = row.message = no_span()


cdef inline Verdict _read_syslog(Cursor at, Cursor end, Row *row, Desk *desk) noexcept nogil:
    cdef Cursor text = _scan_priority(at, end, row)
    if text == NULL:
        return _keep_raw(at, end, row, desk)
    if starts_with(text, end, b"1 ", 2):
        return fill_rfc5424(text + 2, end, row, &desk.attrs, &desk.clock, &desk.elements)
    if text == end or _may_be_version(text, end):
        return LEFT
    return fill_rfc3164(text, end, row, &desk.attrs, &desk.clock, &desk.elements)


cdef inline Cursor _scan_priority(Cursor at, Cursor end, Row *row) noexcept nogil:
    """Read ``<PRI>``; return the byte after it, or NULL when it is not one."""
    cdef Cursor digits = at + 1
    cdef int priority = 0
    at = digits
    while at < end and at - digits < 3 and is_digit(at[0]):
        priority = priority * 10 + (at[0] - 0x30)
        at += 1
    if at == digits or at == end or at[0] != 0x3e or priority > MAX_PRIORITY:
        return NULL
    if digits[0] == 0x30 and at - digits > 1:
        return NULL
    row.facility = priority // 8
    row.severity = priority % 8
    return at + 1


cdef inline bint _may_be_version(Cursor at, Cursor end) noexcept nogil:
    """Whether up to three digits and a blank or the end stand here."""
    cdef Cursor start = at
    while at < end and at - start < 3 and is_digit(at[0]):
        at += 1
    return at > start and (at == end or at[0] == 0x20)


cdef inline Verdict _read_without_priority(Cursor at, Cursor end, Row *row, Desk *desk) noexcept nogil:
    cdef Verdict verdict
    if is_blank(at[0]):
        return LEFT if _wraps_a_frame(at, end) else _keep_raw(at, end, row, desk)
    if is_letter(at[0]) and may_be_stamp(at, end):
        return fill_rfc3164(at, end, row, &desk.attrs, &desk.clock, &desk.elements)
    if not is_digit(at[0]):
        return _keep_raw(at, end, row, desk)
    if _may_have_count(at, end):
        return LEFT
    if not _begins_with_zoned_stamp(at, end, desk):
        return _keep_raw(at, end, row, desk)
    # A line that begins with an ISO stamp is mostly an application's own; host and tag make it syslog.
    verdict = fill_rfc3164(at, end, row, &desk.attrs, &desk.clock, &desk.elements)
    if verdict == TAKEN and (row.host.start == NULL or row.service.start == NULL):
        return _keep_raw(at, end, row, desk)
    return verdict


cdef inline bint _wraps_a_frame(Cursor at, Cursor end) noexcept nogil:
    """Whether a frame stands after blanks."""
    while at < end and is_blank(at[0]):
        at += 1
    return at < end and (at[0] == 0x3c or at[0] == 0x7b)


cdef inline bint _may_have_count(Cursor at, Cursor end) noexcept nogil:
    """Whether digits and a blank stand before a frame, or before the stamp of an RFC 5424 frame without priority."""
    cdef Cursor start = at
    while at < end and at - start < MAX_COUNT_DIGITS and is_digit(at[0]):
        at += 1
    return end - at > 1 and at[0] == 0x20 and (at[1] == 0x3c or at[1] == 0x7b or is_digit(at[1]))


cdef inline bint _begins_with_zoned_stamp(Cursor at, Cursor end, Desk *desk) noexcept nogil:
    cdef Stamp stamp
    if not scan_iso(at, end, False, &desk.clock, &stamp) or at[10] != 0x54 or not stamp.zoned:
        return False
    return stamp.end == end or stamp.end[0] == 0x20 or stamp.end[0] == 0x3a


cdef inline Verdict _keep_raw(Cursor at, Cursor end, Row *row, Desk *desk) noexcept nogil:
    """Keep the frame whole as the message."""
    _clear(row)
    desk.attrs.size = 0
    row.format = RAW
    row.message = span(at, end)
    return TAKEN
