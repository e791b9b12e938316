"""A scope → conditions on the table ``blocks``: which blocks may hold rows that it takes.

A block that does not fulfil them holds none; one that does may hold none either. What is asked of a block, cheapest
first:

=========== ========================================================================
reason      a block is skipped, because
=========== ========================================================================
``time``    none of its rows lies in the time range
``level``   none has a severity that the filter takes
``service`` none has a service that the filter takes
``host``    the same of the host
``words``   its bloom filter lacks a word that every row must contain
=========== ========================================================================
"""

from __future__ import annotations

from typing import Any

from logstreamd.query.filter import Required, required_tokens
from logstreamd.query.filter.restrictions import ALL_SEVERITIES, Names, restrictions
from logstreamd.query.scope import Scope
from logstreamd.query.templates import fill
from logstreamd.storage.queries import load_queries
from logstreamd.wire.bloom import bit_positions, token_hash

__all__ = ["REASONS", "BlockConditions"]

REASONS = ("time", "level", "service", "host", "words")

_SQL = load_queries("blocks.sql", package="logstreamd.query")
# Words that are asked for, the longest ones, which are the rarest. A filter may have thousands of them.
_MAX_TOKENS = 8
_MAX_TOKENS_OF_ALTERNATIVE = 2


class BlockConditions:
    """The conditions of one scope.

    Args:
        scope: the rows in question.
        first_parameter: the number of the first parameter, ``n`` in ``$n``.

    Attributes:
        parameters: the values of the parameters in their order.
        by_reason: conditions by the reason for which a block is skipped that does not fulfil them.
    """

    def __init__(self, scope: Scope, first_parameter: int) -> None:
        self._first_parameter = first_parameter
        self.parameters: list[Any] = []
        self.by_reason = {
            "time": fill(_SQL["in_time"], start=self._bind(scope.start), end=self._bind(scope.end)),
            **self._listed(scope),
        }
        required = required_tokens(scope.filter)
        if required.tokens or required.any_of:
            self.by_reason["words"] = fill(_SQL["has_words"], words=self._words(required, _MAX_TOKENS))

    def all(self) -> str:
        """Return what a block must fulfil."""
        return " AND ".join(self.by_reason.values())

    def reasons(self) -> str:
        """Return the first reason to skip a block, as the branches of a ``CASE``."""
        return " ".join(
            fill(_SQL["reason"], condition=condition, reason=reason) for reason, condition in self.by_reason.items()
        )

    def _bind(self, value: Any) -> str:
        self.parameters.append(value)
        return f"${self._first_parameter + len(self.parameters) - 1}"

    def _listed(self, scope: Scope) -> dict[str, str]:
        allowed = restrictions(scope.filter)
        found = {}
        if allowed.severities != ALL_SEVERITIES:
            found["level"] = fill(_SQL["has_severity"], severities=self._bind(sorted(allowed.severities)))
        if allowed.services is not None:
            found["service"] = self._names("services", allowed.services)
        if allowed.hosts is not None:
            found["host"] = self._names("hosts", allowed.hosts)
        return found

    def _names(self, column: str, allowed: Names) -> str:
        exact = self._bind(sorted(allowed.exact))
        if not allowed.prefixes:
            return fill(_SQL["lists"], names=column, exact=exact)
        return fill(_SQL["lists_similar"], names=column, exact=exact, prefixes=self._bind(sorted(allowed.prefixes)))

    def _words(self, required: Required, at_most: int) -> str:
        longest = sorted(required.tokens, key=lambda token: (-len(token), token))[:at_most]
        groups = (
            " OR ".join(self._words(member, _MAX_TOKENS_OF_ALTERNATIVE) for member in group)
            for group in required.any_of
        )
        return " AND ".join([*map(self._token, longest), *(f"({group})" for group in groups)])

    def _token(self, token: str) -> str:
        value = token_hash(token)
        return fill(_SQL["has_token"], high=self._bind(value >> 32), bits=self._bind(list(bit_positions(value))))
