"""What Cisco's devices write before the stamp: the compiled side of :mod:`logstreamd.wire.cisco`."""

from libc.string cimport strlen

from logstreamd.wire._row cimport LEFT, TAKEN, Buffer, Cursor, Span, Verdict, append, no_span, span
from logstreamd.wire._text cimport is_digit, is_word_byte, open_member, skip_blanks

cdef enum:
    MAX_PARTS = 3
    MAX_PART_BYTES = 64
    MAX_COUNTER_DIGITS = 18   # more are no counter, and stay text


cdef struct Prefix:
    Cursor end
    Span host
    Span counters[MAX_PARTS]
    int counter_count
    bint unsynchronised


cdef inline bint scan_prefix(Cursor at, Cursor end, Prefix *prefix) noexcept nogil:
    """Read ``[count:] [seq:] [host:] [*.]``; False when there is nothing of it."""
    cdef Cursor start = at
    cdef Span part
    cdef int i
    prefix.host = no_span()
    prefix.counter_count = 0
    for i in range(MAX_PARTS):
        if not _scan_part(at, end, &part):
            break
        if _is_number(part):
            prefix.counters[prefix.counter_count] = part
            prefix.counter_count += 1
        elif part.size:
            if prefix.host.start != NULL:
                break
            prefix.host = part
        at = skip_blanks(part.start + part.size + 1, end)
    prefix.unsynchronised = at < end and (at[0] == 0x2a or at[0] == 0x2e)
    prefix.end = at + prefix.unsynchronised
    return prefix.end > start


cdef inline bint _scan_part(Cursor at, Cursor end, Span *part) noexcept nogil:
    """Read a word closed by a colon and a blank, or the end."""
    cdef Cursor start = at
    while at < end and (is_word_byte(at[0]) or at[0] == 0x2d or at[0] == 0x2e):
        at += 1
    part[0] = span(start, at)
    return part.size <= MAX_PART_BYTES and at < end and at[0] == 0x3a and (at + 1 == end or at[1] == 0x20)


cdef inline bint _is_number(Span part) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(part.size):
        if not is_digit(part.start[i]):
            return False
    return part.size > 0


cdef inline Verdict note_prefix(Prefix *prefix, Buffer *attrs) noexcept nogil:
    """Keep the counters and flag a clock that is not synchronised."""
    cdef const char *names[2]
    cdef bint has_note = attrs.size > 0
    cdef int i
    names[0] = b'{"message_counter":'
    names[1] = b',"sequence":'
    if prefix.unsynchronised and has_note:
        attrs.size -= 1   # the brace of the note on the event's time, which the flag joins
        append(attrs, b',"flags":["clock_unsynchronised"]}', 34)
    if prefix.counter_count:
        open_member(attrs, <Cursor>(<const char *>b"cisco"), 5)
        for i in range(min(prefix.counter_count, 2)):
            append(attrs, names[i], <Py_ssize_t>strlen(names[i]))
            if not _append_number(prefix.counters[i], attrs):
                return LEFT
        append(attrs, b"}", 1)
    if prefix.unsynchronised and not has_note:
        open_member(attrs, <Cursor>(<const char *>b"logstreamd"), 10)
        append(attrs, b'{"flags":["clock_unsynchronised"]}', 34)
    return TAKEN


cdef inline bint _append_number(Span number, Buffer *attrs) noexcept nogil:
    """Append a counter without the zeros before it; False when it is too long to be one."""
    if number.size > MAX_COUNTER_DIGITS:
        return False
    while number.size > 1 and number.start[0] == 0x30:
        number = span(number.start + 1, number.start + number.size)
    append(attrs, number.start, number.size)
    return True
