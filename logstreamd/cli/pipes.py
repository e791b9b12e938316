"""When the reader of our output has seen enough."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["quiet_end"]


@contextmanager
def quiet_end() -> Iterator[None]:
    """Take a closed pipe (``| head``) for the end of the work, and a good one."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        # What is still buffered goes nowhere, without a complaint when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
