"""Parameters as a query string has them → values, or an error that names the parameter.

Everything a client can get wrong is found before the database is asked.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence

from logstreamd.query.errors import BadParameterError

__all__ = ["Values", "collect", "read_choice", "read_count", "read_names"]

Values = Mapping[str, Sequence[str]]
"""What was given, by name."""

_MAX_VALUES = 100  # names in one list
_MAX_TEXT = 1_024  # characters of one value
_MAX_FILTER = 4_096  # characters of q: what the filter language takes
_MAX_PARAMETERS = 200  # in one question


def collect(
    given: Iterable[tuple[str, str]], known: Sequence[str], *, once: Sequence[str] = (), prefixes: Sequence[str] = ()
) -> dict[str, list[str]]:
    """Sort parameters by name.

    Args:
        given: names and values in their order.
        known: the names there are.
        once: those that may not be repeated.
        prefixes: beginnings of names that go on as the client likes, ``tag.`` for example.

    Raises:
        BadParameterError: an unknown name, or a value that no parameter takes.
    """
    values: dict[str, list[str]] = {}
    for number, (name, value) in enumerate(given, 1):
        if number > _MAX_PARAMETERS:
            raise BadParameterError(name, f"must be among the first {_MAX_PARAMETERS} parameters")
        if name not in known and not any(name.startswith(prefix) and name != prefix for prefix in prefixes):
            guess = difflib.get_close_matches(name, known, n=1)
            names = [*known, *(f"{prefix}NAME" for prefix in prefixes)]
            hint = f"; did you mean {guess[0]}?" if guess else f" (known: {', '.join(names) or 'none'})"
            raise BadParameterError(name, f"is not a parameter of this resource{hint}")
        if name in once and name in values:
            raise BadParameterError(name, "must be given once")
        limit = _MAX_FILTER if name == "q" else _MAX_TEXT
        if len(value) > limit:
            raise BadParameterError(name, f"must be at most {limit} characters (got {len(value)})")
        if "\0" in value:
            raise BadParameterError(name, "must not hold a NUL character")
        values.setdefault(name, []).append(value)
    return values


def read_names(values: Values, field: str) -> tuple[str, ...] | None:
    """Read a list that may be repeated or separated by commas; None when it was not given."""
    if field not in values:
        return None
    names = tuple(name.strip() for value in values[field] for name in value.split(","))
    if not all(names):
        raise BadParameterError(field, f"must not be empty (got {','.join(values[field])!r})")
    if len(names) > _MAX_VALUES:
        raise BadParameterError(field, f"must be at most {_MAX_VALUES} values (got {len(names)})")
    return names


def read_count(values: Values, field: str, *, default: int, at_most: int) -> int:
    """Read a whole number from 1 on."""
    if field not in values:
        return min(default, at_most)
    text = values[field][0]
    # str.isdigit() alone takes digits of other scripts; eight are enough for any limit.
    if text.isascii() and text.isdigit() and len(text) <= 8 and 1 <= int(text) <= at_most:
        return int(text)
    raise BadParameterError(field, f"must be a whole number 1..{at_most} (got {text!r})")


def read_choice(values: Values, field: str, choices: Mapping[str, str]) -> str:
    """Read one of a few words.

    Args:
        choices: what each means, for the error; the first one is the default.
    """
    chosen = values.get(field, [next(iter(choices))])[0]
    if chosen in choices:
        return chosen
    expected = " or ".join(f"{word} ({meaning})" if meaning else word for word, meaning in choices.items())
    raise BadParameterError(field, f"must be {expected} (got {chosen!r})")
