from collections.abc import Sequence

from logstreamd.wire.block import Block, Count

__all__ = ["survey_rows"]

def survey_rows(rows: bytes, row_ends: Sequence[int]) -> tuple[tuple[Block, ...], tuple[Count, ...]]: ...
