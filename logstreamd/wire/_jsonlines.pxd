"""One JSON object per frame → rows: the compiled side of :mod:`logstreamd.wire.jsonlines`.

The members of the object at the top are noted as they are read, those that may mean a column also in their slot. Then
every column takes the first usable of its slots, and what no column took is written to ``attrs``.
"""

from libc.math cimport rint
from libc.stdint cimport int64_t
from libc.stdlib cimport strtod
from libc.string cimport memcpy, memset

from logstreamd.wire._json_scan cimport (
    CONTAINER, FALSE, FLOAT, INTEGER, MAX_INTEGER_DIGITS, MAX_KEYS_OF_OBJECT, NUMBER_BYTES, STRING, TRUE, Names, Token,
    scan_name, scan_value, skip_space,
)
from logstreamd.wire._json_text cimport rewrite, unescape, write_string
from logstreamd.wire._row cimport (
    LEFT, TAKEN, JSON, Buffer, Cursor, Row, Span, Verdict, append, fits_column, no_span, span,
)
from logstreamd.wire._stamp cimport Clock, Stamp, note_event_time, scan_iso, settle_event_time
from logstreamd.wire._text cimport equals, is_digit, open_member

cdef enum:
    # The slots of one column lie together, in the order in which it looks at them.
    TIMESTAMP_SLOTS = 0
    LEVEL_SLOTS = 4
    SERVICE_SLOTS = 7
    HOST_SLOTS = 10
    TRACE_SLOTS = 12
    MESSAGE_SLOTS = 14
    SLOT_COUNT = 17
    NO_SLOT = 17
    OURS = 18        # "logstreamd", which is not the sender's to use
    MAX_LEVEL_CHARS = 13


cdef struct Member:
    Span name
    Token value
    bint taken


cdef struct Document:
    Member members[MAX_KEYS_OF_OBJECT]
    int count
    unsigned char slots[SLOT_COUNT]   # a member's position and 1, or 0
    Names names


cdef enum Answer:
    UNUSABLE = 0
    USABLE = 1
    DOUBTFUL = 2   # the Python twin has to say


cdef inline Verdict fill_json(
    Cursor at, Cursor end, Row *row, Buffer *attrs, Buffer *texts, Clock *clock, Document *document
) noexcept nogil:
    """Fill a row from a frame that begins with ``{``."""
    cdef Span stamp = no_span()
    row.format = JSON
    if not _scan_document(at, end, document):
        return LEFT
    if (
        not _take_level(document, row)
        or not _take_timestamp(document, row, clock, &stamp)
        or not _take_text(document, SERVICE_SLOTS, HOST_SLOTS, texts, &row.service)
        or not _take_text(document, HOST_SLOTS, TRACE_SLOTS, texts, &row.host)
        or not _take_text(document, TRACE_SLOTS, MESSAGE_SLOTS, texts, &row.trace_id)
    ):
        return LEFT
    row.message = span(at, end)
    _take_message(document, texts, &row.message)
    _write_attrs(document, attrs)
    if stamp.start != NULL:
        note_event_time(attrs, stamp)
    return TAKEN


cdef inline bint _scan_document(Cursor at, Cursor end, Document *document) noexcept nogil:
    """Read the whole frame as one object."""
    cdef Member *member
    cdef Token name
    document.count = document.names.count = document.names.total = 0
    memset(document.slots, 0, SLOT_COUNT)
    at = skip_space(at + 1, end)
    if at < end and at[0] == 0x7d:
        return skip_space(at + 1, end) == end
    while document.count < MAX_KEYS_OF_OBJECT:
        member = &document.members[document.count]
        at = scan_name(at, end, 0, &document.names, &name)
        if at == NULL:
            return False
        at = scan_value(skip_space(at, end), end, &document.names, &member.value)
        if at == NULL or not _note_member(document, member, name.text):
            return False
        at = skip_space(at, end)
        if at == end:
            return False
        if at[0] == 0x7d:
            return skip_space(at + 1, end) == end
        if at[0] != 0x2c:
            return False
        at = skip_space(at + 1, end)
    return False


cdef inline bint _note_member(Document *document, Member *member, Span name) noexcept nogil:
    cdef int slot = _slot_of(name)
    if slot == OURS:
        return False
    if slot != NO_SLOT:
        document.slots[slot] = <unsigned char>(document.count + 1)
    member.name = name
    member.taken = False
    document.count += 1
    return True


cdef inline Member *member_in(Document *document, int slot) noexcept nogil:
    """Return the member in a slot, or NULL."""
    if document.slots[slot] == 0:
        return NULL
    return &document.members[document.slots[slot] - 1]


