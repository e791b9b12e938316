"""What the service answers."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from random import Random
from typing import Any
from uuid import uuid4

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from generator.scenarios.web_api.users import UserStore, check_user

__all__ = ["Errors", "SimulatedError", "UserService", "logged"]

_MAX_ID = 10**9
_MAX_SHOWN = 100  # users in an answer
_MAX_STEPS = 1_000  # of one simulated load; each writes a line
_STEPS_PER_PAUSE = 10  # then others have their turn


class SimulatedError(Exception):
    """An error that was drawn, not made."""


class Errors:
    """Draws errors.

    Args:
        rates: chances of an error in ``GET /users``, ``POST /users`` and ``/simulate-load``.
    """

    def __init__(self, rates: tuple[float, ...], rng: Random) -> None:
        self._rates = dict(zip(("list", "create", "load"), rates, strict=True))
        self._rng = rng

    def draw(self, operation: str, problem: str) -> None:
        """Fail now and then.

        Raises:
            SimulatedError: this is such a time.
        """
        if self._rng.random() < self._rates[operation]:
            raise SimulatedError(problem)


class UserService:
    """Users, health, and load that can be asked for.

    Args:
        log: ``application.log``.
    """

    def __init__(self, users: UserStore, errors: Errors, log: logging.Logger) -> None:
        self._users = users
        self._errors = errors
        self._log = log
        self._started_at = time.monotonic()

    def routes(self) -> list[web.RouteDef]:
        """Where it is found."""
        return [
            web.get("/health", self.health),
            web.get("/users", self.list_users),
            web.post("/users", self.create_user),
            web.get("/users/{id}", self.show_user),
            web.get("/simulate-load", self.simulate_load),
        ]

    async def health(self, _request: web.Request) -> web.Response:
        """Answer that it lives, and for how long."""
        return web.json_response({"status": "ok", "uptime_seconds": round(time.monotonic() - self._started_at, 1)})

    async def list_users(self, request: web.Request) -> web.Response:
        """Answer the newest ``limit`` users."""
        limit = _read_number(request.query.get("limit", "20"), _MAX_SHOWN)
        if limit is None:
            return web.json_response({"errors": [f"limit: must be 1..{_MAX_SHOWN}"]}, status=400)
        self._errors.draw("list", "connection to the user database was reset")
        users = self._users.newest(limit)
        self._log.info("%s listed %d users", request["id"], len(users))
        return web.json_response({"users": users})

    async def create_user(self, request: web.Request) -> web.Response:
        """Add the user of the body."""
        try:
            document = await request.json()
        except ValueError:
            document = None
        if problems := check_user(document):
            self._log.warning("%s user refused: %s", request["id"], "; ".join(problems))
            return web.json_response({"errors": problems}, status=400)
        self._errors.draw("create", "user could not be saved: deadlock detected")
        user = self._users.add(document["name"], document["email"])
        if user is None:
            self._log.warning("%s no room for another user", request["id"])
            return web.json_response({"errors": ["no room for another user"]}, status=507)
        self._log.info("%s created user %d", request["id"], user["id"])
        return web.json_response(user, status=201)

    async def show_user(self, request: web.Request) -> web.Response:
        """Answer one user."""
        number = _read_number(request.match_info["id"], _MAX_ID)
        if number is None:
            self._log.warning("%s bad user id", request["id"])
            return web.json_response({"errors": [f"id: must be 1..{_MAX_ID}"]}, status=400)
        user = self._users.find(number)
        if user is None:
            self._log.warning("%s user %d not found", request["id"], number)
            return web.json_response({"errors": [f"user {number} not found"]}, status=404)
        return web.json_response(user)

    async def simulate_load(self, request: web.Request) -> web.Response:
        """Do ``steps`` pieces of work, each with a line in the log."""
        steps = _read_number(request.query.get("steps", "10"), _MAX_STEPS)
        if steps is None:
            return web.json_response({"errors": [f"steps: must be 1..{_MAX_STEPS}"]}, status=400)
        for step in range(steps):
            self._log.debug("%s load step %d of %d", request["id"], step + 1, steps)
            if step % _STEPS_PER_PAUSE == 0:
                await asyncio.sleep(0)
        self._errors.draw("load", "worker ran out of memory")
        self._log.info("%s load of %d steps done", request["id"], steps)
        return web.json_response({"steps": steps})


def _read_number(text: str, high: int) -> int | None:
    """Read a whole number from 1 to ``high``."""
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(high))):
        return None
    return int(text) if 1 <= int(text) <= high else None


def logged(log: logging.Logger) -> Middleware:
    """Return a middleware that names each request and answers 500, with a stack trace in the log, for what fails."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        request["id"] = f"req-{uuid4().hex[:6]}"
        try:
            response = await handler(request)
        except web.HTTPException as problem:  # no such path or method
            response = _json_error(problem.status, problem.reason)
            response.headers.update({name: text for name, text in problem.headers.items() if name == "Allow"})
        except SimulatedError:
            log.exception("%s %s %s failed", request["id"], request.method, request.path)
            response = _json_error(500, "internal error")
        response.headers["X-Request-ID"] = request["id"]
        return response

    return middleware


def _json_error(status: int, problem: str) -> web.Response:
    body: dict[str, Any] = {"errors": [problem]}
    return web.Response(status=status, text=json.dumps(body), content_type="application/json")
