"""BSD syslog → rows: the compiled side of :mod:`logstreamd.wire.rfc3164` and :mod:`logstreamd.wire.tag`.

The order of decisions is the one of the Python twin. A word that it looks at more closely (an address that could be a
tag, Cisco's prefix, characters beyond ASCII in a name) leaves the frame to it.
"""

from logstreamd.wire._row cimport (
    LEFT, TAKEN, RFC3164, Buffer, Cursor, Row, Span, Verdict, fits_column, no_span, span,
)
from logstreamd.wire._stamp cimport Clock, Stamp, note_event_time, scan_bsd, scan_iso, settle_event_time
from logstreamd.wire._structured_data cimport READ, UNSURE, Reading, StructuredData, attach_elements, scan_elements
from logstreamd.wire._text cimport find_blank, is_digit, is_letter, is_visible, skip_blanks, starts_with


cdef inline Verdict fill_rfc3164(
    Cursor at, Cursor end, Row *row, Buffer *attrs, Clock *clock, StructuredData *elements
) noexcept nogil:
    """Fill a row from the text after the priority."""
    cdef Stamp stamp
    row.format = RFC3164
    at = skip_blanks(at, end)
    if at == end:
        return LEFT
    if not _may_be_stamp(at, end):
        return LEFT if _may_be_cisco(at, end) else _fill_content(at, end, row, attrs, elements, False)
    if is_letter(at[0]):
        if not scan_bsd(at, end, row.received_at, clock, &stamp):
            return LEFT
    elif not scan_iso(at, end, False, clock, &stamp) or stamp.end == end or stamp.end[0] != 0x20:
        return LEFT
    if not settle_event_time(row, stamp.us, clock):
        note_event_time(attrs, span(at, stamp.end))
    return _fill_after_stamp(&stamp, end, row, attrs, elements)


cdef inline bint _may_be_stamp(Cursor at, Cursor end) noexcept nogil:
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


cdef inline bint _may_be_cisco(Cursor at, Cursor end) noexcept nogil:
    """Whether a text without a stamp at its start may have one after ``name: `` or a clock mark.

    Also where a prefix is all there is.
    """
    cdef Cursor start = at
    if not (is_letter(at[0]) or at[0] >= 0x80 or at[0] == 0x28 or at[0] == 0x5b or at[0] == 0x2f or at[0] == 0x5f):
        return True
    while at < end and (is_letter(at[0]) or is_digit(at[0]) or at[0] == 0x5f or at[0] == 0x2d or at[0] == 0x2e):
        at += 1
    if at == end or at[0] != 0x3a or at - start > 64:
        return False
    # A name: at most numbers may follow before the stamp, and every one of them would have its own colon.
    at += 1
    if at < end and at[0] != 0x20:
        return False
    at = skip_blanks(at, end)
    if at == end or at[0] == 0x2a or at[0] == 0x2e or at[0] == 0x3a:
        return True
    return _may_be_stamp(at, end) or (is_digit(at[0]) and _number_has_colon(at, end))


cdef inline bint _number_has_colon(Cursor at, Cursor end) noexcept nogil:
    while at < end and is_digit(at[0]):
        at += 1
    return at < end and at[0] == 0x3a


cdef inline Verdict _fill_after_stamp(
    Stamp *stamp, Cursor end, Row *row, Buffer *attrs, StructuredData *elements
) noexcept nogil:
    """Fill host, tag and message."""
    cdef Cursor at = stamp.end, host = skip_blanks(at, end), host_end = NULL
    if _scan_host(host, end, &host_end) == LEFT:
        return LEFT
    if host_end > host:
        row.host = span(host, host_end)
        at = host_end
        if stamp.zoned and _may_be_versionless(at, end):
            return LEFT
        if starts_with(at, end, b" : ", 3):
            return LEFT
    if at < end and at[0] == 0x20:
        at += 1
    return _fill_content(at, end, row, attrs, elements, True)


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
        return LEFT if _may_be_address(word, at - 1) else TAKEN
    if has_letter_or_digit and not is_other and word[0] != 0x25:
        if not fits_column(span(word, at)):
            return LEFT
        host_end[0] = at
    return TAKEN


