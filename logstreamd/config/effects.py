"""When a changed setting takes effect: at a reload, or only at a restart.

A reload refuses a file that changes one of the latter. What can't change while the daemon runs is laid down in files
that are open, or in connections that are made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Literal, TypeAlias

from logstreamd.config.model import Config
from logstreamd.config.problems import KeyPath
from logstreamd.config.section import Section

__all__ = ["EFFECTS", "Effect", "changed_settings", "effect_of"]

Effect: TypeAlias = Literal["reload", "restart"]

EFFECTS: Mapping[str, Effect] = MappingProxyType(
    {
        "state_dir": "restart",  # the spool and the embedded database lie in it, open
        "database": "restart",  # every connection is made with it
        "timestamps": "reload",
        "inputs": "reload",
        "http.listen": "restart",  # who changes it could not ask how the reload went
        "http.tls": "reload",
        "http.tokens": "reload",
        "http.tokens_file": "reload",
        "http.allowed_hosts": "reload",
        "http.cors_origins": "reload",
        "http.allow": "reload",
        "http.max_records_per_second": "reload",
        "http.max_bytes_per_second": "reload",
        "http.max_connections": "restart",
        "http.max_connections_per_peer": "restart",
        "http.max_body_bytes": "restart",  # aiohttp is told once
        "http.max_decompressed_bytes": "reload",
        "http.max_lines": "reload",
        "http.max_concurrent_queries": "restart",  # the size of a pool
        "http.query_timeout_seconds": "restart",  # a setting of the pool's connections
        "http.read_timeout_seconds": "restart",
        "http.write_timeout_seconds": "restart",
        "http.keepalive_timeout_seconds": "restart",
        "http.max_rows": "restart",  # a part of the API's description, which clients have read
        "http.max_export_rows": "restart",
        "http.max_tail_clients": "restart",
        "writer.connections": "restart",
        "writer.batch_max_rows": "reload",
        "writer.batch_max_bytes": "reload",
        "writer.batch_max_age_seconds": "reload",
        "writer.drain_timeout_seconds": "reload",
        "spool": "restart",  # its files are laid out by it
        "retention": "reload",
        "alerts.rules": "reload",
        "alerts.notifiers": "reload",
        "alerts.evaluation_delay": "restart",
        "alerts.query_timeout_seconds": "restart",  # a setting of the pool's connections
        "alerts.max_concurrent_queries": "restart",  # the size of that pool
        "alerts.history_days": "restart",
        "alerts.external_url": "restart",
        "log.level": "reload",
        "log.format": "restart",
        "tracing": "restart",  # its libraries are told once
    }
)
"""When a changed setting takes effect, by setting or by the whole section."""


def effect_of(path: KeyPath) -> Effect:
    """Return when a changed setting takes effect."""
    names = [str(key) for key in path if isinstance(key, str)]
    return next(EFFECTS[known] for length in range(len(names), 0, -1) if (known := ".".join(names[:length])) in EFFECTS)


def changed_settings(old: Config, new: Config) -> list[KeyPath]:
    """Return the settings that differ, in the order of the model; inputs have no order, so they are not among them."""
    return [path for path in _differences(old, new, ()) if path != ("inputs",)]


def _differences(old: object, new: object, path: KeyPath) -> Iterator[KeyPath]:
    if old == new:
        return
    if isinstance(old, Section) and isinstance(new, Section) and type(old) is type(new):
        for name in type(old).model_fields:
            yield from _differences(getattr(old, name), getattr(new, name), (*path, name))
    elif isinstance(old, dict) and isinstance(new, dict):
        yield from ((*path, key) for key in {**old, **new} if old.get(key) != new.get(key))
    else:
        yield path
