"""SIGTERM and SIGINT as something to wait for."""

from __future__ import annotations

import asyncio
import os
import select
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Stop", "on_hangup", "stopped_by_signals"]


class Stop:
    """The wish to end, and sleep that ends with it.

    A pipe and not :class:`threading.Event`, whose lock a signal handler would find taken by the thread it interrupted.
    """

    def __init__(self) -> None:
        self.requested = False
        self._read_end, self._write_end = os.pipe()

    def request(self) -> None:
        """Wish to end; safe in a signal handler."""
        if not self.requested:
            self.requested = True
            os.write(self._write_end, b"\0")

    def wait(self, seconds: float) -> bool:
        """Sleep, but not longer than until the wish; return whether it is there."""
        if not self.requested:
            select.select([self._read_end], [], [], max(0.0, seconds))
        return self.requested

    async def wait_async(self, seconds: float | None) -> bool:
        """Do the same on an event loop; without a number, sleep until the wish."""
        loop, noticed = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._read_end, noticed.set)
        try:
            async with asyncio.timeout(seconds):
                await noticed.wait()
        except TimeoutError:
            pass
        finally:
            loop.remove_reader(self._read_end)
        return self.requested

    def close(self) -> None:
        """Give the pipe back."""
        os.close(self._read_end)
        os.close(self._write_end)


@contextmanager
def stopped_by_signals() -> Iterator[Stop]:
    """Make SIGTERM and SIGINT the wish to end while the block runs; the same a second time ends the process at once."""
    stop = Stop()

    def handle(number: int, _frame: FrameType | None) -> None:
        stop.request()
        signal.signal(number, signal.SIG_DFL)

    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        stop.close()


@contextmanager
def on_hangup(call: Callable[[], None]) -> Iterator[None]:
    """Make SIGHUP a call while the block runs; it must be as simple as setting a flag."""

    def handle(_number: int, _frame: FrameType | None) -> None:
        call()

    before = signal.signal(signal.SIGHUP, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)
