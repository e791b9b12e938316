"""The command line: which scenario, with which settings."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from generator.options import Option, SettingsError, add_flags
from generator.stop import Stop, stopped_by_signals
from generator.terminal import tell

__all__ = ["main"]

_DEFAULT = "app"
# By name, so that the one that needs more than the standard library is only imported when it is played.
_SCENARIOS = {
    "app": ("generator.scenarios.app", "application logs at a rate, to console, file, UDP, TCP and HTTP"),
    "web-api": ("generator.scenarios.web_api", "a small web service that writes access, error and application logs"),
    "faults": ("generator.scenarios.faults", "drives a small API into 400, 404 and 500 and shows the error statistics"),
    "fleet": ("generator.scenarios.fleet", "telemetry of trucks and edge nodes, buffered while the receiver is away"),
}
_BAD_SETTINGS = 2


@dataclass(frozen=True, slots=True)
class _Scenario:
    options: Sequence[Option]
    run: Callable[[Mapping[str, Any], Mapping[str, str], Stop], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: without the program's name; those of the process when None.

    Returns:
        The exit code: 0 done, 1 something was not delivered, 2 bad settings.
    """
    environment = os.environ
    name = _scenario_name(arguments, environment)
    try:
        scenario = _load(name)
        parser = _parser(name)
        add_flags(parser, scenario.options)
        flags = vars(parser.parse_args(arguments))
        with stopped_by_signals() as stop:
            return scenario.run(flags, environment, stop)
    except SettingsError as error:
        for problem in error.problems:
            tell(problem)
        return _BAD_SETTINGS


def _parser(name: str, *, with_help: bool = True) -> argparse.ArgumentParser:
    scenarios = "\n".join(f"  {known:<8} {what}" for known, (_, what) in _SCENARIOS.items())
    parser = argparse.ArgumentParser(
        prog="logstream-generate",
        description=f"Makes logs that look real. These are the settings of the scenario {name}.",
        epilog=f"scenarios, each with settings of its own (--scenario NAME --help):\n{scenarios}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        add_help=with_help,
    )
    parser.add_argument(
        "--scenario", choices=_SCENARIOS, default=name, help=f"what to play (SCENARIO, default {_DEFAULT})"
    )
    return parser


def _scenario_name(arguments: Sequence[str] | None, environment: Mapping[str, str]) -> str:
    """Return the scenario, which decides what other flags there are."""
    wanted = environment.get("SCENARIO") or _DEFAULT
    parser = _parser(wanted, with_help=False)
    name: str = parser.parse_known_args(arguments)[0].scenario
    if name not in _SCENARIOS:
        parser.error(f"SCENARIO: must be one of {', '.join(_SCENARIOS)} (got {name!r})")
    return name


def _load(name: str) -> _Scenario:
    try:
        module = import_module(_SCENARIOS[name][0])
    except ModuleNotFoundError as problem:
        raise SettingsError([f"the scenario {name} needs a package that is not installed: {problem.name}"]) from problem
    return _Scenario(module.OPTIONS, module.run)
