"""The database's address (DSN): what is accepted, and how it is written where people and logs can see it."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

__all__ = ["EMBEDDED", "read_dsn", "redacted"]

EMBEDDED = "embedded"
"""The DSN of the private PostgreSQL under the state directory."""

_EXPECTED = f"must be '{EMBEDDED}' or a URL such as postgresql://user@host:5432/database"

# Up to the *last* @: a password may hold an unescaped one, and hiding too much is the safe side.
_URL_PASSWORD = re.compile(r"(://[^:/?#@\s]*:).*@", re.DOTALL)
_PASSWORD_PARAMETER = re.compile(r"(password\s*=\s*)('[^']*'|[^&\s]*)", re.IGNORECASE)


def redacted(text: str) -> str:
    """Return ``text`` with the password of every DSN in it replaced by ``***``."""
    return _PASSWORD_PARAMETER.sub(r"\1***", _URL_PASSWORD.sub(r"\1***@", text))


def read_dsn(value: object) -> str:
    """Check a DSN as far as that goes without connecting.

    Args:
        value: what was written.

    Returns:
        The DSN, unchanged.

    Raises:
        ValueError: neither ``embedded`` nor a ``postgresql://`` or ``postgres://`` URL. The message never
        repeats the
            value, which may hold a password.
    """
    if not isinstance(value, str):
        raise ValueError(_EXPECTED)  # pydantic turns ValueError, not TypeError, into a problem
    if value == EMBEDDED:
        return value
    if not value.startswith(("postgresql://", "postgres://")):
        raise ValueError(_EXPECTED)
    try:
        parts = urlsplit(value)
        if "," not in parts.netloc:  # several hosts are the driver's to read
            _ = parts.port
    except ValueError as error:
        raise ValueError(f"{_EXPECTED}; its host or port cannot be read") from error
    return value
