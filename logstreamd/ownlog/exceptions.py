"""An exception → what was raised, where, and what it was caused by: bounded, and without anybody's variables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import structlog
from structlog.typing import EventDict, WrappedLogger

__all__ = ["exception_as_text", "structured_exception"]

_MAX_FRAMES = 20  # of one exception, from both ends: the deepest call of the daemon has some 30

structured_exception = structlog.processors.ExceptionRenderer(
    # The values of variables may be what a peer sent, or a password.
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False, max_frames=_MAX_FRAMES)
)
"""The processor: ``exc_info`` becomes ``exception``, a list: what was raised, then what caused it, and so on."""


def exception_as_text(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Write an exception for people, a line for each frame: the processor behind :data:`structured_exception`.

    The lines are indented, so that none of them can be taken for a line of the log; their texts are escaped already.
    """
    if isinstance(event.get("exception"), list):
        event["exception"] = "\n".join(_lines(event["exception"], "  "))
    return event


def _lines(stacks: list[Any], indent: str) -> Iterator[str]:
    for stack in stacks:
        if not isinstance(stack, Mapping):  # the line was full
            yield f"{indent}{stack}"
            continue
        yield f"{indent}{stack.get('exc_type')}: {stack.get('exc_value')}"
        frames = stack.get("frames")
        for frame in frames if isinstance(frames, list) else ():
            yield f"{indent}  {_place(frame)}"
        inside = stack.get("exceptions")
        for group in inside if isinstance(inside, list) else ():
            yield from _lines(group if isinstance(group, list) else [group], indent + "  | ")


def _place(frame: Any) -> str:
    if not isinstance(frame, Mapping):
        return str(frame)
    return f"{frame.get('filename')}:{frame.get('lineno')} in {frame.get('name')}"
