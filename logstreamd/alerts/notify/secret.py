"""A secret in a file or in an environment variable, read when it is needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Secret", "SecretError"]

_MAX_BYTES = 4096  # the longest keys and URLs anybody hands out


class SecretError(Exception):
    """A secret cannot be had; the message says where it should have been."""


@dataclass(frozen=True, slots=True)
class Secret:
    """Where a secret is. A file is read anew each time, so that it can be changed without a restart.

    Attributes:
        file: the file, or None.
        variable: otherwise the name of an environment variable.
    """

    file: Path | None
    variable: str
    environ: Mapping[str, str] = field(repr=False)

    def read(self) -> str:
        """Return the secret without the line end that editors leave.

        Raises:
            SecretError: it is not there, is empty, or is not a line of text.
        """
        where, text = self._read()
        text = text.strip()
        if not text:
            raise SecretError(f"{where} is empty or not set")
        if not text.isprintable():
            raise SecretError(f"{where} is not one line of text")
        return text

    def _read(self) -> tuple[str, str]:
        if self.file is None:
            return f"the environment variable {self.variable}", self.environ.get(self.variable, "")
        try:
            with self.file.open("rb") as file:
                data = file.read(_MAX_BYTES + 1)
        except OSError as error:
            raise SecretError(f"{self.file} cannot be read: {error.strerror}") from error
        if len(data) > _MAX_BYTES:
            raise SecretError(f"{self.file} is larger than {_MAX_BYTES} bytes: this is no secret")
        return str(self.file), data.decode("utf-8", "replace")
