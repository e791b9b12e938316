"""JSON text, validated without building anything: strings, numbers, nested values.

What it takes is what msgspec reads strictly and writes back the same, but for blanks between the tokens, the zeros at
a fraction's end and two spellings of characters (``\\/``, ``\\uXXXX``); :mod:`_json_text` writes those the way msgspec
does. Everything else (a name that comes twice, numbers that lose digits, NUL, lone surrogates, more than 64 levels) is
left to the Python twin, :mod:`logstreamd.wire.json_document`.
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.stdio cimport snprintf
from libc.stdlib cimport strtod
from libc.string cimport memcmp, memcpy

from logstreamd.wire._row cimport Cursor, Span, span
from logstreamd.wire._text cimport (
    HALF_WORD, HIGHS, LITTLE_ENDIAN, ONES, WORD, is_digit, load_half_word, load_word, lowest_bit,
)

cdef enum:
    # As in wire.json_document: 64 levels, the object at the top among them.
    MAX_INNER_DEPTH = 63
    MAX_KEYS = 1000
    # Within one object every name is compared with all before it.
    MAX_KEYS_OF_OBJECT = 128
    MAX_INTEGER_DIGITS = 18   # below 2**63
    # Any decimal of 15 digits survives a double; 17 are as many as one can need.
    SAFE_DIGITS = 15
    MAX_DIGITS = 17
    NUMBER_BYTES = 40


cdef enum Kind:
    NOTHING = 0    # not JSON, or not of the kind that is taken here
    STRING = 1
    INTEGER = 2
    FLOAT = 3
    TRUE = 4
    FALSE = 5
    NULL_VALUE = 6
    CONTAINER = 7


cdef struct Token:
    Kind kind
    Span text        # of a string, what is between its quotes
    bint escaped     # a string with a backslash in it
    bint plain       # its text is what msgspec would write for it


cdef struct Names:
    # Hashes of the names of all objects that are open; each object's begin where the one around it stopped.
    uint64_t hashes[MAX_KEYS]
    int count
    int total


cdef inline Cursor skip_space(Cursor at, Cursor end) noexcept nogil:
    while at < end and (at[0] == 0x20 or at[0] == 0x09 or at[0] == 0x0a or at[0] == 0x0d):
        at += 1
    return at


cdef inline Cursor scan_string(Cursor at, Cursor end, Token *token) noexcept nogil:
    """Read a string from the byte after its quote; return the byte after the closing one, or NULL."""
    cdef Cursor start = at
    token.kind = STRING
    token.escaped = False
    token.plain = True
    while True:
        at = _end_of_run(at, end)
        if at == end:
            return NULL
        if at[0] == 0x22:
            token.text = span(start, at)
            return at + 1
        if at[0] != 0x5c:
            return NULL
        token.escaped = True
        at = _scan_escape(at + 1, end, token)
        if at == NULL:
            return NULL


cdef inline Cursor _end_of_run(Cursor at, Cursor end) noexcept nogil:
    """Return the next quote, backslash or control character, or the end."""
    cdef uint64_t word, quotes, backslashes, hits
    while end - at >= WORD:
        word = load_word(at)
        quotes = word ^ (ONES * 0x22)
        backslashes = word ^ (ONES * 0x5c)
        # The highest bit of a byte: it was 0 before 1 was taken off, or below 0x20 before that was. A borrow spoils
        # only bytes above the first hit.
        hits = ((quotes - ONES) & ~quotes) | ((backslashes - ONES) & ~backslashes) | ((word - ONES * 0x20) & ~word)
        hits &= HIGHS
        if hits:
            if LITTLE_ENDIAN:
                return at + (lowest_bit(hits) >> 3)
            break
        at += WORD
    while at < end and at[0] != 0x22 and at[0] != 0x5c and at[0] >= 0x20:
        at += 1
    return at


cdef inline Cursor _scan_escape(Cursor at, Cursor end, Token *token) noexcept nogil:
    """Read what follows a backslash; NULL where it is none, NUL or half a surrogate pair."""
    cdef unsigned char c
    cdef uint32_t unit
    if at == end:
        return NULL
    c = at[0]
    if c == 0x22 or c == 0x5c or c == 0x6e or c == 0x74 or c == 0x72 or c == 0x62 or c == 0x66:
        return at + 1
    token.plain = False
    if c == 0x2f:
        return at + 1
    if c != 0x75 or end - at < 5 or not read_unit(at + 1, &unit) or unit == 0 or 0xdc00 <= unit <= 0xdfff:
        return NULL
    at += 5
    if unit < 0xd800 or unit > 0xdfff:
        return at
    if end - at < 6 or at[0] != 0x5c or at[1] != 0x75 or not read_unit(at + 2, &unit) or not 0xdc00 <= unit <= 0xdfff:
        return NULL
    return at + 6


cdef inline bint read_unit(Cursor at, uint32_t *unit) noexcept nogil:
    """Read the four hexadecimal digits of ``\\uXXXX``."""
    cdef uint32_t value = 0
    cdef unsigned char c
    cdef int i
    for i in range(4):
        c = at[i]
        if is_digit(c):
            value = value * 16 + (c - 0x30)
        elif 0x61 <= (c | 0x20) <= 0x66:
            value = value * 16 + ((c | 0x20) - 0x57)
        else:
            return False
    unit[0] = value
    return True


cdef inline Cursor scan_number(Cursor at, Cursor end, Token *token) noexcept nogil:
    """Read a number; return the byte after it, or NULL for one that JSON has not or that is not kept as it is."""
    cdef Cursor start = at, digits, point
    at += at[0] == 0x2d
    digits = at
    while at < end and is_digit(at[0]):
        at += 1
    if at == digits or (digits[0] == 0x30 and at - digits > 1):
        return NULL
    token.plain = True
    if at == end or at[0] != 0x2e:
        token.kind = INTEGER
        token.text = span(start, at)
        if at - digits > MAX_INTEGER_DIGITS or (digits > start and digits[0] == 0x30) or _is_exponent(at, end):
            return NULL
        return at
    point = at
    at += 1
    while at < end and is_digit(at[0]):
        at += 1
    token.kind = FLOAT
    if at == point + 1 or _is_exponent(at, end) or not _settle_float(start, digits, point, at, token):
        return NULL
    return at


cdef inline bint _is_exponent(Cursor at, Cursor end) noexcept nogil:
    return at < end and (at[0] | 0x20) == 0x65


cdef inline bint _settle_float(Cursor start, Cursor digits, Cursor point, Cursor end, Token *token) noexcept nogil:
    """Find the text that msgspec and ``repr`` write for a number with a fraction; False when it may be another."""
    cdef Cursor last = end, first
    while last - point > 2 and (last - 1)[0] == 0x30:
        last -= 1
    token.plain = last == end
    token.text = span(start, last)
    if digits[0] != 0x30:
        if point - digits > SAFE_DIGITS:
            return False
        return _is_shortest(start, last, (point - digits) + (last - point - 1))
    first = point + 1
    while first < last and first[0] == 0x30:
        first += 1
    if first == last:
        return start == digits   # 0.0, but not -0.0
    # From the fifth place on they write an exponent.
    return first - point <= 4 and _is_shortest(start, last, last - first)


cdef inline bint _is_shortest(Cursor start, Cursor end, Py_ssize_t digits) noexcept nogil:
    """Whether a number's text is the shortest that reads as the same double."""
    cdef char text[NUMBER_BYTES]
    cdef char shorter[NUMBER_BYTES]
    cdef double value
    cdef Py_ssize_t size = end - start
    if digits <= SAFE_DIGITS:
        return True
    if digits > MAX_DIGITS or size >= NUMBER_BYTES:
        return False
    memcpy(text, start, <size_t>size)
    text[size] = 0
    value = strtod(text, NULL)
    snprintf(shorter, NUMBER_BYTES, b"%.*g", <int>digits - 1, value)
    if strtod(shorter, NULL) == value:
        return False
    return snprintf(shorter, NUMBER_BYTES, b"%.*g", <int>digits, value) == size and memcmp(text, shorter, size) == 0


