"""The compiled twins of :mod:`logstreamd.wire.copy_rows`: what rows are about, in one pass over them without the GIL.

It looks at rows and not at frames, so that it does not matter which twin encoded a row, or whether it comes from
PostgreSQL. What it can't read the Python twin reads, or refuses. The rooms of the house mirror the Python modules:

===================== ==========================================================
``_copy_rows``        :mod:`.copy_rows`: the columns of a row
``_attribute_text``   :mod:`.attribute_text`
``_tokens``           :mod:`.tokens`
``_bloom``            :mod:`.bloom`
``_names``            the hosts and services of :mod:`.block`
``_key_tables``       its other sets and counters
===================== ==========================================================

Memory and time grow with the bytes of the rows and with nothing else: names are kept as where they lie, tokens as
their hashes, and no choice of names or tokens makes the tables slow.
"""

import os
import sys
from array import array

from libc.stdint cimport INT64_MAX, INT64_MIN, UINT32_MAX, int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memset

from logstreamd.wire._attribute_text cimport add_attribute_tokens
from logstreamd.wire._bloom cimport CELL_BYTES, fill_bloom
from logstreamd.wire._copy_rows cimport (
    ATTRS, FEWEST_ROW_BYTES, HOST_COLUMN, MESSAGE, SERVICE_COLUMN, TRACE_ID, CopyRow, end_of_row, read_row,
)
from logstreamd.wire._key_tables cimport KeyMap, KeySet, reserve_keys, value_of
from logstreamd.wire._names cimport HOST, KEY_COUNT, SERVICE, Name, NameKind, Names, number_of
from logstreamd.wire._row cimport Buffer, Cursor, Span
from logstreamd.wire._tokens cimport (
    DONE, MAX_RANGES_BEYOND, NO_MEMORY, TABLE_SIZE, UNREADABLE, Characters, Outcome, Reader, add_tokens,
)

from logstreamd.wire import copy_rows
from logstreamd.wire.block import MAX_NAMES, Block, Count, in_order, listed
from logstreamd.wire.bloom import bloom_bytes
from logstreamd.wire.tokens import SEPARATORS, fold

__all__ = ["rows_of_copy", "survey_rows"]

cdef enum:
    SEVERITIES = 8
    MINUTES_OF_DAY = 1440
    # A count's key: 3 bits of severity, 20 of the service's number, the rest of the minute.
    SERVICE_SHIFT = 3
    MINUTE_SHIFT = 23
    TOKENS_OF_ROW = 2   # new ones, in usual logs
    MAX_ROWS = (1 << 19) - 1   # and each brings two names at most

cdef int64_t MINUTE_US = 60_000_000
cdef Characters characters
cdef uint64_t secret
cdef uint64_t name_keys[KEY_COUNT]


cdef struct Day:
    int64_t number
    int64_t first_id
    int64_t last_id
    int64_t ts_min
    int64_t ts_max
    int64_t severity_counts[SEVERITIES]
    KeySet hashes


cdef struct Survey:
    Day *days
    size_t day_count
    Day *today             # of the row before
    size_t expected_tokens
    KeyMap day_numbers     # a day → its position in days, and 1
    KeyMap counts
    Names names
    Reader reader
    Buffer texts


cdef class Notes:
    """What was seen, and its memory; all of it begins as zeros."""

    cdef Survey survey

    def __dealloc__(self):
        cdef size_t i
        for i in range(self.survey.day_count):
            free(self.survey.days[i].hashes.keys)
            free(self.survey.days[i].hashes.slots)
        free(self.survey.days)
        free(self.survey.day_numbers.slots)
        free(self.survey.counts.slots)
        free(self.survey.names.names)
        free(self.survey.names.slots)
        free(self.survey.reader.lower.data)
        free(self.survey.texts.data)


def survey_rows(rows, row_ends):
    """Find out what encoded rows are about; see the Python twin."""
    cdef const unsigned char[::1] data = rows
    cdef const uint32_t[::1] ends = row_ends
    cdef Notes notes = Notes()
    cdef Outcome outcome
    if len(ends) == 0 or len(ends) > MAX_ROWS or len(data) == 0:
        return copy_rows.survey_rows(rows, row_ends)
    with nogil:
        outcome = _look_at_all(&notes.survey, &data[0], data.shape[0], &ends[0], ends.shape[0])
    if outcome == NO_MEMORY:
        raise MemoryError
    if outcome == UNREADABLE:
        return copy_rows.survey_rows(rows, row_ends)
    return _blocks(&notes.survey), _counts(&notes.survey)


