"""Repeated lines → the first of them at once, then one a minute that says how many were left out.

An attacker can make a daemon write a line per connection, and an outage one per request; the log must still show what
else is wrong. So lines are told apart by what they are about:

=======  ===================================================================================================
part     fields
=======  ===================================================================================================
who      level, event, and who has the problem: input, notifier, rule, route, file, … (:data:`_WHO`)
what     every other text or list of texts, numbers aside: the problem; of an exception its type and place
peer     who caused it, if anybody
=======  ===================================================================================================

Each combination has its own lines. One ``who`` may have ``MAX_VARIANTS`` of them; then peers are no longer told
apart, beyond twice as many nor is what happened. What was left out and is not followed by a line is said by
:meth:`RepeatLimiter.overdue`. Memory is bounded by ``MAX_KINDS``: the one heard of least lately is forgotten, and its
next line is a first one again.

Not limited: what is ``critical``, what nobody outside can cause (``info`` without a peer), and ``debug``.
"""

from __future__ import annotations

import re
import sys
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

__all__ = ["MAX_KINDS", "MAX_VARIANTS", "RepeatLimiter"]

LINES_AT_ONCE = 5
"""Enough to see that it repeats, and how fast."""
EVERY_SECONDS = 60.0
MAX_VARIANTS = 32
"""Of one problem of one part: 5 lines of each at once are what a person can still look through."""
MAX_KINDS = 2_048
"""What is told apart at the same time; about a kilobyte each."""

_WHO = (
    *("alert", "directory", "file", "fingerprint", "group", "input", "kind", "logger"),
    *("notifier", "route", "rule", "task", "type", "url"),
)
# Of a single request or batch, and so never the same twice; what a peer chose to ask for.
_ASIDE = frozenset(
    {"exc_info", "level", "method", "path", "peer", "query", "request_id", "span_id", "timestamp", "trace_id"}
)
_NUMBER = re.compile(r"0x[0-9a-fA-F]+|\d+")
_MAX_WHAT_CHARS = 200  # of a text, and so many texts of a list: what differs only behind them is the same
_MAX_WHAT_TEXTS = 20

_Key = tuple[Hashable, ...]


@dataclass(slots=True)
class _Kind:
    """Lines that say the same: a bucket that holds ``LINES_AT_ONCE`` and gets one more each ``EVERY_SECONDS``."""

    lines_left: float
    looked_at: float
    left_out: int = 0
    last: Mapping[str, Any] | None = None
    last_at: float = 0.0

    def refill(self, now: float) -> None:
        gained = max(0.0, now - self.looked_at) / EVERY_SECONDS
        self.lines_left = min(float(LINES_AT_ONCE), self.lines_left + gained)
        self.looked_at = now


class RepeatLimiter:
    """Decides which lines are written. Safe to use from any thread.

    Args:
        monotonic: a steady clock.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._kinds: OrderedDict[_Key, _Kind] = OrderedDict()
        self._variants: Counter[Hashable] = Counter()

    def __len__(self) -> int:
        return len(self._kinds)

    def try_admit(self, event: Mapping[str, Any]) -> int | None:
        """Decide about a line.

        Args:
            event: its fields, with ``event`` and ``level``.

        Returns:
            How many lines like it were left out since the last one that was written; None when it is left out itself.
        """
        if event["level"] in ("debug", "critical") or (event["level"] == "info" and "peer" not in event):
            return 0
        with self._lock:
            kind = self._kind_of(event)
            kind.refill(self._monotonic())
            if kind.lines_left < 1:
                kind.left_out += 1
                kind.last, kind.last_at = _example(event), kind.looked_at
                return None
            kind.lines_left -= 1
            left_out, kind.left_out, kind.last = kind.left_out, 0, None
            return left_out

    def overdue(self, *, closing: bool = False) -> list[dict[str, Any]]:
        """Return a line for everything that was left out and not mentioned for a while; forget what is over.

        Args:
            closing: nothing is written afterwards, so that also what is not due has to be said now.
        """
        lines = []
        with self._lock:
            now = self._monotonic()
            for key, kind in list(self._kinds.items()):
                kind.refill(now)
                if kind.last is not None and (closing or kind.lines_left >= 1):
                    # Written later than it happened, maybe behind the line that all is well again.
                    ago = round(now - kind.last_at)
                    lines.append({**kind.last, "suppressed": kind.left_out, "last_seconds_ago": ago})
                    kind.lines_left -= 1
                    kind.left_out, kind.last = 0, None
                elif kind.lines_left >= LINES_AT_ONCE:
                    self._forget(key)
        return lines

    def _kind_of(self, event: Mapping[str, Any]) -> _Kind:
        who, what = _parts(event)
        variants = ((who, what, str(event.get("peer"))), (who, what), (who,))
        for key, most in zip(variants, (MAX_VARIANTS, 2 * MAX_VARIANTS, None), strict=True):
            if key in self._kinds:
                self._kinds.move_to_end(key)
                return self._kinds[key]
            if most is None or self._variants[who] < most:
                break
        if len(self._kinds) == MAX_KINDS:
            self._forget(next(iter(self._kinds)))
        self._variants[who] += 1
        kind = self._kinds[key] = _Kind(LINES_AT_ONCE, self._monotonic())
        return kind

    def _forget(self, key: _Key) -> None:
        del self._kinds[key]
        self._variants[key[0]] -= 1
        if not self._variants[key[0]]:
            del self._variants[key[0]]


def _parts(event: Mapping[str, Any]) -> tuple[Hashable, Hashable]:
    foreign = "logger" in event  # the text is somebody else's, and may hold anything
    who = (event["level"], None if foreign else event["event"], *(str(event.get(name)) for name in _WHO))
    texts = {
        (name, _said(value))
        for name, value in event.items()
        if isinstance(value, (str, list, tuple)) and name not in _ASIDE and name not in _WHO
    }
    return who, (frozenset(texts), _raised(event.get("exc_info")))


def _said(value: Any) -> Hashable:
    """Return what a text, or a list with texts, says, its numbers aside."""
    if isinstance(value, str):
        return _NUMBER.sub("#", value[:_MAX_WHAT_CHARS])
    return tuple(_said(one) for one in value[:_MAX_WHAT_TEXTS] if isinstance(one, str))


def _raised(exc_info: object) -> Hashable:
    """Return what kind of exception it is and where it comes from."""
    if exc_info is True:
        exc_info = sys.exc_info()
    problem = exc_info[1] if isinstance(exc_info, tuple) else exc_info
    if not isinstance(problem, BaseException):
        return None
    place: TracebackType | None = problem.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    return (type(problem), None if place is None else (place.tb_frame.f_code.co_filename, place.tb_lineno))


def _example(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is worth keeping of a line that was left out: its short texts."""
    return {
        name: value[:_MAX_WHAT_CHARS]
        for name, value in event.items()
        if isinstance(value, str) and name not in ("timestamp", "request_id", "trace_id", "span_id")
    }
