"""Which blocks can hold a row that a filter takes, asked before any row is read."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Protocol

from logstreamd.query.filter import Filter, required_tokens
from logstreamd.query.filter.restrictions import Names, restrictions
from logstreamd.wire.bloom import may_contain, token_hash

__all__ = ["BlockFilter", "Described"]


class Described(Protocol):
    """What is known of rows without reading them; see :class:`logstreamd.wire.block.Block`."""

    @property
    def severity_counts(self) -> Sequence[int]:
        """How many rows have severity 0, 1, … 7."""

    @property
    def services(self) -> Sequence[str] | None:
        """Those that occur; None: not known."""

    @property
    def hosts(self) -> Sequence[str] | None:
        """The same of hosts."""

    @property
    def bloom(self) -> bytes | None:
        """Of the tokens; None: not known."""


class BlockFilter:
    """A filter's question to blocks.

    Args:
        tree: the filter.
    """

    def __init__(self, tree: Filter) -> None:
        self._restrictions = restrictions(tree)
        self._required = required_tokens(tree)
        self._hashes: dict[str, int] = {}

    def may_match(self, block: Described) -> bool:
        """Tell whether the block may hold a row that the filter takes; False is certain."""
        allowed = self._restrictions
        return (
            any(block.severity_counts[severity] for severity in allowed.severities)
            and _names_meet(block.services, allowed.services)
            and _names_meet(block.hosts, allowed.hosts)
            and (block.bloom is None or self._required.may_match(partial(self._contains, block.bloom)))
        )

    def _contains(self, bloom: bytes, token: str) -> bool:
        value = self._hashes.get(token)
        if value is None:
            value = self._hashes[token] = token_hash(token)
        return may_contain(bloom, value)


def _names_meet(there: Sequence[str] | None, allowed: Names | None) -> bool:
    return there is None or allowed is None or any(map(allowed.allow, there))