cdef inline bint _may_be_address(Cursor at, Cursor end) noexcept nogil:
    """Whether a word may be an IPv4 or IPv6 address; False is certain."""
    return (at < end and is_digit(at[0])) or _has_colon(at, end)


cdef inline bint _has_colon(Cursor at, Cursor end) noexcept nogil:
    while at < end:
        if at[0] == 0x3a:
            return True
        at += 1
    return False


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


cdef inline Verdict _fill_content(
    Cursor at, Cursor end, Row *row, Buffer *attrs, StructuredData *elements, bint after_stamp
) noexcept nogil:
    """Fill tag and message, the CONTENT of RFC 3164 section 4.1.3."""
    cdef Cursor word = skip_blanks(at, end), word_end = find_blank(word, end), after_tag = NULL
    if _scan_tag(word, word_end, end, row, &after_tag) == LEFT:
        return LEFT
    if after_tag == NULL:
        # One single word after a host is the tag.
        if after_stamp and word_end == end and word < end:
            return LEFT
        row.message = span(at, end)
        return LEFT if starts_with(at, end, b"@cee:", 5) else TAKEN
    at = _take_structured_data(after_tag, end, row, attrs, elements)
    if at == NULL:
        return LEFT
    row.message = span(at, end)
    return LEFT if starts_with(at, end, b"@cee:", 5) else TAKEN


cdef inline Verdict _scan_tag(Cursor word, Cursor word_end, Cursor end, Row *row, Cursor *after) noexcept nogil:
    """Read ``name:``, ``name[pid]:`` or ``name[pid]``; ``after`` stays NULL when the word is not marked as a tag."""
    cdef Cursor at = word, close
    while at < word_end and at[0] != 0x3a and at[0] != 0x5b:
        at += 1
    if at == word_end:
        return TAKEN
    if at == word:
        return LEFT if _has_colon(at + 1, word_end) else TAKEN   # nothing before the mark is no name
    if not _is_plain_name(word, at):
        return LEFT
    row.service = span(word, at)
    if at[0] == 0x3a:
        if not _is_tag_colon(word, at, word_end):
            row.service = no_span()
            return LEFT
        after[0] = at + 1
    else:
        close = at + 1
        while close < word_end and close[0] != 0x5d:
            close += 1
        if close == word_end or (close + 1 < word_end and close[1] != 0x3a):
            return LEFT
        if close > at + 1:
            row.proc_id = span(at + 1, close)
        after[0] = close + 1 + (close + 1 < word_end)
    if after[0] < end and after[0][0] == 0x20:
        after[0] += 1
    return TAKEN if fits_column(row.service) and fits_column(row.proc_id) else LEFT


cdef inline bint _is_plain_name(Cursor at, Cursor end) noexcept nogil:
    """Whether a tag's name is visible ASCII without a quote or ``=``, and cannot be an address."""
    if is_digit(at[0]):
        return False
    while at < end:
        if not is_visible(at[0]) or at[0] == 0x22 or at[0] == 0x3d:
            return False
        at += 1
    return True


cdef inline bint _is_tag_colon(Cursor word, Cursor colon, Cursor word_end) noexcept nogil:
    """Whether a colon certainly ends a tag: not that of a URL or a drive letter, and no ``]:`` closes the word."""
    if colon + 1 == word_end:
        return True
    if colon - word == 1 or colon[1] == 0x2f:
        return False
    return not ((word_end - 1)[0] == 0x3a and (word_end - 2)[0] == 0x5d)


cdef inline Cursor _take_structured_data(
    Cursor at, Cursor end, Row *row, Buffer *attrs, StructuredData *elements
) noexcept nogil:
    """Take structured data at the start of the message; return where the rest begins, NULL when that is unsure."""
    cdef Cursor start = at
    cdef Reading reading
    if not (at < end and (at[0] == 0x5b or (end - at > 1 and at[1] == 0x5b))):
        return at
    start = skip_blanks(at, end)
    reading = scan_elements(start, end, elements)
    if reading == UNSURE:
        return NULL
    if reading != READ or elements.has_empty_element:
        return at
    if attach_elements(elements, row, attrs) == LEFT:
        return NULL
    return elements.end + 1 if elements.end < end else end
