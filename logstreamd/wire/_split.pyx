# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""A byte stream → frames: the compiled twin of :mod:`logstreamd.wire.framing`.

The same states and the same decisions, which are explained there. Frames go from the read buffer straight into the
batch's arrays; no Python object is made for one.
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE, PyByteArray_Resize
from libc.stdint cimport int64_t, uint16_t, uint64_t
from libc.string cimport memchr, memcpy

from logstreamd.wire._open_batch cimport OpenBatch, append_frame, close_batch, open_batch, is_full

from logstreamd.wire import batch as _batch
from logstreamd.wire.framing import PLAUSIBLE_FACTOR

__all__ = ["Framer"]

cdef unsigned char TRUNCATED = _batch.TRUNCATED
cdef unsigned char PARTIAL = _batch.PARTIAL

cdef enum State:
    START, LINE, COUNTED, SKIP_LINE, SKIP_COUNTED

cdef enum:
    # The digits of any 64-bit count, the blank and the byte after it: as much decides the framing.
    MAX_HEAD_BYTES = 22

cdef struct Chunk:
    # One read: its bytes, how far they are consumed, its next LF and NUL, and where its frames go.
    const unsigned char *data
    Py_ssize_t size
    Py_ssize_t pos
    Py_ssize_t lf
    Py_ssize_t nul
    OpenBatch into
    int64_t received_at
    uint16_t peer_id


