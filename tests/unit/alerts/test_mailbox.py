"""Grouping, repeating, limits and failures, all of it on a clock that the test moves."""

from __future__ import annotations

from dataclasses import replace

import pytest
from alerting import firing, resolved, sample
from mailboxes import Box, names

from logstreamd.alerts.group import Policy
from logstreamd.alerts.mailbox import KEEP_RESOLVED_SECONDS, MAX_KNOWN, MAX_WAITING

DAY = 86_400.0
# As Alertmanager's own: all alerts, at once, each by itself.
UNGROUPED = Policy(
    group_by=None,
    group_wait_seconds=0,
    group_interval_seconds=0,
    repeat_interval_seconds=60,
    messages_per_minute=None,
    max_alerts=None,
    repeat_resolved_seconds=KEEP_RESOLVED_SECONDS,
)


def test_alerts_of_a_group_that_come_within_group_wait_become_one_message() -> None:
    box = Box()
    box.put(firing(service="a"))
    assert box.after(9.9) is None
    box.put(firing(service="b"))
    message = box.after(0.1)
    assert names(message) == ["ErrorBurst/a", "ErrorBurst/b"]
    assert message is not None
    assert (message.group_labels, message.status) == ({"alertname": "ErrorBurst"}, "firing")
    assert box.after(3_000) is None


def test_alerts_of_different_groups_are_different_messages() -> None:
    box = Box()
    box.put(firing("A"), firing("B"))
    assert names(box.after(10)) == ["A/"]
    assert names(box.after(0)) == ["B/"]
    assert box.after(0) is None


def test_a_change_of_a_group_that_was_told_waits_for_group_interval_and_tells_the_whole_group() -> None:
    box = Box()
    box.put(firing(service="a"))
    box.after(10)
    box.put(firing(service="b"))
    assert box.after(59.9) is None
    box.put(firing(service="a"))
    message = box.after(0.1)
    assert names(message) == ["ErrorBurst/a", "ErrorBurst/b"]
    assert message is not None
    assert message.alerts[0].labels["service"] == "b"  # what is new comes first


def test_what_the_evaluator_says_again_and_again_is_told_once_per_repeat_interval() -> None:
    box = Box()
    sent = box.run(3 * 14_400 - 60, firing())
    assert [round(at) for at, _ in sent] == [10, 14_410, 28_810]


def test_an_alert_that_nobody_confirms_any_more_is_not_repeated() -> None:
    box = Box()
    box.put(firing())
    assert box.after(10)
    assert box.after(14_400) is None
    box.put(firing())
    assert names(box.after(10)) == ["ErrorBurst/"]  # it was forgotten: this is news


def test_an_alert_is_believed_for_four_intervals() -> None:
    box = Box(replace(Policy(), repeat_interval_seconds=600))
    box.put(firing(service="a"), interval=200)
    box.put(firing(service="b"), interval=15)
    assert len(names(box.after(10))) == 2
    assert names(box.after(600)) == ["ErrorBurst/a"]  # 610 s after its confirmation


def test_resolved_is_told_with_the_next_group_interval_and_then_no_more() -> None:
    box = Box()
    box.put(firing())
    box.after(10)
    box.now += 15
    box.put(resolved())
    assert box.after(44.9) is None
    message = box.after(0.1)
    assert message is not None
    assert (message.status, message.resolved[0].fingerprint) == ("resolved", firing().fingerprint)
    box.put(resolved())
    assert box.after(5_000) is None


def test_a_resolved_alert_is_forgotten_after_a_quarter_of_an_hour() -> None:
    box = Box()
    box.put(resolved())
    assert box.after(10)
    box.mailbox.take_changes()
    box.after(KEEP_RESOLVED_SECONDS - 20)
    assert box.mailbox.take_changes() == []
    box.after(61)
    assert [entry for _, entry in box.mailbox.take_changes()] == [None]


def test_an_alert_that_fires_and_resolves_before_it_was_told_is_told_as_resolved() -> None:
    box = Box()
    box.put(replace(firing(), samples=(sample("the line that proves it"),)))
    box.put(resolved())
    message = box.after(10)
    assert message is not None
    assert [alert.status for alert in message.alerts] == ["resolved"]
    assert message.alerts[0].samples[0]["message"] == "the line that proves it"


def test_an_alert_that_fires_again_is_told_again_beside_its_earlier_end() -> None:
    box = Box()
    box.put(resolved(since=0), firing(since=100))
    message = box.after(10)
    assert message is not None
    assert sorted(alert.status for alert in message.alerts) == ["firing", "resolved"]
    assert len({alert.fingerprint for alert in message.alerts}) == 1
    assert message.status == "firing"


