# cython: language_level=3
"""A batch open for appending in C: what the compiled split and receive write their frames with.

Between ``open_batch`` and ``close_batch`` the batch's arrays are longer than what they hold, so no Python code may look
at the batch: keep the GIL, and close in any case. ``close_batch`` gives every array its exact length.
"""

from cpython cimport array
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_Resize
from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint16_t, uint32_t
from libc.string cimport memcpy


cdef struct OpenBatch:
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


cdef inline int open_batch(OpenBatch *into, object batch) except -1:
    """Begin to append to a batch."""
    cdef bytearray data = batch.data
    cdef bytearray flags = batch.flags
    cdef array.array ends = batch.ends
    cdef array.array received_at = batch.received_at
    cdef array.array peer_ids = batch.peer_ids
    into.data_array = <PyObject *> data
    into.ends_array = <PyObject *> ends
    into.received_at_array = <PyObject *> received_at
    into.peer_ids_array = <PyObject *> peer_ids
    into.flags_array = <PyObject *> flags
    into.data = <unsigned char *> PyByteArray_AS_STRING(data)
    into.ends = ends.data.as_uints
    into.received_at = <int64_t *> received_at.data.as_longlongs
    into.peer_ids = peer_ids.data.as_ushorts
    into.flags = <unsigned char *> PyByteArray_AS_STRING(flags)
    into.used = into.used_room = len(data)
    into.count = into.count_room = len(ends)
    into.max_bytes = batch.max_bytes
    into.max_rows = batch.max_rows
    return 0


cdef inline int close_batch(OpenBatch *into) except -1:
    """Leave the batch with exactly the frames that were appended."""
    PyByteArray_Resize(<object> into.data_array, into.used)
    return _resize_tables(into, into.count)


cdef inline bint is_full(const OpenBatch *into) noexcept:
    return into.count >= into.max_rows or into.used >= into.max_bytes


cdef inline int append_frame(
    OpenBatch *into,
    const unsigned char *frame,
    Py_ssize_t size,
    int64_t received_at,
    uint16_t peer_id,
    unsigned char flags,
) except -1:
    """Append one frame; the caller looks at ``is_full`` first."""
    if size > into.used_room - into.used:
        _grow_data(into, size)
    if into.count == into.count_room:
        # By half each time, so that appending is linear; a first step that keeps a lone message cheap.
        into.count_room += into.count_room // 2 + 16
        _resize_tables(into, into.count_room)
    memcpy(into.data + into.used, frame, size)
    into.used += size
    into.ends[into.count] = into.used
    into.received_at[into.count] = received_at
    into.peer_ids[into.count] = peer_id
    into.flags[into.count] = flags
    into.count += 1
    return 0


cdef inline int _grow_data(OpenBatch *into, Py_ssize_t size) except -1:
    # By half each time, but not past the end: a sealed batch waits in memory with all the room it was given.
    into.used_room = min(into.used + into.used // 2, into.max_bytes) + size
    PyByteArray_Resize(<object> into.data_array, into.used_room)
    into.data = <unsigned char *> PyByteArray_AS_STRING(<object> into.data_array)
    return 0


cdef inline int _resize_tables(OpenBatch *into, Py_ssize_t count) except -1:
    cdef array.array ends = <array.array> into.ends_array
    cdef array.array received_at = <array.array> into.received_at_array
    cdef array.array peer_ids = <array.array> into.peer_ids_array
    array.resize_smart(ends, count)
    array.resize_smart(received_at, count)
    array.resize_smart(peer_ids, count)
    PyByteArray_Resize(<object> into.flags_array, count)
    into.ends = ends.data.as_uints
    into.received_at = <int64_t *> received_at.data.as_longlongs
    into.peer_ids = peer_ids.data.as_ushorts
    into.flags = <unsigned char *> PyByteArray_AS_STRING(<object> into.flags_array)
    return 0
