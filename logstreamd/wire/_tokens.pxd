"""Text → the hashes of its tokens: the compiled side of :mod:`logstreamd.wire.tokens`.

ASCII goes through blocks of 64 bytes: each is lower-cased and becomes 64 bits that say where token characters are, in
loops that compilers turn into vector instructions. A text with a byte above 127 goes through a table, character by
character.
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy, memset

from logstreamd.wire._bloom cimport load_little_endian, token_hash
from logstreamd.wire._key_tables cimport KeySet, add_key, prefetch_key, reserve_keys
from logstreamd.wire._row cimport Buffer, Cursor, Span, start_over
from logstreamd.wire._text cimport ONES, WORD, is_storable, lowest_bit

cdef enum:
    MAX_TOKEN_CHARS = 64
    BLOCK = 64
    PADDING = WORD         # token_hash() reads beyond a token
    TABLE_SIZE = 0x20000   # no character beyond has an upper case
    MAX_RANGES_BEYOND = 8
    MAX_CHAR_BYTES = 4
    MAX_TOKENS_OF_BLOCK = BLOCK // 2 + 1


cdef enum Outcome:
    DONE = 0
    UNREADABLE = 1   # not what the rows of logs hold: the Python twin says what is wrong
    NO_MEMORY = 2


cdef struct Characters:
    # Which characters are token characters, and what they are in lower case.
    uint32_t folded[TABLE_SIZE]               # 0: a separator
    uint32_t beyond[2 * MAX_RANGES_BEYOND]    # separators above: first and last of each range
    int beyond_count


cdef struct OpenToken:
    # The token that the end of a block cuts, if it does.
    Py_ssize_t start
    bint is_open


cdef struct Reader:
    const Characters *characters
    Cursor readable_end   # bytes may be read up to here, whatever text they belong to
    Buffer lower


cdef inline Outcome add_tokens(Reader *reader, Span text, KeySet *hashes) noexcept nogil:
    """Add the hash of every token of a text."""
    if text.size <= 0:
        return DONE
    # Between two tokens there is a separator.
    if not reserve_keys(hashes, <size_t>text.size // 2 + 1) or not start_over(&reader.lower, text.size + BLOCK + PADDING):
        return NO_MEMORY
    if _add_ascii(reader, text, hashes):
        return DONE
    if not is_storable(text.start, text.start + text.size):
        return UNREADABLE
    _add_unicode(reader, text, hashes)
    return DONE


cdef inline bint _add_ascii(Reader *reader, Span text, KeySet *hashes) noexcept nogil:
    """Add the tokens of a text; False when it has a byte above 127."""
    cdef unsigned char *lower = reader.lower.data
    cdef unsigned char copied[BLOCK]
    cdef uint64_t found[MAX_TOKENS_OF_BLOCK]
    cdef uint64_t token_bits
    cdef OpenToken token = OpenToken(0, False)
    cdef Py_ssize_t at = 0
    cdef int count, i
    while at < text.size:
        if not _fold_block(_whole_block(reader, text, at, copied), lower + at, text.size - at, &token_bits):
            return False
        count = _hash_tokens(lower, at, token_bits, &token, hashes, found)
        # First all hashes, then all look-ups: so the processor works on several at a time.
        for i in range(count):
            add_key(hashes, found[i])
        at += BLOCK
    if token.is_open:
        add_key(hashes, _hash_of(lower, token.start, text.size))
    return True


cdef inline Cursor _whole_block(Reader *reader, Span text, Py_ssize_t at, unsigned char *copied) noexcept nogil:
    """Return the 64 bytes from ``at`` on, a copy when not so many may be read."""
    cdef Cursor block = text.start + at
    if reader.readable_end - block >= BLOCK:
        return block
    memset(copied, 0, BLOCK)
    memcpy(copied, block, <size_t>(text.size - at))
    return copied


cdef inline int _hash_tokens(
    Cursor lower, Py_ssize_t at, uint64_t token_bits, OpenToken *token, const KeySet *hashes, uint64_t *found
) noexcept nogil:
    """Hash the tokens that end in the block at ``at``; return how many they are."""
    cdef uint64_t bits_before = token_bits << 1 | token.is_open
    cdef uint64_t starts = token_bits & ~bits_before
    cdef uint64_t ends = bits_before & ~token_bits
    cdef Py_ssize_t start = token.start
    cdef int count = 0
    if not token.is_open:
        start = at + _next_bit(starts)
        starts &= starts - 1
    while ends:
        found[count] = _hash_of(lower, start, at + _next_bit(ends))
        prefetch_key(hashes, found[count])
        count += 1
        ends &= ends - 1
        start = at + _next_bit(starts)
        starts &= starts - 1
    token.start = start
    token.is_open = token_bits >> 63
    return count


cdef inline int _next_bit(uint64_t bits) noexcept nogil:
    """Return the position of the lowest bit, or that of the last one when there is none."""
    return lowest_bit(bits | <uint64_t>1 << 63)


cdef inline uint64_t _hash_of(Cursor lower, Py_ssize_t start, Py_ssize_t end) noexcept nogil:
    return token_hash(lower + start, min(end - start, MAX_TOKEN_CHARS))


cdef inline bint _fold_block(Cursor text, unsigned char *lower, Py_ssize_t size, uint64_t *token_bits) noexcept nogil:
    """Lower-case 64 bytes and tell which of the first ``size`` are token characters; False when one is above 127."""
    cdef unsigned char kinds[BLOCK]
    cdef unsigned char c, small
    cdef uint64_t valid = <uint64_t>-1
    cdef int i
    for i in range(BLOCK):
        c = text[i]
        small = c | 0x20 if <unsigned char>(c - 0x41) < 26 else c
        lower[i] = small
        kinds[i] = 0x80 if (
            (<unsigned char>(small - 0x61) < 26) | (<unsigned char>(c - 0x30) < 10) | (c == 0x5f)
        ) else 0
    if size < BLOCK:
        valid = (<uint64_t>1 << size) - 1
    token_bits[0] = _highest_bits(kinds) & valid
    return _highest_bits(text) & valid == 0


cdef inline uint64_t _highest_bits(Cursor block) noexcept nogil:
    """Return the highest bit of each of 64 bytes."""
    cdef uint64_t bits = 0
    cdef int i
    for i in range(BLOCK // WORD):
        # The product gathers the lowest bits of eight bytes in its highest byte.
        bits |= ((load_little_endian(block + WORD * i) >> 7 & ONES) * 0x0102040810204080ULL >> 56) << (WORD * i)
    return bits


cdef inline void _add_unicode(Reader *reader, Span text, KeySet *hashes) noexcept nogil:
    """Add the tokens of a text that is UTF-8."""
    cdef Cursor at = text.start, end = text.start + text.size
    cdef unsigned char token[MAX_TOKEN_CHARS * MAX_CHAR_BYTES + PADDING]
    cdef Py_ssize_t size = 0
    cdef int chars = 0
    cdef uint32_t c
    while at < end:
        at = _read_char(at, &c)
        c = _folded(reader.characters, c)
        if c == 0:
            if size:
                add_key(hashes, token_hash(token, size))
            size = chars = 0
        elif chars < MAX_TOKEN_CHARS:
            size += _write_char(token + size, c)
            chars += 1
    if size:
        add_key(hashes, token_hash(token, size))


cdef inline uint32_t _folded(const Characters *characters, uint32_t c) noexcept nogil:
    """Return a character in lower case, or 0 for a separator."""
    cdef int i
    if c < TABLE_SIZE:
        return characters.folded[c]
    for i in range(characters.beyond_count):
        if characters.beyond[2 * i] <= c <= characters.beyond[2 * i + 1]:
            return 0
    return c


cdef inline Cursor _read_char(Cursor at, uint32_t *c) noexcept nogil:
    """Read one character of well-formed UTF-8; return the byte after it."""
    if at[0] < 0x80:
        c[0] = at[0]
        return at + 1
    if at[0] < 0xe0:
        c[0] = (<uint32_t>at[0] & 0x1f) << 6 | (at[1] & 0x3f)
        return at + 2
    if at[0] < 0xf0:
        c[0] = (<uint32_t>at[0] & 0x0f) << 12 | (<uint32_t>at[1] & 0x3f) << 6 | (at[2] & 0x3f)
        return at + 3
    c[0] = (<uint32_t>at[0] & 0x07) << 18 | (<uint32_t>at[1] & 0x3f) << 12 | (<uint32_t>at[2] & 0x3f) << 6 | (at[3] & 0x3f)
    return at + 4


cdef inline int _write_char(unsigned char *out, uint32_t c) noexcept nogil:
    """Write one character as UTF-8; return how many bytes it takes."""
    if c < 0x80:
        out[0] = <unsigned char>c
        return 1
    if c < 0x800:
        out[0] = <unsigned char>(0xc0 | c >> 6)
        out[1] = <unsigned char>(0x80 | (c & 0x3f))
        return 2
    if c < 0x10000:
        out[0] = <unsigned char>(0xe0 | c >> 12)
        out[1] = <unsigned char>(0x80 | (c >> 6 & 0x3f))
        out[2] = <unsigned char>(0x80 | (c & 0x3f))
        return 3
    out[0] = <unsigned char>(0xf0 | c >> 18)
    out[1] = <unsigned char>(0x80 | (c >> 12 & 0x3f))
    out[2] = <unsigned char>(0x80 | (c >> 6 & 0x3f))
    out[3] = <unsigned char>(0x80 | (c & 0x3f))
    return 4
