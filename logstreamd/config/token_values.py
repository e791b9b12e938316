"""Parts of a token as they are written in the configuration and in a token file.

No message repeats what was written: where a hash or a name is expected, somebody may have put the token itself.
"""

from __future__ import annotations

import re

from logstreamd.config.problems import did_you_mean
from logstreamd.tokens import SCOPES, Scope

__all__ = ["read_scope", "read_sha256", "read_token_name", "refuse_text"]

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,32}")  # shorter than a token, so that none is taken for a name
_SHA256 = re.compile(r"[0-9A-Fa-f]{64}")


def read_token_name(value: object) -> str:
    """Return the name; raise ValueError when a line of a log or of a file could not hold it as it is."""
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ValueError("must be 1..32 of A-Z a-z 0-9 _ - .")
    return value


def read_sha256(value: object) -> str:
    """Return the hash in small letters; raise ValueError when it is none."""
    if not isinstance(value, str) or not _SHA256.fullmatch(value):
        raise ValueError("must be the SHA-256 of a token as `logstreamd token create` prints it: 64 hexadecimal digits")
    return value.lower()


def read_scope(value: object) -> Scope:
    """Return the scope; raise ValueError when there is none of this name."""
    for scope in SCOPES:
        if value == scope:
            return scope
    meant = did_you_mean(value, SCOPES) if isinstance(value, str) else None
    raise ValueError(f"must be one of {', '.join(SCOPES)}" + (f" (did you mean '{meant}'?)" if meant else ""))


def refuse_text(value: object) -> object:
    """Return the value; raise ValueError for a text where a list or a mapping belongs."""
    if isinstance(value, str):
        raise ValueError("must be written as in {name: grafana, sha256: 64 digits, scopes: [query]}")
    return value
