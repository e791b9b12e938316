"""Stamps → microseconds since the epoch: the compiled side of :mod:`logstreamd.wire.timestamps`.

The two kinds that nearly every line has, ISO and BSD with what devices add to it.
"""

from libc.stdint cimport int64_t

from logstreamd.wire._row cimport Buffer, Cursor, Row, Span, append, no_span, span
from logstreamd.wire._text cimport equals, is_digit, is_upper, open_member, starts_with

cdef enum:
    DAY_SECONDS = 86_400
    YEAR_1_S = 62_135_596_800   # from 1 January of the year 1 to the epoch
    # A batch holds few different minutes; 64 slots keep a backfill of some hours from asking again and again.
    ZONE_SLOTS = 64
    MAX_ZONE_CHARS = 5


cdef struct Clock:
    # The policy of the input, and what was looked up for it last.
    int64_t max_past_us
    int64_t max_future_us
    void *zone
    int64_t (*look_up_offset)(void *zone, int64_t local_minute) noexcept nogil
    int64_t minutes[ZONE_SLOTS]
    int64_t offsets[ZONE_SLOTS]
    int64_t arrival_day
    int64_t arrival_year


cdef struct Stamp:
    int64_t us
    Cursor end
    bint zoned   # an ISO stamp that names its zone
    bint colon   # a colon closed it, as Cisco's devices do


cdef inline bint read_digits(Cursor at, int count, int64_t *number) noexcept nogil:
    """Read exactly ``count`` digits; the caller has checked that as many bytes are there."""
    cdef int64_t value = 0
    cdef int i
    for i in range(count):
        if not is_digit(at[i]):
            return False
        value = value * 10 + (at[i] - 0x30)
    number[0] = value
    return True


cdef inline int64_t days_in_month(int64_t year, int64_t month) noexcept nogil:
    if month == 2:
        return 29 if (year % 4 == 0 and year % 100 != 0) or year % 400 == 0 else 28
    return 30 if month == 4 or month == 6 or month == 9 or month == 11 else 31


cdef inline bint days_of(int64_t year, int64_t month, int64_t day, int64_t *days) noexcept nogil:
    """Count the days from the epoch to a date of the years 1 to 9999; False when there is no such date.

    Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_from_civil: the year begins in March.
    """
    cdef int64_t era, year_of_era, day_of_year
    if not (1 <= year <= 9999 and 1 <= month <= 12 and 1 <= day <= days_in_month(year, month)):
        return False
    year -= month <= 2
    era = year // 400
    year_of_era = year - era * 400
    day_of_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 + day - 1
    days[0] = era * 146_097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719_468
    return True


cdef inline bint read_time(Cursor at, int64_t *seconds) noexcept nogil:
    """Read the 8 bytes ``hh:mm:ss``; no hour 24, no leap second."""
    cdef int64_t hour, minute, second
    if at[2] != 0x3a or at[5] != 0x3a:
        return False
    if not (read_digits(at, 2, &hour) and read_digits(at + 3, 2, &minute) and read_digits(at + 6, 2, &second)):
        return False
    seconds[0] = hour * 3600 + minute * 60 + second
    return hour < 24 and minute < 60 and second < 60


cdef inline int64_t zone_offset(Clock *clock, int64_t local_seconds) noexcept nogil:
    """Return the offset of the input's zone at a local time, in seconds."""
    cdef int64_t minute
    cdef Py_ssize_t slot
    if clock.zone == NULL:
        return 0
    # Counted from the year 1, so that the division has nothing negative to round.
    minute = (local_seconds + YEAR_1_S) // 60 - YEAR_1_S // 60
    slot = <Py_ssize_t>(<unsigned long long>minute % ZONE_SLOTS)
    if clock.minutes[slot] != minute:
        clock.offsets[slot] = clock.look_up_offset(clock.zone, minute)
        clock.minutes[slot] = minute
    return clock.offsets[slot]


cdef inline bint scan_iso(Cursor at, Cursor end, bint loose, Clock *clock, Stamp *stamp) noexcept nogil:
    """Read the ISO stamp that starts here, as far as it goes.

    ``loose`` takes what JSON has besides: ``t`` and ``z`` in lower case and a comma before the fraction.
    """
    cdef int64_t year, month, day, days, seconds
    if end - at < 19 or at[4] != 0x2d or at[7] != 0x2d:
        return False
    if at[10] != 0x54 and at[10] != 0x20 and not (loose and at[10] == 0x74):
        return False
    if not (read_digits(at, 4, &year) and read_digits(at + 5, 2, &month) and read_digits(at + 8, 2, &day)):
        return False
    if not (days_of(year, month, day, &days) and read_time(at + 11, &seconds)):
        return False
    stamp.us = 0
    stamp.colon = False
    stamp.end = _scan_fraction(at + 19, end, loose, &stamp.us)
    seconds += days * DAY_SECONDS
    if not _scan_offset(end, loose, &seconds, clock, stamp):
        return False
    stamp.us += seconds * 1_000_000
    return True


