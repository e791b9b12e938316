"""A rule's state as plain values that JSON can hold, and back: what a restart needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from logstreamd.alerts.rule import Rule
from logstreamd.alerts.state import RuleState

__all__ = ["SnapshotError", "restore", "snapshot"]


class SnapshotError(ValueError):
    """What was kept is not the state of a rule."""


@dataclass(frozen=True, slots=True)
class _Snapshot:
    version: Literal[1]
    by: tuple[str, ...]
    labels: dict[str, str]
    state: RuleState


def snapshot(rule: Rule, state: RuleState) -> dict[str, Any]:
    """Return the state of a rule for keeping."""
    kept: dict[str, Any] = msgspec.to_builtins(_Snapshot(1, *_identity(rule), state))
    return kept


def restore(rule: Rule, kept: object) -> RuleState:
    """Return the state that was kept, exactly.

    When the rule has other labels by now, its alerts are others, and the state is empty.

    Raises:
        SnapshotError: it is no state; the text says what is wrong with it.
    """
    try:
        found = msgspec.convert(kept, _Snapshot)
    except msgspec.ValidationError as error:
        raise SnapshotError(str(error)) from error
    return found.state if (found.by, found.labels) == _identity(rule) else RuleState()


def _identity(rule: Rule) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return what a rule's alerts are identified by."""
    return tuple(key.name for key in rule.by), {name: template.text for name, template in rule.labels.items()}
