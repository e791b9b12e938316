"""BSD syslog → rows: the compiled side of :mod:`logstreamd.wire.rfc3164`.

The order of decisions is the one of the Python twin. A word that it looks at more closely (an address that could be a
tag, a stamp of a rare kind, characters beyond ASCII in a name) leaves the frame to it.
"""

from libc.stdint cimport int64_t

from logstreamd.wire._cisco cimport Prefix, note_prefix, scan_prefix
from logstreamd.wire._row cimport LEFT, TAKEN, RFC3164, Buffer, Cursor, Row, Verdict, fits_column, span
from logstreamd.wire._stamp cimport Clock, Stamp, note_event_time, scan_bsd, scan_iso, settle_event_time
from logstreamd.wire._structured_data cimport READ, UNSURE, Reading, StructuredData, attach_elements, scan_elements
from logstreamd.wire._tag cimport scan_tag
from logstreamd.wire._text cimport (
    find_blank, has_byte, is_digit, is_letter, is_visible, is_word_byte, skip_blanks, starts_with,
)

cdef enum:
    MAX_LONE_TAG_BYTES = 48


cdef struct Writing:
    # What the steps of one frame hand on.
    Row *row
    Buffer *attrs
    StructuredData *elements
    bint after_stamp
    bint keeps_mnemonic   # Cisco's %FACILITY-SEVERITY-MNEMONIC stays in the message


cdef inline Verdict fill_rfc3164(
    Cursor at, Cursor end, Row *row, Buffer *attrs, Clock *clock, StructuredData *elements
) noexcept nogil:
    """Fill a row from the text after the priority, or from a frame without one."""
    cdef Writing writing
    cdef Prefix prefix
    cdef Stamp stamp
    cdef bint has_prefix = False
    row.format = RFC3164
    writing.row, writing.attrs, writing.elements = row, attrs, elements
    at = skip_blanks(at, end)
    if not may_be_stamp(at, end):
        has_prefix = scan_prefix(at, end, &prefix)
        if not has_prefix or not may_be_stamp(prefix.end, end):
            return _fill_without_stamp(at, end, &prefix if has_prefix else NULL, &writing)
        at = prefix.end
    if not _scan_stamp(at, end, row.received_at, clock, &stamp):
        return LEFT
    if not settle_event_time(row, stamp.us, clock):
        note_event_time(attrs, span(at, stamp.end - stamp.colon))
    if has_prefix and note_prefix(&prefix, attrs) == LEFT:
        return LEFT
    return _fill_after_stamp(&stamp, end, &prefix if has_prefix else NULL, &writing)


cdef inline bint may_be_stamp(Cursor at, Cursor end) noexcept nogil:
    """Whether a stamp of any kind may begin here; False is certain."""
    cdef Py_ssize_t digits = 0
    if end - at >= 6 and is_letter(at[0]) and is_letter(at[1]) and is_letter(at[2]) and at[3] == 0x20:
        return is_digit(at[4]) or (at[4] == 0x20 and is_digit(at[5]))
    while digits < 10 and digits < end - at and is_digit(at[digits]):
        digits += 1
    if digits == end - at:
        return False
    if digits == 4:
        return at[4] == 0x2d or at[4] == 0x20
    return (digits == 2 and at[2] == 0x2f) or (digits >= 9 and at[digits] == 0x2e)


cdef inline bint _scan_stamp(Cursor at, Cursor end, int64_t received_at, Clock *clock, Stamp *stamp) noexcept nogil:
    """Read a BSD or ISO stamp; False when there is none, or one of a rarer kind."""
    if is_letter(at[0]):
        return scan_bsd(at, end, received_at, clock, stamp)
    if not scan_iso(at, end, False, clock, stamp):
        return False
    stamp.zoned &= at[10] == 0x54
    stamp.colon = stamp.end < end and stamp.end[0] == 0x3a
    stamp.end += stamp.colon
    return stamp.colon or stamp.end == end or stamp.end[0] == 0x20


cdef inline Verdict _fill_without_stamp(Cursor at, Cursor end, Prefix *prefix, Writing *writing) noexcept nogil:
    writing.after_stamp = False
    writing.keeps_mnemonic = True
    if prefix != NULL and prefix.host.start == NULL and (prefix.end == end or prefix.end[0] == 0x25):
        if note_prefix(prefix, writing.attrs) == LEFT:
            return LEFT
        at = prefix.end
    return _fill_content(at, end, writing)


