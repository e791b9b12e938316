"""Where an alert is sent by HTTP. The path of such a URL is often a secret, so only its origin is ever shown."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

__all__ = ["ReceiverUrl"]

_EXPECTED = "must be a URL such as https://hooks.example.org/alerts"
# RFC 3986 section 2: what is not ASCII is written in percent encoding, and a blank or a control character never occurs.
_ALLOWED = re.compile(r"[\x21-\x7e]{1,2048}")


@dataclass(frozen=True, slots=True)
class ReceiverUrl:
    """An ``http`` or ``https`` URL. Printing it shows scheme, host and port; ``text`` is the whole."""

    text: str = field(repr=False)

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        parts = urlsplit(self.text)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def encrypted(self) -> bool:
        """Whether it is ``https``."""
        return self.text.startswith("https:")

    def __str__(self) -> str:
        return self.origin if self.text.rstrip("/") == self.origin else f"{self.origin}/***"

    @classmethod
    def parse(cls, value: object) -> ReceiverUrl:
        """Read a URL.

        Args:
            value: what was written, or a URL already read.

        Returns:
            The URL, its scheme in small letters.

        Raises:
            ValueError: no such URL, or one with a user, a password or a fragment. The message never repeats the value,
            which may be a secret.
        """
        if isinstance(value, ReceiverUrl):
            return value
        if not isinstance(value, str) or not _ALLOWED.fullmatch(value):
            raise ValueError(_EXPECTED)
        scheme, separator, rest = value.partition("://")
        try:
            parts = urlsplit(value)
            unusable = not parts.hostname or parts.port == 0
        except ValueError as error:
            raise ValueError(f"{_EXPECTED}; its host or port cannot be read") from error
        if scheme.lower() not in ("http", "https") or unusable:
            raise ValueError(_EXPECTED)
        if parts.username is not None or parts.fragment:
            raise ValueError(f"{_EXPECTED}, without user, password and fragment")
        return cls(f"{scheme.lower()}{separator}{rest}")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Let a model's field of this type be written as text, and show of it what may be shown."""
        return core_schema.no_info_plain_validator_function(
            cls.parse, serialization=core_schema.to_string_ser_schema(when_used="json")
        )
