"""The running daemon over HTTP: answers, streams, and what to say when there is none.

HTTP and not the database: it needs no credentials of PostgreSQL, and is bounded and counted like every other question.
"""

from __future__ import annotations

import os
import re
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

import aiohttp
import click
import msgspec

from logstreamd.cli.endpoint import TOKEN_VARIABLE, Endpoint
from logstreamd.cli.terminal import escape

__all__ = ["BadQuestion", "Busy", "DaemonClient", "Lost", "Refused"]

_CONNECT_SECONDS = 10.0
_SILENCE_SECONDS = 60.0  # the daemon says something every 15 seconds
_COLUMN = re.compile(r"q:(\d+): ")

Parameters = Sequence[tuple[str, str]]


class Refused(click.ClickException):
    """The daemon can't answer."""


class BadQuestion(Refused):
    """The daemon says what is wrong with the question."""

    exit_code = 2


class Busy(Refused):
    """The daemon says no for now."""


class Lost(click.ClickException):
    """No daemon answers, or no longer."""


class DaemonClient:
    """Asks one daemon; an async context.

    Args:
        daemon: where it answers, and what it wants to see.
    """

    def __init__(self, daemon: Endpoint) -> None:
        self._daemon = daemon
        self._url = daemon.url

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            headers=self._daemon.headers(),
            connector=aiohttp.TCPConnector(ssl=self._daemon.trust()),
            auto_decompress=True,
            read_bufsize=1 << 20,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def ask(self, path: str, parameters: Parameters) -> bytes:
        """Return the body of a good answer.

        Raises:
            Refused, Lost: there is none.
        """
        # The daemon's statements have their own limit; what an answer takes beyond that nobody can know.
        async with self._get(path, parameters, aiohttp.ClientTimeout(sock_connect=_CONNECT_SECONDS)) as answer:
            return await answer.read()

    async def stream(self, path: str, parameters: Parameters, headers: dict[str, str]) -> AsyncGenerator[bytes, None]:
        """Yield the pieces of an answer that has no end; the first is empty and says that it began.

        Raises:
            Refused, Lost: there is none, or no more.
        """
        timeout = aiohttp.ClientTimeout(sock_connect=_CONNECT_SECONDS, sock_read=_SILENCE_SECONDS)
        async with self._get(path, parameters, timeout, headers) as answer:
            yield b""
            async for piece in answer.content.iter_any():
                yield piece

    @asynccontextmanager
    async def _get(
        self, path: str, parameters: Parameters, timeout: aiohttp.ClientTimeout, headers: dict[str, str] | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        try:
            async with self._session.get(
                f"{self._url}{path}", params=parameters, timeout=timeout, headers=headers
            ) as answer:
                if answer.status != 200:
                    raise _refusal(self._daemon, answer.status, await answer.read(), parameters)
                yield answer
        except aiohttp.ClientConnectorCertificateError as problem:
            raise Lost(_distrust(self._url, problem.certificate_error)) from problem
        except (aiohttp.ClientConnectorError, aiohttp.InvalidURL, TimeoutError) as problem:
            raise Lost(
                f"no logstreamd answers at {self._url} ({_reason(problem)}): "
                "start one with `logstreamd run`, or name another with --url or LOGSTREAMD_URL"
            ) from problem
        except aiohttp.ClientError as problem:
            raise Lost(f"the connection to {self._url} broke ({problem})") from problem


def _refusal(daemon: Endpoint, status: int, body: bytes, parameters: Parameters) -> Refused:
    if status == 401 and daemon.token is None:
        return Refused(f"{daemon.url} wants a token: put it into {TOKEN_VARIABLE}, or name its file with --token-file")
    if status == 401:
        return Refused(f"{daemon.url} does not know the token of {daemon.token_source}")
    try:
        error: dict[str, Any] = msgspec.json.decode(body)["error"]
        message = escape(error["message"])
    except (msgspec.DecodeError, KeyError, TypeError):
        return Refused(f"{daemon.url} does not answer as logstreamd does (status {status})")
    if error.get("code") == "scope_missing":
        hint = "`logstreamd token create` makes one that has it"
        return Refused(f"{daemon.url}: {message} ({daemon.token_source}): {hint}")
    kind = {400: BadQuestion, 429: Busy, 503: Busy}.get(status, Refused)
    return kind(_with_caret(message, dict(parameters).get("q", "")))


def _distrust(url: str, problem: Exception) -> str:
    """Say why a certificate is not trusted, and what to do."""
    reason = getattr(problem, "verify_message", "") or str(problem)
    if "mismatch" in reason:
        return f"{url} is not trusted ({reason}): ask for it by a name that its certificate has"
    return f"{url} is not trusted ({reason}): name its authority's certificate with --ca or LOGSTREAMD_CA"


def _reason(problem: Exception) -> str:
    if isinstance(problem, aiohttp.ClientConnectorError) and problem.errno:
        return os.strerror(problem.errno).lower()
    return str(problem) or "no answer in time"


def _with_caret(message: str, filter_text: str) -> str:
    """Show the place in the filter that a message is about."""
    column = _COLUMN.match(message)
    if column is None:
        return message
    from rich.cells import cell_len

    before = escape(filter_text[: int(column[1]) - 1])
    return f"{message}\n  {before}{escape(filter_text[int(column[1]) - 1 :])}\n  {' ' * cell_len(before)}^"
