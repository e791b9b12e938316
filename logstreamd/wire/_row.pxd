"""Rows in the making: spans of a frame, bounded scratch buffers, and the columns as binary COPY wants them.

The compiled side of :mod:`logstreamd.wire.copy_binary`, whose docstring has the layout.
"""

from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport realloc
from libc.string cimport memcpy

ctypedef const unsigned char *Cursor


cdef enum Verdict:
    LEFT = 0   # not provably what the Python twin makes of it: the frame is left to that
    TAKEN = 1


cdef enum Format:
    RFC5424 = 0
    RFC3164 = 1
    JSON = 2
    RAW = 3


cdef enum:
    COLUMN_COUNT = 15
    # With MAX_COLUMN_CHARS of wire.text: so many bytes are never more characters than that.
    MAX_COLUMN_BYTES = 512
    EPOCH_2000_S = 946_684_800
    FIXED_BYTES = 2 + 3 * 12 + 2 * 6
    LENGTH_BYTES = 4


cdef struct Span:
    # Bytes that lie elsewhere; a start of NULL is the NULL of a column.
    Cursor start
    Py_ssize_t size


cdef struct Buffer:
    unsigned char *data
    Py_ssize_t size
    Py_ssize_t capacity
    bint overrun   # something did not fit, and was not written


cdef struct Row:
    int64_t ts
    int64_t received_at
    int severity
    int facility
    Format format
    Span host
    Span service
    Span proc_id
    Span msg_id
    Span trace_id
    Span message


cdef struct Frame:
    # What is the same for many rows, encoded once: each with its length before it.
    Span input
    Span peer
    Span format
    Span known   # of its sender: the members of a JSON object


cdef inline bint reserve(Buffer *buffer, Py_ssize_t more) noexcept nogil:
    """Make room for ``more`` bytes; False when there is no memory for them (the buffer stays as it was)."""
    cdef Py_ssize_t needed = buffer.size + more
    cdef Py_ssize_t capacity
    cdef void *data
    if needed <= buffer.capacity:
        return True
    capacity = needed + needed // 2
    data = realloc(buffer.data, <size_t>capacity)
    if data == NULL:
        return False
    buffer.data = <unsigned char *>data
    buffer.capacity = capacity
    return True


cdef inline bint start_over(Buffer *buffer, Py_ssize_t at_most) noexcept nogil:
    """Empty a scratch buffer and give it room for ``at_most`` bytes, so that spans into it stay where they are."""
    buffer.size = 0
    buffer.overrun = False
    return reserve(buffer, at_most)


cdef inline void append(Buffer *buffer, const void *data, Py_ssize_t size) noexcept nogil:
    """Append bytes that room was reserved for; what does not fit marks the buffer and is not written."""
    if size > buffer.capacity - buffer.size:
        buffer.overrun = True
        return
    memcpy(buffer.data + buffer.size, data, <size_t>size)
    buffer.size += size


cdef inline void append_byte(Buffer *buffer, unsigned char byte) noexcept nogil:
    if buffer.size == buffer.capacity:
        buffer.overrun = True
        return
    buffer.data[buffer.size] = byte
    buffer.size += 1


cdef inline Span span(Cursor start, Cursor end) noexcept nogil:
    cdef Span found
    found.start = start
    found.size = end - start
    return found


cdef inline Span no_span() noexcept nogil:
    cdef Span found
    found.start = NULL
    found.size = 0
    return found


cdef inline bint fits_column(Span text) noexcept nogil:
    return text.size <= MAX_COLUMN_BYTES


cdef inline unsigned char *_put_int(unsigned char *at, uint64_t value, int size) noexcept nogil:
    """Write the lowest ``size`` bytes of a number, big-endian; return where the next thing goes."""
    cdef int i
    for i in range(size):
        at[i] = <unsigned char>(value >> (8 * (size - 1 - i)))
    return at + size


cdef inline unsigned char *_put_bytes(unsigned char *at, Span data) noexcept nogil:
    memcpy(at, data.start, <size_t>data.size)
    return at + data.size


cdef inline unsigned char *_put_text(unsigned char *at, Span text) noexcept nogil:
    if text.start == NULL:
        return _put_int(at, <uint64_t>-1, 4)
    at = _put_int(at, <uint64_t>text.size, 4)
    return _put_bytes(at, text)


cdef inline unsigned char *_put_jsonb(unsigned char *at, Buffer *attrs, Span known) noexcept nogil:
    """Write the attributes and, as the last of them, what is known of the sender."""
    cdef unsigned char *length = at
    if attrs.size == 0 and known.size == 0:
        return _put_int(at, <uint64_t>-1, 4)
    at = _put_int(at + 4, 1, 1)
    memcpy(at, attrs.data, <size_t>attrs.size)
    at += attrs.size
    if known.size:
        if attrs.size:
            (at - 1)[0] = 0x2c   # for the brace
        else:
            at = _put_int(at, 0x7b, 1)
        at = _put_int(_put_bytes(at, known), 0x7d, 1)
    _put_int(length, <uint64_t>(at - length - 4), 4)
    return at


cdef inline unsigned char *_put_fixed(unsigned char *at, int64_t row_id, Row *row) noexcept nogil:
    """Write the number of columns, then id, ts, received_at, severity and facility."""
    cdef int64_t epoch = <int64_t>EPOCH_2000_S * 1_000_000
    at = _put_int(at, COLUMN_COUNT, 2)
    at = _put_int(_put_int(at, 8, 4), <uint64_t>row_id, 8)
    at = _put_int(_put_int(at, 8, 4), <uint64_t>(row.ts - epoch), 8)
    at = _put_int(_put_int(at, 8, 4), <uint64_t>(row.received_at - epoch), 8)
    at = _put_int(_put_int(at, 2, 4), <uint64_t>row.severity, 2)
    return _put_int(_put_int(at, 2, 4), <uint64_t>row.facility, 2)


cdef inline bint write_row(Buffer *rows, int64_t row_id, Row *row, Buffer *attrs, Frame *frame) noexcept nogil:
    """Append one row; False when there is no memory for it."""
    cdef unsigned char *at
    cdef Py_ssize_t size = (
        FIXED_BYTES + 7 * LENGTH_BYTES + 1 + attrs.size + 2 + frame.known.size
        + row.host.size + row.service.size + row.proc_id.size + row.msg_id.size + row.trace_id.size + row.message.size
        + frame.input.size + frame.peer.size + frame.format.size
    )
    if not reserve(rows, size):
        return False
    at = _put_fixed(rows.data + rows.size, row_id, row)
    at = _put_text(at, row.host)
    at = _put_text(at, row.service)
    at = _put_text(at, row.proc_id)
    at = _put_text(at, row.msg_id)
    at = _put_text(at, row.trace_id)
    at = _put_text(at, row.message)
    at = _put_jsonb(at, attrs, frame.known)
    at = _put_bytes(at, frame.input)
    at = _put_bytes(at, frame.peer)
    at = _put_bytes(at, frame.format)
    rows.size = at - rows.data
    return True