cdef inline int _slot_of(Span name) noexcept nogil:
    """Return the slot of a member's name."""
    cdef Py_ssize_t size = name.size
    if size == 2:
        return TIMESTAMP_SLOTS + 2 if equals(name, b"ts", 2) else NO_SLOT
    if size == 3:
        if equals(name, b"msg", 3):
            return MESSAGE_SLOTS + 1
        if equals(name, b"log", 3):
            return MESSAGE_SLOTS + 2
        if equals(name, b"app", 3):
            return SERVICE_SLOTS + 1
        return LEVEL_SLOTS + 2 if equals(name, b"lvl", 3) else NO_SLOT
    if size == 4:
        if equals(name, b"time", 4):
            return TIMESTAMP_SLOTS + 3
        return HOST_SLOTS if equals(name, b"host", 4) else NO_SLOT
    if size == 5:
        return LEVEL_SLOTS if equals(name, b"level", 5) else NO_SLOT
    if size == 6:
        return SERVICE_SLOTS + 2 if equals(name, b"logger", 6) else NO_SLOT
    if size == 7:
        if equals(name, b"message", 7):
            return MESSAGE_SLOTS
        if equals(name, b"service", 7):
            return SERVICE_SLOTS
        return TRACE_SLOTS + 1 if equals(name, b"traceId", 7) else NO_SLOT
    if size == 8:
        if equals(name, b"trace_id", 8):
            return TRACE_SLOTS
        if equals(name, b"hostname", 8):
            return HOST_SLOTS + 1
        return LEVEL_SLOTS + 1 if equals(name, b"severity", 8) else NO_SLOT
    if size == 9:
        return TIMESTAMP_SLOTS if equals(name, b"timestamp", 9) else NO_SLOT
    if size == 10:
        if equals(name, b"@timestamp", 10):
            return TIMESTAMP_SLOTS + 1
        return OURS if equals(name, b"logstreamd", 10) else NO_SLOT
    return NO_SLOT


cdef inline bint _take_level(Document *document, Row *row) noexcept nogil:
    """Take the severity from the first usable level; False when the twin has to."""
    cdef Member *member
    cdef Answer answer
    cdef int slot
    for slot in range(LEVEL_SLOTS, SERVICE_SLOTS):
        member = member_in(document, slot)
        if member == NULL:
            continue
        answer = _read_level(&member.value, &row.severity)
        if answer == DOUBTFUL:
            return False
        if answer == USABLE:
            member.taken = True
            break
    return True


cdef inline Answer _read_level(Token *value, int *severity) noexcept nogil:
    cdef char name[MAX_LEVEL_CHARS]
    cdef Cursor text = value.text.start
    cdef Py_ssize_t size = value.text.size, i
    if value.kind == INTEGER:
        return _level_of_number(text, size, severity)
    if value.kind != STRING:
        return UNUSABLE
    if value.escaped:
        return DOUBTFUL
    if size == 0:
        return UNUSABLE
    for i in range(size):
        # Blanks around a name do not count, and a letter beyond ASCII may become one of ASCII in lower case.
        if text[i] >= 0x80 or text[i] == 0x20:
            return DOUBTFUL
    if size <= 2 and is_digit(text[0]) and is_digit(text[size - 1]):
        return _level_of_digits(text, size, severity)
    if size > MAX_LEVEL_CHARS:
        return UNUSABLE
    for i in range(size):
        name[i] = <char>(text[i] | 0x20 if 0x41 <= text[i] <= 0x5a else text[i])
    return _level_of_name(span(<Cursor>name, <Cursor>name + size), severity)


cdef inline Answer _level_of_name(Span name, int *severity) noexcept nogil:
    """Look a lower-case name up; the names and short forms of :mod:`logstreamd.record`."""
    if equals(name, b"info", 4) or equals(name, b"information", 11) or equals(name, b"informational", 13):
        severity[0] = 6
    elif equals(name, b"warn", 4) or equals(name, b"warning", 7):
        severity[0] = 4
    elif equals(name, b"error", 5) or equals(name, b"err", 3):
        severity[0] = 3
    elif equals(name, b"debug", 5) or equals(name, b"trace", 5):
        severity[0] = 7
    elif equals(name, b"notice", 6):
        severity[0] = 5
    elif equals(name, b"critical", 8) or equals(name, b"crit", 4) or equals(name, b"fatal", 5):
        severity[0] = 2
    elif equals(name, b"alert", 5):
        severity[0] = 1
    elif equals(name, b"emergency", 9) or equals(name, b"emerg", 5) or equals(name, b"panic", 5):
        severity[0] = 0
    else:
        return UNUSABLE
    return USABLE


cdef inline Answer _level_of_digits(Cursor text, Py_ssize_t size, int *severity) noexcept nogil:
    """Read one or two digits: 0 to 7 as in syslog, 10 to 60 as in bunyan and pino."""
    cdef int number = text[0] - 0x30
    if size == 2:
        number = number * 10 + text[1] - 0x30
    if number <= 7:
        severity[0] = number
    elif number == 10 or number == 20:
        severity[0] = 7
    elif number == 30:
        severity[0] = 6
    elif number == 40:
        severity[0] = 4
    elif number == 50:
        severity[0] = 3
    elif number == 60:
        severity[0] = 2
    else:
        return UNUSABLE
    return USABLE


cdef inline Answer _level_of_number(Cursor text, Py_ssize_t size, int *severity) noexcept nogil:
    return _level_of_digits(text, size, severity) if size <= 2 and text[0] != 0x2d else UNUSABLE


