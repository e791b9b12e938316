"""What `query` and `tail` have in common: the options that say which rows, and which daemon to ask."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from logstreamd.cli.configuration import config_option, configuration

__all__ = ["Wanted", "asking_options", "daemon_url", "moment"]

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
    click.option(
        "--url", envvar="LOGSTREAMD_URL", metavar="URL", help="The daemon. Default: $LOGSTREAMD_URL, else http.listen."
    ),
    config_option,
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
    for option in reversed(_OPTIONS):
        command = option(command)
    return click.argument("filter_text", metavar="[FILTER]", default="")(command)


def daemon_url(url: str | None, config_file: Path | None) -> str:
    """Return where the daemon answers: what was said, or what the configuration says."""
    if url:
        return (url if "://" in url else f"http://{url}").rstrip("/")
    config, source = configuration(config_file)
    listen = config.http.listen
    if listen.port == 0:
        raise click.UsageError(f"http.listen has port 0 in {source or 'the environment'}: name the daemon with --url")
    host = {"*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(listen.host, listen.host)
    return f"http://[{host}]:{listen.port}" if ":" in host else f"http://{host}:{listen.port}"


def moment(text: str) -> str:
    """Return a time for the API: ``1h`` is an hour ago."""
    return f"-{text}" if _DURATION.fullmatch(text) else text
