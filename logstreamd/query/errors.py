"""What can go wrong with a question."""

from __future__ import annotations

__all__ = ["BadParameterError", "QueryTimeoutError", "TooManyQueriesError", "UnavailableError"]


class BadParameterError(ValueError):
    """A parameter says something it can't.

    Args:
        field: the parameter's name.
        message: what was expected, and what was there.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


class QueryTimeoutError(Exception):
    """The database did not answer within the statement timeout; nothing of the query is left running."""


class TooManyQueriesError(Exception):
    """As many queries run as may; try again soon."""


class UnavailableError(Exception):
    """There is no database to ask."""
