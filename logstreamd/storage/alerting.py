"""What rules found out and where they stand, silences, and which daemon evaluates.

Events and the states they led to are written in one transaction, on the connection that has the lead: it can only be
committed while nobody else has it. The lead is a lock of the session. It ends with the connection, and the server ends
a connection that its daemon has not used for the length of the lease: one that hangs, or was cut off without a word,
loses the lead as well.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from logstreamd.storage.migrate import Connection
from logstreamd.storage.queries import load_queries
from logstreamd.storage.transaction import transaction

__all__ = [
    "SilenceRow",
    "StateRow",
    "TooManyError",
    "end_backend",
    "end_silence",
    "load_samples",
    "load_silences",
    "load_states",
    "prune_alerting",
    "put_silence",
    "record",
    "take_lease",
    "try_lead",
]

_SQL = load_queries("alerting.sql")


class TooManyError(Exception):
    """There are as many silences as may be."""


@dataclass(frozen=True, slots=True)
class StateRow:
    """Where a rule stands, as it is kept.

    Attributes:
        rule: its name.
        state: opaque.
        alerts: those that are pending or fire.
        notify: who is told.
        interval_seconds: how often it is evaluated.
        handed_over: whether the notifiers were told what changed last.
        age_seconds: since this was written.
    """

    rule: str
    state: Any
    alerts: list[dict[str, Any]]
    notify: tuple[str, ...]
    interval_seconds: float
    handed_over: bool
    age_seconds: float


@dataclass(frozen=True, slots=True)
class SilenceRow:
    """A silence without its reasons."""

    id: UUID
    matchers: list[dict[str, Any]]
    starts_at: datetime
    ends_at: datetime


async def take_lease(connection: Connection, seconds: float) -> None:
    """Let the server end this connection when it is not used for so long; a lead that it has ends then, too."""
    await connection.execute(_SQL["lease"], str(round(seconds * 1_000)))


async def end_backend(connection: Connection, pid: int) -> bool:
    """End the server's side of an earlier connection of this kind, which may still hold the lead for nobody."""
    return bool(await connection.fetchval(_SQL["end_earlier"], pid))


async def try_lead(connection: Connection) -> bool:
    """Take the lead until the end of the connection; False when another one has it. To be asked until it is True."""
    return bool(await connection.fetchval(_SQL["try_lead"]))


async def record(
    connection: Connection,
    *,
    states: Sequence[Mapping[str, Any]] = (),
    events: Sequence[Mapping[str, Any]] = (),
    gone: Sequence[str] = (),
) -> None:
    """Write events and the states they led to, all or nothing.

    Args:
        connection: the one that has the lead.
        states: with the fields of :class:`StateRow` but the last, as JSON knows them.
        events: with the columns of ``alert_events``, as JSON knows them.
        gone: rules whose state is forgotten.
    """
    async with transaction(connection):
        if states:
            await connection.execute(_SQL["put_states"], json.dumps(states))
        if events:
            await connection.execute(_SQL["add_events"], json.dumps(events))
        if gone:
            await connection.execute(_SQL["delete_states"], list(gone))


async def load_states(connection: Connection) -> list[StateRow]:
    """Return where every rule stood."""
    return [
        StateRow(
            row["rule"],
            json.loads(row["state"]),
            json.loads(row["alerts"]),
            tuple(row["notify"]),
            row["interval_seconds"],
            row["handed_over"],
            row["age_seconds"],
        )
        for row in await connection.fetch(_SQL["states"])
    ]


async def load_samples(connection: Connection) -> dict[tuple[str, datetime], list[dict[str, Any]]]:
    """Return the lines of the alerts that fire, by fingerprint and begin."""
    rows = await connection.fetch(_SQL["samples_of_firing"])
    return {(row["fingerprint"], row["starts_at"]): json.loads(row["samples"]) for row in rows}


async def load_silences(connection: Connection, now: datetime) -> list[SilenceRow]:
    """Return the silences that have not ended, those that have not begun among them."""
    rows = await connection.fetch(_SQL["unexpired_silences"], now)
    return [SilenceRow(row["id"], json.loads(row["matchers"]), row["starts_at"], row["ends_at"]) for row in rows]


async def put_silence(
    connection: Connection,
    silence_id: UUID | None,
    *,
    matchers: Iterable[Mapping[str, Any]],
    author: str,
    comment: str,
    starts_at: datetime,
    ends_at: datetime,
    now: datetime,
    at_most: int,
) -> UUID | None:
    """Make a silence, or replace one.

    Args:
        connection: any.
        silence_id: which one to replace; None: make another.
        matchers: what it matches.
        author: who wants it.
        comment: why.
        starts_at: from when on.
        ends_at: until when.
        now: the time.
        at_most: silences that may be unexpired.

    Returns:
        Its id; None when there is none with the id that was given.

    Raises:
        TooManyError: there are that many already.
    """
    values = (json.dumps(list(matchers)), author, comment, starts_at, ends_at)
    async with transaction(connection):
        await connection.execute(_SQL["one_at_a_time"])
        if await connection.fetchval(_SQL["count_unexpired"], now, silence_id) >= at_most:
            raise TooManyError(f"there are {at_most} silences already")
        if silence_id is None:
            made: UUID = await connection.fetchval(_SQL["add_silence"], *values)
            return made
        replaced: UUID | None = await connection.fetchval(_SQL["replace_silence"], silence_id, *values)
        return replaced


async def end_silence(connection: Connection, silence_id: UUID, now: datetime) -> bool:
    """End a silence now; False when there is none with this id."""
    return await connection.fetchval(_SQL["end_silence"], silence_id, now) is not None


async def prune_alerting(
    connection: Connection, *, events_before: datetime, most_events: int, silences_before: datetime, at_once: int
) -> int:
    """Delete old events and silences.

    Args:
        connection: any.
        events_before: older events go.
        most_events: of the newer ones so many stay.
        silences_before: silences that ended earlier go.
        at_once: events deleted at most for each of the two reasons.

    Returns:
        How many events went.
    """
    await connection.execute(_SQL["prune_silences"], silences_before)
    tag = await connection.execute(_SQL["prune_events"], events_before, most_events, at_once)
    return int(tag.rpartition(" ")[2])
