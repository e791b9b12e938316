"""What a search did and why: the plan that ``explain=1`` shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from logstreamd.query.block_conditions import REASONS
from logstreamd.query.scope import Scope
from logstreamd.query.walk import Step

__all__ = ["describe_plan"]


def describe_plan(scope: Scope, steps: Sequence[Step], blocks: Mapping[str | None, int]) -> dict[str, Any]:
    """Describe a search.

    Args:
        scope: what was asked for.
        steps: what was done.
        blocks: how many blocks there are, by the reason for which they are skipped; None are those that may match.

    Returns:
        Plain values, as the API shows them.
    """
    read = [step for step in steps if step.does != "list blocks"]
    blocks_read = sum(step.blocks for step in read)
    by_index = any(step.does == "read index" for step in read)
    return {
        "filter": str(scope.filter),
        "start": scope.start,
        "end": scope.end,
        "index": "logs_errors" if by_index else "blocks",
        "blocks": {
            "considered": sum(blocks.values()),
            "skipped": {reason: blocks.get(reason, 0) for reason in REASONS},
            "read": blocks_read,
            "not_needed": blocks.get(None, 0) - blocks_read,
        },
        "rows": {"read_estimate": sum(step.rows for step in read), "found": sum(step.found for step in read)},
        "steps": [
            {"does": step.does, "ms": step.ms, "blocks": step.blocks, "rows": step.rows, "found": step.found}
            for step in steps
        ],
    }
