"""Futures of the event loop's side, settled by the owner thread's events."""

from __future__ import annotations

import asyncio
from collections import deque

from logstreamd.spool.interface import SpoolError
from logstreamd.spool.messages import Noted, Pong

__all__ = ["Answers", "refused", "settle"]


class Answers:
    """Who waits for the owner thread's word: that it lives, or that something is durable."""

    def __init__(self) -> None:
        self._pong: asyncio.Future[None] | None = None
        self._noting: deque[asyncio.Future[None]] = deque()

    def expect_pong(self) -> tuple[asyncio.Future[None], bool]:
        """Return the answer to a ping, and whether the ping has to be sent: who comes later waits for the same."""
        first = self._pong is None
        if self._pong is None:
            self._pong = asyncio.get_running_loop().create_future()
        return self._pong, first

    def expect_noted(self) -> asyncio.Future[None]:
        """Return the answer to a note."""
        self._noting.append(asyncio.get_running_loop().create_future())
        return self._noting[-1]

    def on_event(self, event: Pong | Noted) -> None:
        """Give them their answers."""
        if isinstance(event, Pong):
            settle(self._pong)
            self._pong = None
        else:
            for _ in range(event.count):
                settle(self._noting.popleft())

    def end(self) -> None:
        """There will be no other answers: a ping has its, what was noted may not be durable."""
        settle(self._pong)
        for noted in self._noting:
            noted.cancel()


def refused(reason: str) -> asyncio.Future[int]:
    """Return the answer to an append that can't be done."""
    future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    future.set_exception(SpoolError(f"not spooled: {reason}"))
    return future


def settle(waiting: asyncio.Future[None] | None, error: SpoolError | None = None) -> None:
    """Give who waits, if anybody does, the answer or the error; who was cancelled wants neither."""
    if waiting is None or waiting.done():
        return
    if error is None:
        waiting.set_result(None)
    else:
        waiting.set_exception(error)
