"""Which settings exist: the models as paths, for guesses and for the names of environment variables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from types import MappingProxyType
from typing import get_args, get_origin

from logstreamd.config.model import Config, FileInput, TcpInput, TlsInput, UdpInput, UnixInput
from logstreamd.config.notifiers import (
    AlertmanagerNotifier,
    EmailNotifier,
    LogNotifier,
    SlackNotifier,
    WebhookNotifier,
)
from logstreamd.config.problems import KeyPath
from logstreamd.config.section import Section

__all__ = ["INPUT_MODELS", "NOTIFIER_MODELS", "keys_at", "settings"]

INPUT_MODELS: Mapping[str, type[Section]] = MappingProxyType(
    {"udp": UdpInput, "tcp": TcpInput, "tls": TlsInput, "unix": UnixInput, "file": FileInput}
)
"""The model of each input type."""

NOTIFIER_MODELS: Mapping[str, type[Section]] = MappingProxyType(
    {
        "log": LogNotifier,
        "webhook": WebhookNotifier,
        "alertmanager": AlertmanagerNotifier,
        "email": EmailNotifier,
        "slack": SlackNotifier,
    }
)
"""The model of each notifier type."""


@cache
def settings() -> Mapping[KeyPath, bool]:
    """Return the path of every section and setting, and whether it is structured (a mapping or a list).

    ``("inputs", 0)`` stands for every input, with the keys of all input types.
    """
    return MappingProxyType(dict(_settings(Config, ())))


def keys_at(path: KeyPath) -> set[str]:
    """Return the keys that the mapping at ``path`` may have; none where it is no section."""
    generic = tuple(0 if isinstance(key, int) else key for key in path)
    inside = (one[-1] for one in settings() if one[:-1] == generic)
    return {key for key in inside if isinstance(key, str)}


def _is_section(annotation: object) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Section)


def _settings(section: type[Section], path: KeyPath) -> Iterator[tuple[KeyPath, bool]]:
    for name, field in section.model_fields.items():
        here = (*path, name)
        annotation = field.annotation
        sections = [one for one in (annotation, *get_args(annotation)) if _is_section(one)]
        if sections and get_origin(annotation) is not tuple:  # a section, or one that may be missing
            yield here, True
            yield from _settings(sections[0], here)
        else:
            yield here, get_origin(annotation) in (tuple, dict)
        if here == ("inputs",):
            element = (*here, 0)
            yield element, True
            for model in INPUT_MODELS.values():
                yield from _settings(model, element)