cdef inline bint _take_timestamp(Document *document, Row *row, Clock *clock, Span *unbelieved) noexcept nogil:
    """Take the time from the first usable timestamp; False when the twin has to."""
    cdef Member *member
    cdef Answer answer
    cdef int64_t event_us
    cdef int slot
    for slot in range(TIMESTAMP_SLOTS, LEVEL_SLOTS):
        member = member_in(document, slot)
        if member == NULL:
            continue
        answer = _read_timestamp(&member.value, clock, &event_us)
        if answer == DOUBTFUL:
            return False
        if answer == USABLE:
            member.taken = True
            if not settle_event_time(row, event_us, clock):
                unbelieved[0] = member.value.text
            break
    return True


cdef inline Answer _read_timestamp(Token *value, Clock *clock, int64_t *us) noexcept nogil:
    cdef Cursor end = value.text.start + value.text.size
    cdef Stamp stamp
    if value.kind == INTEGER:
        return _epoch_of_integer(value.text, us)
    if value.kind == FLOAT:
        return _epoch_of_float(value.text, us)
    if value.kind != STRING:
        return UNUSABLE
    if value.escaped:
        return DOUBTFUL
    if scan_iso(value.text.start, end, True, clock, &stamp):
        us[0] = stamp.us
        return USABLE if stamp.end == end else UNUSABLE
    return _epoch_of_text(value.text, us)


cdef inline Answer _epoch_of_text(Span text, int64_t *us) noexcept nogil:
    """Read digits as a time; a fraction, or more digits than here, is for the twin."""
    cdef Py_ssize_t i
    if text.size == 0 or not is_digit(text.start[0]):
        return UNUSABLE
    for i in range(1, text.size):
        if not is_digit(text.start[i]):
            return DOUBTFUL if text.start[i] == 0x2e else UNUSABLE
    return _epoch_of_integer(text, us) if text.size <= MAX_INTEGER_DIGITS else DOUBTFUL


cdef inline Answer _epoch_of_integer(Span text, int64_t *us) noexcept nogil:
    """Read up to 18 digits as seconds, milliseconds, micro- or nanoseconds, by their size."""
    cdef int64_t value = 0
    cdef Py_ssize_t i
    if text.start[0] == 0x2d:
        return UNUSABLE
    for i in range(text.size):
        value = value * 10 + (text.start[i] - 0x30)
    if value < 100_000_000_000LL:
        us[0] = value * 1_000_000
    elif value < 100_000_000_000_000LL:
        us[0] = value * 1000
    elif value < 100_000_000_000_000_000LL:
        us[0] = value
    else:
        us[0] = value // 1000
    return USABLE


cdef inline Answer _epoch_of_float(Span text, int64_t *us) noexcept nogil:
    cdef char digits[NUMBER_BYTES]
    cdef double value
    if text.start[0] == 0x2d:
        return UNUSABLE
    if text.size >= NUMBER_BYTES:
        return DOUBTFUL
    memcpy(digits, text.start, <size_t>text.size)
    digits[text.size] = 0
    value = strtod(digits, NULL)
    if value < 1e11:
        us[0] = <int64_t>rint(value * 1_000_000)
    elif value < 1e14:
        us[0] = <int64_t>rint(value * 1000)
    else:
        us[0] = <int64_t>rint(value)   # fifteen digits before the point at most
    return USABLE


cdef inline bint _take_text(Document *document, int first, int end, Buffer *texts, Span *column) noexcept nogil:
    """Take a column's text from its first slot with a text or number; False when it is too long for a column."""
    cdef Member *member
    cdef Span text
    cdef int slot
    for slot in range(first, end):
        member = member_in(document, slot)
        if member == NULL or member.value.kind not in (STRING, INTEGER, FLOAT):
            continue
        member.taken = True
        text = unescape(member.value.text, texts) if member.value.escaped else member.value.text
        if text.size:
            column[0] = text
        return fits_column(text)
    return True


cdef inline void _take_message(Document *document, Buffer *texts, Span *message) noexcept nogil:
    """Take the message from its first slot with a text, number or truth value."""
    cdef Member *member
    cdef int slot
    for slot in range(MESSAGE_SLOTS, SLOT_COUNT):
        member = member_in(document, slot)
        if member == NULL or member.value.kind not in (STRING, INTEGER, FLOAT, TRUE, FALSE):
            continue
        member.taken = True
        message[0] = unescape(member.value.text, texts) if member.value.escaped else member.value.text
        return


cdef inline void _write_attrs(Document *document, Buffer *attrs) noexcept nogil:
    """Write the members that no column took, in their order."""
    cdef Member *member
    cdef int i
    for i in range(document.count):
        member = &document.members[i]
        if member.taken:
            continue
        open_member(attrs, member.name.start, member.name.size)
        if member.value.kind == STRING:
            write_string(&member.value, attrs)
        elif member.value.kind == CONTAINER and not member.value.plain:
            rewrite(member.value.text, attrs)
        else:
            append(attrs, member.value.text.start, member.value.text.size)
