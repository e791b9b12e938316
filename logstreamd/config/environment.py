"""Environment variables → values laid over the document.

The name is the path in capitals, its keys joined by two underscores: ``LOGSTREAMD_WRITER__BATCH_MAX_ROWS``,
``LOGSTREAMD_INPUTS__0__LISTEN``. A single setting is read like an unquoted YAML value (quotes make it a text
whatever it looks like); a section or a list is read as YAML. Longer names win over shorter ones, so an
element can be changed in a list that another variable sets.

An unknown ``LOGSTREAMD_*`` name is a problem, because it is a setting that somebody believes to be in force.
Not meant for us are the variables that Kubernetes makes for a service of our name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from logstreamd.config.document import Document
from logstreamd.config.problems import ENVIRONMENT, KeyPath, Place, did_you_mean
from logstreamd.config.schema import settings
from logstreamd.config.yaml_source import read_plain_value, read_text

__all__ = ["PREFIX", "RESERVED", "apply_environment", "variable_name"]

PREFIX = "LOGSTREAMD_"

RESERVED = frozenset({"LOGSTREAMD_CA", "LOGSTREAMD_CONFIG", "LOGSTREAMD_FAULT", "LOGSTREAMD_TOKEN", "LOGSTREAMD_URL"})
"""Variables that are no settings: the configuration file's path, the tests' fault points, and for commands that ask a
daemon, which one it is, the token it wants, and whom to trust."""

# https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
_KUBERNETES_NAME = re.compile(
    r"\w+_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)", re.ASCII
)
_KUBERNETES_PORT_VALUE = re.compile(r"(tcp|udp|sctp)://\S+")
_INDEX = re.compile(r"[0-9]{1,4}")


def variable_name(path: KeyPath) -> str:
    """Return the name of the variable that sets ``path``."""
    return PREFIX + "__".join(str(key).upper() for key in path)


def apply_environment(document: Document, environ: Mapping[str, str]) -> None:
    """Lay the settings found in the environment over ``document``; what is wrong joins its problems."""
    ours = (name for name in environ if name.upper().startswith(PREFIX))
    for name in sorted(ours, key=lambda name: (name.count("__"), name)):
        if name in RESERVED or _is_kubernetes(name, environ[name]):
            continue
        path = _path(name)
        place = Place(ENVIRONMENT, variable=name, variable_keys=len(path) if path else 0)
        if path is None:
            document.problems.append(place.problem((), f"unknown variable{_hint(name)}"))
        else:
            _apply(document, path, environ[name], place)


def _apply(document: Document, path: KeyPath, text: str, place: Place) -> None:
    if not text.strip():
        # Null would be a value: `retention.days` empty by accident must not mean "keep for ever".
        document.refuse(path, place, "is empty: remove the variable, or write null")
        return
    elements = document.get(path[:1])
    if len(path) > 1 and isinstance(elements, list) and isinstance(path[1], int) and path[1] > len(elements):
        following = variable_name((path[0], len(elements)))
        document.problems.append(place.problem(path, f"leaves a gap: the next element is {following}"))
        return
    document.overlay(path, _read(path, text, place))


def _read(path: KeyPath, text: str, place: Place) -> Document:
    if settings()[_generic(path)] or text.startswith(("'", '"')):
        return read_text(text, lambda line, column: place, path)
    return Document(values=read_plain_value(text), places={path: place})


def _path(name: str) -> KeyPath | None:
    """Return the path a variable's name stands for, or None when there is no such setting."""
    keys = name.removeprefix(PREFIX).split("__")
    path = tuple(int(key) if _INDEX.fullmatch(key) else key.lower() for key in keys)
    return path if _generic(path) in settings() and name == name.upper() else None


def _generic(path: KeyPath) -> KeyPath:
    return tuple(0 if isinstance(key, int) else key for key in path)


def _hint(name: str) -> str:
    # Without the prefix, which would make every name look near.
    wanted = name[len(PREFIX) :]
    index = re.search(r"__([0-9]+)(?=__|$)", wanted)
    paths = [tuple(index[1] if index and key == 0 else key for key in path) for path in settings()]
    known = [name.removeprefix(PREFIX) for name in (*map(variable_name, paths), *RESERVED)]
    meant = did_you_mean(wanted, known)
    return f" (did you mean {PREFIX}{meant}?)" if meant else ""


def _is_kubernetes(name: str, value: str) -> bool:
    if name.endswith("_PORT") and _KUBERNETES_PORT_VALUE.fullmatch(value):
        return True  # by its name alone it could be a setting that somebody hopes for
    return _KUBERNETES_NAME.fullmatch(name) is not None
