"""The journal in a real PostgreSQL: who leads, what only the leader may write, and what is read back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from watching import NOON, rule_of

from logstreamd.alerts.aggregate import Measured
from logstreamd.alerts.evaluate import evaluate
from logstreamd.alerts.group_key import read_group_key
from logstreamd.alerts.journal import JournalError, LeadLostError
from logstreamd.alerts.journal_stored import MOST_SILENCES, StoredJournal
from logstreamd.alerts.measure import Answer
from logstreamd.alerts.records import ending_of, event_row, plain_rows, state_row
from logstreamd.alerts.rule import Rule
from logstreamd.alerts.silence import Matcher
from logstreamd.alerts.silence_request import SilenceRequest, TooManySilencesError
from logstreamd.alerts.snapshot import restore
from logstreamd.alerts.state import RuleState
from logstreamd.storage.connections import ConnectionSettings, connect

RULE = rule_of(by=(read_group_key("service"),))
pytestmark = pytest.mark.every_postgres


@pytest.fixture
async def open_journal(database: str) -> AsyncIterator[Callable[..., StoredJournal]]:
    """Opens journals of several daemons on one database."""
    opened: list[StoredJournal] = []

    def open_(lease_seconds: float = 10.0) -> StoredJournal:
        settings = ConnectionSettings(database, statement_timeout_seconds=4)
        journal = StoredJournal(
            lambda: connect(settings, purpose="alerts"),
            events_kept=timedelta(days=90),
            lease_seconds=lease_seconds,
        )
        opened.append(journal)
        return journal

    yield open_
    for journal in opened:
        await journal.close()


@pytest.fixture
async def journal(open_journal: Callable[..., StoredJournal]) -> StoredJournal:
    """One that leads."""
    one = open_journal()
    assert (await one.beat(NOON)).term == 1
    return one


def fired(rule: Rule = RULE, at: datetime = NOON) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the row of a rule's state and its events when it has just fired."""
    found = evaluate(rule, RuleState(), at, Answer((Measured(("checkout",), 12.0, 12),)))
    lines = plain_rows([{"ts": at, "message": "refused", "attrs": {"big": 10**60, "nested": {"n": 1.5}}}])
    return state_row(rule, found.state, handed_over=False), [event_row(one, lines) for one in found.transitions]


async def wait_until(journal: StoredJournal, leads: bool) -> None:
    while bool((await journal.beat(NOON)).term) != leads:
        await asyncio.sleep(0.05)


async def backend_of_leader(connection: asyncpg.Connection) -> int:
    pid: int = await connection.fetchval(
        "SELECT pid FROM pg_locks JOIN pg_database ON oid = database"
        " WHERE locktype = 'advisory' AND granted AND datname = current_database()"
    )
    return pid


async def test_what_is_recorded_is_read_back_with_the_lines_of_what_fires(
    journal: StoredJournal, connection: asyncpg.Connection
) -> None:
    row, events = fired()
    await journal.record(1, states=[row], events=events)
    (kept,) = await journal.load()
    assert (kept.rule, kept.notify, kept.interval_seconds, kept.handed_over) == ("Many", (), 15.0, False)
    state = restore(RULE, kept.state)
    assert [(one.state, one.group, one.fired_at) for one in state.instances] == [("firing", ("checkout",), NOON)]
    (alert,) = kept.alerts
    assert (alert.state, alert.starts_at, alert.labels["service"]) == ("firing", NOON, "checkout")
    assert alert.samples == tuple(events[0]["samples"])
    assert alert.samples[0]["attrs"]["big"] == "1" + "0" * 60

    ending = ending_of("Many", alert, NOON, "the rule was removed")
    await journal.record(1, gone=["Many"], events=[ending])
    assert await journal.load() == []
    reasons = await connection.fetch("SELECT reason FROM alert_events ORDER BY id")
    assert [row["reason"] for row in reasons] == [None, "the rule was removed"]


async def test_how_long_ago_something_was_recorded_is_told_by_the_databases_own_clock(
    journal: StoredJournal, connection: asyncpg.Connection
) -> None:
    await journal.record(1, states=[fired()[0]])
    assert 0 <= (await journal.load())[0].age_seconds < 60
    await connection.execute("UPDATE alert_state SET saved_at = saved_at - interval '1 hour'")
    assert 3_600 <= (await journal.load())[0].age_seconds < 3_660


async def test_what_another_version_kept_in_another_way_is_no_alert(
    journal: StoredJournal, connection: asyncpg.Connection
) -> None:
    await journal.record(1, states=[fired()[0]])
    await connection.execute("""UPDATE alert_state SET alerts = '[{"labels": 5}]'""")
    (kept,) = await journal.load()
    assert (kept.rule, kept.alerts) == ("Many", ())


async def test_state_and_events_are_written_together_or_not_at_all(
    journal: StoredJournal, connection: asyncpg.Connection
) -> None:
    row, events = fired()
    with pytest.raises(JournalError, match="NotNull"):
        await journal.record(1, states=[row], events=[{**events[0], "labels": None}])
    assert await connection.fetchval("SELECT count(*) FROM alert_state") == 0
    assert journal.term == 0


async def test_one_leads_and_another_one_does_when_the_first_is_gone(
    journal: StoredJournal, open_journal: Callable[..., StoredJournal]
) -> None:
    other = open_journal()
    assert (await other.beat(NOON)).term == 0
    await journal.close()
    await wait_until(other, leads=True)
    assert (await journal.beat(NOON)).term == 0


