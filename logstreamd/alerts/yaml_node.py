"""A value in a YAML file that is read piece by piece, while every mistake is noted at its place.

Reading goes on behind a mistake: what could not be read is None, and whoever reads the file looks at its problems in
the end.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from logstreamd.alerts.mistake import MistakeError
from logstreamd.alerts.written_place import find_written
from logstreamd.config.problems import KeyPath, Place, Problem, did_you_mean, shown
from logstreamd.config.yaml_source import read_file
from logstreamd.query.filter import FilterError

__all__ = ["Fields", "Node", "YamlFile", "read_text_value"]

_T = TypeVar("_T")
# What neither PostgreSQL nor JSON in UTF-8 can hold; YAML's escapes can name it.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_NO_HINTS: Mapping[str, str] = MappingProxyType({})


class YamlFile:
    """A file that is read, and what is wrong with it.

    Args:
        path: as the person gave it: it is repeated in the messages.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._document = read_file(path)

    @property
    def problems(self) -> list[Problem]:
        """What is wrong with it so far, in the order of the lines."""
        return sorted(self._document.problems, key=lambda one: (one.line or 0, one.column or 0, one.path))

    @property
    def root(self) -> Node | None:
        """The whole file; None when it is not YAML."""
        return None if self._document.is_unreadable(()) else Node(self, (), self._document.values)

    def place_of(self, path: KeyPath) -> Place:
        """Return where a value was written, or the nearest thing around it."""
        return self._document.place_of(path) or Place(str(self.path))

    def refuse(self, path: KeyPath, place: Place, message: str) -> None:
        """Note a mistake, unless the value could not be read anyway."""
        if not self._document.is_unreadable(path):
            self._document.problems.append(place.problem(path, message))

    def place_of_key(self, path: KeyPath) -> Place:
        """Return where the key of a value was written."""
        return self._document.keys.get(path) or self.place_of(path)

    def place_inside(self, path: KeyPath, value: str, offset: int) -> Place:
        """Return where a character of a text was written."""
        place = self.place_of(path)
        if place.line is None or place.column is None:
            return place
        line, column = find_written(self._source, place.line, place.column, value, offset)
        return Place(place.file, line, column)

    @cached_property
    def _source(self) -> str:
        # Read once more, and only for a message: what is wrong inside a text is rare.
        return self.path.read_bytes().decode("utf-8-sig")


@dataclass(frozen=True, slots=True)
class Node:
    """One value of a file."""

    file: YamlFile
    path: KeyPath
    value: object

    @property
    def place(self) -> Place:
        """Where it was written."""
        return self.file.place_of(self.path)

    def refuse(self, message: str, offset: int | None = None) -> None:
        """Note a mistake, at a character of the value if it is known which."""
        inside = offset is not None and isinstance(self.value, str)
        place = self.file.place_inside(self.path, str(self.value), offset or 0) if inside else self.place
        self.file.refuse(self.path, place, message)

    def refuse_key(self, message: str) -> None:
        """Note that the value's key is a mistake."""
        self.file.refuse(self.path, self.file.place_of_key(self.path), message)

    def read(self, reader: Callable[[object], _T]) -> _T | None:
        """Return what a reader makes of the value; None when it refuses it, which is noted."""
        try:
            return reader(self.value)
        except MistakeError as error:
            self.refuse(str(error), error.offset)
        except FilterError as error:
            self.refuse(f"expected {error.expected} (got {error.got})", error.column - 1)
        except ValueError as error:
            self.refuse(str(error))
        return None

    def elements(self, most: int) -> list[Node]:
        """Return the elements of a list; none when it is no list, which is noted."""
        if not isinstance(self.value, list):
            hint = f"; did you mean [{self.value}]?" if isinstance(self.value, str) and self.value else ""
            self.refuse(f"must be a list (got {shown(self.value)}{hint})")
            return []
        if len(self.value) > most:
            self.refuse(f"must have at most {most} elements (got {len(self.value)})")
        return [Node(self.file, (*self.path, index), element) for index, element in enumerate(self.value[:most])]

    def entries(self) -> dict[str, Node]:
        """Return the keys and values of a mapping; none when it is no mapping, which is noted."""
        if not isinstance(self.value, dict):
            self.refuse(f"must be a mapping (got {shown(self.value)})")
            return {}
        return {key: Node(self.file, (*self.path, key), value) for key, value in self.value.items()}

    def fields(
        self, known: Collection[str], *, required: Collection[str] = (), hints: Mapping[str, str] = _NO_HINTS
    ) -> Fields:
        """Return the fields of a mapping with known keys; every other key is noted, and every one that lacks.

        Args:
            known: the keys.
            required: those that must be there.
            hints: what to say about keys that people know from elsewhere.
        """
        nodes = self.entries()
        for key in nodes.keys() - set(known):
            nodes[key].refuse_key(_unknown(key, known, hints))
        for key in required:
            if key not in nodes and isinstance(self.value, dict):
                self.file.refuse((*self.path, key), self.place, "is required")
        return Fields({key: node for key, node in nodes.items() if key in known})


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of a mapping, those that are there."""

    nodes: Mapping[str, Node]

    def read(self, key: str, reader: Callable[[object], _T]) -> _T | None:
        """Return a field; None when it is not there or refused."""
        node = self.nodes.get(key)
        return None if node is None else node.read(reader)

    def read_or(self, key: str, reader: Callable[[object], _T], default: _T) -> _T:
        """Return a field, or its default when it is not there or refused."""
        value = self.read(key, reader)
        return default if value is None else value

    def elements(self, key: str, most: int) -> list[Node]:
        """Return the elements of a field that is a list; none when it is not there."""
        node = self.nodes.get(key)
        return [] if node is None else node.elements(most)

    def entries(self, key: str) -> dict[str, Node]:
        """Return the keys and values of a field that is a mapping; none when it is not there."""
        node = self.nodes.get(key)
        return {} if node is None else node.entries()


def read_text_value(value: object) -> str:
    """Return a text; raise ValueError for everything else, also for numbers without quotes."""
    if not isinstance(value, str):
        hint = " (write it in quotes)" if isinstance(value, int | float) else ""
        raise ValueError(f"must be a text (got {shown(value)}){hint}")
    if unstorable := _UNSTORABLE.search(value):
        raise MistakeError(unstorable.start(), f"a character that can't be stored (got {shown(unstorable[0])})")
    return value


def _unknown(key: str, known: Collection[str], hints: Mapping[str, str]) -> str:
    if key in hints:
        return f"unknown key ({hints[key]})"
    meant = did_you_mean(key, known)
    return "unknown key" + (f" (did you mean '{meant}'?)" if meant else "")
