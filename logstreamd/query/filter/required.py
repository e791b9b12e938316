"""The tree of a filter → the tokens that every row it takes must contain: the question to a block's bloom filter.

A block holds the tokens of message, service, host, trace_id and all values in ``attrs``
(:mod:`logstreamd.wire.attribute_text`). Words, phrases and exact values of these give tokens; prefixes the tokens
before their end; regexes, negations, comparisons and the other columns none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from logstreamd.query.filter.number import number_in
from logstreamd.query.filter.tree import SEARCHED_COLUMNS, And, Attribute, Column, Equals, Filter, Or, Phrase, Prefix
from logstreamd.wire.tokens import is_token_char, tokens

__all__ = ["NOTHING", "Required", "required_tokens"]


@dataclass(frozen=True, slots=True)
class Required:
    """What a row must contain: each of ``tokens``, and of each group of ``any_of`` at least one member.

    Both are empty when nothing is known, and every block has to be read.
    """

    tokens: frozenset[str] = frozenset()
    any_of: tuple[tuple[Required, ...], ...] = ()

    def may_match(self, contains: Callable[[str], bool]) -> bool:
        """Tell whether something whose tokens are known may match.

        Args:
            contains: tells whether a token is in it; may say yes of one that is not.
        """
        return all(map(contains, self.tokens)) and all(
            any(member.may_match(contains) for member in group) for group in self.any_of
        )


NOTHING = Required()


def required_tokens(tree: Filter) -> Required:
    """Return which tokens a row must contain for the filter to take it."""
    match tree:
        case And(terms):
            return _all_of(map(required_tokens, terms))
        case Or(terms):
            return _one_of(map(required_tokens, terms))
        case Phrase(text):
            return Required(frozenset(tokens(text)))
        case Prefix(text):
            return Required(frozenset(_complete_tokens(text)))
        case Equals(Column(name), text) if name in SEARCHED_COLUMNS:
            return Required(frozenset(tokens(text)))
        case Equals(Attribute(), text):
            return _of_json_value(text)
    return NOTHING


def _all_of(parts: Iterable[Required]) -> Required:
    found = list(parts)
    return Required(
        frozenset().union(*(part.tokens for part in found)), tuple(group for part in found for group in part.any_of)
    )


def _one_of(parts: Iterable[Required]) -> Required:
    found = tuple(dict.fromkeys(parts))
    if NOTHING in found:
        return NOTHING
    return found[0] if len(found) == 1 else Required(any_of=(found,))


def _complete_tokens(prefix: str) -> list[str]:
    """Return the tokens of a prefix; the last one may go on, unless a separator ends it."""
    found = tokens(prefix)
    return found[:-1] if is_token_char(prefix[-1:]) else found


def _of_json_value(text: str) -> Required:
    """A value in ``attrs`` may be this text, or null, or the same number with other digits behind the point."""
    if text == "null":
        return NOTHING
    as_text = Required(frozenset(tokens(text)))
    number = number_in(text)
    if number is None:
        return as_text
    return _one_of([as_text, Required(frozenset(tokens(format(abs(int(number)), "d"))))])
