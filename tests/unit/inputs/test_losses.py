from __future__ import annotations

from set_clock import SetClock
from structlog.testing import capture_logs

from logstreamd.inputs.losses import QUIET_SECONDS, Losses


def test_a_loss_is_told_at_once_and_from_then_on_once_a_minute_with_what_came_between() -> None:
    clock = SetClock(5.0)
    losses = Losses("udp", "the spool has no room", clock=clock)
    with capture_logs() as lines:
        for count in (0, 7, 2, 3):
            losses.add(count)
        clock.now += QUIET_SECONDS - 1
        losses.add(0)
        clock.now += 1
        losses.add(0)
        clock.now += QUIET_SECONDS
        losses.add(0)
    assert lines == [
        {
            "event": "messages lost",
            "log_level": "warning",
            "input": "udp",
            "reason": "the spool has no room",
            "messages": messages,
        }
        for messages in (7, 5)
    ]
