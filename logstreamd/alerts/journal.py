"""What must outlive the daemon: where rules stand, what happened, silences, and who of several daemons evaluates.

The order that makes an alert come at least once, whatever happens between two steps:

1. The new state and its events are recorded, marked as not handed over. Until then nothing has happened: after a
   crash the same evaluation finds the same.
2. The alerts go to the outbox of the notifiers. After a crash before this step the mark says so, and the next start
   hands over what is recorded, with the same fingerprints and the same ``starts_at``.
3. The notifiers tell, and the mark is taken off, some time later. After a crash before this step the next start hands
   over again; the outbox knows what it has. Another daemon that takes over has another outbox, and what the first one
   could not tell is told by the second.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from logstreamd.alerts.silence import Silence
from logstreamd.alerts.state import AlertState

__all__ = ["Beat", "Journal", "JournalError", "Kept", "LeadLostError", "Living"]


class JournalError(Exception):
    """Nothing could be read or recorded; the text says why, for people."""


class LeadLostError(JournalError):
    """Another daemon may evaluate by now: what this one found does not count."""


@dataclass(frozen=True, slots=True)
class Living:
    """An alert that is pending or fires, as it is kept beside its rule's state: understood without the rule.

    Attributes:
        state: pending or firing.
        labels: what identifies it.
        annotations: what is said about it.
        value: what was measured last.
        active_at: since when its condition holds.
        starts_at: when it began to fire; None: it is pending.
        samples: the lines that prove it.
    """

    state: AlertState
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    value: float
    active_at: datetime
    starts_at: datetime | None
    samples: tuple[Mapping[str, Any], ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Kept:
    """Where a rule stood.

    Attributes:
        rule: its name.
        state: its snapshot.
        alerts: those that are pending or fire.
        notify: who is told; empty: all notifiers.
        interval_seconds: how often it is evaluated.
        handed_over: whether the notifiers were told what changed last.
        age_seconds: since this was recorded.
    """

    rule: str
    state: object
    alerts: tuple[Living, ...]
    notify: tuple[str, ...]
    interval_seconds: float
    handed_over: bool
    age_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Beat:
    """What was found at the last sign of life.

    Attributes:
        term: which time of having the lead this is; 0: another daemon has it.
        silences: those that have not ended.
    """

    term: int
    silences: tuple[Silence, ...]


class Journal(Protocol):
    """Whoever keeps it."""

    @property
    def term(self) -> int:
        """Which time of having the lead this is; 0: this daemon does not have it, as far as it knows."""

    async def beat(self, now: datetime) -> Beat:
        """Keep the lead, or try to get it.

        Raises:
            JournalError: the journal can't be reached; the lead is lost.
        """

    async def load(self) -> list[Kept]:
        """Return where every rule stands.

        Raises:
            JournalError: nothing can be read; the lead is lost.
        """

    async def record(
        self,
        term: int,
        *,
        states: Sequence[Mapping[str, Any]] = (),
        events: Sequence[Mapping[str, Any]] = (),
        gone: Sequence[str] = (),
    ) -> None:
        """Write events and the states they led to, all or nothing. What was asked for first is written first.

        Args:
            term: the one in which they were found.
            states: see :func:`~logstreamd.alerts.records.state_row`.
            events: see :func:`~logstreamd.alerts.records.event_row`.
            gone: rules whose state is forgotten.

        Raises:
            LeadLostError: the term is over.
            JournalError: nothing was written, or nobody knows; the lead is lost.
        """

    async def prune(self, now: datetime) -> None:
        """Delete what is old enough, a part of it at a time.

        Raises:
            JournalError: the journal can't be reached; the lead is lost.
        """

    async def close(self) -> None:
        """Give the lead back."""
