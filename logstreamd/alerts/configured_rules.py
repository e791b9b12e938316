"""The files of rules that the configuration names → groups of rules."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from pathlib import Path

from logstreamd.alerts.rule import RuleGroup
from logstreamd.alerts.rule_file import load_rules
from logstreamd.config import AlertsConfig

__all__ = ["configured_rules", "rule_files"]

_PATTERN_CHARS = frozenset("*?[")


def configured_rules(config: AlertsConfig) -> tuple[RuleGroup, ...]:
    """Read all files of rules.

    Raises:
        ConfigError: at least one of them can't be used. Every problem of all of them is in it.
    """
    return load_rules(rule_files(config.rules), notifiers=tuple(config.notifiers))


def rule_files(patterns: Iterable[str]) -> list[Path]:
    """Return the files that patterns stand for, each once: in the order of the patterns, those of one by name.

    A pattern may stand for nothing; a name without a pattern's characters stands for itself, whether there is such a
    file or not. Files whose name begins with a full stop are left to editors.
    """
    found: dict[Path, None] = {}
    for pattern in patterns:
        path = os.path.expanduser(pattern)  # noqa: PTH111 - the other one raises where there is no such user
        names = sorted(glob.glob(path, recursive=True)) if _PATTERN_CHARS & set(path) else [path]  # noqa: PTH207
        found.update(dict.fromkeys(map(Path, names)))
    return list(found)