def rows_of_copy(stream):
    """Cut a COPY stream into its rows; see the Python twin."""
    rows = copy_rows.without_frame(stream)
    cdef const unsigned char[::1] data = rows
    row_ends = array("I", bytes(4 * (len(rows) // FEWEST_ROW_BYTES)))
    cdef uint32_t[::1] ends = row_ends
    cdef Py_ssize_t count
    if len(ends) == 0 or len(data) > UINT32_MAX:
        return copy_rows.rows_of_copy(stream)
    with nogil:
        count = _cut(&data[0], data.shape[0], &ends[0])
    if count < 0:
        return copy_rows.rows_of_copy(stream)
    return rows, row_ends[:count]


cdef Py_ssize_t _cut(Cursor rows, Py_ssize_t size, uint32_t *row_ends) noexcept nogil:
    """Write down where each row ends; return how many there are, or -1 when one is none of ``logs``."""
    cdef Cursor at = rows, end = rows + size
    cdef Py_ssize_t count = 0
    while at < end:
        at = end_of_row(at, end)
        if at == NULL:
            return -1
        row_ends[count] = <uint32_t>(at - rows)
        count += 1
    return count


cdef Outcome _look_at_all(
    Survey *survey, Cursor rows, Py_ssize_t size, const uint32_t *row_ends, Py_ssize_t count
) noexcept nogil:
    cdef CopyRow row
    cdef uint32_t start = 0
    cdef Outcome outcome = DONE
    cdef Py_ssize_t i
    survey.day_numbers.secret = survey.counts.secret = secret
    survey.names.keys = name_keys
    survey.reader.characters = &characters
    survey.reader.readable_end = rows + size
    survey.expected_tokens = <size_t>count * TOKENS_OF_ROW
    for i in range(count):
        if not start <= row_ends[i] <= size or not read_row(rows + start, rows + row_ends[i], &row):
            return UNREADABLE
        outcome = _look_at(survey, &row)
        if outcome != DONE:
            return outcome
        start = row_ends[i]
    return DONE


cdef inline Outcome _look_at(Survey *survey, CopyRow *row) noexcept nogil:
    cdef int64_t minute = _floor_divided(row.ts, MINUTE_US)
    cdef Day *day = _day_of(survey, _floor_divided(minute, MINUTES_OF_DAY))
    cdef uint64_t *rows
    cdef size_t service = 0
    cdef Outcome outcome
    if day == NULL:
        return NO_MEMORY
    day.first_id = min(day.first_id, row.id)
    day.last_id = max(day.last_id, row.id)
    day.ts_min = min(day.ts_min, row.ts)
    day.ts_max = max(day.ts_max, row.ts)
    day.severity_counts[row.severity] += 1
    outcome = _note_name(survey, day, row.columns[SERVICE_COLUMN], SERVICE, &service)
    if outcome == DONE:
        outcome = _note_name(survey, day, row.columns[HOST_COLUMN], HOST, NULL)
    if outcome == DONE:
        outcome = add_tokens(&survey.reader, row.columns[TRACE_ID], &day.hashes)
    if outcome == DONE:
        outcome = add_tokens(&survey.reader, row.columns[MESSAGE], &day.hashes)
    if outcome == DONE and row.columns[ATTRS].start != NULL:
        outcome = add_attribute_tokens(&survey.reader, &survey.texts, row.columns[ATTRS], &day.hashes)
    if outcome != DONE:
        return outcome
    rows = value_of(&survey.counts, _count_key(minute, service, row.severity))
    if rows == NULL:
        return NO_MEMORY
    rows[0] += 1
    return DONE


cdef inline int64_t _floor_divided(int64_t number, int64_t divisor) noexcept nogil:
    return number // divisor - (number % divisor < 0)


cdef inline uint64_t _count_key(int64_t minute, size_t service, int severity) noexcept nogil:
    # No service has number 1 here, so that no key is 0.
    return <uint64_t>minute << MINUTE_SHIFT | (<uint64_t>service + 1) << SERVICE_SHIFT | <uint64_t>severity


cdef inline Day *_day_of(Survey *survey, int64_t number) noexcept nogil:
    """Return the day of that number, which is added when it is new; NULL when there is no memory for it."""
    if survey.today == NULL or survey.today.number != number:
        survey.today = _find_day(survey, number)
    return survey.today


cdef Day *_find_day(Survey *survey, int64_t number) noexcept nogil:
    # Day 0 would be key 0.
    cdef uint64_t *position = value_of(&survey.day_numbers, <uint64_t>number << 1 | 1)
    cdef void *more
    cdef Day *day
    if position == NULL:
        return NULL
    if position[0] == 0:
        if survey.day_count & (survey.day_count - 1) == 0:
            more = realloc(survey.days, max(2 * survey.day_count, <size_t>1) * sizeof(Day))
            if more == NULL:
                return NULL
            survey.days = <Day *>more
        day = &survey.days[survey.day_count]
        memset(day, 0, sizeof(Day))
        day.number = number
        day.first_id = day.ts_min = INT64_MAX
        day.last_id = day.ts_max = INT64_MIN
        day.hashes.secret = secret
        survey.day_count += 1
        position[0] = survey.day_count
        # Most batches are of one day. Its set need not grow step by step.
        if not reserve_keys(&day.hashes, survey.expected_tokens):
            return NULL
        survey.expected_tokens = 0
    return &survey.days[position[0] - 1]


cdef inline Outcome _note_name(Survey *survey, Day *day, Span text, NameKind kind, size_t *number) noexcept nogil:
    """Note a host or service of a day, and its tokens when it is new there."""
    cdef Name name
    cdef bint is_new
    cdef size_t found
    if text.start == NULL:
        return DONE
    name.text = text
    name.day = <uint32_t>(day - survey.days)
    name.kind = kind
    found = number_of(&survey.names, &name, &is_new)
    if found == 0:
        return NO_MEMORY
    if number != NULL:
        number[0] = found
    if not is_new:
        return DONE
    return add_tokens(&survey.reader, text, &day.hashes)


cdef tuple _blocks(Survey *survey):
    """Make a block of each day, in the order of the days."""
    cdef size_t i
    names = [([], []) for _ in range(survey.day_count)]
    for i in range(1, survey.names.count):
        _list_name(survey, &survey.names.names[i], names)
    blocks = [_block(&survey.days[i], names[i][SERVICE], names[i][HOST]) for i in range(survey.day_count)]
    blocks.sort(key=_day)
    return tuple(blocks)


def _day(block):
    return block.day


cdef _list_name(Survey *survey, Name *name, list names):
    # Of a list that is too long only so much is needed that this can be seen.
    if len(names[name.day][<int>name.kind]) <= MAX_NAMES:
        names[name.day][<int>name.kind].append(name.text.start[:name.text.size].decode())


cdef _block(Day *day, list services, list hosts):
    cdef int i
    counts = tuple([day.severity_counts[i] for i in range(SEVERITIES)])
    bloom = bytes(bloom_bytes(day.hashes.count, sum(counts)))
    fill_bloom(<unsigned char *>bloom, <uint64_t>(len(bloom) // CELL_BYTES), &day.hashes)
    return Block(
        day.number, day.first_id, day.last_id, day.ts_min, day.ts_max, counts, listed(services), listed(hosts), bloom
    )


cdef _counts(Survey *survey):
    cdef size_t i
    cdef uint64_t key
    services = [None]
    counts = []
    for i in range(1, survey.names.count):
        services.append(_service(&survey.names.names[i]))
    for i in range(<size_t>1 << survey.counts.bits):
        key = survey.counts.slots[i].key
        if key:
            counts.append(Count(
                <int64_t>key >> MINUTE_SHIFT,
                services[((key & ((1 << MINUTE_SHIFT) - 1)) >> SERVICE_SHIFT) - 1],
                key & (SEVERITIES - 1),
                survey.counts.slots[i].value,
            ))
    return in_order(counts)


cdef _service(Name *name):
    return name.text.start[:name.text.size].decode() if name.kind == SERVICE else None


cdef _fill_characters():
    """Write down what :func:`.tokens.fold` and :data:`.tokens.SEPARATORS` make of every character."""
    cdef int c, first, last
    for c in range(TABLE_SIZE):
        characters.folded[c] = c
    codec = f"utf-32-{sys.byteorder[0]}e"
    everything = (<unsigned char *>characters.folded)[:sizeof(characters.folded)].decode(codec, "surrogatepass")
    folded = fold(everything)
    for c in range(TABLE_SIZE):
        characters.folded[c] = ord(folded[c])
    for first, last in SEPARATORS:
        for c in range(first, min(last + 1, TABLE_SIZE)):
            characters.folded[c] = 0
        if last >= TABLE_SIZE:
            assert characters.beyond_count < MAX_RANGES_BEYOND
            characters.beyond[2 * characters.beyond_count] = first
            characters.beyond[2 * characters.beyond_count + 1] = last
            characters.beyond_count += 1


cdef _draw_secrets():
    """Choose where keys and names lie in the tables of this process."""
    global secret
    cdef int i
    drawn = array("Q", os.urandom(8 * KEY_COUNT))
    for i in range(KEY_COUNT):
        name_keys[i] = drawn[i]
    secret = int.from_bytes(os.urandom(8), "little") | 1


_fill_characters()
_draw_secrets()
