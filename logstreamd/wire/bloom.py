"""Tokens → a bloom filter: which words a block of rows may hold, in about six bytes a row.

The filter is a row of 32-byte cells. A token has one cell, and in it one bit in each of eight 32-bit words, so that
asking for a token reads 32 bytes of a filter however large that is: in PostgreSQL one slice of a stored value.

=============== ========================================================================
part            value
=============== ========================================================================
hash            64 bits of the token's UTF-8 bytes, see :func:`token_hash`
cell            ``(hash >> 32) * cells >> 32``
bit of word i   ``(low 32 bits of hash) * SALTS[i]``, its highest 5 of 32 bits
byte order      little-endian: bit ``b`` of word ``i`` is ``get_bit(cell, 32 * i + b)`` in SQL
=============== ========================================================================

Filters outlive the program that wrote them: none of this may change.

Source: split block bloom filters as in the Apache Parquet format, section "Bloom Filter", with its salts; the hash is
ours, because it has to be quick both in C and in Python without it.
"""

from __future__ import annotations

from collections.abc import Collection

__all__ = [
    "BITS_PER_ROW",
    "CELL_BYTES",
    "MAX_BITS_PER_TOKEN",
    "MIN_BITS_PER_TOKEN",
    "SALTS",
    "bit_positions",
    "bloom_bytes",
    "build_bloom",
    "cell_offset",
    "may_contain",
    "token_hash",
]

CELL_BYTES = 32
BITS_PER_ROW = 48
"""What a filter takes, as long as that is neither wasteful nor too little for the tokens there are."""
MAX_BITS_PER_TOKEN = 20
"""0.04 % of the tokens that are not there seem to be: a search over 10 million rows reads 4,000 in vain."""
MIN_BITS_PER_TOKEN = 11
"""0.8 % seem to be there."""

SALTS = (0x47B6137B, 0x44974D91, 0x8824AD5B, 0xA2B7289D, 0x705495C7, 0x2DF1424B, 0x9EFC4947, 0x5C6BFB31)

_MASK_64 = (1 << 64) - 1
_MASK_32 = (1 << 32) - 1
_LENGTH_FACTOR = 0x9E3779B97F4A7C15
_WORD_FACTOR = 0xFF51AFD7ED558CCD
_LAST_FACTOR = 0xC4CEB9FE1A85EC53


def token_hash(token: str) -> int:
    """Hash one token to 64 bits.

    Eight bytes at a time, little-endian, the last ones filled up with zeros: ``h = (h ^ word) * factor``,
    ``h ^= h >> 32``; h begins as the number of bytes times a factor, and a last multiplication spreads what the last
    word left.
    """
    data = token.encode()
    value = len(data) * _LENGTH_FACTOR & _MASK_64
    for start in range(0, len(data), 8):
        value = (value ^ int.from_bytes(data[start : start + 8], "little")) * _WORD_FACTOR & _MASK_64
        value ^= value >> 32
    value = value * _LAST_FACTOR & _MASK_64
    return value ^ value >> 29


def build_bloom(hashes: Collection[int], rows: int) -> bytes:
    """Build the filter of the different tokens of some rows.

    Args:
        hashes: the hash of each token.
        rows: how many rows they come from, for the size.

    Returns:
        A multiple of :data:`CELL_BYTES`; empty when there are no tokens.
    """
    bloom = bytearray(bloom_bytes(len(hashes), rows))
    for value in hashes:
        offset = cell_offset(value, len(bloom))
        for position in bit_positions(value):
            bloom[offset + position // 8] |= 1 << position % 8
    return bytes(bloom)


def bloom_bytes(tokens: int, rows: int) -> int:
    """Return the size of the filter of so many different tokens of so many rows."""
    bits = min(max(BITS_PER_ROW * rows, MIN_BITS_PER_TOKEN * tokens), MAX_BITS_PER_TOKEN * tokens)
    return -(-bits // (8 * CELL_BYTES)) * CELL_BYTES


def cell_offset(value: int, bloom_bytes: int) -> int:
    """Return where the cell of a hash begins in a filter of that size."""
    return (value >> 32) * (bloom_bytes // CELL_BYTES) >> 32 << 5


def bit_positions(value: int) -> tuple[int, ...]:
    """Return the eight bits of a hash in its cell (0..255)."""
    return tuple(32 * word + ((value & _MASK_32) * salt & _MASK_32) // (1 << 27) for word, salt in enumerate(SALTS))


def may_contain(bloom: bytes, value: int) -> bool:
    """Tell whether a token with this hash may be in the filter; False is certain."""
    if not bloom:
        return False
    offset = cell_offset(value, len(bloom))
    return all(bloom[offset + position // 8] >> position % 8 & 1 for position in bit_positions(value))
