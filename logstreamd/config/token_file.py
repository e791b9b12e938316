"""Tokens from everywhere they may come from: the configuration, a file, a credential of systemd.

A file has a token a line, and comments::

    # made by `logstreamd token create`
    grafana  sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08  query
    vector   sha256:60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752  ingest,metrics

Who may write the file decides who gets in, so one that everybody may write is refused. To read it is no use to anybody:
it holds hashes.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from logstreamd.config.http import HttpConfig
from logstreamd.config.problems import ConfigError, Place, Problem
from logstreamd.config.token_values import read_scope, read_sha256, read_token_name
from logstreamd.tokens import MAX_TOKENS, Scope, Token, TokenSet

__all__ = ["CREDENTIAL", "configured_tokens", "token_line"]

CREDENTIAL = "logstreamd-tokens"
"""The name of the systemd credential (``LoadCredential=``) that is a file of tokens."""

_MAX_FILE_BYTES = 64 * 1024  # twice as much as MAX_TOKENS lines with all scopes
_EXPECTED = "must be a line such as: grafana sha256:… query,metrics (`logstreamd token create` prints one)"
_SETTING = ("http", "tokens_file")


def token_line(token: Token) -> str:
    """Write the line of a file that lets a token in."""
    return f"{token.name} sha256:{token.digest.hex()} {','.join(sorted(token.scopes))}"


def configured_tokens(http: HttpConfig, environ: Mapping[str, str]) -> TokenSet:
    """Gather the tokens that let a client in.

    Args:
        http: has some, and may name a file of others.
        environ: says where systemd put its credentials.

    Raises:
        ConfigError: a file can't be used. Every problem is in it.
    """
    gathered = _Gathered()
    for one in http.tokens:
        gathered.add(one.token, "http.tokens", None)
    if http.tokens_file is not None:
        gathered.read(http.tokens_file)
    if directory := environ.get("CREDENTIALS_DIRECTORY"):
        credential = Path(directory) / CREDENTIAL
        if credential.exists():
            gathered.read(credential)
    if gathered.problems:
        raise ConfigError(gathered.problems)
    return TokenSet(gathered.tokens)


class _Gathered:
    """Tokens and problems so far."""

    def __init__(self) -> None:
        self.tokens: list[Token] = []
        self.problems: list[Problem] = []
        self._by_name: dict[str, str] = {}
        self._by_digest: dict[bytes, str] = {}

    def add(self, token: Token, where: str, place: Place | None) -> None:
        """Add a token; one that came before, under this name or another, is a problem of ``place``."""
        known = self._by_name.get(token.name)
        if known is not None:
            problem = f"the name '{token.name}' is already that of a token in {known}"
        elif token.digest in self._by_digest:
            problem = f"this is the token '{self._by_digest[token.digest]}' again"
        elif len(self.tokens) == MAX_TOKENS:
            problem = f"more than {MAX_TOKENS} tokens"
        else:
            self.tokens.append(token)
            self._by_name[token.name] = where
            self._by_digest[token.digest] = token.name
            return
        if place is not None:  # what the configuration itself repeats it has reported
            self.problems.append(place.problem((), problem))

    def read(self, path: Path) -> None:
        """Add the tokens of a file."""
        try:
            text = _text_of(path)
        except ValueError as error:
            self.problems.append(Place(str(path)).problem(_SETTING, str(error)))
            return
        lines = [re.finditer(r"\S+", line.partition("#")[0]) for line in text.splitlines()]
        written = [[(match.start() + 1, match[0]) for match in matches] for matches in lines]
        if not any(written):
            message = "has no token in it: everybody would be let in"
            self.problems.append(Place(str(path)).problem(_SETTING, message))
        for number, fields in enumerate(written, 1):
            if fields:
                self._read_line(str(path), number, fields)

    def _read_line(self, file: str, number: int, fields: list[tuple[int, str]]) -> None:
        problems: list[Problem] = []
        values = list(_values(Place(file, number, fields[0][0]), fields, problems))
        self.problems += problems
        if not problems:
            name, sha256, scopes = values
            self.add(Token(name, bytes.fromhex(sha256), frozenset(scopes)), file, Place(file, number, fields[0][0]))


def _values(start: Place, fields: list[tuple[int, str]], problems: list[Problem]) -> Iterator[Any]:
    """Yield what is written in the fields of a line; what can't be read joins the problems."""
    # No message repeats what is written: one of the fields may be the token itself.
    readers: tuple[Callable[[str], object], ...] = (read_token_name, _read_hash, _read_scope_list)
    if len(fields) != len(readers):
        problems.append(start.problem((), _EXPECTED))
        return
    for read, what, (column, text) in zip(readers, ("name", "hash", "scopes"), fields, strict=True):
        try:
            yield read(text)
        except ValueError as error:
            problems.append(Place(start.file, start.line, column).problem((what,), str(error)))


def _read_hash(text: str) -> str:
    kind, _, digits = text.partition(":")
    if kind != "sha256":
        raise ValueError("must begin with sha256:")
    return read_sha256(digits)


def _read_scope_list(text: str) -> list[Scope]:
    return [read_scope(one) for one in text.split(",")]


def _text_of(path: Path) -> str:
    """Return what a file holds; raise ValueError when it should not be trusted or can't be read."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would keep the daemon waiting
            raise ValueError("is no regular file")
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & stat.S_IWOTH:
                raise ValueError(f"everybody may write it; take that away: chmod o-w {path}")
            data = file.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from error
    if len(data) > _MAX_FILE_BYTES:
        raise ValueError(f"is larger than {_MAX_FILE_BYTES // 1024} KiB: this is no file of tokens")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError("is not UTF-8") from error
