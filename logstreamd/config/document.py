"""The configuration as it was written: plain values, and for each of them the place it was written at.

Documents are laid over each other (environment over file over defaults) before anything is checked, so that a
problem can name the place of the value that lost nothing on the way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from logstreamd.config.problems import KeyPath, Place, Problem

__all__ = ["Document"]


@dataclass(slots=True)
class Document:
    """Plain values with the places they come from."""

    values: object = None
    places: dict[KeyPath, Place] = field(default_factory=dict)
    """Where each value was written."""
    keys: dict[KeyPath, Place] = field(default_factory=dict)
    """Where each key of a mapping was written."""
    problems: list[Problem] = field(default_factory=list)
    """What was wrong with the writing itself."""
    unreadable: set[KeyPath] = field(default_factory=set)
    """Values that could not be read; what the model says of their replacements is of no interest."""

    def refuse(self, path: KeyPath, place: Place, message: str) -> None:
        """Note that the value at ``path`` could not be read."""
        self.unreadable.add(path)
        self.problems.append(place.problem(path, message))

    def is_unreadable(self, path: KeyPath) -> bool:
        """Whether ``path`` is, or lies in, a value that could not be read, and nothing was laid over it."""
        for prefix in _prefixes(path):
            if prefix in self.unreadable:
                return True
            if prefix in self.places:
                return False
        return False

    def place_of(self, path: KeyPath) -> Place | None:
        """Return where the value at ``path`` was written, or else the nearest thing around it."""
        return next((self.places[prefix] for prefix in _prefixes(path) if prefix in self.places), None)

    def get(self, path: KeyPath) -> object:
        """Return the value at ``path``, or None where there is none."""
        value = self.values
        for key in path:
            if isinstance(value, dict):
                value = value.get(key)
            elif isinstance(value, list) and isinstance(key, int) and key < len(value):
                value = value[key]
            else:
                return None
        return value

    def overlay(self, path: KeyPath, other: Document) -> None:
        """Lay ``other``, a document about the value at ``path``, over this one.

        Mappings are merged key by key, everything else replaces what was there, and an empty file says nothing. Where
        this document has a value of the wrong kind on the way (``http: 5``), it stays, for the model to refuse.
        """
        if path or other.values is not None:
            self._lay(path, other.values, other)
        self.problems += other.problems
        self.unreadable |= other.unreadable

    def _lay(self, path: KeyPath, value: object, other: Document) -> None:
        if isinstance(value, dict) and isinstance(self.get(path), dict):
            for key, inner in value.items():
                self._lay((*path, key), inner, other)
            return
        self._put(path, value)
        self.unreadable -= _beneath(path, self.unreadable)
        for mine, theirs in ((self.places, other.places), (self.keys, other.keys)):
            for outdated in _beneath(path, mine):
                del mine[outdated]
            mine.update({inner: theirs[inner] for inner in _beneath(path, theirs)})

    def _put(self, path: KeyPath, value: object) -> None:
        if not path:
            self.values = value
            return
        *parent_keys, key = path
        parent_path = tuple(parent_keys)
        if self.get(parent_path) is None:
            self._put(parent_path, {})
        parent = self.get(parent_path)
        if isinstance(parent, dict) and isinstance(key, str):
            parent[key] = value
        elif isinstance(parent, list) and isinstance(key, int) and key <= len(parent):
            parent[key : key + 1] = [value]


def _prefixes(path: KeyPath) -> Iterator[KeyPath]:
    """Yield ``path`` and everything around it, the longest first."""
    return (path[:length] for length in range(len(path), -1, -1))


def _beneath(path: KeyPath, paths: Iterable[KeyPath]) -> set[KeyPath]:
    """Return those of ``paths`` that are ``path`` or lie inside it."""
    return {one for one in paths if one[: len(path)] == path}