@cython.final
@cython.auto_pickle(False)
cdef class Framer:
    """Cuts one connection's bytes into frames; does no I/O.

    Args:
        max_frame_bytes: bytes of one frame that are kept; the rest of it is skipped and the frame flagged
            ``TRUNCATED``.
    """

    cdef State _state
    cdef readonly bytearray _held
    cdef Py_ssize_t _max
    cdef Py_ssize_t _max_head
    cdef uint64_t _max_count
    cdef Py_ssize_t _count
    cdef uint64_t _pending

    def __init__(self, *, max_frame_bytes=65_536):
        if max_frame_bytes < 1:
            raise ValueError(f"max_frame_bytes must be at least 1 (got {max_frame_bytes})")
        self._max = max_frame_bytes
        self._max_count = max_frame_bytes * PLAUSIBLE_FACTOR
        self._max_head = len(str(max_frame_bytes * PLAUSIBLE_FACTOR)) + 2
        self._state = START
        self._held = bytearray()

    @property
    def mid_frame(self):
        """Whether the stream stands inside a frame (also behind the kept part of one that is too long)."""
        return self._state != START or PyByteArray_GET_SIZE(self._held) > 0

    def split(self, data, batch, uint16_t peer_id, int64_t received_at):
        """Append the frames that ``data`` completes to a batch; return how many bytes were consumed."""
        cdef Py_buffer buffer
        cdef Chunk chunk
        PyObject_GetBuffer(data, &buffer, PyBUF_SIMPLE)
        try:
            chunk.data, chunk.size = <const unsigned char *> buffer.buf, buffer.len
            chunk.pos, chunk.lf, chunk.nul = 0, -1, -1
            chunk.peer_id, chunk.received_at = peer_id, received_at
            open_batch(&chunk.into, batch)
            try:
                self._split(&chunk)
            finally:
                close_batch(&chunk.into)
        finally:
            PyBuffer_Release(&buffer)
        return chunk.pos

    def finish(self, batch, uint16_t peer_id, int64_t received_at):
        """Append what is held at the end of the connection: at most one frame, so the batch must not be full."""
        cdef Chunk chunk
        chunk.peer_id, chunk.received_at = peer_id, received_at
        open_batch(&chunk.into, batch)
        try:
            if self._state == COUNTED:
                self._append_held(&chunk, PARTIAL)
            elif PyByteArray_GET_SIZE(self._held):
                self._append_line(&chunk, self._held_bytes(), PyByteArray_GET_SIZE(self._held))
        finally:
            close_batch(&chunk.into)
        self._reset()

    cdef int _split(self, Chunk *chunk) except -1:
        while chunk.pos < chunk.size and not is_full(&chunk.into):
            if self._state == START:
                self._begin(chunk)
            elif self._state == LINE:
                self._continue_line(chunk)
            elif self._state == COUNTED:
                self._continue_counted(chunk)
            elif self._state == SKIP_LINE:
                self._skip_line(chunk)
            else:
                self._skip_counted(chunk)
        return 0

    cdef inline const unsigned char *_held_bytes(self) noexcept:
        return <const unsigned char *> PyByteArray_AS_STRING(self._held)

    cdef int _hold(self, Chunk *chunk, Py_ssize_t size) except -1:
        """Take the next bytes of the chunk in; the array grows geometrically by itself."""
        cdef Py_ssize_t held = PyByteArray_GET_SIZE(self._held)
        PyByteArray_Resize(self._held, held + size)
        memcpy(PyByteArray_AS_STRING(self._held) + held, chunk.data + chunk.pos, size)
        chunk.pos += size
        return 0

    cdef int _reset(self) except -1:
        self._state = START
        if PyByteArray_GET_SIZE(self._held):
            PyByteArray_Resize(self._held, 0)
        return 0

    cdef int _begin(self, Chunk *chunk) except -1:
        """Decide how the message at the chunk's position is framed."""
        cdef unsigned char joined[2 * MAX_HEAD_BYTES]
        cdef const unsigned char *head
        cdef Py_ssize_t held = PyByteArray_GET_SIZE(self._held)
        cdef Py_ssize_t fresh, digits = 0
        cdef uint64_t count
        if not held:
            while chunk.pos < chunk.size and _is_line_end(chunk.data[chunk.pos]):
                chunk.pos += 1
            if chunk.pos == chunk.size:
                return 0
        fresh = min(self._max_head, chunk.size - chunk.pos)
        head = chunk.data + chunk.pos
        if held:
            memcpy(joined, self._held_bytes(), held)
            memcpy(joined + held, head, fresh)
            head = joined
        while digits < held + fresh and _is_digit(head[digits]):
            digits += 1
        if self._is_undecided(head, held + fresh, digits):
            return self._hold(chunk, fresh)
        count = self._read_count(head, digits)
        if not count:
            self._state = LINE
            return self._continue_line(chunk)
        chunk.pos += digits + 1 - held
        self._reset()
        self._state = COUNTED
        self._count, self._pending = min(count, <uint64_t> self._max), count
        return self._continue_counted(chunk)

    cdef bint _is_undecided(self, const unsigned char *head, Py_ssize_t size, Py_ssize_t digits) noexcept:
        """Whether more bytes have to decide if a message begins with a count."""
        if digits == 0 or head[0] == c"0" or digits > self._max_head - 2:
            return False
        return digits == size or (digits + 1 == size and head[digits] == c" ")

    cdef uint64_t _read_count(self, const unsigned char *head, Py_ssize_t digits) noexcept:
        """Read MSG-LEN from the first bytes of a message that is decided; 0 when it is a line."""
        cdef uint64_t count = 0
        cdef Py_ssize_t place
        if digits == 0 or head[0] == c"0" or digits > self._max_head - 2:
            return 0
        if head[digits] != c" " or (head[digits + 1] != c"<" and head[digits + 1] != c"{"):
            return 0
        for place in range(digits):
            count = count * 10 + (head[place] - c"0")
        return count if count <= self._max_count else 0

    cdef int _continue_line(self, Chunk *chunk) except -1:
        cdef Py_ssize_t held = PyByteArray_GET_SIZE(self._held)
        cdef Py_ssize_t end = _line_end(chunk)
        cdef Py_ssize_t room = self._max + 1 - held
        cdef Py_ssize_t kept_end
        if end == chunk.size and end - chunk.pos <= room:
            return self._hold(chunk, end - chunk.pos)
        # One byte over the limit may still be the CR of a CRLF; two make the line too long.
        kept_end = min(end, chunk.pos + room + 1)
        if held:
            self._hold(chunk, kept_end - chunk.pos)
            self._append_line(chunk, self._held_bytes(), PyByteArray_GET_SIZE(self._held))
        else:
            self._append_line(chunk, chunk.data + chunk.pos, kept_end - chunk.pos)
        self._reset()
        if kept_end < end or end == chunk.size:
            self._state = SKIP_LINE
            chunk.pos = kept_end
        else:
            chunk.pos = end + 1
        return 0

    cdef int _append_line(self, Chunk *chunk, const unsigned char *line, Py_ssize_t size) except -1:
        if size <= self._max + 1 and line[size - 1] == c"\r":
            size -= 1
        if size > self._max:
            return _append(chunk, line, self._max, TRUNCATED)
        if size == 1 and line[0] == c" ":
            return 0
        return _append(chunk, line, size, 0)

    cdef int _skip_line(self, Chunk *chunk) except -1:
        cdef Py_ssize_t end = _line_end(chunk)
        if end < chunk.size:
            end += 1
            self._state = START
        chunk.pos = end
        return 0

    cdef int _continue_counted(self, Chunk *chunk) except -1:
        cdef Py_ssize_t held = PyByteArray_GET_SIZE(self._held)
        cdef Py_ssize_t size = min(self._count - held, chunk.size - chunk.pos)
        self._pending -= size
        if held + size < self._count:
            return self._hold(chunk, size)
        if held:
            self._hold(chunk, size)
            self._append_held(chunk, TRUNCATED if self._pending else 0)
        else:
            _append(chunk, chunk.data + chunk.pos, size, TRUNCATED if self._pending else 0)
            chunk.pos += size
        self._reset()
        if self._pending:
            self._state = SKIP_COUNTED
        return 0

    cdef int _append_held(self, Chunk *chunk, unsigned char flags) except -1:
        return _append(chunk, self._held_bytes(), PyByteArray_GET_SIZE(self._held), flags)

    cdef int _skip_counted(self, Chunk *chunk) except -1:
        cdef uint64_t skipped = min(self._pending, <uint64_t> (chunk.size - chunk.pos))
        chunk.pos += skipped
        self._pending -= skipped
        if not self._pending:
            self._state = START
        return 0


cdef inline bint _is_line_end(unsigned char byte) noexcept:
    return byte == c"\n" or byte == c"\r" or byte == c"\0"


cdef inline bint _is_digit(unsigned char byte) noexcept:
    return c"0" <= byte <= c"9"


cdef inline int _append(Chunk *chunk, const unsigned char *frame, Py_ssize_t size, unsigned char flags) except -1:
    return append_frame(&chunk.into, frame, size, chunk.received_at, chunk.peer_id, flags)


cdef inline Py_ssize_t _line_end(Chunk *chunk) noexcept:
    """Return where the line at the position ends: the offset of its LF or NUL, or the size of the chunk."""
    if chunk.lf < chunk.pos:
        chunk.lf = _find(chunk, c"\n")
    if chunk.nul < chunk.pos:
        chunk.nul = _find(chunk, c"\0")
    return min(chunk.lf, chunk.nul)


cdef inline Py_ssize_t _find(Chunk *chunk, int byte) noexcept:
    cdef const unsigned char *start = chunk.data + chunk.pos
    cdef const unsigned char *found = <const unsigned char *> memchr(start, byte, chunk.size - chunk.pos)
    return chunk.size if found == NULL else found - chunk.data
