"""Tokens that let a client in: how one is made, what is kept of it, and how it is recognised.

=========  ==========================================================================
``ingest``   send logs
``query``    ask for logs, numbers, rules, alerts
``admin``    change what the daemon does: silences
``metrics``  read ``/metrics``
=========  ==========================================================================

No scope includes another. Of a token only its SHA-256 is kept. A slow hash protects passwords, which people choose and
others can guess; a token is 256 random bits, and whoever reads its hash would have to try 2^255 of them at any speed.
So the fast hash loses nothing, and a flood of wrong tokens costs the daemon a microsecond each.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, get_args

__all__ = ["MAX_TOKENS", "SCOPES", "Scope", "Token", "TokenSet", "digest_of", "new_token"]

Scope = Literal["ingest", "query", "admin", "metrics"]
"""What a token is good for."""

SCOPES: tuple[Scope, ...] = get_args(Scope)

MAX_TOKENS = 256
"""Every request is compared with all of them: 15 µs at the most."""

_PREFIX = "lsd_"  # so that who finds one in a file (or a scanner for secrets) knows what it opens
_RANDOM_BYTES = 32


@dataclass(frozen=True, slots=True)
class Token:
    """What is known of a token.

    Attributes:
        name: for the log, and to find the line to delete.
        digest: the SHA-256 of its text.
        scopes: what it is good for.
    """

    name: str
    digest: bytes = field(repr=False)
    scopes: frozenset[Scope]


class TokenSet:
    """The tokens that are valid at a time; none at all means that everybody is let in.

    Args:
        tokens: at most ``MAX_TOKENS``, with different names.
    """

    def __init__(self, tokens: Iterable[Token] = ()) -> None:
        self._tokens = tuple(tokens)

    def __len__(self) -> int:
        return len(self._tokens)

    def __contains__(self, token: object) -> bool:
        return token in self._tokens

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TokenSet) and self._tokens == other._tokens

    def __hash__(self) -> int:
        return hash(self._tokens)

    def find(self, text: str) -> Token | None:
        """Return the token with this text, None when there is none.

        It takes as long for a wrong text as for a right one: digests of equal length are compared in constant time, and
        with all tokens.
        """
        digest = digest_of(text)
        found = None
        for token in self._tokens:
            if hmac.compare_digest(token.digest, digest):
                found = token
        return found


def new_token() -> str:
    """Make a token: 256 bits of the system's random source, in characters that need no quoting anywhere."""
    return _PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)


def digest_of(text: str) -> bytes:
    """Return what is kept of a token."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
