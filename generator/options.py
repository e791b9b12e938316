"""Settings from flags and the environment, checked all at once.

Each setting is an :class:`Option`: a flag, a variable of the environment, a reader. The flag wins. An empty variable is
none, because that is what compose files make of those that are not set.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from generator.values import read_flag

__all__ = ["Option", "SettingsError", "add_flags", "read_options"]


class SettingsError(Exception):
    """Settings that can't be used.

    Attributes:
        problems: one line each.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = list(problems)


@dataclass(frozen=True, slots=True)
class Option:
    """One setting.

    Attributes:
        name: of the attribute; the flag is the same with dashes.
        variable: of the environment.
        read: text → value; raises ValueError with what is wrong.
        help: what it is, for ``--help``.
        default: as text; None when it may be missing.
    """

    name: str
    variable: str
    read: Callable[[str], Any]
    help: str
    default: str | None = None

    @property
    def flag(self) -> str:
        """The flag on the command line."""
        return f"--{self.name.replace('_', '-')}"


def add_flags(parser: argparse.ArgumentParser, options: Sequence[Option]) -> None:
    """Add the flags of options to a parser; it only gathers texts."""
    for option in options:
        default = f", default {option.default}" if option.default else ""
        text = f"{option.help} ({option.variable}{default})".replace("%", "%%")
        if option.read is read_flag:
            parser.add_argument(
                option.flag, dest=option.name, help=text, default=None, action=argparse.BooleanOptionalAction
            )
        else:
            parser.add_argument(option.flag, dest=option.name, help=text, metavar="VALUE")


def read_options(options: Sequence[Option], flags: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """Read the value of every option.

    Args:
        flags: what the parser found, None for flags that were not given.

    Returns:
        Name → value; None for what is neither given nor has a default.

    Raises:
        SettingsError: values that can't be read, all of them.
    """
    values: dict[str, Any] = {}
    problems = []
    for option in options:
        place, text = _find(option, flags, environment)
        try:
            values[option.name] = None if text is None else option.read(text)
        except ValueError as problem:
            problems.append(f"{place}: {problem}")
    if problems:
        raise SettingsError(problems)
    return values


def _find(option: Option, flags: Mapping[str, Any], environment: Mapping[str, str]) -> tuple[str, str | None]:
    """Return where a setting was made, and its text."""
    if flags.get(option.name) is not None:
        return option.flag, str(flags[option.name])
    if environment.get(option.variable):
        return option.variable, environment[option.variable]
    return option.flag, option.default
