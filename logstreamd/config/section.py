"""What every group of settings has in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, model_validator

__all__ = ["Section"]


class Section(BaseModel):
    """A group of settings: frozen, strict about its keys; a section left empty means its defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _read_empty_as_defaults(cls, value: object) -> object:
        return {} if value is None else value
