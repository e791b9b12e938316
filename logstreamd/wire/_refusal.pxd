"""Which lines are logs without doubt: the compiled side of :func:`logstreamd.wire.ingest_body.refusal`.

It says yes or "ask the Python twin", never no. So it may be stricter than that one, and has no reasons to tell.
"""

from libc.stdint cimport int64_t

from logstreamd.wire._json_scan cimport (
    CONTAINER, FLOAT, INTEGER, NULL_VALUE, STRING, Token, scan_scalar, scan_string, skip_space,
)
from logstreamd.wire._jsonlines cimport (
    HOST_SLOTS, LEVEL_SLOTS, MESSAGE_SLOTS, SERVICE_SLOTS, SLOT_COUNT, TIMESTAMP_SLOTS, TRACE_SLOTS, USABLE, Document,
    member_in,
)
from logstreamd.wire._jsonlines cimport _read_level as read_level
from logstreamd.wire._jsonlines cimport _scan_document as scan_document
from logstreamd.wire._row cimport Cursor, Span
from logstreamd.wire._stamp cimport YEAR_1_S, Clock, Stamp, scan_iso
from logstreamd.wire._text cimport equals, is_storable

cdef enum:
    MAX_LINE_BYTES = 65_536   # as in wire.ingest_body
    MAX_TRACE_ID_BYTES = 128   # never more characters than that
    YEAR_10000_S = 253_402_300_800   # from the epoch on


cdef inline bint is_log(Cursor at, Cursor end, Document *document, Clock *utc) noexcept nogil:
    """Whether a line (at least a byte of it) is a log; False as well when the Python twin has to say."""
    return (
        end - at <= MAX_LINE_BYTES
        and at[0] == 0x7b
        and is_storable(at, end)
        and scan_document(at, end, document)
        and _is_message_sound(document)
        and _is_level_sound(document)
        and _is_time_sound(document, utc)
        and _is_word_sound(document, SERVICE_SLOTS, HOST_SLOTS)
        and _is_word_sound(document, HOST_SLOTS, TRACE_SLOTS)
        and _is_trace_id_sound(document)
        and _are_tags_sound(document)
    )


cdef inline Token *_first(Document *document, int slot, int end) noexcept nogil:
    """Return the first value in these slots that is not null, or NULL when there is none."""
    cdef Token *value
    while slot < end:
        if document.slots[slot]:
            value = &member_in(document, slot).value
            if value.kind != NULL_VALUE:
                return value
        slot += 1
    return NULL


cdef inline bint _is_message_sound(Document *document) noexcept nogil:
    cdef Token *value = _first(document, MESSAGE_SLOTS, SLOT_COUNT)
    return value != NULL and value.kind == STRING


cdef inline bint _is_level_sound(Document *document) noexcept nogil:
    cdef Token *value = _first(document, LEVEL_SLOTS, SERVICE_SLOTS)
    cdef int severity
    return value == NULL or read_level(value, &severity) == USABLE


cdef inline bint _is_time_sound(Document *document, Clock *utc) noexcept nogil:
    cdef Token *value = _first(document, TIMESTAMP_SLOTS, LEVEL_SLOTS)
    if value == NULL:
        return True
    if value.kind == STRING:
        return not value.escaped and _is_rfc3339(value.text, utc)
    # As many digits as a number is scanned with are always a time.
    return (value.kind == INTEGER or value.kind == FLOAT) and value.text.start[0] != 0x2d


cdef inline bint _is_rfc3339(Span text, Clock *utc) noexcept nogil:
    """Read a time that names its zone; the twin of :mod:`logstreamd.wire.rfc3339`."""
    cdef Cursor end = text.start + text.size
    cdef Stamp stamp
    if not scan_iso(text.start, end, True, utc, &stamp) or stamp.end != end or not stamp.zoned:
        return False
    # JSON lines from a socket may also have a comma before the fraction, and an offset without a colon.
    if text.start[19] == 0x2c or not ((end - 1)[0] | 0x20 == 0x7a or (end - 3)[0] == 0x3a):
        return False
    return -<int64_t>YEAR_1_S * 1_000_000 <= stamp.us < <int64_t>YEAR_10000_S * 1_000_000


cdef inline bint _is_word_sound(Document *document, int slot, int end) noexcept nogil:
    cdef Token *value = _first(document, slot, end)
    return value == NULL or value.kind == STRING


cdef inline bint _is_trace_id_sound(Document *document) noexcept nogil:
    cdef Token *value = _first(document, TRACE_SLOTS, MESSAGE_SLOTS)
    return value == NULL or (value.kind == STRING and 0 < value.text.size <= MAX_TRACE_ID_BYTES)


cdef inline bint _are_tags_sound(Document *document) noexcept nogil:
    cdef Token *value
    cdef int i
    for i in range(document.count):
        if equals(document.members[i].name, b"tags", 4):
            value = &document.members[i].value
            return value.kind == NULL_VALUE or (value.kind == CONTAINER and _is_flat(value.text))
    return True


cdef inline bint _is_flat(Span text) noexcept nogil:
    """Whether a container, scanned before, is an object of plain values or a list of strings."""
    cdef Cursor end = text.start + text.size
    cdef unsigned char closer = (end - 1)[0]
    cdef bint is_object = closer == 0x7d
    cdef Cursor at = skip_space(text.start + 1, end)
    cdef Token part
    while at[0] != closer:
        if is_object:
            at = skip_space(scan_string(at + 1, end, &part), end)
            at = skip_space(at + 1, end)   # the colon
        if at[0] == 0x7b or at[0] == 0x5b:
            return False
        at = skip_space(scan_scalar(at, end, &part), end)
        if part.kind == NULL_VALUE or not (is_object or part.kind == STRING):
            return False
        if at[0] == 0x2c:
            at = skip_space(at + 1, end)
    return True
