"""The users of the service, in memory, and what makes a good one."""

from __future__ import annotations

import re
from itertools import count, islice
from typing import Any

__all__ = ["MAX_USERS", "UserStore", "check_user"]

MAX_USERS = 10_000
"""The service runs for days in demonstrations, and somebody may post users all the while."""

_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s.]+(?:\.[^@\s.]+)+")
_MAX_NAME_CHARS = 100
_FIRST = (
    ("Ada Lovelace", "ada@example.org"),
    ("Grace Hopper", "grace@example.org"),
    ("Alan Turing", "alan@example.org"),
)


def check_user(document: Any) -> list[str]:
    """Return what is wrong with the body of a POST, one sentence each."""
    if not isinstance(document, dict):
        return ["body: must be a JSON object"]
    problems = []
    name, email = document.get("name"), document.get("email")
    if not isinstance(name, str) or not 0 < len(name.strip()) <= _MAX_NAME_CHARS or not name.isprintable():
        problems.append(f"name: must be 1..{_MAX_NAME_CHARS} printable characters")
    if not isinstance(email, str) or not _EMAIL.fullmatch(email) or not email.isprintable():
        problems.append("email: must be an address like ada@example.org")
    return problems + [f"{key!r}: not a field" for key in document if key not in ("name", "email")]


class UserStore:
    """Holds users by their number."""

    def __init__(self) -> None:
        self._users = {number: {"id": number, "name": n, "email": e} for number, (n, e) in enumerate(_FIRST, start=1)}
        self._numbers = count(len(_FIRST) + 1)

    def newest(self, limit: int) -> list[dict[str, Any]]:
        """Return the users that were added last, the newest first."""
        return list(islice(reversed(self._users.values()), limit))

    def find(self, number: int) -> dict[str, Any] | None:
        """Return one user."""
        return self._users.get(number)

    def add(self, name: str, email: str) -> dict[str, Any] | None:
        """Add a user; return None when there is no room."""
        if len(self._users) >= MAX_USERS:
            return None
        number = next(self._numbers)
        self._users[number] = {"id": number, "name": name.strip(), "email": email}
        return self._users[number]
