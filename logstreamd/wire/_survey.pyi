from array import array

from logstreamd.wire.block import Block, Count

__all__ = ["rows_of_copy", "survey_rows"]

def rows_of_copy(stream: bytes) -> tuple[bytes, array[int]]: ...
def survey_rows(rows: bytes, row_ends: array[int]) -> tuple[tuple[Block, ...], tuple[Count, ...]]: ...
