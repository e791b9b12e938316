# cython: language_level=3
"""A batch open for appending in C: what the compiled split and receive write their frames with.

Between ``open_rows`` and ``close_rows`` the batch's arrays are longer than what they hold, so no other Python code may
look at the batch: keep the GIL, and close in any case. ``close_rows`` gives every array its exact length.
"""

from cpython cimport array
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_Resize
from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint16_t, uint32_t
from libc.string cimport memcpy


cdef struct Rows:
    # Borrowed: the batch holds them, and the caller holds the batch.
    PyObject *data_array
    PyObject *ends_array
    PyObject *received_at_array
    PyObject *peer_ids_array
    PyObject *flags_array
    unsigned char *data
    uint32_t *ends
    int64_t *received_at
    uint16_t *peer_ids
    unsigned char *flags
    # Bytes and frames that are there, that fit, and at which the batch is full.
    Py_ssize_t used
    Py_ssize_t used_room
    Py_ssize_t max_bytes
    Py_ssize_t count
    Py_ssize_t count_room
    Py_ssize_t max_rows


cdef inline int open_rows(Rows *rows, object batch) except -1:
    """Begin to append to a batch."""
    cdef bytearray data = batch.data
    cdef bytearray flags = batch.flags
    cdef array.array ends = batch.ends
    cdef array.array received_at = batch.received_at
    cdef array.array peer_ids = batch.peer_ids
    rows.data_array = <PyObject *> data
    rows.ends_array = <PyObject *> ends
    rows.received_at_array = <PyObject *> received_at
    rows.peer_ids_array = <PyObject *> peer_ids
    rows.flags_array = <PyObject *> flags
    rows.data = <unsigned char *> PyByteArray_AS_STRING(data)
    rows.ends = ends.data.as_uints
    rows.received_at = <int64_t *> received_at.data.as_longlongs
    rows.peer_ids = peer_ids.data.as_ushorts
    rows.flags = <unsigned char *> PyByteArray_AS_STRING(flags)
    rows.used = rows.used_room = len(data)
    rows.count = rows.count_room = len(ends)
    rows.max_bytes = batch.max_bytes
    rows.max_rows = batch.max_rows
    return 0


cdef inline int close_rows(Rows *rows) except -1:
    """Leave the batch with exactly the frames that were appended."""
    PyByteArray_Resize(<object> rows.data_array, rows.used)
    return _resize_tables(rows, rows.count)


cdef inline bint rows_full(const Rows *rows) noexcept:
    return rows.count >= rows.max_rows or rows.used >= rows.max_bytes


cdef inline int append_row(
    Rows *rows, const unsigned char *frame, Py_ssize_t size, int64_t received_at, uint16_t peer_id, unsigned char flags
) except -1:
    """Append one frame; the caller looks at ``rows_full`` first."""
    if size > rows.used_room - rows.used:
        _grow_data(rows, size)
    if rows.count == rows.count_room:
        # By half each time, so that appending is linear; a first step that keeps a lone message cheap.
        rows.count_room += rows.count_room // 2 + 16
        _resize_tables(rows, rows.count_room)
    memcpy(rows.data + rows.used, frame, size)
    rows.used += size
    rows.ends[rows.count] = rows.used
    rows.received_at[rows.count] = received_at
    rows.peer_ids[rows.count] = peer_id
    rows.flags[rows.count] = flags
    rows.count += 1
    return 0


cdef inline int _grow_data(Rows *rows, Py_ssize_t size) except -1:
    rows.used_room = rows.used + size + rows.used // 2
    PyByteArray_Resize(<object> rows.data_array, rows.used_room)
    rows.data = <unsigned char *> PyByteArray_AS_STRING(<object> rows.data_array)
    return 0


cdef inline int _resize_tables(Rows *rows, Py_ssize_t count) except -1:
    cdef array.array ends = <array.array> rows.ends_array
    cdef array.array received_at = <array.array> rows.received_at_array
    cdef array.array peer_ids = <array.array> rows.peer_ids_array
    array.resize_smart(ends, count)
    array.resize_smart(received_at, count)
    array.resize_smart(peer_ids, count)
    PyByteArray_Resize(<object> rows.flags_array, count)
    rows.ends = ends.data.as_uints
    rows.received_at = <int64_t *> received_at.data.as_longlongs
    rows.peer_ids = peer_ids.data.as_ushorts
    rows.flags = <unsigned char *> PyByteArray_AS_STRING(<object> rows.flags_array)
    return 0
