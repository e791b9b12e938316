from array import array

from logstreamd.wire.block import Block, Count

__all__ = ["survey_rows"]

def survey_rows(rows: bytes, row_ends: array[int]) -> tuple[tuple[Block, ...], tuple[Count, ...]]: ...
