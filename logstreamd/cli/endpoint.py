"""Which daemon a command asks, as whom, and whom it trusts to be that daemon."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from logstreamd.cli.configuration import config_option, configuration

if TYPE_CHECKING:
    import ssl

__all__ = ["TOKEN_VARIABLE", "Endpoint", "endpoint", "endpoint_options"]

TOKEN_VARIABLE = "LOGSTREAMD_TOKEN"  # noqa: S105  # where it is, not what it is
"""The environment variable that holds the token. There is no option for it: everybody can read a command line."""

_F = TypeVar("_F", bound=Callable[..., Any])
_MAX_TOKEN_BYTES = 4_096  # what a header line of a proxy takes, less than half of it
_OPTIONS = (
    click.option(
        "--url", envvar="LOGSTREAMD_URL", metavar="URL", help="The daemon. Default: $LOGSTREAMD_URL, else http.listen."
    ),
    click.option(
        "--token-file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help=f"Holds the token that the daemon wants. Default: the token in ${TOKEN_VARIABLE}.",
    ),
    click.option(
        "--ca",
        "ca_file",
        type=click.Path(path_type=Path),
        envvar="LOGSTREAMD_CA",
        metavar="FILE",
        help="Certificates to trust instead of the system's, for https. Default: $LOGSTREAMD_CA.",
    ),
    config_option,
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A daemon that can be asked.

    Attributes:
        url: where it answers, without a path.
        token: lets us in; None: there is none.
        token_source: where the token comes from, for messages.
        ca_file: certificates to trust; None: the system's.
    """

    url: str
    token: str | None = field(default=None, repr=False)
    token_source: str = TOKEN_VARIABLE
    ca_file: Path | None = None

    def headers(self) -> dict[str, str]:
        """Return what every request says about who asks."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def trust(self) -> ssl.SSLContext | bool:
        """Return whom to trust over https.

        Raises:
            ClickException: the file of certificates can't be used.
        """
        if self.ca_file is None:
            return True
        import ssl

        try:
            return ssl.create_default_context(cafile=self.ca_file)
        except OSError as problem:  # an SSLError is one
            reason = "there is no certificate in it" if isinstance(problem, ssl.SSLError) else problem.strerror
            raise click.ClickException(f"{self.ca_file}: {reason}") from problem


def endpoint_options(command: _F) -> _F:
    """Give a command the options that say which daemon is meant."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def endpoint(url: str | None, config_file: Path | None, token_file: Path | None, ca_file: Path | None) -> Endpoint:
    """Return the daemon that was meant: what was said, or what the configuration says."""
    address = _given(url) if url else _configured(config_file)
    if token_file is not None:
        return Endpoint(address, _read_token(token_file), str(token_file), ca_file)
    return Endpoint(address, _checked(os.environ.get(TOKEN_VARIABLE, ""), TOKEN_VARIABLE), ca_file=ca_file)


def _given(url: str) -> str:
    return (url if "://" in url else f"http://{url}").rstrip("/")


def _configured(config_file: Path | None) -> str:
    config, source = configuration(config_file)
    listen = config.http.listen
    if listen.port == 0:
        raise click.UsageError(f"http.listen has port 0 in {source or 'the environment'}: name the daemon with --url")
    scheme = "http" if config.http.tls is None else "https"
    host = {"*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(listen.host, listen.host)
    return f"{scheme}://[{host}]:{listen.port}" if ":" in host else f"{scheme}://{host}:{listen.port}"


def _read_token(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            text = opened.read(_MAX_TOKEN_BYTES + 1).decode("ascii", "replace")
    except OSError as problem:
        raise click.ClickException(f"{file}: {problem.strerror}") from problem
    token = _checked(text, str(file))
    if token is None:
        raise click.ClickException(f"{file} is empty: it should hold a token")
    return token


def _checked(text: str, source: str) -> str | None:
    """Return a token without what surrounds it; what is no token is not repeated."""
    token = text.strip()
    if len(token) > _MAX_TOKEN_BYTES or not all("!" <= char <= "~" for char in token):
        raise click.ClickException(f"what {source} holds is not a token, as `logstreamd token create` prints one")
    return token or None
