"""STRUCTURED-DATA → a member of ``attrs`` per element: the compiled side of :mod:`logstreamd.wire.structured_data`."""

from libc.string cimport memcmp

from logstreamd.wire._row cimport (
    LEFT, TAKEN, Buffer, Cursor, Row, Span, Verdict, append, append_byte, fits_column, span,
)
from logstreamd.wire._text cimport append_json, equals, open_member, skip_blanks

cdef enum:
    # Names are compared one by one, so there are few of them; what has more goes to the Python twin.
    MAX_ELEMENTS = 16
    MAX_PARAMS = 64


cdef enum Reading:
    BROKEN = 0   # not structured data, or not to its end
    READ = 1
    UNSURE = 2   # more elements, parameters or repetitions than are followed here


cdef struct Param:
    Span name
    Span value
    bint quoted
    bint escaped     # a backslash is in it
    bint repeats     # an earlier one of this element has the same name
    bint repeated    # a later one has


cdef struct Element:
    Span sd_id
    int first
    int end


cdef struct StructuredData:
    Element elements[MAX_ELEMENTS]
    Param params[MAX_PARAMS]
    int element_count
    int param_count
    bint has_empty_element
    Cursor end


cdef inline bint same(Span a, Span b) noexcept nogil:
    return a.size == b.size and memcmp(a.start, b.start, <size_t>a.size) == 0


cdef inline Cursor _end_of_name(Cursor at, Cursor end) noexcept nogil:
    while at < end and at[0] > 0x20 and at[0] != 0x3d and at[0] != 0x22 and at[0] != 0x5d and at[0] != 0x7f:
        at += 1
    return at


cdef inline Cursor _end_of_bare_value(Cursor at, Cursor end) noexcept nogil:
    while at < end and at[0] > 0x20 and at[0] != 0x22 and at[0] != 0x5d and at[0] != 0x7f:
        at += 1
    return at


cdef inline Reading scan_elements(Cursor at, Cursor end, StructuredData *found) noexcept nogil:
    """Read the elements that start here."""
    cdef Element *element
    cdef Cursor start
    cdef Reading reading
    found.element_count = found.param_count = 0
    found.has_empty_element = False
    while at < end and at[0] == 0x5b:
        start = at + 1
        at = _end_of_name(start, end)
        if at == start:
            return BROKEN
        if found.element_count == MAX_ELEMENTS:
            return UNSURE
        element = &found.elements[found.element_count]
        element.sd_id = span(start, at)
        element.first = found.param_count
        reading = _scan_params(&at, end, element, found)
        if reading != READ:
            return reading
        element.end = found.param_count
        found.has_empty_element |= element.end == element.first
        found.element_count += 1
    found.end = at
    if found.element_count == 0 or (at < end and at[0] != 0x20):
        return BROKEN
    return UNSURE if _has_twice_the_same_id(found) else READ


cdef inline bint _has_twice_the_same_id(StructuredData *found) noexcept nogil:
    cdef int i, j
    for i in range(1, found.element_count):
        for j in range(i):
            if same(found.elements[i].sd_id, found.elements[j].sd_id):
                return True
    return False


cdef inline Reading _scan_params(Cursor *cursor, Cursor end, Element *element, StructuredData *found) noexcept nogil:
    """Read ``*(SP name=value) ]`` and leave the cursor after the ``]``."""
    cdef Cursor at = cursor[0], start, blanks
    cdef Param *param
    while True:
        blanks = at
        at = skip_blanks(at, end)
        if at < end and at[0] == 0x5d:
            cursor[0] = at + 1
            return READ
        start = at
        at = _end_of_name(start, end)
        if start == blanks or at == start or at == end or at[0] != 0x3d:
            return BROKEN
        if found.param_count == MAX_PARAMS:
            return UNSURE
        param = &found.params[found.param_count]
        param.name = span(start, at)
        at = _scan_value(at + 1, end, param)
        if at == NULL:
            return BROKEN
        _compare_with_earlier(param, &found.params[element.first])
        found.param_count += 1


cdef inline Cursor _scan_value(Cursor at, Cursor end, Param *param) noexcept nogil:
    """Read one value, quoted or bare; return where the rest begins, NULL when it is none."""
    cdef Cursor start = at
    param.escaped = False
    param.quoted = at < end and at[0] == 0x22
    if not param.quoted:
        at = _end_of_bare_value(at, end)
        param.value = span(start, at)
        if at == start:
            return NULL
        return at
    start = at = at + 1
    while at < end and at[0] != 0x22:
        if at[0] == 0x5c:
            param.escaped = True
            at += 1
        at += 1
    if at >= end:
        return NULL
    param.value = span(start, at)
    return at + 1


cdef inline void _compare_with_earlier(Param *param, Param *earlier) noexcept nogil:
    param.repeats = param.repeated = False
    while earlier < param:
        if same(earlier.name, param.name):
            earlier.repeated = True
            param.repeats = True
        earlier += 1


cdef inline Verdict attach_elements(StructuredData *found, Row *row, Buffer *attrs) noexcept nogil:
    """Write every element as a member of ``attrs``; a parameter ``trace_id`` also fills the column."""
    cdef Element *element
    cdef int i
    for i in range(found.element_count):
        element = &found.elements[i]
        if equals(element.sd_id, b"logstreamd", 10) or equals(element.sd_id, b"cisco", 5):
            return LEFT   # members of ours may have these names
        if _take_trace_id(element, found, row) == LEFT:
            return LEFT
        open_member(attrs, element.sd_id.start, element.sd_id.size)
        append_byte(attrs, 0x7b)
        _write_params(element, found, attrs)
        append_byte(attrs, 0x7d)
    return TAKEN


cdef inline Verdict _take_trace_id(Element *element, StructuredData *found, Row *row) noexcept nogil:
    cdef Param *param
    cdef int i
    for i in range(element.first, element.end):
        param = &found.params[i]
        if row.trace_id.start != NULL or param.value.size == 0 or not equals(param.name, b"trace_id", 8):
            continue
        if param.escaped or not fits_column(param.value):
            return LEFT
        row.trace_id = param.value
    return TAKEN


cdef inline void _write_params(Element *element, StructuredData *found, Buffer *attrs) noexcept nogil:
    cdef Param *param
    cdef bint is_first = True
    cdef int i
    for i in range(element.first, element.end):
        param = &found.params[i]
        if param.repeats:
            continue   # it is in the list of the first of its name
        if not is_first:
            append_byte(attrs, 0x2c)
        is_first = False
        append_byte(attrs, 0x22)
        append_json(attrs, param.name.start, param.name.start + param.name.size, False)
        append(attrs, b'":', 2)
        if param.repeated:
            _write_list(param, &found.params[element.end], attrs)
        else:
            _write_value(param, attrs)


cdef inline void _write_list(Param *param, Param *end, Buffer *attrs) noexcept nogil:
    """Write the values of all parameters of one name, in order."""
    cdef Param *other = param + 1
    append_byte(attrs, 0x5b)
    _write_value(param, attrs)
    while other < end:
        if other.repeats and same(other.name, param.name):
            append_byte(attrs, 0x2c)
            _write_value(other, attrs)
        other += 1
    append_byte(attrs, 0x5d)


cdef inline void _write_value(Param *param, Buffer *attrs) noexcept nogil:
    append_byte(attrs, 0x22)
    append_json(attrs, param.value.start, param.value.start + param.value.size, param.quoted)
    append_byte(attrs, 0x22)