cdef inline Cursor _scan_word(Cursor at, Cursor end, Token *token) noexcept nogil:
    """Read ``true``, ``false`` or ``null``."""
    token.plain = True
    if end - at >= 4 and memcmp(at, b"true", 4) == 0:
        token.kind = TRUE
        token.text = span(at, at + 4)
    elif end - at >= 4 and memcmp(at, b"null", 4) == 0:
        token.kind = NULL_VALUE
        token.text = span(at, at + 4)
    elif end - at >= 5 and memcmp(at, b"false", 5) == 0:
        token.kind = FALSE
        token.text = span(at, at + 5)
    else:
        return NULL
    return at + token.text.size


cdef inline Cursor scan_scalar(Cursor at, Cursor end, Token *token) noexcept nogil:
    """Read a value that is neither object nor array; the caller has seen that a byte is there."""
    if at[0] == 0x22:
        return scan_string(at + 1, end, token)
    if is_digit(at[0]) or at[0] == 0x2d:
        return scan_number(at, end, token)
    return _scan_word(at, end, token)


cdef inline Cursor scan_name(Cursor at, Cursor end, int first, Names *names, Token *token) noexcept nogil:
    """Read a member's name and the colon after it; NULL when its object has one like it already.

    Args:
        first: where the names of its object begin.
    """
    cdef uint64_t hash_
    cdef int i
    if at == end or at[0] != 0x22:
        return NULL
    at = scan_string(at + 1, end, token)
    if at == NULL or token.escaped:
        return NULL
    hash_ = _hash(token.text)
    # Two names of one hash are rare enough to be taken for the same.
    for i in range(first, names.count):
        if names.hashes[i] == hash_:
            return NULL
    if names.count - first == MAX_KEYS_OF_OBJECT or names.total == MAX_KEYS:
        return NULL
    names.hashes[names.count] = hash_
    names.count += 1
    names.total += 1
    at = skip_noted(at, end, &token.plain)
    if at == end or at[0] != 0x3a:
        return NULL
    return at + 1


