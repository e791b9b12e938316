"""jsonb text → the hashes of the tokens of its values: the compiled side of :mod:`logstreamd.wire.attribute_text`.

The text is what an encoder or PostgreSQL wrote, so it is walked through and not validated: a string with a colon
behind it is a name, everything else that is no punctuation is a value.
"""

from libc.stdlib cimport strtol
from libc.string cimport memcpy, memset

from logstreamd.wire._json_scan cimport NUMBER_BYTES, Token, scan_string, skip_space
from logstreamd.wire._json_text cimport unescape
from logstreamd.wire._key_tables cimport KeySet
from logstreamd.wire._row cimport Buffer, Cursor, Span, span, start_over
from logstreamd.wire._text cimport is_digit
from logstreamd.wire._tokens cimport BLOCK, DONE, NO_MEMORY, UNREADABLE, Outcome, Reader, add_tokens

cdef enum:
    # Numbers in attrs with an exponent are doubles, of 5e-324 to 1.8e308.
    MAX_EXPONENT = 324
    EXPANDED_BYTES = MAX_EXPONENT + 2 * NUMBER_BYTES + BLOCK


cdef inline Outcome add_attribute_tokens(Reader *reader, Buffer *texts, Span document, KeySet *hashes) noexcept nogil:
    """Add the tokens of every value in a jsonb column, whose first byte is its version."""
    cdef Cursor at = document.start, end = document.start + document.size, after
    cdef Outcome outcome = DONE
    cdef Token token
    if document.size == 0 or at[0] != 1:
        return UNREADABLE
    at = skip_space(at + 1, end)
    while at < end and outcome == DONE:
        if at[0] == 0x22:
            at = scan_string(at + 1, end, &token)
            if at == NULL:
                return UNREADABLE
            at = skip_space(at, end)
            if at == end or at[0] != 0x3a:
                outcome = _add_string(reader, texts, &token, hashes)
        elif at[0] == 0x2d or is_digit(at[0]):
            after = _end_of_number(at, end)
            outcome = _add_number(reader, span(at, after), hashes)
            at = after
        elif at[0] == 0x74 or at[0] == 0x66:
            after = _end_of_word(at, end)
            outcome = add_tokens(reader, span(at, after), hashes)
            at = after
        else:
            at += 1   # punctuation, blanks, null
    return outcome


cdef inline Outcome _add_string(Reader *reader, Buffer *texts, Token *token, KeySet *hashes) noexcept nogil:
    cdef Span text = token.text
    if not token.escaped:
        return add_tokens(reader, text, hashes)
    # Escapes are longer than what they stand for.
    if not start_over(texts, text.size + BLOCK):
        return NO_MEMORY
    text = unescape(text, texts)
    return _add_copy(reader, text, texts.data + texts.capacity, hashes)


cdef inline Outcome _add_copy(Reader *reader, Span text, Cursor readable_end, KeySet *hashes) noexcept nogil:
    """Add the tokens of a text that lies outside the rows."""
    cdef Cursor of_rows = reader.readable_end
    cdef Outcome outcome
    reader.readable_end = readable_end
    outcome = add_tokens(reader, text, hashes)
    reader.readable_end = of_rows
    return outcome


cdef inline Cursor _end_of_word(Cursor at, Cursor end) noexcept nogil:
    while at < end and 0x61 <= at[0] <= 0x7a:
        at += 1
    return at


cdef inline Cursor _end_of_number(Cursor at, Cursor end) noexcept nogil:
    while at < end and (is_digit(at[0]) or at[0] == 0x2d or at[0] == 0x2b or at[0] == 0x2e or (at[0] | 0x20) == 0x65):
        at += 1
    return at


cdef inline Cursor _find_exponent(Span number) noexcept nogil:
    """Return where the ``e`` is, or NULL."""
    cdef Cursor at = number.start, end = number.start + number.size
    while at < end:
        if (at[0] | 0x20) == 0x65:
            return at
        at += 1
    return NULL


cdef inline Outcome _add_number(Reader *reader, Span number, KeySet *hashes) noexcept nogil:
    cdef unsigned char text[EXPANDED_BYTES]
    cdef Cursor exponent = _find_exponent(number)
    cdef Py_ssize_t size
    if exponent == NULL:
        return add_tokens(reader, number, hashes)
    size = _expand(number, exponent, text)
    if size == 0:
        return UNREADABLE
    return _add_copy(reader, span(text, text + size), text + EXPANDED_BYTES, hashes)


cdef inline Py_ssize_t _expand(Span number, Cursor exponent, unsigned char *text) noexcept nogil:
    """Write a number without its exponent; return the size of the text, 0 when it can't be written."""
    cdef unsigned char digits[NUMBER_BYTES]
    cdef char tail[NUMBER_BYTES]
    cdef Cursor at = number.start, end = number.start + number.size
    cdef Py_ssize_t count = 0, whole = 0, size
    cdef long power
    cdef bint has_point = False
    if number.size >= NUMBER_BYTES:
        return 0
    memcpy(tail, exponent + 1, <size_t>(end - exponent - 1))
    tail[end - exponent - 1] = 0
    power = strtol(tail, NULL, 10)
    if not -MAX_EXPONENT <= power <= MAX_EXPONENT:
        return 0
    while at < exponent:
        if at[0] == 0x2e:
            has_point = True
        elif at[0] != 0x2d:
            # Zeros before the first other digit only move the point.
            if count or at[0] != 0x30:
                digits[count] = at[0]
                count += 1
                whole += not has_point
            else:
                whole -= has_point
        at += 1
    whole += power
    if count == 0:
        return 0
    if whole <= 0:
        text[0], text[1] = 0x30, 0x2e
        memset(text + 2, 0x30, <size_t>-whole)
        memcpy(text + 2 - whole, digits, <size_t>count)
        return 2 - whole + count
    if whole >= count:
        memcpy(text, digits, <size_t>count)
        memset(text + count, 0x30, <size_t>(whole - count))
        return whole
    memcpy(text, digits, <size_t>whole)
    text[whole] = 0x2e
    memcpy(text + whole + 1, digits + whole, <size_t>(count - whole))
    return count + 1
