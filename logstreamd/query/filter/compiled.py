"""The compiled regexes that filters in use need, so that a tail compiles each once."""

from __future__ import annotations

from functools import lru_cache

from logstreamd.query.filter.automaton import Automaton, TooLargeError
from logstreamd.query.filter.regex_tree import parse_regex

__all__ = ["compile_regex"]


@lru_cache(maxsize=128)
def compile_regex(source: str, *, ignore_case: bool) -> Automaton | None:
    """Return the automaton of a regex, or None when it would be too large.

    Raises:
        RegexError: the regex is not in the language.
    """
    try:
        return Automaton(parse_regex(source, ignore_case=ignore_case))
    except TooLargeError:
        return None
