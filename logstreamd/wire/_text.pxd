"""Bytes that are text already, and text as JSON: the compiled side of :mod:`logstreamd.wire.text`.

Only what needs no repair passes here: UTF-8 without NUL.
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memchr, memcmp, memcpy

from logstreamd.wire._row cimport Buffer, Cursor, Span, append, append_byte

cdef enum:
    WORD = 8
    HALF_WORD = 4

cdef extern from *:
    """
    #define LS_ONES  0x0101010101010101ULL
    #define LS_HIGHS 0x8080808080808080ULL
    #define LS_LITTLE_ENDIAN (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)
    """
    const uint64_t ONES "LS_ONES"
    const uint64_t HIGHS "LS_HIGHS"
    const bint LITTLE_ENDIAN "LS_LITTLE_ENDIAN"
    int lowest_bit "__builtin_ctzll"(uint64_t word) noexcept nogil


cdef inline uint64_t load_word(Cursor at) noexcept nogil:
    cdef uint64_t word
    memcpy(&word, at, WORD)
    return word


cdef inline uint64_t load_half_word(Cursor at) noexcept nogil:
    cdef uint32_t word
    memcpy(&word, at, HALF_WORD)
    return word


cdef inline bint is_digit(unsigned char c) noexcept nogil:
    return <unsigned char>(c - 0x30) < 10


cdef inline bint is_letter(unsigned char c) noexcept nogil:
    return <unsigned char>((c | 0x20) - 0x61) < 26


cdef inline bint is_upper(unsigned char c) noexcept nogil:
    return <unsigned char>(c - 0x41) < 26


cdef inline bint is_visible(unsigned char c) noexcept nogil:
    """Whether a byte is printable ASCII and no blank."""
    return <unsigned char>(c - 0x21) < 0x5e


cdef inline bint is_blank(unsigned char c) noexcept nogil:
    """Whether a byte is a blank, a tab or a line end."""
    return c == 0x20 or c == 0x09 or c == 0x0a or c == 0x0d


cdef inline bint is_word_byte(unsigned char c) noexcept nogil:
    """Whether a byte is a letter, a digit or an underscore."""
    return is_letter(c) or is_digit(c) or c == 0x5f


cdef inline bint has_byte(Cursor at, Cursor end, unsigned char byte) noexcept nogil:
    return end > at and memchr(at, byte, <size_t>(end - at)) != NULL


cdef inline bint starts_with(Cursor at, Cursor end, const char *text, Py_ssize_t size) noexcept nogil:
    return end - at >= size and memcmp(at, text, <size_t>size) == 0


cdef inline bint equals(Span data, const char *text, Py_ssize_t size) noexcept nogil:
    return data.size == size and memcmp(data.start, text, <size_t>size) == 0


cdef inline Cursor skip_blanks(Cursor at, Cursor end) noexcept nogil:
    while at < end and at[0] == 0x20:
        at += 1
    return at


cdef inline Cursor find_blank(Cursor at, Cursor end) noexcept nogil:
    """Return the next blank, or the end."""
    while at < end and at[0] != 0x20:
        at += 1
    return at


cdef inline bint is_storable(Cursor start, Cursor end) noexcept nogil:
    """Whether this is UTF-8 without NUL."""
    cdef Cursor at = start
    cdef uint64_t seen = 0, word
    # A byte from 1 to 127 leaves the highest bit clear, in itself and less one.
    while end - at >= WORD:
        word = load_word(at)
        seen |= (word - ONES) | word
        at += WORD
    while at < end:
        seen |= <uint64_t>(<unsigned char>(at[0] - 1) | at[0])
        at += 1
    if seen & HIGHS == 0:
        return True
    return memchr(start, 0, <size_t>(end - start)) == NULL and _is_utf8(start, end)


cdef inline bint _is_utf8(Cursor at, Cursor end) noexcept nogil:
    """Source: The Unicode Standard, table 3-7 (well-formed byte sequences)."""
    cdef unsigned char c, low, high
    cdef Py_ssize_t more, i
    while at < end:
        c = at[0]
        if c < 0x80:
            at += 1
            continue
        low, high = 0x80, 0xbf
        if 0xc2 <= c <= 0xdf:
            more = 1
        elif 0xe0 <= c <= 0xef:
            more = 2
            if c == 0xe0:
                low = 0xa0
            elif c == 0xed:
                high = 0x9f
        elif 0xf0 <= c <= 0xf4:
            more = 3
            if c == 0xf0:
                low = 0x90
            elif c == 0xf4:
                high = 0x8f
        else:
            return False
        if end - at <= more or not low <= at[1] <= high:
            return False
        for i in range(2, more + 1):
            if at[i] & 0xc0 != 0x80:
                return False
        at += more + 1
    return True


cdef inline bint mentions_event_format(Cursor at, Cursor end) noexcept nogil:
    """Whether ``EF:`` occurs, the sign of CEF and LEEF."""
    cdef Cursor start = at
    while end - at >= 2:
        # The rarest of its three letters leads the search.
        at = <Cursor>memchr(at, 0x46, <size_t>(end - at - 1))
        if at == NULL:
            return False
        if at > start and (at - 1)[0] == 0x45 and at[1] == 0x3a:
            return True
        at += 1
    return False


cdef inline void append_escaped(Buffer *out, unsigned char c) noexcept nogil:
    """Append one byte below 0x20, a quote or a backslash as it stands in a JSON string."""
    cdef const char *digits = b"0123456789abcdef"
    append_byte(out, 0x5c)
    if c == 0x22 or c == 0x5c:
        append_byte(out, c)
    elif c == 0x08:
        append_byte(out, 0x62)
    elif c == 0x09:
        append_byte(out, 0x74)
    elif c == 0x0a:
        append_byte(out, 0x6e)
    elif c == 0x0c:
        append_byte(out, 0x66)
    elif c == 0x0d:
        append_byte(out, 0x72)
    else:
        append(out, b"u00", 3)
        append_byte(out, digits[c >> 4])
        append_byte(out, digits[c & 15])


cdef inline void append_json(Buffer *out, Cursor at, Cursor end, bint unescape) noexcept nogil:
    """Append text as the inside of a JSON string.

    With ``unescape``, a backslash before ``"``, a backslash or ``]`` is taken off first (RFC 5424 section 6.3.3).
    """
    cdef Cursor run = at
    cdef unsigned char c
    while at < end:
        c = at[0]
        if c >= 0x20 and c != 0x22 and c != 0x5c:
            at += 1
            continue
        append(out, run, at - run)
        if unescape and c == 0x5c and end - at > 1 and (at[1] == 0x22 or at[1] == 0x5c or at[1] == 0x5d):
            at += 1
            c = at[0]
        if c == 0x5d:
            append_byte(out, c)
        else:
            append_escaped(out, c)
        at += 1
        run = at
    append(out, run, at - run)


cdef inline void open_member(Buffer *attrs, Cursor name, Py_ssize_t size) noexcept nogil:
    """Begin one member of the object that ``attrs`` is, and the object itself with the first."""
    append_byte(attrs, 0x2c if attrs.size else 0x7b)
    append_byte(attrs, 0x22)
    append_json(attrs, name, name + size, False)
    append(attrs, b'":', 2)


cdef inline void close_attrs(Buffer *attrs) noexcept nogil:
    if attrs.size:
        append_byte(attrs, 0x7d)
