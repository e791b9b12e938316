"""The compiled twin of :func:`logstreamd.wire.copy_binary.encode`: one pass over a batch, without the GIL.

A frame of a usual, well-formed shape is parsed and encoded here, without a Python object for it. Every other one is
left out, parsed by the plain Python twin afterwards, and put in at its place: what this module does not provably handle
in the same way it does not handle. The rooms of the house mirror the Python modules:

===================== ==========================================================
``_parse``            :mod:`.parse`
``_rfc5424``          :mod:`.rfc5424`
``_structured_data``  :mod:`.structured_data`
``_rfc3164``          :mod:`.rfc3164`; ``_cisco`` :mod:`.cisco`; ``_tag`` :mod:`.tag`
``_jsonlines``        :mod:`.jsonlines`
``_json_scan``        :mod:`.json_document`, as far as nothing is to be repaired
``_json_text``        strings and documents as msgspec writes them
``_stamp``            :mod:`.timestamps`, :mod:`.event_time`
``_text``             :mod:`.text`: UTF-8, text as JSON
``_row``              :mod:`.copy_binary`: columns, buffers
``_survey``           :mod:`.copy_rows`: blocks and counts, by a second pass
===================== ==========================================================
"""

from array import array
from datetime import UTC
from functools import lru_cache

from libc.stdint cimport INT64_MIN, int64_t, uint16_t, uint32_t
from libc.stdlib cimport free

from logstreamd.wire._parse cimport Desk, read_frame
from logstreamd.wire._row cimport LEFT, Buffer, Cursor, Frame, Row, Span, reserve, write_row
from logstreamd.wire._stamp cimport ZONE_SLOTS, Clock

from logstreamd.wire import copy_binary, timestamps
from logstreamd.wire._survey import survey_rows
from logstreamd.wire.copy_binary import Encoded
from logstreamd.wire.parse import parse_frame
from logstreamd.wire.sender import members
from logstreamd.wire.text import dump_json

__all__ = ["encode", "encode_noting_left"]

# Times are added up without overflow: arrivals are of the years 1970 to 9999, windows up to 2**61 microseconds.
MAX_WINDOW_US = 1 << 61
MAX_FIRST_ID = (1 << 63) - 65_536
MAX_ROWS_BYTES = 0xFFFF_FFFF   # row_ends has 32 bits

cdef extern from "string.h" nogil:
    void *memmem(const void *haystack, size_t haystack_size, const void *needle, size_t needle_size)


@lru_cache(4096)
def _sender(entry):
    """Return the address as inet, what else is known of the sender, and that as members of a JSON object."""
    peer, known = copy_binary._sender(entry)
    return peer, known, members(known)


cdef struct Tables:
    # The batch and what is the same for many of its rows.
    Py_ssize_t count
    Cursor data
    const uint32_t *ends
    const int64_t *received_at
    const uint16_t *peer_ids
    const unsigned char *flags
    Cursor peers
    const uint32_t *peer_ends
    Cursor known          # of each sender, beside its address: the members of a JSON object
    const uint32_t *known_ends
    Cursor known_names    # of all those members, with quotes and colon
    const uint32_t *known_name_ends
    Py_ssize_t known_name_count
    Cursor formats
    const uint32_t *format_ends
    Span input
    Span host             # of messages that name none


cdef struct Result:
    uint32_t *row_ends
    uint32_t *left        # positions of the frames that are left to the Python twin
    Py_ssize_t left_count


cdef class Workplace:
    """The rows of one pass, and its desk."""

    cdef Buffer rows
    cdef Desk desk

    def __dealloc__(self):
        free(self.rows.data)
        free(self.desk.attrs.data)
        free(self.desk.texts.data)


def encode(batch, first_id, policy):
    """Parse every frame of a batch and encode it as one row; see the Python twin."""
    return encode_noting_left(batch, first_id, policy)[0]


