"""Silences and other daemons: what is left out of a message that is made after they began."""

from __future__ import annotations

from dataclasses import replace

from alerting import firing, resolved
from mailboxes import Box, names

from logstreamd.alerts.group import Policy
from logstreamd.alerts.mailbox import KEEP_RESOLVED_SECONDS, MAX_WAITING

DAY = 86_400.0
REPEATED = replace(Policy(), repeat_interval_seconds=100)
AS_ALERTMANAGER = replace(
    Policy(), group_by=None, group_wait_seconds=0, group_interval_seconds=0, repeat_interval_seconds=60,
    messages_per_minute=None, max_alerts=None, repeat_resolved_seconds=KEEP_RESOLVED_SECONDS,
)  # fmt: skip


def test_an_alert_that_is_silenced_while_it_waits_for_its_group_is_not_told() -> None:
    box = Box()
    box.put(firing(service="a"), firing(service="b"))
    box.silenced = {"a"}
    assert names(box.after(10)) == ["ErrorBurst/b"]
    assert box.mailbox.waiting == 0
    assert box.dropped == {}


def test_what_was_withheld_is_told_when_it_fires_after_the_silence() -> None:
    box = Box()
    box.put(firing(service="a"))
    box.silenced = {"a"}
    assert box.after(10) is None
    assert box.mailbox.next_due(box.now) is None
    box.silenced = set()
    box.put(firing(service="a"))
    assert names(box.after(10)) == ["ErrorBurst/a"]


def test_nobody_is_told_the_end_of_what_was_withheld() -> None:
    box = Box()
    box.put(firing(service="a"), firing(service="b"))
    box.silenced = {"a", "b"}
    assert box.after(10) is None
    box.put(resolved(service="a"))
    assert box.after(DAY) is None
    box.silenced = set()
    box.put(resolved(service="b"))
    assert box.after(DAY) is None


def test_what_fired_and_resolved_before_it_was_told_is_withheld_too() -> None:
    box = Box()
    box.put(firing(service="a"))
    box.put(resolved(service="a"))
    box.silenced = {"a"}
    assert box.after(10) is None
    box.silenced = set()
    assert box.after(DAY) is None


def test_who_was_told_that_an_alert_fires_is_told_its_end_in_spite_of_a_silence() -> None:
    box = Box()
    box.put(firing(service="a"))
    assert box.after(10)
    box.silenced = {"a"}
    box.put(resolved(service="a"))
    message = box.after(60)
    assert message is not None
    assert message.status == "resolved"


def test_an_end_without_a_begin_is_told_for_another_daemon_told_the_begin() -> None:
    box = Box()
    box.silenced = {"a"}
    box.put(resolved(service="a"))
    assert names(box.after(10)) == ["ErrorBurst/a"]


def test_a_silenced_alert_that_was_told_does_not_appear_in_messages_about_its_group() -> None:
    box = Box()
    box.put(firing(service="a"))
    assert box.after(10)
    box.silenced = {"a"}
    box.put(firing(service="b"))
    assert names(box.after(60)) == ["ErrorBurst/b"]


def test_a_withheld_alert_makes_no_message_about_the_others_of_its_group_that_are_known() -> None:
    box = Box()
    box.put(firing(service="a"))
    assert box.after(10)
    box.silenced = {"b"}
    box.put(firing(service="b"))
    assert box.after(60) is None


def test_a_group_that_is_repeated_is_repeated_without_the_silenced_and_not_at_all_when_all_are() -> None:
    box = Box(REPEATED)
    box.put(firing(service="a"), firing(service="b"))
    assert box.after(10)
    box.silenced = {"a"}
    box.put(firing(service="b"))
    assert names(box.after(100)) == ["ErrorBurst/b"]
    box.silenced = {"a", "b"}
    assert box.after(100) is None
    assert box.mailbox.next_due(box.now) is None
    box.silenced = set()
    box.put(firing(service="b"))
    assert names(box.after(60)) == ["ErrorBurst/b"]


def test_a_silenced_alert_is_not_resent_and_its_end_is() -> None:
    box = Box(AS_ALERTMANAGER)
    box.put(firing(service="a"))
    assert box.after(0)
    box.silenced = {"a"}
    assert box.run(300) == []
    box.put(resolved(service="a"))
    assert [message.status for _, message in box.run(90)] == ["resolved"] * 2


def test_a_silenced_alert_is_left_out_of_a_message_that_several_groups_share() -> None:
    box = Box(replace(Policy(), messages_per_minute=2))
    box.put(*(firing(f"Rule{n}", service="a" if n else "b") for n in range(10)))
    box.silenced = {"a"}
    assert names(box.after(10)) == ["Rule0/b"]
    assert box.after(600) is None


def test_a_restart_knows_what_was_withheld() -> None:
    first = Box()
    first.put(firing(service="a"))
    first.silenced = {"a"}
    assert first.after(10) is None
    second = Box()
    second.mailbox.restore(entry for _, entry in first.mailbox.take_changes() if entry is not None)
    second.put(resolved(service="a"))
    assert second.after(DAY) is None


def test_alerts_whose_silence_ended_are_bounded_as_others_are() -> None:
    box = Box()
    box.put(*(firing(service=f"s{n}") for n in range(MAX_WAITING)))
    box.silenced = {f"s{n}" for n in range(MAX_WAITING)}
    assert box.after(10) is None
    box.put(*(firing(service=f"t{n}") for n in range(MAX_WAITING)))
    box.put(firing(service="s0"))
    assert (box.mailbox.waiting, box.dropped) == (MAX_WAITING, {"queue_full": 1})


def test_a_daemon_that_stands_by_leaves_what_fires_to_the_other_and_tells_what_has_resolved() -> None:
    box = Box()
    box.put(firing(service="a"), firing(service="b"))
    box.put(resolved(service="b"))
    box.mailbox.stand_by(box.now)
    message = box.after(10)
    assert message is not None
    assert [(alert.labels["service"], alert.status) for alert in message.alerts] == [("b", "resolved")]
    assert box.after(DAY) is None


def test_a_daemon_that_stands_by_repeats_nothing_and_is_told_again_what_fires_when_it_takes_over() -> None:
    box = Box(REPEATED)
    box.put(firing(service="told"))
    assert box.after(10)
    box.mailbox.stand_by(box.now)
    box.put(firing(service="told"), firing(service="new"))
    message = box.after(60)
    assert message is not None
    assert [alert.labels["service"] for alert in message.alerts] == ["new", "told"]
    box.mailbox.stand_by(box.now)
    assert box.run(1_000) == []


def test_a_message_on_its_way_when_another_daemon_took_over_changes_nothing_afterwards() -> None:
    box = Box()
    box.put(firing(service="a"))
    assert box.mailbox.due(box.now + 10)
    box.mailbox.stand_by(box.now + 10)
    box.put(firing(service="a"))
    box.mailbox.delivered(box.now + 11)
    assert box.mailbox.waiting == 1
    assert names(box.after(21)) == ["ErrorBurst/a"]