cdef inline uint64_t _hash(Span name) noexcept nogil:
    cdef Cursor at = name.start, end = name.start + name.size
    cdef uint64_t mixed = <uint64_t>name.size * 0xff51afd7ed558ccdULL
    while end - at > WORD:
        mixed = _mix(mixed, load_word(at))
        at += WORD
    # The last word may overlap the one before; shorter names are read from both their ends.
    if name.size >= WORD:
        return _mix(mixed, load_word(end - WORD))
    if name.size >= HALF_WORD:
        return _mix(mixed, load_half_word(at) << 32 | load_half_word(end - HALF_WORD))
    if name.size:
        return _mix(mixed, <uint64_t>at[0] << 16 | <uint64_t>at[name.size >> 1] << 8 | (end - 1)[0])
    return mixed


cdef inline uint64_t _mix(uint64_t mixed, uint64_t word) noexcept nogil:
    mixed = (mixed ^ word) * 0x9e3779b97f4a7c15ULL
    return mixed ^ mixed >> 32


cdef struct Level:
    unsigned char closer
    int first_name


cdef inline bint open_level(Cursor at, Level *levels, int *open_count, Names *names) noexcept nogil:
    """Enter the object or array whose bracket is here; False when that is a level too many."""
    cdef Level *level = &levels[open_count[0]]
    if open_count[0] == MAX_INNER_DEPTH:
        return False
    level.closer = at[0] + 2   # in ASCII: [ \ ] and { | }
    level.first_name = names.count
    open_count[0] += 1
    return True


cdef inline Cursor skip_noted(Cursor at, Cursor end, bint *plain) noexcept nogil:
    """Skip blanks, and note when there were any."""
    cdef Cursor start = at
    at = skip_space(at, end)
    plain[0] &= at == start
    return at


cdef inline Cursor scan_container(Cursor at, Cursor end, Names *names, Token *token) noexcept nogil:
    """Read an object or array inside the object at the top; return the byte after it, or NULL."""
    cdef Level levels[MAX_INNER_DEPTH]
    cdef Cursor start = at
    cdef Token part
    cdef int open_count = 0
    cdef bint wants_member = True, plain = True
    if not open_level(at, levels, &open_count, names):
        return NULL
    at = skip_noted(at + 1, end, &plain)
    wants_member = at < end and at[0] != levels[0].closer
    while at < end:
        if wants_member:
            if levels[open_count - 1].closer == 0x7d:
                at = scan_name(at, end, levels[open_count - 1].first_name, names, &part)
                if at == NULL:
                    return NULL
                plain &= part.plain
                at = skip_noted(at, end, &plain)
                if at == end:
                    return NULL
            if at[0] == 0x7b or at[0] == 0x5b:
                if not open_level(at, levels, &open_count, names):
                    return NULL
                at = skip_noted(at + 1, end, &plain)
                wants_member = at < end and at[0] != levels[open_count - 1].closer
                continue
            at = scan_scalar(at, end, &part)
            if at == NULL:
                return NULL
            plain &= part.plain
            wants_member = False
        elif at[0] == 0x2c:
            at += 1
            wants_member = True
        elif at[0] == levels[open_count - 1].closer:
            at += 1
            open_count -= 1
            names.count = levels[open_count].first_name
            if open_count == 0:
                token.kind = CONTAINER
                token.plain = plain
                token.text = span(start, at)
                return at
        else:
            return NULL
        at = skip_noted(at, end, &plain)
    return NULL


cdef inline Cursor scan_value(Cursor at, Cursor end, Names *names, Token *token) noexcept nogil:
    """Read any value; return the byte after it, or NULL."""
    if at == end:
        return NULL
    if at[0] == 0x7b or at[0] == 0x5b:
        return scan_container(at, end, names, token)
    return scan_scalar(at, end, token)
