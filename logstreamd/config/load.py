"""The way from file and environment to a checked ``Config``, or to every reason why there is none.

1. the file becomes a ``Document`` (values and places), the environment is laid over it
2. the model checks the values, all of them
3. what it refuses is turned into problems at the places the values came from
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from logstreamd.config.document import Document
from logstreamd.config.environment import apply_environment
from logstreamd.config.explain import DEFAULTS, explain
from logstreamd.config.model import Config
from logstreamd.config.problems import ENVIRONMENT, ConfigError, KeyPath, Place, Problem
from logstreamd.config.yaml_source import read_file

__all__ = ["Loaded", "load_config", "read_config"]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration that is checked, and where it was written.

    Attributes:
        config: every setting.
        file: the YAML file, None without one.
        document: the values as they were written, with their places.
    """

    config: Config
    file: Path | None
    document: Document

    def problem(self, path: KeyPath, message: str) -> Problem:
        """Return what is wrong with a setting that is in order as far as its value alone can tell."""
        nowhere = DEFAULTS if self.file is None else Place(str(self.file))
        return (self.document.place_of(path) or nowhere).problem(path, message)


def load_config(path: Path | None, environ: Mapping[str, str]) -> Config:
    """Read the configuration, see :func:`read_config`."""
    return read_config(path, environ).config


def read_config(path: Path | None, environ: Mapping[str, str]) -> Loaded:
    """Read the configuration: the environment over the file over the defaults.

    Args:
        path: the YAML file, or None to do without one.
        environ: the environment variables.

    Returns:
        The configuration, every value checked.

    Raises:
        ConfigError: it cannot be used. Every problem is in it, not only the first.
    """
    document = _defaults(environ)
    if path is not None:
        document.overlay((), read_file(path))
    apply_environment(document, environ)
    problems = document.problems
    config = None
    try:
        config = Config.model_validate(document.values)
    except ValidationError as error:
        problems = problems + explain(error, document)
    if config is None or problems:
        # Outside the handler: the ValidationError as its context would show values that may be secret.
        raise ConfigError(sorted(problems, key=_reading_order))
    return Loaded(config, path, document)


def _defaults(environ: Mapping[str, str]) -> Document:
    """Return the defaults that differ from the model's own.

    Under systemd ``StateDirectory=`` puts the directory's path into ``STATE_DIRECTORY`` (several are
    separated by colons).
    """
    state_dir = environ.get("STATE_DIRECTORY", "").partition(":")[0]
    inputs = [{"type": one.type, "listen": str(one.listen)} for one in Config.model_fields["inputs"].default]
    values: dict[str, object] = {"inputs": inputs}
    places: dict[KeyPath, Place] = {}
    if state_dir:
        values["state_dir"] = state_dir
        places[("state_dir",)] = Place(ENVIRONMENT, variable="STATE_DIRECTORY", variable_keys=1)
    return Document(values=values, places=places)


def _reading_order(problem: Problem) -> tuple[bool, int, int, str]:
    return (problem.file == ENVIRONMENT, problem.line or 0, problem.column or 0, problem.path)