def test_who_does_not_want_to_know_is_not_told_what_has_resolved() -> None:
    box = Box(replace(Policy(), send_resolved=False))
    box.put(firing())
    assert box.after(10)
    box.put(resolved())
    box.put(resolved("Other"))
    assert box.after(5_000) is None
    assert box.mailbox.firing == 0


def test_who_does_not_want_to_know_what_has_resolved_still_learns_that_it_fired() -> None:
    box = Box(replace(Policy(), send_resolved=False))
    box.put(firing())
    box.put(resolved())
    message = box.after(10)
    assert message is not None
    assert message.status == "firing"


def test_a_change_while_a_message_is_in_flight_is_told_with_the_next_one() -> None:
    box = Box()
    box.put(firing())
    box.now += 10
    assert box.mailbox.due(box.now)
    assert box.mailbox.due(box.now) is None  # one at a time
    box.put(resolved())
    box.mailbox.delivered(box.now)
    message = box.after(60)
    assert message is not None
    assert message.status == "resolved"


def test_one_bad_minute_is_one_message() -> None:
    box = Box()
    box.put(*(firing(f"Rule{n}") for n in range(30)))
    message = box.after(10)
    assert message is not None
    assert len(message.alerts) == 30
    assert (message.group_labels, message.group_key) == ({}, "{}:{}")
    assert box.after(0) is None


def test_groups_that_come_one_after_the_other_share_messages_beyond_the_limit() -> None:
    box = Box(replace(Policy(), messages_per_minute=2))
    sent = []
    for n in range(60):
        box.put(firing(f"Rule{n}"))
        sent += box.run(1)
    sent += box.run(120)
    assert sum(len(message.alerts) for _, message in sent) == 60
    assert len(sent) <= 2 + 2 * 3  # two at once, two a minute after that


def test_a_message_shows_as_many_alerts_as_it_may_and_counts_the_others() -> None:
    box = Box(replace(Policy(), max_alerts=50))
    box.put(*(firing(service=f"s{n}") for n in range(53)))
    message = box.after(10)
    assert message is not None
    assert (len(message.alerts), message.truncated_alerts) == (50, 3)
    assert box.after(61) is None


def test_without_groups_every_alert_is_told_at_once_and_resent_while_it_fires() -> None:
    box = Box(UNGROUPED)
    sent = box.run(200, firing(service="a"), firing(service="b"))
    assert [(round(at), len(message.alerts)) for at, message in sent] == [(0, 2), (60, 2), (120, 2), (180, 2)]


def test_without_groups_resolved_is_resent_for_a_quarter_of_an_hour() -> None:
    box = Box(UNGROUPED)
    box.put(firing())
    box.after(0)
    box.put(resolved())
    sent = box.run(2_000)
    assert {message.status for _, message in sent} == {"resolved"}
    assert len(sent) == 16
    assert box.mailbox.next_due(box.now) is None


def test_after_a_failure_the_pauses_grow_up_to_five_minutes_and_nothing_is_lost() -> None:
    box = Box()
    box.put(firing())
    box.now += 10
    pauses = []
    for _ in range(9):
        assert box.mailbox.due(box.now)
        box.mailbox.failed(box.now)
        assert box.mailbox.retry_at is not None
        pauses.append(box.mailbox.retry_at - box.now)
        assert box.mailbox.due(box.mailbox.retry_at - 0.1) is None
        assert box.mailbox.next_due(box.now) == box.mailbox.retry_at
        box.now = box.mailbox.retry_at
        box.put(firing())
    assert pauses == [5, 10, 20, 40, 80, 160, 300, 300, 300]
    assert names(box.after(60)) == ["ErrorBurst/"]
    assert box.mailbox.retry_at is None


def test_jitter_shortens_a_pause_by_half_at_most() -> None:
    box = Box()
    box.put(firing())
    box.mailbox.due(box.now + 10)
    box.mailbox.failed(box.now, jitter=1.0)
    assert box.mailbox.retry_at == box.now + 2.5


@pytest.mark.parametrize(("asked", "waited"), [(120, 120), (100_000, 3_600), (1, 5)])
def test_a_receiver_is_left_alone_for_as_long_as_it_asks_up_to_an_hour(asked: float, waited: float) -> None:
    box = Box()
    box.put(firing())
    box.mailbox.due(box.now + 10)
    box.mailbox.failed(box.now, at_least_seconds=asked)
    assert box.mailbox.retry_at == box.now + waited