def encode_noting_left(batch, first_id, policy):
    """Encode a batch, and say how many of its frames the Python twin had to parse."""
    senders = [_sender(entry) for entry in batch.peers]
    input_name = copy_binary._text(batch.input)
    encoded = _encode_usual(batch, first_id, policy, input_name, senders)
    if encoded is None:
        return copy_binary.encode(batch, first_id, policy), len(batch)
    rows, row_ends, left = encoded
    if left:
        records = [
            parse_frame(batch.frame(index), batch.received_at[index], policy, batch.flags[index]) for index in left
        ]
        others = []
        for index, record in zip(left, records):
            peer, known, _ = senders[batch.peer_ids[index]]
            copy_binary.complete(record, known, policy)
            others.append(copy_binary._row(first_id + index, record, input_name, peer))
        rows = _fill_gaps(rows, row_ends, left, others)
    blocks, counts = survey_rows(rows, row_ends)
    return Encoded(rows, row_ends, first_id, blocks, counts), len(left)


cdef _encode_usual(batch, first_id, policy, bytes input_name, list senders):
    """Encode what can be without the GIL.

    Returns:
        The rows, where each ends (those left out are empty), and the positions of these; None when tables or numbers
        are not as the arithmetic here needs them.
    """
    cdef const unsigned char[::1] data = batch.data, flags = batch.flags
    cdef list peers = [sender[0] for sender in senders], known = [sender[2] for sender in senders]
    cdef list known_names = _quoted_names(senders)
    cdef const uint32_t[::1] ends = batch.ends, peer_ends = _ends_of(peers), known_ends = _ends_of(known)
    cdef const uint32_t[::1] known_name_ends = _ends_of(known_names)
    cdef const int64_t[::1] received_at = batch.received_at
    cdef const uint16_t[::1] peer_ids = batch.peer_ids
    cdef bytes host = b"" if policy.host is None else policy.host.encode()
    cdef bytes peer_bytes = b"".join(peers), known_bytes = b"".join(known), name_bytes = b"".join(known_names)
    cdef Workplace place = Workplace()
    cdef Tables tables
    cdef Result result
    cdef bint has_memory
    if not len(ends) == len(received_at) == len(peer_ids) == len(flags) or not _are_numbers_ordinary(first_id, policy):
        return None
    if not _are_tables_ordinary(ends, peer_ids, len(data), len(peers)):
        return None
    cdef int64_t first = first_id
    row_ends, left = array("I", bytes(4 * len(ends))), array("I", bytes(4 * len(ends)))
    cdef uint32_t[::1] row_ends_view = row_ends, left_view = left
    formats = [copy_binary._text(name) for name in ("rfc5424", "rfc3164", "json", "raw")]
    cdef const uint32_t[::1] format_ends = _ends_of(formats)
    cdef bytes format_bytes = b"".join(formats)
    tables = Tables(
        len(ends), &data[0], &ends[0], &received_at[0], &peer_ids[0], &flags[0],
        peer_bytes, &peer_ends[0], known_bytes, &known_ends[0], name_bytes, &known_name_ends[0], len(known_names),
        format_bytes, &format_ends[0], Span(input_name, len(input_name)),
        Span(host, len(host)),
    )
    if policy.host is None:
        tables.host.start = NULL
    result.row_ends, result.left = &row_ends_view[0], &left_view[0]
    _set_clock(&place.desk.clock, policy)
    with nogil:
        has_memory = reserve(&place.rows, tables.ends[tables.count - 1]) and _pass(&tables, first, place, &result)
    if not has_memory:
        raise MemoryError
    if place.rows.size > MAX_ROWS_BYTES:
        raise OverflowError("the rows of one batch are over 4 GiB")
    return place.rows.data[:place.rows.size], row_ends, left[:result.left_count]


cdef bint _are_tables_ordinary(
    const uint32_t[::1] ends, const uint16_t[::1] peer_ids, Py_ssize_t data_bytes, Py_ssize_t peer_count
):
    """Whether there is data, every frame lies in it, and every sender is known."""
    cdef uint32_t last = 0
    cdef Py_ssize_t i
    for i in range(len(ends)):
        if ends[i] < last or peer_ids[i] >= peer_count:
            return False
        last = ends[i]
    return 0 < last <= data_bytes


