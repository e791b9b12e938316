"""Encoded rows as spans: the compiled side of :mod:`logstreamd.wire.copy_rows`."""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from logstreamd.wire._bloom cimport swapped, swapped_half
from logstreamd.wire._row cimport COLUMN_COUNT, EPOCH_2000_S, FIXED_BYTES, LENGTH_BYTES, Cursor, Span
from logstreamd.wire._text cimport LITTLE_ENDIAN, load_half_word, load_word

cdef enum:
    BIGINT_BYTES = 8
    SMALLINT_BYTES = 2
    MAX_SEVERITY = 7
    # The columns behind facility, as far as they are looked at; three more follow.
    HOST_COLUMN = 0
    SERVICE_COLUMN = 1
    TRACE_ID = 4
    MESSAGE = 5
    ATTRS = 6
    TEXT_COLUMNS = 7
    VARIABLE_COLUMNS = 10
    FEWEST_ROW_BYTES = FIXED_BYTES + VARIABLE_COLUMNS * LENGTH_BYTES


cdef struct CopyRow:
    int64_t id
    int64_t ts             # microseconds since 1970
    int severity
    Span columns[TEXT_COLUMNS]


cdef inline uint64_t _read_bigint(Cursor at) noexcept nogil:
    cdef uint64_t value = load_word(at)
    return swapped(value) if LITTLE_ENDIAN else value


cdef inline uint32_t _read_length(Cursor at) noexcept nogil:
    cdef uint32_t value = <uint32_t>load_half_word(at)
    return swapped_half(value) if LITTLE_ENDIAN else value


cdef inline int _read_smallint(Cursor at) noexcept nogil:
    return at[0] << 8 | at[1]


cdef inline Cursor _read_column(Cursor at, Cursor end, Span *column) noexcept nogil:
    """Read one column; return where the next begins, NULL when this one is cut short."""
    cdef int64_t size
    if end - at < LENGTH_BYTES:
        return NULL
    size = <int32_t>_read_length(at)
    at += LENGTH_BYTES
    if size < 0:
        column.start = NULL
        column.size = 0
        return at
    column.start = at
    column.size = size
    return at + size if size <= end - at else NULL


cdef inline bint read_row(Cursor at, Cursor end, CopyRow *row) noexcept nogil:
    """Read a row; False when it is none of ``logs``."""
    cdef int i
    if end - at < FIXED_BYTES or not _is_begin_usual(at):
        return False
    row.id = <int64_t>_read_bigint(at + 6)
    row.ts = <int64_t>_read_bigint(at + 18)
    # PostgreSQL's "infinity" is the largest number there is.
    if row.ts > <int64_t>1 << 62:
        return False
    row.ts += <int64_t>EPOCH_2000_S * 1_000_000
    row.severity = _read_smallint(at + 42)
    at += FIXED_BYTES
    for i in range(TEXT_COLUMNS):
        at = _read_column(at, end, &row.columns[i])
        if at == NULL:
            return False
    return row.severity <= MAX_SEVERITY


cdef inline Cursor end_of_row(Cursor at, Cursor end) noexcept nogil:
    """Return where the row that begins here ends, NULL when it is none of ``logs``."""
    cdef Span column
    cdef int i
    if end - at < FIXED_BYTES or not _is_begin_usual(at):
        return NULL
    at += FIXED_BYTES
    for i in range(VARIABLE_COLUMNS):
        at = _read_column(at, end, &column)
        if at == NULL:
            return NULL
    return at


cdef inline bint _is_begin_usual(Cursor at) noexcept nogil:
    """Whether 15 columns begin here, and the first five are as long as they must be."""
    return (
        _read_smallint(at) == COLUMN_COUNT
        and _read_length(at + 2) == BIGINT_BYTES
        and _read_length(at + 14) == BIGINT_BYTES
        and _read_length(at + 26) == BIGINT_BYTES
        and _read_length(at + 38) == SMALLINT_BYTES
        and _read_length(at + 44) == SMALLINT_BYTES
    )