async def test_whose_connection_was_ended_by_the_server_records_nothing(
    journal: StoredJournal, open_journal: Callable[..., StoredJournal], connection: asyncpg.Connection
) -> None:
    other, (row, events) = open_journal(), fired()
    assert await connection.fetchval("SELECT pg_terminate_backend($1)", await backend_of_leader(connection))
    await wait_until(other, leads=True)
    with pytest.raises(JournalError):
        await journal.record(1, states=[row], events=events)
    with pytest.raises(LeadLostError):
        await journal.record(1, states=[row], events=events)
    assert await connection.fetchval("SELECT count(*) FROM alert_events") == 0


async def test_who_gives_no_sign_of_life_loses_the_lead_and_finds_out_before_it_records(
    open_journal: Callable[..., StoredJournal], connection: asyncpg.Connection
) -> None:
    hung, other = open_journal(lease_seconds=0.3), open_journal()
    assert (await hung.beat(NOON)).term == 1
    await wait_until(other, leads=True)
    with pytest.raises(JournalError):
        await hung.record(1, events=fired()[1])
    assert await connection.fetchval("SELECT count(*) FROM alert_events") == 0
    assert (await hung.beat(NOON)).term == 0


async def test_an_answer_that_does_not_come_ends_the_lead_and_the_next_connection_gets_it_back(
    journal: StoredJournal, connection: asyncpg.Connection
) -> None:
    async with connection.transaction():
        await connection.execute("LOCK TABLE alert_state IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(JournalError):
            await journal.record(1, states=[fired()[0]])
        assert journal.term == 0
        await wait_until(journal, leads=True)
    assert journal.term == 2
    with pytest.raises(LeadLostError):
        await journal.record(1, states=[fired()[0]])
    await journal.record(2, states=[fired()[0]])


async def test_old_events_and_silences_go_and_of_too_many_events_the_oldest(
    journal: StoredJournal, connection: asyncpg.Connection
) -> None:
    now = NOON + timedelta(days=200)
    ages = (100, 91, 89, 1)
    events = [event for age in ages for event in fired(at=now - timedelta(days=age))[1]]
    await journal.record(1, events=events)
    await journal.put_silence(silence(until=NOON + timedelta(hours=1)), NOON)
    kept = await journal.put_silence(silence(until=now - timedelta(days=4)), NOON)
    await journal.prune(now)
    assert await connection.fetchval("SELECT count(*) FROM alert_events") == 2
    assert [row["id"] for row in await connection.fetch("SELECT id FROM silences")] == [kept]

    await connection.execute("ALTER TABLE alert_events ALTER COLUMN id RESTART WITH 1000003")
    await journal.record(1, events=fired(at=now)[1])
    await journal.prune(now)
    rows = await connection.fetch("SELECT id FROM alert_events ORDER BY id")
    assert [row["id"] for row in rows] == [4, 1_000_003]


def silence(until: datetime, **changes: Any) -> SilenceRequest:
    wanted = {"id": None, "matchers": (Matcher("service", "check.*", is_regex=True),), "author": "ann"}
    return SilenceRequest(**{**wanted, "comment": "deploying", "starts_at": NOON, "ends_at": until, **changes})


async def test_silences_are_made_replaced_and_ended_and_come_with_the_next_sign_of_life(
    journal: StoredJournal, open_journal: Callable[..., StoredJournal]
) -> None:
    later = NOON + timedelta(hours=1)
    anywhere = open_journal()
    made = await anywhere.put_silence(silence(later), NOON)
    (seen,) = (await journal.beat(NOON)).silences
    assert (seen.id, seen.ends_at) == (str(made), later)
    assert seen.holds({"service": "checkout"}, NOON)

    matcher = Matcher("service", "cart")
    assert await journal.put_silence(silence(later, id=made, matchers=(matcher,)), NOON) == made
    assert [one.matchers for one in (await journal.beat(NOON)).silences] == [(matcher,)]
    assert await journal.put_silence(silence(later, id=uuid4()), NOON) is None

    assert await journal.end_silence(made, NOON + timedelta(minutes=1))
    assert (await journal.beat(NOON + timedelta(minutes=1))).silences == ()
    assert not await journal.end_silence(uuid4(), NOON)


async def test_there_are_only_so_many_silences(journal: StoredJournal) -> None:
    made = [await journal.put_silence(silence(NOON + timedelta(hours=1)), NOON) for _ in range(MOST_SILENCES)]
    with pytest.raises(TooManySilencesError):
        await journal.put_silence(silence(NOON + timedelta(hours=1)), NOON)
    assert await journal.put_silence(silence(NOON + timedelta(hours=2), id=made[0]), NOON) == made[0]
    await journal.end_silence(made[0], NOON)
    assert await journal.put_silence(silence(NOON + timedelta(hours=1)), NOON) is not None


async def test_a_silence_that_somebody_wrote_by_hand_and_that_makes_no_sense_does_nothing(
    journal: StoredJournal, connection: asyncpg.Connection
) -> None:
    for matchers in ('[{"name": "a", "value": "(", "is_regex": true}]', '[{"nome": "a"}]'):
        await connection.execute(
            "INSERT INTO silences (matchers, author, comment, starts_at, ends_at) VALUES ($1, 'x', 'x', $2, $3)",
            matchers,
            NOON,
            NOON + timedelta(days=1),
        )
    assert (await journal.beat(NOON)).silences == ()