cdef bint _are_numbers_ordinary(first_id, policy):
    """Whether nothing here can overflow."""
    return (
        0 <= first_id <= MAX_FIRST_ID
        and abs(policy.max_past_us) <= MAX_WINDOW_US
        and abs(policy.max_future_us) <= MAX_WINDOW_US
    )


cdef _ends_of(list pieces):
    """Return where each piece ends when they are joined, after a 0."""
    ends = array("I", [0])
    for piece in pieces:
        ends.append(ends[len(ends) - 1] + len(piece))
    return ends


cdef list _quoted_names(list senders):
    """Return the names of all that is known of the senders as they stand in their attributes."""
    return [dump_json(name) + b":" for name in {name for _, known, _ in senders for name in known}]


cdef void _set_clock(Clock *clock, policy):
    clock.max_past_us = policy.max_past_us
    clock.max_future_us = policy.max_future_us
    clock.zone = NULL if policy.zone is UTC else <void *>policy.zone
    clock.look_up_offset = _look_up_offset
    clock.arrival_day = -1
    for slot in range(ZONE_SLOTS):
        clock.minutes[slot] = INT64_MIN


cdef int64_t _look_up_offset(void *zone, int64_t local_minute) noexcept with gil:
    return timestamps._zone_offset(<object>zone, local_minute)


cdef bint _pass(Tables *tables, int64_t first_id, Workplace place, Result *result) noexcept nogil:
    """Encode every frame that can be; False when there is no memory for the rows."""
    cdef Py_ssize_t i
    cdef uint32_t start = 0
    cdef Row row
    cdef Frame frame
    result.left_count = 0
    frame.input = tables.input
    for i in range(tables.count):
        row.received_at = tables.received_at[i]
        frame.known = _piece(tables.known, tables.known_ends, tables.peer_ids[i])
        if (
            tables.flags[i]
            or read_frame(tables.data + start, tables.data + tables.ends[i], &row, &place.desk) == LEFT
            or (frame.known.size and _may_claim_a_name(&place.desk.attrs, tables))
        ):
            result.left[result.left_count] = <uint32_t>i
            result.left_count += 1
        else:
            frame.peer = _piece(tables.peers, tables.peer_ends, tables.peer_ids[i])
            frame.format = _piece(tables.formats, tables.format_ends, row.format)
            if row.host.start == NULL:
                row.host = tables.host
            if not write_row(&place.rows, first_id + i, &row, &place.desk.attrs, &frame):
                return False
        result.row_ends[i] = <uint32_t>place.rows.size
        start = tables.ends[i]
    return True


cdef bint _may_claim_a_name(Buffer *attrs, Tables *tables) noexcept nogil:
    """Whether a name of what is known of senders is among the attributes, at whatever depth."""
    cdef Py_ssize_t i
    cdef Span name
    for i in range(tables.known_name_count):
        name = _piece(tables.known_names, tables.known_name_ends, i)
        if attrs.size and memmem(attrs.data, <size_t>attrs.size, name.start, <size_t>name.size) != NULL:
            return True
    return False


cdef Span _piece(Cursor pieces, const uint32_t *ends, Py_ssize_t index) noexcept nogil:
    cdef Span piece
    piece.start = pieces + ends[index]
    piece.size = ends[index + 1] - ends[index]
    return piece


cdef _fill_gaps(bytes rows, row_ends, left, list others):
    """Put rows in where their frames were left out, and move the ends of all after them."""
    cdef uint32_t[::1] ends = row_ends
    cdef const uint32_t[::1] positions = left
    cdef Py_ssize_t i, next_gap = 0
    cdef object view = memoryview(rows)
    cdef uint32_t start = 0, moved = 0
    pieces = []
    for index, row in zip(left, others):
        pieces.append(view[start:ends[index]])
        pieces.append(row)
        start = ends[index]
    pieces.append(view[start:])
    filled = b"".join(pieces)
    if len(filled) > MAX_ROWS_BYTES:
        raise OverflowError("the rows of one batch are over 4 GiB")
    for i in range(len(ends)):
        if next_gap < len(positions) and positions[next_gap] == i:
            moved += <uint32_t>len(others[next_gap])
            next_gap += 1
        ends[i] += moved
    return filled