def test_what_is_said_after_an_outage_is_what_is_true_then() -> None:
    box = Box()
    box.put(firing(service="a"), firing(service="b"))
    box.now += 10
    box.mailbox.due(box.now)
    box.mailbox.failed(box.now)
    box.put(resolved(service="a"), firing(service="c"))
    message = box.after(5)
    assert message is not None
    assert {(alert.labels["service"], alert.status) for alert in message.alerts} == {
        ("a", "resolved"),
        ("b", "firing"),
        ("c", "firing"),
    }


def test_an_alert_that_was_rejected_is_counted_and_not_sent_again() -> None:
    box = Box()
    box.put(firing(service="a"), firing(service="b"))
    box.now += 10
    box.mailbox.due(box.now)
    box.mailbox.rejected(box.now)
    assert box.dropped == {"rejected": 2}
    assert box.after(70) is None


def test_an_alert_that_waited_for_too_long_is_given_up_and_counted() -> None:
    box = Box(replace(Policy(), max_age_seconds=600))
    box.put(firing(service="a"))
    box.now += 300
    box.put(firing(service="b"))
    box.mailbox.due(box.now)
    box.mailbox.failed(box.now, at_least_seconds=600)
    assert box.after(299) is None
    assert box.mailbox.waiting == 2
    assert box.after(2) is None
    assert (box.mailbox.waiting, box.dropped) == (1, {"expired": 1})


def test_an_alert_that_was_given_up_and_still_fires_is_told_when_its_group_is_repeated() -> None:
    box = Box(replace(Policy(), max_age_seconds=60))
    box.put(firing())
    box.mailbox.due(box.now + 10)
    box.mailbox.failed(box.now, at_least_seconds=600)
    sent = box.run(14_600, firing())
    assert box.dropped == {"expired": 1}
    assert [round(at) for at, _ in sent] == [14_460]


def test_of_too_many_waiting_alerts_the_oldest_is_given_up_and_counted() -> None:
    box = Box()
    box.put(*(firing(service=f"s{n}") for n in range(MAX_WAITING + 3)))
    assert (box.mailbox.waiting, box.dropped) == (MAX_WAITING, {"queue_full": 3})
    box.put(*(firing(service=f"s{n}") for n in range(MAX_WAITING + 3)))
    assert box.dropped == {"queue_full": 3}  # the next evaluation does not bring them back


def test_of_too_many_known_alerts_the_newest_is_refused_and_counted() -> None:
    box = Box(UNGROUPED)
    for first in range(0, MAX_KNOWN, MAX_WAITING):
        box.put(*(firing(service=f"s{n}") for n in range(first, first + MAX_WAITING)))
        assert box.after(0)
    box.put(firing(service="one too many"))
    assert (box.mailbox.firing, box.dropped) == (MAX_KNOWN, {"queue_full": 1})


def test_alerts_that_have_not_been_heard_of_for_a_day_are_forgotten() -> None:
    box = Box(replace(Policy(), repeat_interval_seconds=30 * DAY))
    box.put(firing())
    assert box.after(10)
    box.after(DAY - 20)
    assert box.mailbox.firing == 1
    box.after(61)
    assert box.mailbox.firing == 0


def test_a_restart_goes_on_where_the_mailbox_was() -> None:
    first = Box()
    first.put(firing("Told"), firing("Waiting", service="a"))
    first.now += 10
    first.mailbox.due(first.now)
    first.mailbox.delivered(first.now)  # one of the two groups
    entries = [entry for _, entry in first.mailbox.take_changes() if entry is not None]
    second = Box()
    second.now = first.now + 30
    second.mailbox.restore(entries)
    second.put(firing("Told"), firing("Waiting", service="a"))
    assert names(second.after(0)) == ["Waiting/a"]
    assert second.after(70) is None


def test_a_daemon_that_stops_tells_what_waits_and_repeats_nothing() -> None:
    box = Box()
    box.put(firing("Told"))
    box.after(10)
    box.put(firing("Waiting"))
    box.mailbox.hurry()
    assert names(box.after(0)) == ["Waiting/"]
    assert box.after(0) is None


def test_a_policy_for_everything_in_one_group() -> None:
    box = Box(replace(Policy(), group_by=()))
    box.put(firing("A"), firing("B"))
    message = box.after(10)
    assert names(message) == ["A/", "B/"]
    assert message is not None
    assert message.group_key == "{}:{}"
