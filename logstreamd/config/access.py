"""Who may use the HTTP side: tokens written in the configuration, names of this server, origins of web pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, PlainValidator, model_validator

from logstreamd.config.address import ANY_HOST, ListenAddress
from logstreamd.config.consistency import Contradiction, ContradictionError
from logstreamd.config.problems import shown
from logstreamd.config.section import Section
from logstreamd.config.token_values import read_scope, read_sha256, read_token_name, refuse_text
from logstreamd.tokens import SCOPES, Scope, Token

__all__ = ["HostName", "Origin", "TokenConfig", "check_tokens"]


class TokenConfig(Section):
    """A token that lets a client in; only its hash is known."""

    name: Annotated[str, PlainValidator(read_token_name)]
    sha256: Annotated[str, PlainValidator(read_sha256), Field(repr=False)]
    scopes: Annotated[
        tuple[Annotated[Scope, PlainValidator(read_scope)], ...],
        Field(min_length=1, max_length=len(SCOPES)),
        BeforeValidator(refuse_text),
    ]

    @model_validator(mode="before")
    @classmethod
    def _refuse_text(cls, value: object) -> object:
        return refuse_text(value)

    @property
    def token(self) -> Token:
        """The token as it is compared."""
        return Token(self.name, bytes.fromhex(self.sha256), frozenset(self.scopes))


def check_tokens(tokens: Sequence[TokenConfig]) -> None:
    """No two tokens have the same name or are the same.

    Raises:
        ContradictionError: some do.
    """
    found = []
    for index, one in enumerate(tokens):
        for earlier_index, earlier in enumerate(tokens[:index]):
            if one.name == earlier.name:
                message = f"'{one.name}' is already the name of http.tokens[{earlier_index}]"
                found.append(Contradiction((("http", "tokens", index, "name"),), message))
            elif one.sha256 == earlier.sha256:
                message = f"this is the token '{earlier.name}' again"
                found.append(Contradiction((("http", "tokens", index, "sha256"),), message))
    if found:
        raise ContradictionError(*found)


def _read_host(value: object) -> str:
    """Return a host as ``Host`` has it, without its port; raise ValueError when it is none."""
    try:
        host = ListenAddress.parse(f"{value}:0").host
    except ValueError as error:
        wanted = "must be a host name or an address without a port, such as logs.example.org or [2001:db8::1]"
        raise ValueError(f"{wanted} (got {shown(value)})") from error
    if host == ANY_HOST:
        raise ValueError("must name one host; without http.allowed_hosts every name is served on an open address")
    return f"[{host}]" if ":" in host else host


def _read_origin(value: object) -> str:
    """Return an origin as browsers write it; raise ValueError when it is none."""
    wanted = "must be the origin of a page, such as https://grafana.example.org or http://localhost:3000"
    if not isinstance(value, str):
        raise ValueError(f"{wanted} (got {shown(value)})")
    try:
        parts = urlsplit(value)
        port = parts.port
        host = _read_host(f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname)
    except ValueError as error:
        raise ValueError(f"{wanted} (got {shown(value)})") from error
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    if usual is None or parts.username is not None or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError(f"{wanted} (got {shown(value)})")
    # RFC 6454 section 6.2: the port is left out where it is the scheme's own.
    return f"{parts.scheme}://{host}" + (f":{port}" if port not in (None, usual) else "")


HostName = Annotated[str, PlainValidator(_read_host)]
"""A name or an address under which the server is asked, in small letters."""

Origin = Annotated[str, PlainValidator(_read_origin)]
"""Scheme, host and port of a web page."""
