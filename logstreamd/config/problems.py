"""A mistake in the configuration: where it was written, and what is wrong with it.

``config/logstreamd.yaml:14:7: writer.batch_max_rows: must be 1..65535 (got 0)``
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from logstreamd.config.dsn import redacted

__all__ = ["ENVIRONMENT", "ConfigError", "KeyPath", "Place", "Problem", "did_you_mean", "path_text", "shown"]

KeyPath: TypeAlias = tuple[str | int, ...]
"""The way to a value: ``("inputs", 0, "listen")``. The empty path is the whole configuration."""

ENVIRONMENT = "environment"
"""Stands where a file's name would stand when an environment variable is at fault."""

_URL_PATH = re.compile(r"(https?://[^/?#\s]+)[/?#]\S+", re.IGNORECASE)  # that of a webhook is often a secret
_SHOWN_CHARS = 60  # a mistake is recognised by its beginning, and the line should stay one line


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake, printed as one line.

    ``file`` is the path as it was given, or ``environment``. ``line`` and ``column`` count from 1 and are
    None where there is none. ``path`` names the setting or the environment variable; it is empty when the
    file as a whole is wrong.
    """

    file: str
    line: int | None
    column: int | None
    path: str
    message: str

    def __str__(self) -> str:
        where = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        return ": ".join(part for part in (where, self.path, self.message) if part)


class ConfigError(Exception):
    """The configuration cannot be used. ``problems`` holds every reason, in the order of the file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value was written: a position in a file, or an environment variable."""

    file: str
    line: int | None = None
    column: int | None = None
    variable: str | None = None
    variable_keys: int = 0
    """How many keys of a path the variable's name stands for; the rest lies inside its value."""

    def problem(self, path: KeyPath, message: str) -> Problem:
        """Return the problem ``message`` of the setting ``path``, written here."""
        text = path_text(path)
        if self.variable is not None:
            inside = path_text(path[self.variable_keys :])
            text = f"{self.variable}.{inside}" if inside[:1].isalpha() else f"{self.variable}{inside}"
        return Problem(self.file, self.line, self.column, text, message)


def path_text(path: KeyPath) -> str:
    """Write a path for people: ``inputs[0].listen``."""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path).removeprefix(".")


def did_you_mean(word: str, candidates: Iterable[str]) -> str | None:
    """Return the candidate that ``word`` was most likely meant to be, or None when nothing is near."""
    by_folded = {candidate.casefold(): candidate for candidate in candidates}
    nearest = difflib.get_close_matches(word.casefold(), by_folded, n=1)
    return by_folded[nearest[0]] if nearest else None


def shown(value: object) -> str:
    """Write a refused value for a message: short, in YAML's words, without a password."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case dict():
            return "a mapping"
        case list() | tuple():
            return "a list"
        case str():
            text = _URL_PATH.sub(r"\1/***", redacted(value))
            return repr(text if len(text) <= _SHOWN_CHARS else text[:_SHOWN_CHARS] + "…")
        case _:
            return str(value)
