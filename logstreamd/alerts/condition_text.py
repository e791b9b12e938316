"""The text of a condition → a condition.

::

    condition  = "count" compare number
               | "rate" compare number "/" ( "s" | "m" | "h" )
               | "ratio" "(" filter ")" compare share [ "and" "count" ">=" number ]
               | "distinct" "(" key ")" compare number
               | "absent" [ "(" "lookback=" duration ")" ]
               | "spike" [ "(" option { "," option } ")" ]
    option     = "factor=" number | "windows=" number | "min=" number | "side=" ( "above" | "below" | "both" )
    compare    = ">" | ">=" | "<" | "<=" | "==" | "!="
    share      = number [ "%" ]
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import TypeVar, get_args

from logstreamd.alerts.condition import (
    Absent,
    Comparison,
    Condition,
    Count,
    DistinctValues,
    Operator,
    Rate,
    RateUnit,
    Ratio,
    Side,
    Spike,
    number_text,
)
from logstreamd.alerts.group_key import GroupKey, read_group_key
from logstreamd.alerts.mistake import MistakeError
from logstreamd.config.problems import did_you_mean, shown
from logstreamd.config.units import Duration, WholeNumber
from logstreamd.config.yaml_source import read_plain_value
from logstreamd.query.filter import Filter, FilterError, parse_filter

__all__ = ["CONDITION_MAX_CHARS", "DEFAULT_LOOKBACK", "read_condition"]

CONDITION_MAX_CHARS = 4_096
"""As much as a filter may have, since a ratio holds one."""

DEFAULT_LOOKBACK = timedelta(days=1)

# Lower bound: a band narrower than half a deviation is left by two windows of three. Upper bound: none ever leaves it.
_MIN_FACTOR, _MAX_FACTOR = 0.5, 100
# Lower bound: of fewer there is no median worth the name. Upper bound: a day of five minutes.
_WINDOWS = WholeNumber(4, 288)
_MIN_LINES = WholeNumber(1, 1_000_000_000)
# Lower bound: the shortest window. Upper bound: a month, as long as lines are kept by default.
_LOOKBACK = Duration(10, 31 * 86_400, bare=False)

_OPERATORS: dict[str, Operator] = {one: one for one in get_args(Operator)}
_UNITS: dict[str, RateUnit] = {one: one for one in get_args(RateUnit)}
_SIDES: dict[str, Side] = {one: one for one in get_args(Side)}
_T = TypeVar("_T")

_NAME = re.compile(r"\s*(\w*)")
_COMPARE = re.compile(r"\s*([><=!]+)")
_NUMBER = re.compile(r"\s*([0-9]{1,15}(?:\.[0-9]{1,9})?)(?![0-9.])")
_UNIT = re.compile(r"\s*/\s*([smh])\b")
_PERCENT = re.compile(r"\s*%")
_ENOUGH = re.compile(r"\s*and\s+count\s*>=\s*([0-9]{1,9})\b")
_OPTION = re.compile(r"\s*(\w+)\s*=\s*([\w.]+)\s*")
_BLANK = re.compile(r"\s*")
_OPERATOR_MEANT = {"=": "==", "=>": ">=", "=<": "<=", "<>": "!=", "===": "=="}


def read_condition(text: str) -> Condition:
    """Read a condition.

    Raises:
        MistakeError: it can't be read; with the place in the text.
    """
    if len(text) > CONDITION_MAX_CHARS:
        raise MistakeError(CONDITION_MAX_CHARS, f"must have at most {CONDITION_MAX_CHARS} characters (got {len(text)})")
    return _Reading(text).condition()


class _Reading:
    """A place in the text that moves on."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._offset = 0
        self._readers: Mapping[str, Callable[[], Condition]] = MappingProxyType(
            {
                "count": self._count,
                "rate": self._rate,
                "ratio": self._ratio,
                "distinct": self._distinct,
                "absent": self._absent,
                "spike": self._spike,
            }
        )

    def condition(self) -> Condition:
        name = self._take(_NAME)
        assert name is not None, "matches everything"  # noqa: S101 - for the type checker
        if name[1] not in self._readers:
            raise MistakeError(name.start(1), _no_measure(name[1], self._readers))
        condition = self._readers[name[1]]()
        self._skip_blanks()
        if self._offset < len(self._text):
            raise self._expected(f"nothing more behind '{self._text[: self._offset].strip()}'")
        return condition

    def _count(self) -> Condition:
        return Count(self._comparison())

    def _rate(self) -> Condition:
        comparison = self._comparison()
        unit = self._take(_UNIT)
        if unit is None:
            raise self._expected("a unit behind the rate: /s, /m or /h")
        return Rate(comparison, _UNITS[unit[1]])

    def _ratio(self) -> Condition:
        part = self._filter(*self._parenthesized("a filter, such as ratio(level>=error)"))
        comparison = self._comparison(self._share)
        enough = self._take(_ENOUGH)
        return Ratio(part, comparison, max(1, int(enough[1])) if enough else 1)

    def _distinct(self) -> Condition:
        written, offset = self._parenthesized("a key, such as distinct(host)")
        return DistinctValues(self._key(written, offset), self._comparison())

    def _absent(self) -> Condition:
        options = self._options(("lookback",))
        return Absent(_read_option(options, "lookback", _read_lookback, DEFAULT_LOOKBACK))

    def _spike(self) -> Condition:
        options = self._options(("factor", "windows", "min", "side"))
        return Spike(
            factor=_read_option(options, "factor", _read_factor, 4.0),
            windows=_read_option(options, "windows", _read_windows, 24),
            min_lines=_read_option(options, "min", _read_min_lines, 10),
            side=_read_option(options, "side", _read_side, "above"),
        )

    def _comparison(self, number: Callable[[], float] | None = None) -> Comparison:
        found = self._take(_COMPARE)
        if found is None:
            raise self._expected("a comparison, such as > 10")
        operator = found[1]
        if operator not in _OPERATORS:
            meant = _OPERATOR_MEANT.get(operator)
            hint = f"; did you mean {meant}?" if meant else ""
            raise MistakeError(found.start(1), f"expected >, >=, <, <=, == or != (got {operator!r}{hint})")
        return Comparison(_OPERATORS[operator], (number or self._number)())

    def _number(self) -> float:
        found = self._take(_NUMBER)
        if found is None:
            raise self._expected("a number")
        return float(found[1])

    def _share(self) -> float:
        self._skip_blanks()
        offset = self._offset
        number = self._number()
        # Divided: 5 % is then the same float as 0.05.
        share = number / 100 if self._take(_PERCENT) else number
        if share > 1:
            hint = f"; did you mean {number_text(number)}%?" if share == number <= 100 else ""
            raise MistakeError(offset, f"a ratio is a share, 0..1 (got {number_text(share)}{hint})")
        return share

    def _filter(self, text: str, offset: int) -> Filter:
        try:
            return parse_filter(text)
        except FilterError as error:
            raise MistakeError(offset + error.column - 1, f"expected {error.expected} (got {error.got})") from None

    def _key(self, written: str, offset: int) -> GroupKey:
        try:
            return read_group_key(written.strip())
        except ValueError as error:
            raise MistakeError(offset + len(written) - len(written.lstrip()), str(error)) from None

    def _parenthesized(self, what: str) -> tuple[str, int]:
        """Take what stands in parentheses: up to the last closing one, since a comparison has none."""
        self._skip_blanks()
        close = self._text.rfind(")")
        if not self._text.startswith("(", self._offset):
            raise self._expected(f"'(' and {what}")
        if close < 0:
            raise MistakeError(self._offset, "'(' has no ')' behind it")
        start, self._offset = self._offset + 1, close + 1
        inside = self._text[start:close]
        if not inside.strip():
            raise MistakeError(start, f"expected {what}")
        return inside, start

    def _options(self, names: tuple[str, ...]) -> dict[str, tuple[str, int]]:
        """Take the options in parentheses, if there are any: their texts, and where those stand."""
        self._skip_blanks()
        options: dict[str, tuple[str, int]] = {}
        if not self._text.startswith("(", self._offset):
            return options
        while not self._text.startswith(")", self._offset):
            self._offset += 1  # the parenthesis, or a comma
            found = self._take(_OPTION)
            if found is None:
                raise self._expected(f"NAME=VALUE with one of {', '.join(names)}")
            if found[1] in options or found[1] not in names:
                raise MistakeError(found.start(1), _no_option(found[1], names, given=found[1] in options))
            options[found[1]] = (found[2], found.start(2))
            if not self._text.startswith((",", ")"), self._offset):
                raise self._expected("',' or ')' behind this option")
        self._offset += 1
        return options

    def _skip_blanks(self) -> None:
        self._take(_BLANK)

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Move on behind a pattern, if it is here."""
        found = pattern.match(self._text, self._offset)
        if found:
            self._offset = found.end()
        return found

    def _expected(self, what: str) -> MistakeError:
        self._skip_blanks()
        return MistakeError(self._offset, f"expected {what} (got {_here(self._text[self._offset :])})")


def _read_option(options: Mapping[str, tuple[str, int]], name: str, read: Callable[[str], _T], default: _T) -> _T:
    """Return the value of an option, or its default where it is not given."""
    if name not in options:
        return default
    text, offset = options[name]
    try:
        return read(text)
    except ValueError as error:
        raise MistakeError(offset, f"{name} {error}") from None


def _read_lookback(text: str) -> timedelta:
    return timedelta(seconds=_LOOKBACK.read(text))


def _read_windows(text: str) -> int:
    return _WINDOWS.read(read_plain_value(text)) or 0


def _read_min_lines(text: str) -> int:
    return _MIN_LINES.read(read_plain_value(text)) or 0


def _read_factor(text: str) -> float:
    found = _NUMBER.fullmatch(text)
    if found is None or not _MIN_FACTOR <= float(text) <= _MAX_FACTOR:
        raise ValueError(f"must be {_MIN_FACTOR}..{_MAX_FACTOR} (got {shown(text)})")
    return float(text)


def _read_side(text: str) -> Side:
    if text not in _SIDES:
        raise ValueError(f"must be one of {', '.join(_SIDES)} (got {shown(text)})")
    return _SIDES[text]


def _no_measure(name: str, measures: Iterable[str]) -> str:
    near = did_you_mean(name, measures) if name else None
    hint = f"; did you mean {near}?" if near else ""
    return f"a condition begins with {', '.join(measures)} (got {_here(name)}{hint})"


def _no_option(name: str, names: tuple[str, ...], *, given: bool) -> str:
    if given:
        return f"option {name} is there twice"
    near = did_you_mean(name, names)
    hint = f"did you mean {near}?" if near else f"there are {', '.join(names)}"
    return f"no option {name} ({hint})"


def _here(rest: str) -> str:
    """Quote what stands somewhere, to its next blank; nothing is the end."""
    return shown(rest.split(maxsplit=1)[0]) if rest.strip() else "end"
