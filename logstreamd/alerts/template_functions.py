"""The functions of templates; those that Prometheus has too give what they give there."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from logstreamd.alerts.condition import number_text
from logstreamd.alerts.mistake import MistakeError

__all__ = ["FUNCTIONS", "Function", "Kind", "read_format"]

Kind: TypeAlias = Literal["number", "text"]
Function: TypeAlias = Callable[..., str]

_LARGER = ("k", "M", "G", "T", "P", "E", "Z", "Y")
_SMALLER = ("m", "u", "n", "p", "f", "a", "z", "y")
_WORD_START = re.compile(r"(?<![\w'])\w")
# Two digits of width and precision: a format must not make a page of blanks.
_VERB = re.compile(r"%(?P<flags>[-+ 0]*)(?P<width>\d{0,2})(?P<precision>\.\d{1,2})?(?P<verb>[^\W\d]|%|)")
_VERBS: dict[Kind, str] = {"number": "feEgGv", "text": "sv"}


def _humanize(value: float) -> str:
    """Write a number with four digits and a metric prefix: ``1234567`` is ``1.235M``."""
    prefix = ""
    if abs(value) >= 1:
        for prefix_above in _LARGER:
            if abs(value) < 1000:
                break
            prefix, value = prefix_above, value / 1000
    elif value:
        prefix, value = _small(value)
    return f"{value:.4g}{prefix}"


def _humanize_duration(seconds: float) -> str:
    """Write seconds as people do: ``3725`` is ``1h 2m 5s``."""
    if abs(seconds) < 1:
        prefix, value = _small(seconds) if seconds else ("", 0.0)
        return f"{value:.4g}{prefix}s"
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    minutes, whole_seconds = divmod(int(seconds), 60)
    if not minutes:
        return f"{sign}{seconds:.4g}s"
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    units = [(days, "d"), (hours, "h"), (minutes, "m"), (whole_seconds, "s")]
    while not units[0][0]:
        del units[0]
    return sign + " ".join(f"{amount}{unit}" for amount, unit in units)


def _small(value: float) -> tuple[str, float]:
    """Return the metric prefix of a number below one, and how much of it there is."""
    prefix = ""
    for prefix_below in _SMALLER:
        if abs(value) >= 1:
            break
        prefix, value = prefix_below, value * 1000
    return prefix, value


FUNCTIONS: Mapping[str, tuple[tuple[Kind, ...], Function]] = MappingProxyType(
    {
        "humanize": (("number",), _humanize),
        "humanizePercentage": (("number",), lambda value: f"{value * 100:.4g}%"),
        "humanizeDuration": (("number",), _humanize_duration),
        "title": (("text",), lambda text: _WORD_START.sub(lambda found: found[0].upper(), text)),
        "toUpper": (("text",), str.upper),
        "toLower": (("text",), str.lower),
        "default": (("text", "text"), lambda fallback, text: text or fallback),
        # Its arguments are those of its format: see read_format.
        "printf": ((), str),
    }
)
"""Each function with the kinds of its arguments."""


def read_format(text: str, kinds: tuple[str, ...], offset: int) -> Function:
    """Return the function that a format of ``printf`` stands for.

    Args:
        text: the format, with a verb for each argument: ``%.2f``, ``%s``, ``%v``; ``%%`` is a percent sign.
        kinds: of the arguments.
        offset: where the format stands, for the error.

    Raises:
        MistakeError: the format does not fit the arguments.
    """
    verbs = [found for found in _VERB.finditer(text) if found["verb"] != "%"]
    if len(verbs) != len(kinds):
        raise MistakeError(offset, f"printf's format has {len(verbs)} verbs for {len(kinds)} arguments")
    for found, kind in zip(verbs, kinds, strict=True):
        allowed = _VERBS["number" if kind == "number" else "text"]
        if found["verb"] not in tuple(allowed):
            instead = "; write %.0f" if found["verb"] == "d" and kind == "number" else ""
            raise MistakeError(offset, f"printf can't write a {kind} as {found[0]!r}{instead}")
    return lambda *values: _formatted(text, values)


def _formatted(text: str, values: tuple[Any, ...]) -> str:
    remaining = iter(values)

    def written(found: re.Match[str]) -> str:
        if found["verb"] == "%":
            return "%"
        value, verb = next(remaining), found["verb"]
        if verb == "v":
            value, verb = (value if isinstance(value, str) else number_text(value)), "s"
        return str(f"%{found['flags']}{found['width']}{found['precision'] or ''}{verb}" % value)

    return _VERB.sub(written, text)