cdef inline Cursor _scan_fraction(Cursor at, Cursor end, bint loose, int64_t *us) noexcept nogil:
    """Read ``.digits`` if it is there; what is beyond microseconds is cut off. Return where it ends."""
    cdef int64_t unit = 100_000
    if end - at < 2 or not (at[0] == 0x2e or (loose and at[0] == 0x2c)) or not is_digit(at[1]):
        return at
    at += 1
    while at < end and is_digit(at[0]):
        us[0] += (at[0] - 0x30) * unit
        unit //= 10
        at += 1
    return at


cdef inline bint _scan_offset(Cursor end, bint loose, int64_t *seconds, Clock *clock, Stamp *stamp) noexcept nogil:
    """Read ``Z``, ``±hh``, ``±hhmm`` or ``±hh:mm`` at the stamp's end, and take it off the seconds."""
    cdef Cursor at = stamp.end
    cdef int64_t hour, minute = 0, offset
    stamp.zoned = True
    if at < end and (at[0] == 0x5a or (loose and at[0] == 0x7a)):
        stamp.end = at + 1
        return True
    if end - at < 3 or not (at[0] == 0x2b or at[0] == 0x2d) or not read_digits(at + 1, 2, &hour):
        stamp.zoned = False
        seconds[0] -= zone_offset(clock, seconds[0])
        return True
    stamp.end = at + 3
    if end - at >= 6 and at[3] == 0x3a and read_digits(at + 4, 2, &minute):
        stamp.end = at + 6
    elif end - at >= 5 and read_digits(at + 3, 2, &minute):
        stamp.end = at + 5
    offset = hour * 3600 + minute * 60
    seconds[0] += offset if at[0] == 0x2d else -offset
    return hour < 24 and minute < 60


cdef inline bint scan_bsd(Cursor at, Cursor end, int64_t received_at, Clock *clock, Stamp *stamp) noexcept nogil:
    """Read ``Mmm dd [yyyy] hh:mm:ss[.fraction]`` and what devices add to it: a zone, a year, a colon."""
    cdef int64_t month, day = 0, year = 0, seconds = 0, days = 0, fraction = 0
    cdef Span zone = no_span()
    cdef int digits
    if end - at < 14 or at[3] != 0x20:
        return False
    month = _month(at)
    at += 4 + (at[4] == 0x20)
    digits = _read_one_or_two(at, &day)
    at += digits
    if digits == 0 or end - at < 9 or at[0] != 0x20:
        return False
    if end - at > 13 and at[5] == 0x20 and read_digits(at + 1, 4, &year):
        at += 5
    else:
        year = 0
    if month == 0 or not read_time(at + 1, &seconds):
        return False
    stamp.end = _scan_fraction(at + 9, end, False, &fraction)
    if not _scan_addition(stamp, end, &zone, &year):
        return False
    if not (days_of(year, month, day, &days) if year else _nearest_days(month, day, received_at, clock, &days)):
        return False
    seconds += days * DAY_SECONDS
    stamp.us = (seconds - _named_offset(zone, seconds, clock)) * 1_000_000 + fraction
    return True


cdef inline int _read_one_or_two(Cursor at, int64_t *number) noexcept nogil:
    """Read one or two digits, as many as there are; return how many."""
    if read_digits(at, 2, number):
        return 2
    return 1 if read_digits(at, 1, number) else 0


cdef inline bint _scan_addition(Stamp *stamp, Cursor end, Span *zone, int64_t *year) noexcept nogil:
    """Read ``:``, `` ZONE:``, `` UTC``, `` ZONE yyyy`` or `` yyyy`` at the stamp's end; False when something else is glued.

    Each counts only when a blank or the end follows it; a year before the time wins over one after it.
    """
    cdef Cursor at = stamp.end, word
    cdef int64_t later_year = 0
    stamp.colon = stamp.zoned = False
    if at == end:
        return True
    if at[0] == 0x3a:
        stamp.end = at + 1
        stamp.colon = True
        return _is_end(stamp.end, end)
    if at[0] != 0x20:
        return False
    word = at = at + 1
    while at < end and at - word < MAX_ZONE_CHARS and is_upper(at[0]):
        at += 1
    if at - word >= 2 and at < end and at[0] == 0x3a and _is_end(at + 1, end):
        zone[0] = span(word, at)
        stamp.end = at + 1
        stamp.colon = True
    elif at < end and at[0] == 0x20 and (equals(span(word, at), b"UTC", 3) or equals(span(word, at), b"GMT", 3)):
        zone[0] = span(word, at)
        stamp.end = at
    elif at - word >= 3 and at < end and at[0] == 0x20 and _scan_year(at + 1, end, False, stamp, &later_year):
        zone[0] = span(word, at)
    elif at == word:
        _scan_year(at, end, True, stamp, &later_year)
    if year[0] == 0:
        year[0] = later_year
    return True


