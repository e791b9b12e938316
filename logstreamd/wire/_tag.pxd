"""The TAG of RFC 3164 section 4.1.3: the compiled side of :mod:`logstreamd.wire.tag`."""

from logstreamd.wire._row cimport LEFT, TAKEN, Cursor, Row, Verdict, fits_column, span
from logstreamd.wire._text cimport has_byte, is_digit, is_visible


cdef inline Verdict scan_tag(Cursor word, Cursor word_end, Cursor end, Row *row, Cursor *after) noexcept nogil:
    """Read ``name:``, ``name[pid]:`` or ``name[pid]`` into a row.

    Args:
        word: where the word begins; ``word_end`` is the blank after it, or the end.
        after: where the message starts (one blank skipped); stays NULL when the word is not marked as a tag.
    """
    cdef Cursor mark = word, close
    while mark < word_end and mark[0] != 0x3a and mark[0] != 0x5b:
        mark += 1
    if mark == word_end:
        return TAKEN
    if mark == word:
        # Nothing before the mark is no name, unless another mark comes.
        return LEFT if has_byte(word + 1, word_end, 0x3a) else TAKEN
    if not _is_plain_name(word, mark):
        return LEFT
    if mark[0] == 0x3a:
        if not _is_tag_colon(word, mark, word_end):
            return LEFT
        after[0] = mark + 1
    else:
        close = mark + 1
        while close < word_end and close[0] != 0x5d:
            close += 1
        if close == word_end or (close + 1 < word_end and close[1] != 0x3a):
            return LEFT
        if close > mark + 1:
            row.proc_id = span(mark + 1, close)
        after[0] = close + 1 + (close + 1 < word_end)
    if after[0] < end and after[0][0] == 0x20:
        after[0] += 1
    row.service = span(word, mark)
    return TAKEN if fits_column(row.service) and fits_column(row.proc_id) else LEFT


cdef inline bint _is_plain_name(Cursor at, Cursor end) noexcept nogil:
    """Whether a name is visible ASCII without a quote or ``=``, and neither a number nor an IPv4 address."""
    cdef bint has_other = False
    while at < end:
        if not is_visible(at[0]) or at[0] == 0x22 or at[0] == 0x3d:
            return False
        has_other |= not is_digit(at[0]) and at[0] != 0x2e
        at += 1
    return has_other


cdef inline bint _is_tag_colon(Cursor word, Cursor colon, Cursor word_end) noexcept nogil:
    """Whether a colon certainly ends a tag: not that of a URL or a drive letter, and no ``]:`` closes the word."""
    if colon + 1 == word_end:
        return True
    if colon - word == 1 or colon[1] == 0x2f:
        return False
    return not ((word_end - 1)[0] == 0x3a and (word_end - 2)[0] == 0x5d)
