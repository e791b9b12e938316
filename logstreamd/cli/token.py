"""``logstreamd token``: tokens that let clients in."""

from __future__ import annotations

from collections.abc import Sequence

import click

from logstreamd.tokens import SCOPES, Scope

__all__ = ["token"]


@click.group()
def token() -> None:
    """Make tokens that let clients in."""


@token.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(SCOPES),
    multiple=True,
    required=True,
    help="What it is good for; may be repeated.",
)
def create(name: str, scopes: Sequence[Scope]) -> None:
    """Make a token.

    The token goes to standard output and is shown this once. The line for http.tokens_file goes to standard error; it
    holds a hash, from which nobody gets the token back.

    \b
    logstreamd token create grafana --scope query >grafana.token 2>>/etc/logstreamd/tokens
    """
    from logstreamd.config.token_file import token_line
    from logstreamd.config.token_values import read_token_name
    from logstreamd.tokens import Token, digest_of, new_token

    try:
        known_as = read_token_name(name)
    except ValueError as problem:
        raise click.BadParameter(str(problem), param_hint="NAME") from problem
    text = new_token()
    click.echo(token_line(Token(known_as, digest_of(text), frozenset(scopes))), err=True)
    click.echo(text)
