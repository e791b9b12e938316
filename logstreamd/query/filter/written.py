"""Parts of a filter → the text they are written as: bare where that reads the same, otherwise in quotes."""

from __future__ import annotations

import re

__all__ = ["KEYWORDS", "write_number", "write_path", "write_regex", "write_search", "write_value"]

KEYWORDS = ("AND", "OR", "NOT")

# Less than what may stand bare: enough for names, numbers and addresses.
_BARE_WORD = re.compile(r"[^\W_][\w.-]*")
_BARE_VALUE = re.compile(r"[\w-][\w.:/@-]*")
_BARE_SEGMENT = re.compile(r"[\w@-]+")


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def write_value(value: str) -> str:
    """Write the value of a field."""
    return value if _BARE_VALUE.fullmatch(value) else _quoted(value)


def write_path(path: tuple[str, ...]) -> str:
    """Write the path of an attribute."""
    return ".".join(["attrs", *(name if _BARE_SEGMENT.fullmatch(name) else _quoted(name) for name in path)])


def write_search(target: object | None, text: str) -> str:
    """Write a text to look for, everywhere or in one column."""
    if target is not None:
        return f"{target}:{write_value(text)}"
    return text if _BARE_WORD.fullmatch(text) and text not in KEYWORDS else _quoted(text)


def write_regex(target: object | None, source: str, ignore_case: bool) -> str:
    """Write a regex; in ``source`` its slashes are escaped already."""
    return f"{'' if target is None else f'{target}:'}/{source}/{'i' if ignore_case else ''}"


def write_number(operator: str, number: str) -> str:
    """Write a comparison's right side."""
    return f"{':' if operator == '=' else operator}{number}"