cdef inline bint _is_end(Cursor at, Cursor end) noexcept nogil:
    return at == end or at[0] == 0x20


cdef inline bint _scan_year(Cursor at, Cursor end, bint may_have_colon, Stamp *stamp, int64_t *year) noexcept nogil:
    """Read a year of this century or the one before, and move the stamp's end behind it."""
    if not (starts_with(at, end, b"19", 2) or starts_with(at, end, b"20", 2)) or end - at < 4:
        return False
    if not read_digits(at, 4, year):
        return False
    at += 4
    stamp.colon = may_have_colon and at < end and at[0] == 0x3a
    at += stamp.colon
    if not _is_end(at, end):
        stamp.colon = False
        year[0] = 0
        return False
    stamp.end = at
    return True


cdef inline int64_t _named_offset(Span zone, int64_t local_seconds, Clock *clock) noexcept nogil:
    """Return the offset in seconds of a zone that means one only, or of the input's zone."""
    cdef int64_t hours
    return hours * 3600 if _hours_of(zone, &hours) else zone_offset(clock, local_seconds)


cdef inline bint _hours_of(Span zone, int64_t *hours) noexcept nogil:
    """Look a zone's name up; the names of :mod:`logstreamd.wire.timestamps`."""
    if zone.size == 0:
        return False
    if equals(zone, b"UTC", 3) or equals(zone, b"GMT", 3) or equals(zone, b"UT", 2) or equals(zone, b"WET", 3):
        hours[0] = 0
    elif equals(zone, b"CET", 3) or equals(zone, b"WEST", 4):
        hours[0] = 1
    elif equals(zone, b"EET", 3) or equals(zone, b"CEST", 4):
        hours[0] = 2
    elif equals(zone, b"MSK", 3) or equals(zone, b"EEST", 4):
        hours[0] = 3
    elif equals(zone, b"EDT", 3):
        hours[0] = -4
    elif equals(zone, b"EST", 3) or equals(zone, b"CDT", 3):
        hours[0] = -5
    elif equals(zone, b"CST", 3) or equals(zone, b"MDT", 3):
        hours[0] = -6
    elif equals(zone, b"MST", 3) or equals(zone, b"PDT", 3):
        hours[0] = -7
    elif equals(zone, b"PST", 3):
        hours[0] = -8
    else:
        return False
    return True


cdef inline int64_t _month(Cursor at) noexcept nogil:
    """Return the number of an English month's short name in any case, or 0."""
    cdef const char *names = b"janfebmaraprmayjunjulaugsepoctnovdec"
    cdef int month
    for month in range(12):
        if (
            (at[0] | 0x20) == names[3 * month]
            and (at[1] | 0x20) == names[3 * month + 1]
            and (at[2] | 0x20) == names[3 * month + 2]
        ):
            return month + 1
    return 0


cdef inline int64_t _year_of(int64_t day) noexcept nogil:
    """Return the year of a day since the epoch that is not before it."""
    cdef int64_t year = 1970 + day // 366, first = 0
    while days_of(year + 1, 1, 1, &first) and first <= day:
        year += 1
    return year


cdef inline bint _nearest_days(
    int64_t month, int64_t day, int64_t received_at, Clock *clock, int64_t *nearest
) noexcept nogil:
    """Find the date's day nearest to its arrival, in the year before, of or after that."""
    cdef int64_t arrival_day = received_at // (<int64_t>DAY_SECONDS * 1_000_000)
    cdef int64_t year, days = 0, distance, best = -1
    if arrival_day != clock.arrival_day:
        clock.arrival_day = arrival_day
        clock.arrival_year = _year_of(arrival_day)
    for year in range(clock.arrival_year - 1, clock.arrival_year + 2):
        if days_of(year, month, day, &days):
            distance = days - arrival_day if days > arrival_day else arrival_day - days
            if best < 0 or distance < best:
                best = distance
                nearest[0] = days
    return best >= 0


cdef inline bint settle_event_time(Row *row, int64_t event_us, Clock *clock) noexcept nogil:
    """Take the event's own time if it is near enough to its arrival; False when it is not."""
    if event_us < row.received_at - clock.max_past_us or event_us > row.received_at + clock.max_future_us:
        return False
    row.ts = event_us
    return True


cdef inline void note_event_time(Buffer *attrs, Span stamp) noexcept nogil:
    """Keep a stamp that was not believed; it has nothing in it that JSON would escape."""
    open_member(attrs, <Cursor>(<const char *>b"logstreamd"), 10)
    append(attrs, b'{"event_time":"', 15)
    append(attrs, stamp.start, stamp.size)
    append(attrs, b'"}', 2)
