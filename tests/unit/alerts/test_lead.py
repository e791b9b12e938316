"""Who leads and who stands by: what is left to be told at a take-over, and what becomes of rules that are gone."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from watching import NOON, Database, FakeClock, Watch, group_of, rule_of

from logstreamd.alerts.rule import RuleGroup
from logstreamd.alerts.silence import Matcher, Silence
from logstreamd.alerts.template import read_template

Start = Callable[..., Awaitable[Watch]]
RULE = group_of(rule_of())


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    started: list[Watch] = []

    async def start(*groups: RuleGroup, **settings: Any) -> Watch:
        started.append(await Watch(*groups, **settings).start())
        return started[-1]

    yield start
    for watch in started:
        await watch.stop()


async def resolve(watch: Watch, clock: FakeClock) -> None:
    """Let an alert fire and resolve."""
    watch.witness.value = 11
    await clock.advance(15)
    watch.witness.value = 0
    await clock.advance(15)


async def test_what_a_dead_leader_could_not_tell_is_told_by_the_next_one(start: Start) -> None:
    database, clock = Database(), FakeClock()
    first = await start(RULE, database=database, clock=clock)
    second = await start(RULE, database=database, clock=clock)
    first.messenger.waiting = {"Many"}  # its receiver is down
    await resolve(first, clock)
    await clock.advance(10)
    await first.kill()
    await clock.advance(2)
    assert second.messenger.news() == [("resolved", "Many")]
    assert second.messenger.told[0][0].starts_at == first.messenger.told[0][0].starts_at
    assert database.history() == [("inactive", "firing"), ("firing", "resolved")]


async def test_what_a_dead_leader_has_told_is_not_told_again(start: Start) -> None:
    database, clock = Database(), FakeClock()
    first = await start(RULE, database=database, clock=clock)
    second = await start(RULE, database=database, clock=clock)
    first.messenger.waiting = {"Many"}
    await resolve(first, clock)
    first.messenger.waiting = set()
    await clock.advance(1)
    assert json.loads(database.states["Many"])["handed_over"] is True
    await first.kill()
    await clock.advance(30)
    assert second.lead.role == "evaluates"
    assert second.messenger.told == []


async def test_who_takes_over_goes_on_with_keep_firing_for_where_it_stood(start: Start) -> None:
    database, clock = Database(), FakeClock()
    group = group_of(rule_of(keep_firing_for=timedelta(seconds=30)))
    first = await start(group, database=database, clock=clock)
    first.witness.value = 11
    await clock.advance(15)
    first.witness.value = 0
    await clock.advance(15)
    await first.kill()
    await start(group, database=database, clock=clock)
    await clock.advance(60)
    fired, resolved = (NOON.fromisoformat(one["at"]) for one in database.events)
    assert resolved - fired == timedelta(seconds=15 + 30)


async def test_a_daemon_that_stands_by_leaves_what_fires_to_the_leader(start: Start) -> None:
    database, clock = Database(), FakeClock()
    first = await start(RULE, database=database, clock=clock)
    second = await start(RULE, database=database, clock=clock)
    assert (first.messenger.stood_by, second.messenger.stood_by) == (0, 1)
    first.journal.lose_lead()
    await second.lead.beat()
    await clock.advance(1)
    assert (first.lead.role, second.lead.role) == ("stands by", "evaluates")
    assert first.messenger.stood_by == 1


async def test_a_database_that_is_away_makes_nobody_a_stand_by(start: Start) -> None:
    watch = await start(RULE)
    watch.database.away = True
    await watch.clock.advance(30)
    watch.database.away = False
    await watch.clock.advance(5)
    assert watch.lead.role == "evaluates"
    assert watch.messenger.stood_by == 0


async def test_silences_are_known_when_it_is_said_so(start: Start) -> None:
    watch = Watch(RULE)
    silence = Silence("s", (Matcher("alertname", "Many"),), NOON, NOON + timedelta(hours=1))
    watch.database.silences.append(silence)
    assert not watch.lead.heard.is_set()
    await watch.lead.beat()
    assert watch.lead.heard.is_set()
    assert watch.lead.silences == (silence,)


@pytest.mark.parametrize("groups", [(RULE,), ()])
async def test_nobody_waits_for_silences_that_the_database_does_not_say(groups: tuple[RuleGroup, ...]) -> None:
    watch = Watch(*groups)
    watch.database.away = True
    await (watch.lead.beat() if groups else watch.lead.leave())
    assert watch.lead.heard.is_set()


async def test_alerts_of_a_rule_that_is_gone_at_a_restart_end_once_with_the_reason(start: Start) -> None:
    database, clock = Database(), FakeClock()
    both = group_of(rule_of("Stays"), rule_of("Goes"))
    watch = await start(both, database=database, clock=clock)
    watch.witness.value = 11
    await clock.advance(15)
    await watch.stop()

    for _ in range(2):  # the second time nothing is left to be ended
        watch = await start(group_of(rule_of("Stays")), database=database, clock=clock)
        watch.witness.value = 11
        await clock.advance(30)
        await watch.stop()
        if ended := [alert for alert, _ in watch.messenger.told if alert.status == "resolved"]:
            assert [alert.annotations["reason"] for alert in ended] == ["the rule was removed"]
    assert list(database.states) == ["Stays"]
    endings = [(one["alert"], one["reason"]) for one in database.events if one["after"] == "resolved"]
    assert endings == [("Goes", "the rule was removed")]


async def test_a_rule_whose_alerts_have_other_labels_now_says_so_of_the_old_ones(start: Start) -> None:
    watch = await start(RULE)
    watch.witness.value = 11
    await watch.clock.advance(15)
    await watch.scheduler.reload([group_of(replace(rule_of(), labels={"severity": read_template("page", ())}))])
    (ended,) = [one for one in watch.database.events if one["after"] == "resolved"]
    assert ended["reason"] == "the rule was changed: its alerts have other labels"


async def test_when_the_last_rule_goes_by_a_reload_its_alerts_end_at_once(start: Start) -> None:
    watch = await start(RULE)
    watch.witness.value = 11
    await watch.clock.advance(15)
    await watch.scheduler.reload([])
    assert watch.messenger.news() == [("firing", "Many"), ("resolved", "Many")]
    assert watch.database.states == {}


async def test_without_rules_at_a_restart_alerts_end_once_nobody_evaluates_them_any_more(start: Start) -> None:
    database, clock = Database(), FakeClock()
    watch = await start(RULE, database=database, clock=clock)
    watch.witness.value = 11
    await clock.advance(15)
    await watch.stop()

    without = await start(database=database, clock=clock)
    database.age_seconds = 240  # another daemon might be starting
    await clock.advance(120)
    assert database.history() == [("inactive", "firing")]
    database.age_seconds = 241
    await clock.advance(60)
    assert without.messenger.news() == [("resolved", "Many")]
    assert database.events[-1]["reason"] == "no daemon evaluates the rule any more"
    assert database.states == {}
    assert database.leader is None
    await clock.advance(300)
    assert len(database.events) == 2


async def test_a_daemon_without_rules_ends_nothing_while_another_one_leads(start: Start) -> None:
    database, clock = Database(), FakeClock()
    watch = await start(RULE, database=database, clock=clock)
    watch.witness.value = 11
    await clock.advance(15)
    without = await start(database=database, clock=clock)
    database.age_seconds = 1e6  # whatever it looks like
    await clock.advance(120)
    assert database.leader is watch.journal
    assert without.messenger.told == []
    assert database.history() == [("inactive", "firing")]


async def test_a_database_that_is_away_is_asked_again_for_what_was_left_behind(start: Start) -> None:
    database, clock = Database(), FakeClock()
    watch = await start(RULE, database=database, clock=clock)
    await clock.advance(15)
    await watch.stop()
    database.away, database.age_seconds = True, 1e6
    await start(database=database, clock=clock)
    await clock.advance(30)
    database.away = False
    await clock.advance(60)
    assert database.states == {}
