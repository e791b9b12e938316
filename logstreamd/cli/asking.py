"""What `query` and `tail` have in common: the options that say which rows, and which daemon to ask."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from logstreamd.cli.endpoint import endpoint_options

__all__ = ["Wanted", "asking_options", "moment"]

_F = TypeVar("_F", bound=Callable[..., Any])
_DURATION = re.compile(r"\d+(ms|s|m|h|d|w)")
_OPTIONS = (
    click.option("--service", multiple=True, metavar="NAME", help="Only of this service; may be repeated."),
    click.option("--host", multiple=True, metavar="NAME", help="Only of this host; may be repeated."),
    click.option("--level", multiple=True, metavar="LEVEL", help="Only of this level; may be repeated."),
    click.option("--min-level", metavar="LEVEL", help="Only of this level and worse."),
    click.option("--json", "as_json", is_flag=True, help="One JSON object per line, as the daemon sends it."),
    click.option("--utc", is_flag=True, help="Times in UTC; default: the local zone."),
    click.option(
        "--color",
        "colour",
        type=click.Choice(["auto", "always", "never"]),
        default="auto",
        show_default=True,
        help="auto: on a terminal, unless NO_COLOR is set.",
    ),
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows, as the API's parameters have it."""

    filter_text: str
    service: Sequence[str]
    host: Sequence[str]
    level: Sequence[str]
    min_level: str | None

    def parameters(self) -> list[tuple[str, str]]:
        """Return the parameters of the API."""
        lists = {"service": self.service, "host": self.host, "level": self.level}
        named = [(name, value) for name, values in lists.items() for value in values]
        once = {"q": self.filter_text, "min_level": self.min_level}
        return named + [(name, value) for name, value in once.items() if value]


def asking_options(command: _F) -> _F:
    """Give a command the argument FILTER and the options that both commands have."""
    command = endpoint_options(command)
    for option in reversed(_OPTIONS):
        command = option(command)
    return click.argument("filter_text", metavar="[FILTER]", default="")(command)


def moment(text: str) -> str:
    """Return a time for the API: ``1h`` is an hour ago."""
    return f"-{text}" if _DURATION.fullmatch(text) else text
