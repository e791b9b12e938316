"""Reads a Dockerfile and a .dockerignore: as much of them as ours use."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Any

__all__ = ["Instruction", "ignored", "instructions"]


@dataclass(frozen=True)
class Instruction:
    """One instruction, its lines joined."""

    keyword: str
    text: str

    @property
    def words(self) -> list[str]:
        return self.text.split()

    def document(self) -> Any:
        """What is written in JSON, the exec form."""
        return json.loads(self.text)


def instructions(path: Path) -> list[Instruction]:
    """Return the instructions in order, without comments."""
    lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
    text = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [Instruction(*line.split(None, 1)) for line in text.splitlines() if line.strip()]


def ignored(path: str, ignore_file: Path) -> bool:
    """Whether a path stays out of the build: the last pattern that matches it, or a directory it is in, decides."""
    names = [path, *(str(parent) for parent in PurePosixPath(path).parents)][:-1] or [path]
    found = False
    for line in ignore_file.read_text().splitlines():
        pattern = line.strip().removeprefix("!")
        if pattern and not pattern.startswith("#") and any(_matches(name, pattern) for name in names):
            found = not line.startswith("!")
    return found


def _matches(name: str, pattern: str) -> bool:
    if pattern.startswith("**/"):
        return fnmatch(PurePosixPath(name).name, pattern.removeprefix("**/"))
    return fnmatch(name, pattern) and name.count("/") == pattern.count("/")
