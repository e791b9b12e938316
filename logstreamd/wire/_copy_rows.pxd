"""Encoded rows as spans: the compiled side of :mod:`logstreamd.wire.copy_rows`."""

from libc.stdint cimport int32_t, int64_t, uint64_t

from logstreamd.wire._row cimport COLUMN_COUNT, EPOCH_2000_S, LENGTH_BYTES, Cursor, Span

cdef enum:
    ID = 0
    TS = 1
    SEVERITY = 3
    HOST_COLUMN = 5
    SERVICE_COLUMN = 6
    TRACE_ID = 9
    MESSAGE = 10
    ATTRS = 11
    BIGINT_BYTES = 8
    SMALLINT_BYTES = 2
    MAX_SEVERITY = 7


cdef struct CopyRow:
    int64_t id
    int64_t ts             # microseconds since 1970
    int severity
    Span columns[COLUMN_COUNT]


cdef inline uint64_t _read_int(Cursor at, int size) noexcept nogil:
    """Read a big-endian number."""
    cdef uint64_t value = 0
    cdef int i
    for i in range(size):
        value = value << 8 | at[i]
    return value


cdef inline Cursor split_row(Cursor at, Cursor end, Span *columns) noexcept nogil:
    """Find the columns of the row that begins here; return where it ends, NULL when it does not end in time."""
    cdef int64_t size
    cdef int i
    if end - at < SMALLINT_BYTES or _read_int(at, SMALLINT_BYTES) != COLUMN_COUNT:
        return NULL
    at += SMALLINT_BYTES
    for i in range(COLUMN_COUNT):
        if end - at < LENGTH_BYTES:
            return NULL
        size = <int32_t>_read_int(at, LENGTH_BYTES)
        at += LENGTH_BYTES
        columns[i].start = NULL
        columns[i].size = 0
        if size >= 0:
            if size > end - at:
                return NULL
            columns[i].start = at
            columns[i].size = size
            at += size
    return at


cdef inline bint read_row(Cursor at, Cursor end, CopyRow *row) noexcept nogil:
    """Read a row; False when it is none of ``logs``."""
    cdef Span *columns = row.columns
    if split_row(at, end, columns) == NULL:
        return False
    if columns[ID].size != BIGINT_BYTES or columns[TS].size != BIGINT_BYTES or columns[SEVERITY].size != SMALLINT_BYTES:
        return False
    row.id = <int64_t>_read_int(columns[ID].start, BIGINT_BYTES)
    row.ts = <int64_t>_read_int(columns[TS].start, BIGINT_BYTES)
    # PostgreSQL's "infinity" is the largest number there is.
    if row.ts > <int64_t>1 << 62:
        return False
    row.ts += <int64_t>EPOCH_2000_S * 1_000_000
    row.severity = <int>_read_int(columns[SEVERITY].start, SMALLINT_BYTES)
    return row.severity <= MAX_SEVERITY
