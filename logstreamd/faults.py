"""Named places where a test can make the daemon die, fail or wait: off and free unless ``LOGSTREAMD_FAULT``
is set.

The code calls ``faults.hit("spool.committed")`` (through the module, so that arming swaps the function for
every caller); while nothing is armed that is a call of an empty function. :func:`arm` reads a plan such as
``spool.committed:3:kill,pg.before_commit:1+:raise:EIO``:

========= ============================================================================
part       meaning
========= ============================================================================
name       one of :data:`POINTS`
nth        the hit at which it acts, from 1; ``3+`` means from the third one on
action     ``kill`` (SIGKILL to this process), ``raise:ERRNO`` (an OSError such as
           ``ENOSPC``), ``sleep:SECONDS`` (blocks the thread that hits)
========= ============================================================================
"""

from __future__ import annotations

import errno
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

__all__ = ["POINTS", "FaultSpecError", "arm", "disarm", "hit"]

POINTS: frozenset[str] = frozenset(
    {
        "recv.enqueued",  # a batch was handed to the spool by an input
        "spool.before_commit",  # rows are in the transaction, nothing is durable yet
        "spool.committed",  # durable, but nobody has been told
        "spool.ack_written",  # acknowledged batches are deleted
        "spool.assigned",  # batch numbers are written
        "spool.before_checkpoint",  # pages are about to move from the WAL into the database
        "spool.set_aside",  # a corrupt file's rows are recovered, it is about to be renamed
        "pg.begin",
        "pg.marker",  # the batch's marker is inserted
        "pg.copy_half",
        "pg.copied",
        "pg.before_commit",
        "pg.after_commit",  # stored, the spool does not know it yet
        "http.before_ack",  # durable, the client has no answer yet
        "alerts.evaluated",  # alerts have changed, nothing is recorded
        "alerts.recorded",  # the change is in the journal, the outbox does not know it yet
        "alerts.queued",  # alerts are in the outbox, nobody has been told
        "alerts.delivered",  # the receiver has a message, the outbox does not know it yet
    }
)
"""Every place that can be armed, declared once."""


class FaultSpecError(ValueError):
    """``LOGSTREAMD_FAULT`` names an unknown point or is not ``name:nth:action``."""


@dataclass(slots=True)
class _Fault:
    """One armed point: acts on its nth hit, or on every hit from the nth on."""

    nth: int
    repeats: bool
    act: Callable[[], None]
    hits: int = 0

    def count(self) -> bool:
        self.hits += 1
        return self.hits == self.nth or (self.repeats and self.hits > self.nth)


_armed: dict[str, list[_Fault]] = {}
_lock = threading.Lock()  # points are hit by the event loop and by the spool's owner thread


def _off(name: str) -> None:
    """Do nothing: what :data:`hit` is while nothing is armed."""


def _on(name: str) -> None:
    """Act on every fault of ``name`` that is due."""
    with _lock:
        due = [fault for fault in _armed.get(name, ()) if fault.count()]
    for fault in due:
        fault.act()


hit: Callable[[str], None] = _off
"""Call this at a fault point; always as ``faults.hit(name)``."""


def arm(spec: str) -> None:
    """Arm the faults of a plan, in addition to nothing: an earlier plan is replaced.

    Args:
        spec: the value of ``LOGSTREAMD_FAULT``: ``name:nth:action``, several separated by commas; empty
            disarms.

    Raises:
        FaultSpecError: an unknown point, a count below 1, an unknown action; nothing is armed then.
    """
    global hit
    plan: dict[str, list[_Fault]] = {}
    for item in filter(None, (part.strip() for part in spec.split(","))):
        name, fault = _parse(item)
        plan.setdefault(name, []).append(fault)
    with _lock:
        _armed.clear()
        _armed.update(plan)
    hit = _on if plan else _off


def disarm() -> None:
    """Forget every armed fault."""
    arm("")


def _parse(item: str) -> tuple[str, _Fault]:
    name, nth, action = (*item.split(":", 2), "", "")[:3]
    if name not in POINTS:
        raise FaultSpecError(f"LOGSTREAMD_FAULT: unknown point {name!r}, expected one of {', '.join(sorted(POINTS))}")
    count = nth.removesuffix("+")
    if not (count.isascii() and count.isdigit() and int(count) >= 1):
        raise FaultSpecError(f"LOGSTREAMD_FAULT: {item!r}: expected a count from 1 after the point (got {nth!r})")
    return name, _Fault(nth=int(count), repeats=nth.endswith("+"), act=_action(item, action))


def _action(item: str, action: str) -> Callable[[], None]:
    kind, _, argument = action.partition(":")
    if kind == "kill" and not argument:
        return _kill
    if kind == "raise" and isinstance(code := getattr(errno, argument, None), int):
        return partial(_raise, code)
    if kind == "sleep":
        try:
            return partial(time.sleep, _seconds(argument))
        except ValueError:
            pass
    raise FaultSpecError(f"LOGSTREAMD_FAULT: {item!r}: expected kill, raise:ERRNO or sleep:SECONDS (got {action!r})")


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds <= 3600:  # an hour: longer than any test waits, and no infinity
        raise ValueError(text)
    return seconds


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _raise(code: int) -> None:
    raise OSError(code, f"{os.strerror(code)} (armed by LOGSTREAMD_FAULT)")
