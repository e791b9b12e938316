"""RFC 5424 frames → rows: the compiled side of :mod:`logstreamd.wire.rfc5424`."""

from logstreamd.wire._row cimport LEFT, TAKEN, RFC5424, Buffer, Cursor, Row, Span, Verdict, fits_column, no_span, span
from logstreamd.wire._stamp cimport Clock, Stamp, note_event_time, scan_iso, settle_event_time
from logstreamd.wire._structured_data cimport READ, StructuredData, attach_elements, scan_elements
from logstreamd.wire._text cimport find_blank, is_visible, starts_with


cdef inline Verdict fill_rfc5424(
    Cursor at, Cursor end, Row *row, Buffer *attrs, Clock *clock, StructuredData *elements
) noexcept nogil:
    """Fill a row from the text after VERSION and its blank."""
    cdef Cursor stamp_end = find_blank(at, end)
    cdef Stamp stamp
    row.format = RFC5424
    if not (stamp_end - at == 1 and at[0] == 0x2d):
        if not scan_iso(at, stamp_end, False, clock, &stamp) or stamp.end != stamp_end:
            return LEFT
        if not settle_event_time(row, stamp.us, clock):
            note_event_time(attrs, span(at, stamp_end))
    if stamp_end == end:
        return LEFT
    return _fill_fields(stamp_end + 1, end, row, attrs, elements)


cdef inline Verdict _fill_fields(
    Cursor at, Cursor end, Row *row, Buffer *attrs, StructuredData *elements
) noexcept nogil:
    """Fill HOSTNAME to MSG."""
    at = _take_word(at, end, &row.host)
    if at != NULL:
        at = _take_word(at, end, &row.service)
    if at != NULL:
        at = _take_word(at, end, &row.proc_id)
    if at != NULL:
        at = _take_word(at, end, &row.msg_id)
    if at == NULL or at == end:
        return LEFT
    if at[0] == 0x2d:
        at += 1
        if at < end and at[0] != 0x20:
            return LEFT
    elif at[0] != 0x5b or scan_elements(at, end, elements) != READ or attach_elements(elements, row, attrs) == LEFT:
        return LEFT
    else:
        at = elements.end
    return _fill_message(at, end, row)


cdef inline Cursor _take_word(Cursor at, Cursor end, Span *column) noexcept nogil:
    """Take one field of visible ASCII; return where the next begins, NULL when it is not as simple as that."""
    cdef Cursor start = at
    while at < end and is_visible(at[0]):
        at += 1
    column[0] = span(start, at)
    if at == start or at == end or at[0] != 0x20 or not fits_column(column[0]):
        return NULL
    if column.size == 1 and start[0] == 0x2d:
        column[0] = no_span()
    return at + 1


cdef inline Verdict _fill_message(Cursor at, Cursor end, Row *row) noexcept nogil:
    """Take MSG from the blank that separates it, without its BOM."""
    if at < end:
        at += 1
    if starts_with(at, end, b"\xef\xbb\xbf", 3):
        at += 3
    row.message = span(at, end)
    return LEFT if starts_with(at, end, b"@cee:", 5) else TAKEN
