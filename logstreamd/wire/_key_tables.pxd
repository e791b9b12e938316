"""Hash tables of 64-bit keys: a set, and a map to counts or positions.

Open addressing, at most half full. Senders choose the keys, so where a key lies depends on a secret of the process:
whoever does not know it can't pile up keys at one place. No key is 0.
"""

from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc, free, realloc

cdef extern from *:
    void prefetch "__builtin_prefetch"(const void *) noexcept nogil

cdef enum:
    FEWEST_BITS = 6   # of a table's size


cdef struct KeySet:
    uint64_t *keys    # in the order in which they came
    uint64_t *slots   # the same by their place; 0 is a free one
    size_t count
    int bits
    uint64_t secret   # odd


cdef struct Entry:
    uint64_t key      # 0: free
    uint64_t value


cdef struct KeyMap:
    Entry *slots
    size_t count
    int bits
    uint64_t secret


cdef inline size_t _place(uint64_t key, uint64_t secret, int bits) noexcept nogil:
    """Source: Dietzfelbinger and others, "A Reliable Randomized Algorithm for the Closest-Pair Problem" (1997)."""
    return <size_t>((key * secret) >> (64 - bits))


cdef inline int _bits_for(size_t count, int bits) noexcept nogil:
    """Return how large a table must be to be half full with so many keys."""
    bits = max(bits, FEWEST_BITS)
    while count > <size_t>1 << (bits - 1):
        bits += 1
    return bits


cdef inline bint reserve_keys(KeySet *table, size_t more) noexcept nogil:
    """Make room for so many more keys; False when there is no memory for them."""
    cdef int bits = _bits_for(table.count + more, table.bits)
    if table.slots != NULL and bits == table.bits:
        return True
    return _rebuild(table, bits)


cdef inline bint _rebuild(KeySet *table, int bits) noexcept nogil:
    cdef void *keys = realloc(table.keys, (<size_t>1 << (bits - 1)) * sizeof(uint64_t))
    cdef void *slots
    cdef size_t i, count = table.count
    if keys == NULL:
        return False
    table.keys = <uint64_t *>keys
    slots = calloc(<size_t>1 << bits, sizeof(uint64_t))
    if slots == NULL:
        return False
    free(table.slots)
    table.slots = <uint64_t *>slots
    table.bits = bits
    table.count = 0
    for i in range(count):
        add_key(table, table.keys[i])
    return True


cdef inline void add_key(KeySet *table, uint64_t key) noexcept nogil:
    """Add a key that room was reserved for, unless it is there."""
    cdef size_t mask = (<size_t>1 << table.bits) - 1
    cdef size_t place = _place(key, table.secret, table.bits)
    while table.slots[place] != key:
        if table.slots[place] == 0:
            table.slots[place] = key
            table.keys[table.count] = key
            table.count += 1
            return
        place = (place + 1) & mask


cdef inline void prefetch_key(const KeySet *table, uint64_t key) noexcept nogil:
    """Fetch the place of a key that is about to be added."""
    prefetch(&table.slots[_place(key, table.secret, table.bits)])


cdef inline uint64_t *value_of(KeyMap *map, uint64_t key) noexcept nogil:
    """Return where the value of a key is, 0 when the key is new; NULL when there is no memory for it."""
    cdef size_t mask, place
    if (map.slots == NULL or map.count >> (map.bits - 1)) and not _enlarge(map):
        return NULL
    mask = (<size_t>1 << map.bits) - 1
    place = _place(key, map.secret, map.bits)
    while map.slots[place].key != key:
        if map.slots[place].key == 0:
            map.slots[place].key = key
            map.count += 1
            break
        place = (place + 1) & mask
    return &map.slots[place].value


cdef inline bint _enlarge(KeyMap *map) noexcept nogil:
    cdef KeyMap larger
    cdef size_t i, place
    larger.bits = _bits_for(map.count + 1, map.bits)
    larger.slots = <Entry *>calloc(<size_t>1 << larger.bits, sizeof(Entry))
    if larger.slots == NULL:
        return False
    larger.secret = map.secret
    larger.count = map.count
    if map.slots != NULL:
        for i in range(<size_t>1 << map.bits):
            if map.slots[i].key:
                place = _place(map.slots[i].key, larger.secret, larger.bits)
                while larger.slots[place].key:
                    place = (place + 1) & ((<size_t>1 << larger.bits) - 1)
                larger.slots[place] = map.slots[i]
        free(map.slots)
    map[0] = larger
    return True
