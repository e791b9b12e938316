"""Futures of the event loop's side, settled by the owner thread's events."""

from __future__ import annotations

import asyncio

from logstreamd.spool.interface import SpoolError

__all__ = ["refused", "settle"]


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
