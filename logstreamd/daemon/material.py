"""The configuration with all that it names outside of itself: files of rules, tokens, certificates, secrets.

The same reading serves the start, a reload and ``check-config``, so that the three agree about what is in order.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from logstreamd.alerts.configured_rules import configured_rules
from logstreamd.alerts.notify.build import Channel, NotifierError, build_channel
from logstreamd.alerts.rule import RuleGroup
from logstreamd.config import ANY_HOST, HTTP_INPUT, Config, ConfigError, Loaded, Problem, read_config
from logstreamd.config.inputs import TlsInput
from logstreamd.config.problems import KeyPath
from logstreamd.config.tls import TlsConfig
from logstreamd.config.token_file import configured_tokens
from logstreamd.tls import ServerTls, TlsError, load_server_tls
from logstreamd.tokens import TokenSet

__all__ = ["Material", "page_url", "read_material"]


@dataclass(frozen=True)
class Material:
    """What a daemon is made from.

    Attributes:
        loaded: the configuration.
        rules: alert rules.
        channels: notifiers by name, not in use yet.
        tokens: who is let in over HTTP.
        tls: certificate, key and authorities of each listener that speaks TLS, by the input's name; the HTTP listener
            has the one of its input.
    """

    loaded: Loaded
    rules: tuple[RuleGroup, ...]
    channels: Mapping[str, Channel]
    tokens: TokenSet
    tls: Mapping[str, ServerTls]

    @property
    def config(self) -> Config:
        """Every setting."""
        return self.loaded.config


def read_material(file: Path | None, environ: Mapping[str, str]) -> Material:
    """Read the configuration and what it names.

    Args:
        file: the YAML file, or None to do without one.
        environ: the environment variables.

    Raises:
        ConfigError: something of it can't be used. Every problem is in it.
    """
    loaded = read_config(file, environ)
    problems: list[Problem] = []
    with _gathering(problems):
        rules = configured_rules(loaded.config.alerts)
    with _gathering(problems):
        tokens = configured_tokens(loaded.config.http, environ)
    channels = dict(_channels(loaded, environ, problems))
    tls = dict(_tls(loaded, problems))
    if problems:
        raise ConfigError(problems)
    return Material(loaded, rules, channels, tokens, tls)


def page_url(config: Config) -> str:
    """Return where people find this daemon."""
    if config.alerts.external_url:
        return config.alerts.external_url
    listen = config.http.listen
    host = socket.gethostname() if listen.host == ANY_HOST else listen.host
    scheme = "http" if config.http.tls is None else "https"
    return f"{scheme}://[{host}]:{listen.port}" if ":" in host else f"{scheme}://{host}:{listen.port}"


@contextmanager
def _gathering(problems: list[Problem]) -> Iterator[None]:
    try:
        yield
    except ConfigError as error:
        problems += error.problems


def _channels(loaded: Loaded, environ: Mapping[str, str], problems: list[Problem]) -> Iterator[tuple[str, Channel]]:
    for name, section in loaded.config.alerts.notifiers.items():
        try:
            yield name, build_channel(section, environ, external_url=page_url(loaded.config))
        except NotifierError as error:
            problems.append(loaded.problem(("alerts", "notifiers", name), str(error)))


def _tls(loaded: Loaded, problems: list[Problem]) -> Iterator[tuple[str, ServerTls]]:
    for index, one in enumerate(loaded.config.inputs):
        if isinstance(one, TlsInput):
            yield from _load_tls(one.name, one.tls, ("inputs", index, "tls"), loaded, problems)
    if loaded.config.http.tls is not None:
        yield from _load_tls(HTTP_INPUT, loaded.config.http.tls, ("http", "tls"), loaded, problems)


def _load_tls(
    name: str, settings: TlsConfig, path: KeyPath, loaded: Loaded, problems: list[Problem]
) -> Iterator[tuple[str, ServerTls]]:
    try:
        yield name, load_server_tls(settings)
    except TlsError as error:
        problems.append(loaded.problem((*path, error.setting), str(error)))
