"""The filter language: one text → one tree → SQL for what is stored, a matcher for what comes in, tokens of blocks.

======================= =======================================================================
``parse_filter``        text → tree, or :class:`FilterError` with the column
``to_sql``              tree → a condition on ``logs`` with bound parameters
``matches``             tree and a row in memory → the same answer
``required_tokens``     tree → which tokens a row must contain, for bloom filters
======================= =======================================================================
"""

from __future__ import annotations

from logstreamd.query.filter.errors import FilterError
from logstreamd.query.filter.match import matches
from logstreamd.query.filter.parse import parse_filter
from logstreamd.query.filter.required import Required, required_tokens
from logstreamd.query.filter.sql import to_sql
from logstreamd.query.filter.tree import Filter

__all__ = ["Filter", "FilterError", "Required", "matches", "parse_filter", "required_tokens", "to_sql"]
