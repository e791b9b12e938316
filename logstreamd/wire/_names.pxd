"""The different hosts and services of each day, in the order in which they were met."""

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcmp

from logstreamd.wire._bloom cimport load_little_endian
from logstreamd.wire._row cimport Cursor, Span
from logstreamd.wire._text cimport WORD

cdef enum:
    # A column of logs has 512 characters at most. What else may come counts by its beginning in the hash.
    MAX_HASHED_WORDS = 256
    KEY_COUNT = 4 + 2 * MAX_HASHED_WORDS
    FEWEST_BITS = 6


cdef enum NameKind:
    SERVICE = 0
    HOST = 1


cdef struct Name:
    Span text
    uint32_t day
    NameKind kind


cdef struct NameSlot:
    uint64_t hash_
    size_t number    # of the name; 0: free


cdef struct Names:
    Name *names         # the first is never used: number 0 is none
    size_t count        # that one included
    NameSlot *slots
    int bits
    const uint64_t *keys


cdef inline uint64_t _hash(Name *name, const uint64_t *keys) noexcept nogil:
    """Hash a name so that no choice of names collides more often than by chance, as long as the keys are secret.

    Source: Lemire and Kaser, "Strongly Universal String Hashing is Fast" (2014), Multilinear; of the result the upper
    half counts.
    """
    cdef uint64_t hash_ = keys[0] + <uint64_t>name.text.size * keys[1] + <uint64_t>name.day * keys[2]
    cdef uint64_t word
    cdef Cursor at = name.text.start
    cdef Py_ssize_t left = min(name.text.size, MAX_HASHED_WORDS * WORD)
    hash_ += <uint64_t>name.kind * keys[3]
    keys += 4
    while left > 0:
        word = load_little_endian(at)
        if left < WORD:
            word &= (<uint64_t>1 << (8 * left)) - 1
        hash_ += <uint64_t><uint32_t>word * keys[0] + (word >> 32) * keys[1]
        at += WORD
        left -= WORD
        keys += 2
    return hash_


cdef inline size_t number_of(Names *names, Name *name, bint *is_new) noexcept nogil:
    """Return the number of a name, which is added when it is new; 0 when there is no memory for it.

    Seven bytes behind the name must be readable.
    """
    cdef uint64_t hash_ = _hash(name, names.keys)
    cdef NameSlot *slot
    cdef size_t place, mask
    is_new[0] = False
    if (names.slots == NULL or names.count >> (names.bits - 1)) and not _enlarge(names):
        return 0
    mask = (<size_t>1 << names.bits) - 1
    place = <size_t>(hash_ >> (64 - names.bits))
    while True:
        slot = &names.slots[place]
        if slot.number == 0:
            break
        if slot.hash_ == hash_ and _is_same(&names.names[slot.number], name):
            return slot.number
        place = (place + 1) & mask
    is_new[0] = True
    slot.hash_ = hash_
    slot.number = names.count
    names.names[names.count] = name[0]
    names.count += 1
    return slot.number


cdef inline bint _is_same(const Name *one, const Name *other) noexcept nogil:
    return (
        one.day == other.day and one.kind == other.kind and one.text.size == other.text.size
        and memcmp(one.text.start, other.text.start, <size_t>one.text.size) == 0
    )


cdef inline bint _enlarge(Names *names) noexcept nogil:
    """Double the table, so that it stays at most half full, and make room for as many names."""
    cdef int bits = names.bits + 1 if names.slots != NULL else FEWEST_BITS
    cdef size_t mask = (<size_t>1 << bits) - 1, place, i
    cdef void *more = realloc(names.names, ((mask + 1) // 2 + 1) * sizeof(Name))
    cdef NameSlot *slots
    if more == NULL:
        return False
    names.names = <Name *>more
    slots = <NameSlot *>calloc(mask + 1, sizeof(NameSlot))
    if slots == NULL:
        return False
    if names.slots == NULL:
        names.count = 1
    else:
        for i in range(<size_t>1 << names.bits):
            if names.slots[i].number:
                place = <size_t>(names.slots[i].hash_ >> (64 - bits))
                while slots[place].number:
                    place = (place + 1) & mask
                slots[place] = names.slots[i]
        free(names.slots)
    names.slots = slots
    names.bits = bits
    return True
