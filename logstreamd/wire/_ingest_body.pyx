# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The compiled twin of :func:`logstreamd.wire.ingest_body.read_body`: one pass over a body, without the GIL.

A body is read in pieces. A piece is cut into lines (or the elements of an array), those that are logs without doubt are
marked, and only then Python is needed: every other line is put to :func:`.ingest_body.refusal`, so that there is one
place that knows the reasons, and what is a log is copied into batches. A body that can't be cut is left to the Python
twin as a whole.
"""

from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memchr

from logstreamd.wire._json_scan cimport _end_of_run as end_of_run
from logstreamd.wire._json_scan cimport skip_space
from logstreamd.wire._jsonlines cimport Document
from logstreamd.wire._open_batch cimport OpenBatch, append_frame, close_batch, is_full, open_batch
from logstreamd.wire._refusal cimport MAX_LINE_BYTES, is_log
from logstreamd.wire._row cimport Cursor
from logstreamd.wire._stamp cimport Clock
from logstreamd.wire._text cimport is_blank

from logstreamd.wire import ingest_body as _plain

__all__ = ["read_body"]

cdef enum:
    # What is read without the GIL at a time: enough that waiting for it does not count, and 256 KiB of lines' places.
    PIECE_LINES = 8_192
    # And copied with it at a time: a millisecond's worth.
    PIECE_BYTES = 4 << 20

cdef enum Shape:
    LINES, ARRAY, ONE_OBJECT

cdef enum State:
    MORE
    DONE
    BROKEN
    TOO_MANY

cdef struct Line:
    # What may be a log, without blanks around it.
    Cursor start
    Py_ssize_t size
    Py_ssize_t number
    bint is_log


cdef class Reading:
    """A body, how far it is read, and the lines of the piece that was read last."""

    cdef const unsigned char[::1] body
    cdef Cursor at
    cdef Cursor end
    cdef Shape shape
    cdef State state
    cdef Py_ssize_t number       # of the line at ``at``, or of the last element
    cdef Py_ssize_t total
    cdef Py_ssize_t max_lines
    cdef bint is_sound           # an array of which the Python twin has said that it is JSON
    cdef Line *piece
    cdef Py_ssize_t room
    cdef Py_ssize_t count
    cdef Py_ssize_t doubts
    cdef Document document
    cdef Clock utc               # zeros, as it is made

    def __cinit__(self, const unsigned char[::1] body, Py_ssize_t max_lines):
        self.body = body
        self.max_lines = max_lines
        self.at, self.end = &body[0], &body[0] + len(body)
        # A line is a byte and its end at least.
        self.room = min(PIECE_LINES, len(body) // 2 + 1)
        self.piece = <Line *>malloc(self.room * sizeof(Line))
        if self.piece == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.piece)


def read_body(body, new_batch, *, int64_t received_at, max_lines):
    """Take a body apart; see the Python twin."""
    cdef Reading reading = Reading(body, max_lines)
    if not _begin(reading):
        return _plain.read_body(body, new_batch, received_at=received_at, max_lines=max_lines)
    found = _plain.Body()
    while reading.state == MORE:
        with nogil:
            _read_piece(reading)
        if reading.state == TOO_MANY and reading.shape == LINES:
            raise _plain.TooManyLinesError(max_lines)
        if reading.state == BROKEN or reading.state == TOO_MANY:
            return _plain.read_body(body, new_batch, received_at=received_at, max_lines=max_lines)
        if reading.doubts:
            if reading.shape == ARRAY and not reading.is_sound:
                _plain.decode_array(body, max_lines)
                reading.is_sound = True
            _settle_doubts(reading, found.rejected)
        _fill_batches(reading, found.batches, new_batch, received_at)
    return found


cdef bint _begin(Reading reading) except -1:
    """Find out what kind of body it is, and stand before its first line; False when it is empty."""
    with nogil:
        _trim(reading)
    if reading.at == reading.end:
        return False
    if reading.at[0] == 0x5b:
        reading.shape, reading.number = ARRAY, 0
        reading.at = skip_space(reading.at + 1, reading.end)
        if reading.end - reading.at == 1 and reading.at[0] == 0x5d:
            reading.state = DONE
    elif _is_one_object(reading):
        reading.shape, reading.number = ONE_OBJECT, 1
    return True


cdef void _trim(Reading reading) noexcept nogil:
    reading.number = 1
    _skip_blanks(reading)
    while reading.end > reading.at and is_blank((reading.end - 1)[0]):
        reading.end -= 1


cdef bint _is_one_object(Reading reading) except -1:
    """Whether the body is one object on several lines."""
    cdef Cursor line_end
    if reading.at[0] != 0x7b or len(reading.body) > MAX_LINE_BYTES:
        return False
    line_end = _find_line_end(reading)
    if line_end == reading.end or is_log(reading.at, line_end, &reading.document, &reading.utc):
        return False
    return _plain.is_one_object(reading.at[:reading.end - reading.at])


cdef void _read_piece(Reading reading) noexcept nogil:
    """Cut the next lines and look at each."""
    cdef Cursor start = reading.at
    cdef Line *line
    reading.count = reading.doubts = 0
    while reading.state == MORE and reading.count < reading.room and reading.at - start < PIECE_BYTES:
        line = &reading.piece[reading.count]
        if reading.shape == ARRAY:
            _cut_element(reading, line)
        else:
            _cut_line(reading, line)
        reading.total += 1
        if reading.total > reading.max_lines:
            reading.state = TOO_MANY
        if reading.state == BROKEN or reading.state == TOO_MANY:
            return
        line.is_log = is_log(line.start, line.start + line.size, &reading.document, &reading.utc)
        reading.doubts += not line.is_log
        reading.count += 1


cdef inline void _cut_line(Reading reading, Line *line) noexcept nogil:
    """Cut the line that begins here, or the object that goes on to the end, and go to the next that is not blank."""
    cdef Cursor end = reading.end if reading.shape == ONE_OBJECT else _find_line_end(reading)
    line.number = reading.number
    line.start = reading.at
    line.size = _without_blanks(reading.at, end) - reading.at
    reading.at = end
    _skip_blanks(reading)
    if reading.at == reading.end:
        reading.state = DONE


cdef inline Cursor _find_line_end(Reading reading) noexcept nogil:
    cdef Cursor found = <Cursor>memchr(reading.at, 0x0a, <size_t>(reading.end - reading.at))
    return reading.end if found == NULL else found


cdef inline void _skip_blanks(Reading reading) noexcept nogil:
    """Go to the next byte that is no blank, and count the lines on the way."""
    while reading.at < reading.end and is_blank(reading.at[0]):
        reading.number += reading.at[0] == 0x0a
        reading.at += 1


cdef inline Cursor _without_blanks(Cursor start, Cursor end) noexcept nogil:
    while end > start and is_blank((end - 1)[0]):
        end -= 1
    return end


cdef inline void _cut_element(Reading reading, Line *element) noexcept nogil:
    """Cut the element that begins here, by its brackets and quotes, and go to the next; what it is does not matter."""
    cdef Cursor at = _find_element_end(reading.at, reading.end)
    reading.number += 1
    element.number = reading.number
    element.start = reading.at
    element.size = _without_blanks(reading.at, at) - reading.at
    if at == reading.end or element.size == 0:
        reading.state = BROKEN
    elif at[0] == 0x2c:
        reading.at = skip_space(at + 1, reading.end)
    else:
        # What follows the array's last bracket makes it none: the body ends without blanks.
        reading.state = DONE if at[0] == 0x5d and at + 1 == reading.end else BROKEN


cdef inline Cursor _find_element_end(Cursor at, Cursor end) noexcept nogil:
    """Return the next comma or closing bracket that is not inside of a value, or the end."""
    cdef Py_ssize_t depth = 0
    while at < end:
        if at[0] == 0x22:
            at = _find_quote(at + 1, end)
            if at == end:
                return end
        elif at[0] == 0x7b or at[0] == 0x5b:
            depth += 1
        elif at[0] == 0x7d or at[0] == 0x5d:
            if depth == 0:
                return at
            depth -= 1
        elif at[0] == 0x2c and depth == 0:
            return at
        at += 1
    return end


cdef inline Cursor _find_quote(Cursor at, Cursor end) noexcept nogil:
    """Return the quote that ends a string, or the end."""
    while True:
        at = end_of_run(at, end)
        if at == end or at[0] == 0x22:
            return at
        if at[0] == 0x5c:
            at += end - at > 1
        at += 1


cdef int _settle_doubts(Reading reading, list rejected) except -1:
    """Put every line of the piece that is not marked to the Python twin."""
    cdef Line *line
    cdef Py_ssize_t i
    for i in range(reading.count):
        line = &reading.piece[i]
        if line.is_log:
            continue
        reason = _plain.refusal(line.start[:line.size])
        if reason is None:
            line.is_log = True
        else:
            rejected.append((line.number, reason))
    return 0


cdef int _fill_batches(Reading reading, list batches, new_batch, int64_t received_at) except -1:
    """Append the logs of the piece to the last batch, and to new ones as that is full."""
    cdef Py_ssize_t i = _skip_rejected(reading, 0)
    while i < reading.count:
        batch = batches[len(batches) - 1] if batches else None
        if batch is None or batch.full:
            batch = new_batch()
            batches.append(batch)
        i = _fill(batch, reading, i, received_at)
    return 0


cdef Py_ssize_t _fill(batch, Reading reading, Py_ssize_t i, int64_t received_at) except -1:
    """Append logs from line ``i``, which is one, until the batch is full; return where the next log is."""
    cdef OpenBatch into
    open_batch(&into, batch)
    try:
        while True:
            append_frame(&into, reading.piece[i].start, reading.piece[i].size, received_at, 0, 0)
            i = _skip_rejected(reading, i + 1)
            if i == reading.count or is_full(&into):
                return i
    finally:
        close_batch(&into)


cdef inline Py_ssize_t _skip_rejected(Reading reading, Py_ssize_t i) noexcept:
    while i < reading.count and not reading.piece[i].is_log:
        i += 1
    return i
