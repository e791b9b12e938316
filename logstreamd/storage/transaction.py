"""Transactions on connections that may have fallen silent.

The driver's own transaction sends ``ROLLBACK`` whatever went wrong. After a command that was not answered in time it
waits, before it sends anything, for the answer to its request to cancel that command; on a connection whose other side
is gone that wait has no end. So after silence nothing is sent: whoever has the connection closes it, and the server
rolls back.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

import asyncpg
from asyncpg.pool import PoolConnectionProxy

__all__ = ["transaction"]


@asynccontextmanager
async def transaction(
    connection: asyncpg.Connection | PoolConnectionProxy, isolation: Literal["repeatable_read"] | None = None
) -> AsyncIterator[None]:
    """Run a block in a transaction, or in a savepoint when the connection is in a transaction already.

    After a TimeoutError or a cancellation the connection is in an unknown state and must be closed.

    Args:
        connection: the one the block works on.
        isolation: ``repeatable_read`` for one that sees a single moment of the database.
    """
    work = connection.transaction(isolation=isolation)
    await work.start()
    try:
        yield
    except (TimeoutError, asyncio.CancelledError):
        raise
    except BaseException:
        if not connection.is_closed():
            await work.rollback()
        raise
    await work.commit()
