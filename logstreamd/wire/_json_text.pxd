"""Scanned JSON strings as text, and scanned JSON as msgspec would write it."""

from libc.stdint cimport uint32_t

from logstreamd.wire._json_scan cimport Token, read_unit, scan_number, scan_string
from logstreamd.wire._row cimport Buffer, Cursor, Span, append, append_byte, span
from logstreamd.wire._text cimport append_escaped, is_digit


cdef struct Character:
    unsigned char bytes[4]
    int size


cdef inline Cursor decode_escape(Cursor at, Character *character) noexcept nogil:
    """Read one valid escape from its backslash on; return the byte after it."""
    cdef uint32_t unit = 0, low = 0
    cdef unsigned char c = at[1]
    if c == 0x75:
        read_unit(at + 2, &unit)
        at += 6
        if 0xd800 <= unit <= 0xdbff:
            read_unit(at + 2, &low)
            unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00)
            at += 6
        _encode_utf8(unit, character)
        return at
    if c == 0x62:
        c = 0x08
    elif c == 0x66:
        c = 0x0c
    elif c == 0x6e:
        c = 0x0a
    elif c == 0x72:
        c = 0x0d
    elif c == 0x74:
        c = 0x09
    character.bytes[0] = c
    character.size = 1
    return at + 2


cdef inline void _encode_utf8(uint32_t code_point, Character *character) noexcept nogil:
    cdef unsigned char *out = character.bytes
    cdef int i
    if code_point < 0x80:
        out[0] = <unsigned char>code_point
        character.size = 1
        return
    if code_point < 0x800:
        character.size = 2
        out[0] = <unsigned char>(0xc0 | code_point >> 6)
    elif code_point < 0x10000:
        character.size = 3
        out[0] = <unsigned char>(0xe0 | code_point >> 12)
    else:
        character.size = 4
        out[0] = <unsigned char>(0xf0 | code_point >> 18)
    for i in range(1, character.size):
        out[i] = <unsigned char>(0x80 | ((code_point >> (6 * (character.size - 1 - i))) & 0x3f))


cdef inline Cursor _end_of_plain(Cursor at, Cursor end) noexcept nogil:
    while at < end and at[0] != 0x5c:
        at += 1
    return at


cdef inline Span unescape(Span text, Buffer *texts) noexcept nogil:
    """Return a string's text without its escapes, written to ``texts``."""
    cdef Cursor at = text.start, end = text.start + text.size, run
    cdef Character character
    cdef Py_ssize_t first = texts.size
    while at < end:
        run = at
        at = _end_of_plain(at, end)
        append(texts, run, at - run)
        if at < end:
            at = decode_escape(at, &character)
            append(texts, character.bytes, character.size)
    return span(texts.data + first, texts.data + texts.size)


cdef inline void write_string(Token *token, Buffer *out) noexcept nogil:
    """Append a string with its quotes."""
    cdef Cursor at = token.text.start, end = token.text.start + token.text.size, run
    cdef Character character
    append_byte(out, 0x22)
    if token.plain:
        append(out, at, end - at)
        at = end
    while at < end:
        run = at
        at = _end_of_plain(at, end)
        append(out, run, at - run)
        if at < end:
            at = decode_escape(at, &character)
            if character.bytes[0] < 0x20 or character.bytes[0] == 0x22 or character.bytes[0] == 0x5c:
                append_escaped(out, character.bytes[0])
            else:
                append(out, character.bytes, character.size)
    append_byte(out, 0x22)


cdef inline void rewrite(Span text, Buffer *out) noexcept nogil:
    """Append an object or array that was scanned before, without blanks and with every token as msgspec writes it."""
    cdef Cursor at = text.start, end = text.start + text.size
    cdef Token token
    while at < end:
        if at[0] == 0x22:
            at = scan_string(at + 1, end, &token)
            write_string(&token, out)
        elif is_digit(at[0]) or at[0] == 0x2d:
            at = scan_number(at, end, &token)
            append(out, token.text.start, token.text.size)
        else:
            if at[0] > 0x20:
                append_byte(out, at[0])
            at += 1
