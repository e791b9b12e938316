"""YAML text → a ``Document``: values with their line and column, and every mistake in the writing.

Only what a configuration needs of YAML is read: mappings, lists and plain values by the core schema of YAML
1.2 (``yes`` and ``12:30`` are texts, ``010`` is ten). Refused with their position: duplicate keys, aliases (a
few lines of them expand to gigabytes), tags (they name Python objects), several documents, and nesting nobody
writes by hand.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from logstreamd.config.document import Document
from logstreamd.config.problems import KeyPath, Place, shown

__all__ = ["MAX_DEPTH", "MAX_FILE_BYTES", "read_file", "read_plain_value", "read_text"]

MAX_FILE_BYTES = 256 * 1024
"""Twenty times the annotated file; PyYAML takes 2.4 s for this much on a slow machine."""

MAX_DEPTH = 32
"""The deepest setting lies at 4, alert rules are planned at 8; the parser's own recursion ends near 300."""

PlaceAt: TypeAlias = Callable[[int, int], Place]
"""Makes the place for a line and a column, both counted from 1."""

_TAG = "tag:yaml.org,2002:"
_CONVERSIONS: dict[str, Callable[[str], object]] = {
    f"{_TAG}null": lambda text: None,
    f"{_TAG}bool": lambda text: text.lower() == "true",
    f"{_TAG}int": int,
    f"{_TAG}float": float,
}
# YAML 1.2.2 section 10.3.2, less hexadecimal, octal, infinity and not-a-number. 18 digits bound the cost of
# int(); what is longer stays a text and is refused as one.
_PLAIN_VALUES: tuple[tuple[str, re.Pattern[str]], ...] = (
    (f"{_TAG}null", re.compile(r"~|null|Null|NULL|")),
    (f"{_TAG}bool", re.compile(r"true|True|TRUE|false|False|FALSE")),
    (f"{_TAG}int", re.compile(r"[-+]?[0-9]{1,18}")),
    (f"{_TAG}float", re.compile(r"[-+]?(\.[0-9]{1,18}|[0-9]{1,18}(\.[0-9]{0,18})?)([eE][-+]?[0-9]{1,2})?")),
)


class _Loader(yaml.SafeLoader):
    """PyYAML's parser with the core schema's plain values and without aliases and tags."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.refused: dict[int, str] = {}
        """Why a node cannot be read, by its ``id()``; the nodes live as long as the tree."""
        self._depth = 0

    def resolve(self, kind: type[yaml.Node], value: str, implicit: Any) -> str:
        """Return the tag of a node that has none written; ``implicit[0]`` is true of an unquoted value."""
        if kind is yaml.ScalarNode and implicit[0]:
            return _plain_tag(value)
        return str(super().resolve(kind, value, (False, False)))  # type: ignore[no-untyped-call]

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Read the next node and what is in it."""
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        node: yaml.Node | None
        if isinstance(event, yaml.AliasEvent):
            self.get_event()  # type: ignore[no-untyped-call]
            node = yaml.ScalarNode(f"{_TAG}null", "", event.start_mark, event.end_mark)  # type: ignore[arg-type]
            self.refused[id(node)] = f"the alias *{event.anchor} is refused: write the value out"
            return node
        if self._depth == MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem=f"nested deeper than {MAX_DEPTH}", problem_mark=event.start_mark)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        if event.tag is not None:
            self.refused[id(node)] = f"the tag {_short_tag(event.tag)} is refused: write the plain value"
        return node


def read_plain_value(text: str) -> object:
    """Read one value as YAML reads it alone and unquoted: null, a boolean, a number or else a text."""
    convert = _CONVERSIONS.get(_plain_tag(text))
    return convert(text) if convert else text


def read_file(path: Path) -> Document:
    """Read a file of at most ``MAX_FILE_BYTES``; whatever is wrong with it is in the document's problems."""
    name = str(path)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        return _unreadable(Place(name), f"cannot be read: {error.strerror}")
    if len(data) > MAX_FILE_BYTES:
        return _unreadable(Place(name), f"is larger than {MAX_FILE_BYTES // 1024} KiB: this is no configuration")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line_start = data.rfind(b"\n", 0, error.start) + 1
        place = Place(name, data.count(b"\n", 0, error.start) + 1, error.start - line_start + 1)
        return _unreadable(place, f"is not UTF-8: byte 0x{data[error.start]:02x}")
    return read_text(text, lambda line, column: Place(name, line, column))


def read_text(text: str, place_at: PlaceAt, path: KeyPath = ()) -> Document:
    """Read YAML.

    Args:
        text: one YAML document.
        place_at: makes the places.
        path: where in the configuration the text belongs.

    Returns:
        The document. Where the text is not YAML at all, its only problem says where the reading ended.
    """
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        place = place_at(before.count("\n") + 1, len(before) - before.rfind("\n"))
        return _unreadable(place, f"not valid YAML: the control character #x{ord(text[error.position]):04x}", path)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = place_at(mark.line + 1, mark.column + 1) if mark else place_at(1, 1)
        return _unreadable(place, f"not valid YAML: {_explain(error)}", path)
    reading = _Reading(place_at, loader.refused)
    if root is not None:
        reading.document.values = reading.value(root, path)
    return reading.document


class _Reading:
    """One walk over the tree of nodes."""

    def __init__(self, place_at: PlaceAt, refused: dict[int, str]) -> None:
        self._place_at = place_at
        self._refused = refused
        self.document = Document()

    def value(self, node: yaml.Node, path: KeyPath) -> object:
        self.document.places[path] = self._place(node)
        if id(node) in self._refused:
            self.document.refuse(path, self._place(node), self._refused[id(node)])
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(inner, (*path, index)) for index, inner in enumerate(node.value)]
        convert = _CONVERSIONS.get(node.tag)
        return convert(node.value) if convert else node.value

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, object]:
        mapping: dict[str, object] = {}
        for key_node, value_node in node.value:
            place = self._place(key_node)
            if not isinstance(key_node, yaml.ScalarNode) or id(key_node) in self._refused:
                self.document.problems.append(place.problem(path, "a key must be a plain text"))
                continue
            key_path = (*path, key_node.value)
            if key_node.value in mapping:
                first = self.document.keys[key_path]
                on_line = f" (first on line {first.line})" if first.line else ""
                self.document.problems.append(place.problem(key_path, f"duplicate key{on_line}"))
                continue
            self.document.keys[key_path] = place
            mapping[key_node.value] = self.value(value_node, key_path)
        return mapping

    def _place(self, node: yaml.Node) -> Place:
        return self._place_at(node.start_mark.line + 1, node.start_mark.column + 1)


def _unreadable(place: Place, message: str, path: KeyPath = ()) -> Document:
    document = Document()
    document.refuse(path, place, message)
    return document


def _explain(error: yaml.MarkedYAMLError) -> str:
    """Say what the parser stumbled over, and the usual reason where there is one."""
    problem = error.problem or "incomplete"
    if "\\t" in problem:
        return "a tab cannot start a value: indent with spaces"
    if error.context == "while scanning an alias":
        return 'a value that begins with * needs quotes, such as "*:5514"'
    if problem == "expected the node content, but found ':'":
        return 'an address with brackets needs quotes, such as "[::1]:5514"'
    if "single document" in (error.context or ""):
        return "more than one document in the file"
    return problem


def _plain_tag(text: str) -> str:
    return next((tag for tag, pattern in _PLAIN_VALUES if pattern.fullmatch(text)), f"{_TAG}str")


def _short_tag(tag: str) -> str:
    return shown(tag.replace(_TAG, "!!"))
