from __future__ import annotations

import pytest

from logstreamd.query.tail.follower import pause_seconds


@pytest.mark.parametrize(
    ("work", "pause"),
    [
        (0.0, 0.05),  # not more often than twenty times a second
        (0.02, 0.18),
        (0.1, 0.9),
        (30.0, 2.0),  # a client must not think that nothing comes
    ],
)
def test_a_tail_works_for_a_tenth_of_the_time(work: float, pause: float) -> None:
    assert pause_seconds(work) == pytest.approx(pause)
