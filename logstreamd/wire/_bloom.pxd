"""Tokens → hashes → a filter: the compiled side of :mod:`logstreamd.wire.bloom`, whose docstring has the format."""

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy

from logstreamd.wire._key_tables cimport KeySet
from logstreamd.wire._row cimport Cursor
from logstreamd.wire._text cimport LITTLE_ENDIAN, WORD, load_word

cdef extern from *:
    """
    static const uint32_t LS_SALTS[8] = {
        0x47b6137b, 0x44974d91, 0x8824ad5b, 0xa2b7289d, 0x705495c7, 0x2df1424b, 0x9efc4947, 0x5c6bfb31,
    };
    """
    const uint32_t *SALTS "LS_SALTS"
    uint64_t swapped "__builtin_bswap64"(uint64_t word) noexcept nogil
    uint32_t swapped_half "__builtin_bswap32"(uint32_t word) noexcept nogil

cdef enum:
    CELL_BYTES = 32
    WORDS_OF_CELL = 8


cdef inline uint64_t load_little_endian(Cursor at) noexcept nogil:
    return load_word(at) if LITTLE_ENDIAN else swapped(load_word(at))


cdef inline uint64_t token_hash(Cursor at, Py_ssize_t size) noexcept nogil:
    """Hash a token of one byte or more; seven bytes behind it must be readable."""
    cdef uint64_t value = <uint64_t>size * 0x9e3779b97f4a7c15ULL
    while size > WORD:
        value = _mixed(value, load_little_endian(at))
        at += WORD
        size -= WORD
    value = _mixed(value, load_little_endian(at) & (<uint64_t>-1 >> (64 - 8 * size)))
    value *= 0xc4ceb9fe1a85ec53ULL
    return value ^ value >> 29


cdef inline uint64_t _mixed(uint64_t value, uint64_t word) noexcept nogil:
    value = (value ^ word) * 0xff51afd7ed558ccdULL
    return value ^ value >> 32


cdef inline void fill_bloom(unsigned char *bloom, uint64_t cells, const KeySet *hashes) noexcept nogil:
    """Set the bits of every hash in a filter of zeros."""
    cdef size_t i
    cdef uint64_t hash_
    for i in range(hashes.count):
        hash_ = hashes.keys[i]
        _set_bits(bloom + ((hash_ >> 32) * cells >> 32) * CELL_BYTES, <uint32_t>hash_)


cdef inline void _set_bits(unsigned char *cell, uint32_t low) noexcept nogil:
    cdef uint32_t words[WORDS_OF_CELL]
    cdef uint32_t bit
    cdef int i
    memcpy(words, cell, CELL_BYTES)
    for i in range(WORDS_OF_CELL):
        bit = <uint32_t>1 << ((low * SALTS[i]) >> 27)
        words[i] |= bit if LITTLE_ENDIAN else swapped_half(bit)
    memcpy(cell, words, CELL_BYTES)