cdef inline Verdict _fill_after_stamp(Stamp *stamp, Cursor end, Prefix *prefix, Writing *writing) noexcept nogil:
    """Fill host, tag and message."""
    cdef Cursor at = stamp.end, host = skip_blanks(at, end), host_end = NULL
    writing.after_stamp = True
    writing.keeps_mnemonic = stamp.colon or prefix != NULL
    if prefix != NULL and prefix.host.start != NULL:
        writing.row.host = prefix.host
    elif not (stamp.colon and prefix != NULL):
        if _scan_host(host, end, &host_end) == LEFT:
            return LEFT
        if host_end > host:
            writing.row.host = span(host, host_end)
            at = host_end
            if stamp.zoned and _may_be_versionless(at, end):
                return LEFT
            if starts_with(at, end, b" : ", 3):
                writing.keeps_mnemonic = True
                at += 2
    if at < end and at[0] == 0x20:
        at += 1
    return _fill_content(at, end, writing)


cdef inline Verdict _scan_host(Cursor at, Cursor end, Cursor *host_end) noexcept nogil:
    """Find where the host ends: at its start when the word there is none, but the tag or a text."""
    cdef Cursor word = at
    cdef bint has_letter_or_digit = False, is_other = False
    host_end[0] = word
    if starts_with(at, end, b"last message", 12) or starts_with(at, end, b"Message forwarded", 17):
        return LEFT
    while at < end and at[0] != 0x20:
        if not is_visible(at[0]) or at[0] == 0x2c:
            return LEFT
        if is_letter(at[0]) or is_digit(at[0]):
            has_letter_or_digit = True
        elif at[0] == 0x5b or at[0] == 0x3d:
            is_other = True
        at += 1
    if at == word:
        return TAKEN
    if (at - 1)[0] == 0x3a:
        return LEFT if is_digit(word[0]) or has_byte(word, at - 1, 0x3a) else TAKEN   # an address is a host
    if has_letter_or_digit and not is_other and word[0] != 0x25:
        if not fits_column(span(word, at)):
            return LEFT
        host_end[0] = at
    return TAKEN


cdef inline bint _may_be_versionless(Cursor at, Cursor end) noexcept nogil:
    """Whether an RFC 5424 header without its version may go on here: a word, then ``-`` or a number."""
    at = find_blank(skip_blanks(at, end), end)
    if at == end or at + 1 == end:
        return False
    at += 1
    if at[0] == 0x2d:
        at += 1
    else:
        while at < end and is_digit(at[0]):
            at += 1
    return (at - 1)[0] != 0x20 and at < end and at[0] == 0x20


cdef inline Verdict _fill_content(Cursor at, Cursor end, Writing *writing) noexcept nogil:
    """Fill tag and message, the CONTENT of RFC 3164 section 4.1.3."""
    cdef Cursor word = skip_blanks(at, end), after_tag = NULL
    if scan_tag(word, find_blank(word, end), end, writing.row, &after_tag) == LEFT:
        return LEFT
    if after_tag == NULL:
        if writing.after_stamp and writing.row.host.start != NULL and _is_lone_tag(at, end):
            writing.row.service = span(at, end)
    elif not (writing.keeps_mnemonic and word[0] == 0x25):
        at = _take_structured_data(after_tag, end, writing)
        if at == NULL:
            return LEFT
    writing.row.message = span(at, end)
    return LEFT if starts_with(at, end, b"@cee:", 5) else TAKEN


cdef inline bint _is_lone_tag(Cursor at, Cursor end) noexcept nogil:
    """Whether the rest is one single word, which is then the tag."""
    if at == end or not is_letter(at[0]) or end - at > MAX_LONE_TAG_BYTES:
        return False
    while at < end and (is_word_byte(at[0]) or 0x2d <= at[0] <= 0x2f):   # - . /
        at += 1
    return at == end


cdef inline Cursor _take_structured_data(Cursor at, Cursor end, Writing *writing) noexcept nogil:
    """Take structured data at the start of the message; return where the rest begins, NULL when that is unsure."""
    cdef Reading reading
    if not (at < end and (at[0] == 0x5b or (end - at > 1 and at[1] == 0x5b))):
        return at
    reading = scan_elements(skip_blanks(at, end), end, writing.elements)
    if reading == UNSURE:
        return NULL
    if reading != READ or writing.elements.has_empty_element:
        return at
    if attach_elements(writing.elements, writing.row, writing.attrs) == LEFT:
        return NULL
    at = writing.elements.end
    return at + (at < end)
