"""The schedule by a clock that the test moves: when rules are asked, who asks, and what survives what."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from watching import NOON, Database, FakeClock, Watch, group_of, rule_of

from logstreamd.alerts.group_key import read_group_key
from logstreamd.alerts.measure import MeasureError, Measurement
from logstreamd.alerts.rule import RuleGroup
from logstreamd.alerts.schedule import instant_at, offset_of
from logstreamd.alerts.silence import Matcher, Silence
from logstreamd.alerts.template import read_template

INTERVAL = timedelta(seconds=15)
PENDING = rule_of(for_=timedelta(seconds=60))


@pytest.fixture
async def start() -> AsyncIterator[Callable[..., object]]:
    """Starts watches, and ends them."""
    started: list[Watch] = []

    async def start(*groups: RuleGroup, **settings: object) -> Watch:
        started.append(await Watch(*groups, **settings).start())  # type: ignore[arg-type]
        return started[-1]

    yield start
    for watch in started:
        await watch.kill()


def missed(watch: Watch) -> float:
    return watch.metrics.registry.get_sample_value("logstreamd_alert_missed_evaluations_total") or 0.0


def outcomes(watch: Watch, outcome: str) -> float:
    value = watch.metrics.registry.get_sample_value("logstreamd_alert_evaluations_total", {"outcome": outcome})
    return value or 0.0


async def test_rules_are_asked_at_every_instant_of_their_group_about_a_window_that_ends_one_delay_before(start) -> None:
    watch = await start(group_of(rule_of()))
    await watch.clock.advance(60)
    offset = offset_of("group", INTERVAL)
    instants = [one.end + timedelta(seconds=5) for one in watch.witness.asked]
    assert instants[0] == instant_at(NOON, INTERVAL, offset)
    assert instants == [instants[0] + number * INTERVAL for number in range(5)]
    assert {one.end - one.start for one in watch.witness.asked} == {timedelta(minutes=1)}


async def test_an_alert_is_recorded_and_told_once_with_its_lines_and_a_link(start) -> None:
    watch = await start(group_of(rule_of(by=(read_group_key("service"),))))
    watch.witness.value = 11
    await watch.clock.advance(60)
    assert watch.database.history() == [("inactive", "firing")]
    assert watch.messenger.news() == [("firing", "Many")]
    alert, receivers = watch.messenger.told[0]
    assert [one["message"] for one in alert.samples] == ["line 0", "line 1", "line 2"]
    assert alert.generator_url.startswith("http://logs.example/api/v1/logs?q=service%3Acheckout&start=2026-11-22T11")
    assert receivers == ("ops", "chat")
    assert watch.database.events[0]["samples"] == list(alert.samples)

    watch.witness.value = 0
    await watch.clock.advance(15)
    assert watch.database.history() == [("inactive", "firing"), ("firing", "resolved")]
    assert watch.messenger.news() == [("firing", "Many"), ("resolved", "Many")]


async def test_only_the_notifiers_of_a_rule_are_told(start) -> None:
    watch = await start(group_of(rule_of(notify=("chat", "gone"))))
    watch.witness.value = 11
    await watch.clock.advance(15)
    assert {receivers for _, receivers in watch.messenger.told} == {("chat",)}


async def test_the_lines_of_a_silence_are_those_before_it(start) -> None:
    watch = await start(group_of(rule_of(condition="absent(lookback=1h)")))
    watch.witness.value = 100
    await watch.clock.advance(15)
    ((_, first, last),) = watch.witness.shown
    assert last - first == timedelta(hours=1)
    link = watch.messenger.told[0][0].generator_url
    assert parse_qs(urlsplit(link).query)["start"] == [first.isoformat()]


async def test_a_rule_that_waits_for_its_answer_is_in_nobodys_way(start) -> None:
    watch = await start(group_of(*(rule_of(f"R{number}") for number in range(10))), lanes=3)
    never = asyncio.Event()

    async def hang(measurement: Measurement) -> None:
        if len(watch.witness.asked) == 1:
            await never.wait()

    watch.witness.asked.clear()
    watch.witness.measuring = hang
    await watch.clock.advance(60)
    waiting, *others = (one.state.measured_at for one in watch.roster.rules)
    assert set(others) == {watch.roster.groups[0].evaluated}
    assert waiting == others[0] - 4 * INTERVAL
    assert all(one.state.missed == 0 for one in watch.roster.rules[1:])

    never.set()
    await watch.clock.advance(30)
    assert watch.roster.rules[0].state.missed >= 3  # it was busy while its instants came
    assert missed(watch) == watch.roster.rules[0].state.missed


async def test_rules_that_took_long_share_one_lane_and_the_others_do_not_wait_for_it(start) -> None:
    watch = await start(group_of(*(rule_of(f"R{number}") for number in range(4))), lanes=2)
    for watched in watch.roster.rules[:3]:
        watched.slow = True
    never = asyncio.Event()
    watch.witness.asked.clear()
    watch.witness.measuring = lambda measurement: never.wait()
    await watch.clock.advance(15)
    assert len(watch.witness.asked) == 2  # one of the slow ones, and the one that is not
    never.set()
    await watch.clock.advance(1)
    assert len(watch.witness.asked) == 4


async def test_a_rule_that_fails_is_unhealthy_keeps_its_alerts_and_the_others_go_on(start) -> None:
    watch = await start(group_of(rule_of("Failing"), rule_of("Fine")))
    watch.witness.value = 11
    await watch.clock.advance(15)

    async def refuse(measurement: Measurement) -> None:
        if len(watch.witness.asked) % 2:
            raise MeasureError("the question takes too long")

    watch.witness.asked.clear()
    watch.witness.measuring = refuse
    await watch.clock.advance(30)
    failing, fine = watch.roster.rules
    assert (failing.state.problem, failing.state.state) == ("the question takes too long", "firing")
    assert (fine.state.problem, fine.state.state) == ("", "firing")
    assert outcomes(watch, "failed") == 2
    assert watch.roster.unhealthy() == [failing]
    assert watch.messenger.news() == [("firing", "Failing"), ("firing", "Fine")]


async def test_a_bug_in_one_rule_leaves_the_others_alone(start) -> None:
    watch = await start(group_of(rule_of("Broken"), rule_of("Fine")))

    async def fail(measurement: Measurement) -> None:
        if len(watch.witness.asked) == 1:
            raise ZeroDivisionError("a bug")

    watch.witness.asked.clear()
    watch.witness.measuring = fail
    await watch.clock.advance(15)
    assert "internal error: ZeroDivisionError" in watch.roster.rules[0].state.problem
    assert watch.roster.rules[1].state.problem == ""


async def test_while_the_database_is_away_rules_are_unhealthy_keep_their_state_and_go_on_after_it(start) -> None:
    watch = await start(group_of(PENDING))
    watch.witness.value = 11
    await watch.clock.advance(30)
    watch.database.away = True
    await watch.clock.advance(60)
    (watched,) = watch.roster.rules
    assert watched.state.state == "pending"
    assert watched.state.problem == "the database is away: nobody answers"
    assert watch.scheduler.status()["role"] == "waits for the database"

    watch.database.away = False
    await watch.clock.advance(30)
    assert watched.state.problem == ""
    assert watch.database.history() == [("inactive", "pending"), ("pending", "firing")]
    assert watched.state.missed == 0  # they were tried, and counted as failures
    assert outcomes(watch, "failed") >= 4


async def test_a_restart_in_the_middle_of_for_changes_nothing(start) -> None:
    database, clock = Database(), FakeClock()
    watch = await start(group_of(PENDING), database=database, clock=clock)
    watch.witness.value = 11
    await clock.advance(40)
    await watch.stop()
    await clock.advance(7)

    watch = await start(group_of(PENDING), database=database, clock=clock)
    watch.witness.value = 11
    await clock.advance(40)
    pending, firing = database.events
    assert (pending["after"], firing["after"]) == ("pending", "firing")
    held = timedelta(seconds=60)
    assert instant(firing["at"]) - instant(pending["at"]) == held
    assert watch.roster.rules[0].state.missed == 0


def instant(text: str):  # type: ignore[no-untyped-def]
    return NOON.fromisoformat(text)


async def test_what_fires_does_not_fire_again_after_a_restart_and_is_vouched_for(start) -> None:
    database, clock = Database(), FakeClock()
    watch = await start(group_of(rule_of()), database=database, clock=clock)
    watch.witness.value = 11
    await clock.advance(20)
    await watch.stop()
    fired_at = watch.messenger.told[0][0].starts_at

    watch = await start(group_of(rule_of()), database=database, clock=clock)
    watch.witness.value = 11
    await clock.advance(20)
    assert database.history() == [("inactive", "firing")]
    assert {alert.starts_at for alert, _ in watch.messenger.told} == {fired_at}
    assert all(len(alert.samples) == 3 for alert, _ in watch.messenger.told)


async def test_what_was_recorded_and_not_handed_over_is_handed_over_by_the_next_start(start) -> None:
    database, clock = Database(), FakeClock()
    watch = await start(group_of(rule_of()), database=database, clock=clock)
    watch.witness.value = 11
    await clock.advance(15)
    watch.witness.value = 0
    watch.messenger.notify = never  # type: ignore[method-assign]
    await clock.advance(15)
    await watch.kill()
    assert database.history()[-1] == ("firing", "resolved")

    clock.set(clock.wall + timedelta(days=1))
    watch = await start(group_of(rule_of()), database=database, clock=clock)
    assert watch.messenger.news() == [("resolved", "Many")]
    await clock.advance(5)
    await watch.stop()

    watch = await start(group_of(rule_of()), database=database, clock=clock)
    assert watch.messenger.told == []  # once is enough


async def never(*_: object, **__: object) -> None:
    await asyncio.Event().wait()


async def test_one_of_two_daemons_evaluates_and_the_other_takes_over_at_the_same_instants(start) -> None:
    database, clock = Database(), FakeClock()
    first = await start(group_of(PENDING), database=database, clock=clock)
    second = await start(group_of(PENDING), database=database, clock=clock)
    for watch in (first, second):
        watch.witness.value = 11
    await clock.advance(42)
    assert (first.lead.role, second.lead.role) == ("evaluates", "stands by")
    assert second.witness.asked == []
    assert second.roster.rules[0].state.state == "pending"  # seen in the journal

    await first.kill()
    await clock.advance(45)
    assert second.lead.role == "evaluates"
    assert {one.end for one in second.witness.asked}.isdisjoint(one.end for one in first.witness.asked)
    assert database.history() == [("inactive", "pending"), ("pending", "firing")]


async def test_what_an_evaluation_found_does_not_count_when_the_lead_was_lost_meanwhile(start) -> None:
    watch = await start(group_of(rule_of()))
    await watch.clock.advance(15)
    asked, go_on = len(watch.witness.asked), asyncio.Event()
    watch.witness.value = 11
    watch.witness.measuring = lambda measurement: go_on.wait()
    await watch.clock.advance(15)
    assert len(watch.witness.asked) == asked + 1

    other = Watch(group_of(rule_of()), database=watch.database, clock=watch.clock)
    watch.journal.lose_lead()
    await other.journal.beat(watch.clock.wall)
    go_on.set()
    await watch.clock.settle()
    assert watch.database.history() == []
    assert watch.messenger.told == []


async def test_behind_a_jump_forward_the_newest_instant_is_evaluated_and_the_others_are_missed(start) -> None:
    watch = await start(group_of(rule_of()))
    await watch.clock.advance(30)
    asked = len(watch.witness.asked)
    watch.clock.set(watch.clock.wall + timedelta(minutes=10))
    await watch.clock.advance(1)
    assert len(watch.witness.asked) == asked + 1
    assert watch.roster.rules[0].state.missed == missed(watch) == 39


async def test_behind_a_jump_back_evaluation_goes_on_at_once_and_pending_alerts_lose_no_time(start) -> None:
    watch = await start(group_of(PENDING))
    watch.witness.value = 11
    await watch.clock.advance(30)
    asked = len(watch.witness.asked)
    watch.clock.set(watch.clock.wall - timedelta(hours=3))
    await watch.clock.advance(1)
    assert len(watch.witness.asked) == asked + 1
    await watch.clock.advance(44)
    assert watch.database.history() == [("inactive", "pending"), ("pending", "firing")]


async def test_a_clock_that_is_put_back_a_little_is_waited_for(start) -> None:
    watch = await start(group_of(rule_of()))
    await watch.clock.advance(30)
    asked = [one.end for one in watch.witness.asked]
    watch.clock.set(watch.clock.wall - timedelta(seconds=12))
    await watch.clock.advance(12)
    assert [one.end for one in watch.witness.asked] == asked
    await watch.clock.advance(15)
    assert [one.end for one in watch.witness.asked] == [*asked, asked[-1] + INTERVAL]


async def test_a_silenced_alert_is_not_told_and_is_told_when_the_silence_ends_while_it_fires(start) -> None:
    watch = await start(group_of(rule_of()))
    until = watch.clock.wall + timedelta(seconds=40)
    watch.database.silences.append(Silence("s", (Matcher("alertname", "Many"),), NOON, until))
    watch.witness.value = 11
    await watch.clock.advance(30)
    assert watch.roster.count("firing") == 1
    assert watch.messenger.told == []
    await watch.clock.advance(30)
    assert watch.messenger.news() == [("firing", "Many")]
    assert watch.messenger.told[0][0].starts_at < until


async def test_a_silence_counts_at_once_when_somebody_says_that_there_is_one(start) -> None:
    watch = await start(group_of(rule_of()))
    watch.database.silences.append(Silence("s", (Matcher("alertname", "Many"),), NOON, NOON + timedelta(hours=1)))
    await watch.scheduler.look()
    assert [one.id for one in watch.lead.silences] == ["s"]
    await watch.stop()
    await watch.scheduler.look()
    assert watch.database.leader is None  # a daemon that has stopped takes no lead


async def test_who_was_told_that_an_alert_fires_is_told_that_it_has_resolved_in_spite_of_a_later_silence(start) -> None:
    watch = await start(group_of(rule_of()))
    watch.witness.value = 11
    await watch.clock.advance(20)
    now = watch.clock.wall
    watch.database.silences.append(Silence("s", (Matcher("alertname", "Many"),), now, now + timedelta(hours=1)))
    watch.witness.value = 0
    await watch.clock.advance(20)
    assert watch.messenger.news() == [("firing", "Many"), ("resolved", "Many")]


async def test_nobody_is_told_the_end_of_what_fired_in_silence(start) -> None:
    watch = await start(group_of(rule_of()))
    silence = Silence("s", (Matcher("alertname", "Many"),), NOON, NOON + timedelta(seconds=90))
    watch.database.silences.append(silence)
    watch.witness.value = 11
    await watch.clock.advance(30)
    watch.witness.value = 0
    await watch.clock.advance(120)
    assert watch.database.history()[-1] == ("firing", "resolved")
    assert watch.messenger.told == []


async def test_other_rules_are_watched_after_a_reload_and_alerts_of_those_that_are_gone_end(start) -> None:
    watch = await start(group_of(rule_of("Stays"), rule_of("Goes"), rule_of("Changes")))
    watch.witness.value = 11
    await watch.clock.advance(15)
    changed = replace(rule_of("Changes"), labels={"severity": read_template("page", ())})
    await watch.scheduler.reload([group_of(rule_of("Stays"), changed, rule_of("New"))])
    assert watch.messenger.news()[3:] == [("resolved", "Changes"), ("resolved", "Goes")]
    assert [one.rule.alert for one in watch.roster.rules if one.state.instances] == ["Stays"]
    assert set(watch.database.states) == {"Stays", "Changes"}

    await watch.clock.advance(15)
    assert watch.messenger.news()[5:] == [("firing", "Changes"), ("firing", "New")]
    happened = [(one["alert"], one["after"]) for one in watch.database.events]
    assert happened.count(("Stays", "firing")) == 1
    assert ("Goes", "resolved") in happened


async def test_a_daemon_without_rules_leaves_the_lead_to_others(start) -> None:
    database, clock = Database(), FakeClock()
    watch = await start(database=database, clock=clock)
    await clock.advance(5)
    assert database.leader is None
    await watch.scheduler.reload([group_of(rule_of())])
    assert database.leader is watch.journal
    await watch.scheduler.reload([])
    await clock.advance(5)
    assert database.leader is None
    assert database.states == {}


async def test_a_stop_records_where_the_rules_stand(start) -> None:
    watch = await start(group_of(rule_of()))
    await watch.clock.advance(46)
    await watch.stop()
    kept = await Watch(database=watch.database).journal.load()
    assert kept[0].state["state"]["attempted_at"] == watch.roster.groups[0].evaluated.isoformat().replace("+00:00", "Z")
