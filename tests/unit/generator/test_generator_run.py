from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

import pytest

from generator.bursts import Bursts
from generator.channel import Channel
from generator.formats import make_format
from generator.outputs.output import Tally
from generator.progress import ProgressLine, summary
from generator.run import CATCH_UP_SECONDS, Run
from generator.source import Source
from generator.wall_time import WallTime
from tests.unit.generator.fake_time import FakeStop

WALL_US = 1_747_218_225_000_000


class Recorder:
    """Notes when lines came; each may take its time.

    Args:
        stop: the clock.
        seconds_per_write: how long the next writes take.
    """

    name = "recorder"

    def __init__(self, stop: FakeStop, seconds_per_write: Sequence[float] = ()) -> None:
        self.tally = Tally()
        self.times: list[float] = []
        self.polls = 0
        self.on_write: Callable[[], None] = lambda: None
        self._stop = stop
        self._seconds = list(seconds_per_write)

    def write(self, lines: Sequence[str]) -> None:
        self.times += [self._stop.now - 1_000] * len(lines)
        self.tally.sent += len(lines)
        self._stop.now += self._seconds.pop(0) if self._seconds else 0
        self.on_write()

    def poll(self) -> None:
        self.polls += 1

    def close(self) -> None:
        raise AssertionError("whoever opened it closes it")


def make_run(
    stop: FakeStop,
    recorder: Recorder,
    *,
    rate: float,
    count: int | None = None,
    duration: float | None = None,
    progress: ProgressLine | None = None,
) -> Run:
    return Run(
        Source({"INFO": 1}, Random(1), with_patterns=False),
        Bursts(rate, None, Random(1)),
        [Channel(make_format("text", host="h", pid=1), [recorder])],
        clock=stop.clock,
        wall=WallTime(lambda: int((stop.now - 1_000) * 1_000_000) + WALL_US),
        stop=stop,
        count=count,
        duration=duration,
        progress=progress,
    )


@pytest.mark.parametrize("rate", [10, 1_000, 50_000])
def test_ten_seconds_have_ten_times_the_rate_with_hiccups(rate: float) -> None:
    stop = FakeStop(hiccups=[Random(number).expovariate(20) for number in range(10_000)])
    recorder = Recorder(stop)
    make_run(stop, recorder, rate=rate, duration=12).run()
    stop.close()
    assert abs(len(recorder.times) - 12 * rate) <= 1
    for start in (0, 1.3, 1.9):
        count = sum(start <= time < start + 10 for time in recorder.times)
        assert count == pytest.approx(10 * rate, rel=0.02, abs=2 + rate * 0.3)


def test_a_low_rate_makes_lines_one_by_one_and_on_time(stop: FakeStop) -> None:
    recorder = Recorder(stop)
    make_run(stop, recorder, rate=10, count=30).run()
    assert recorder.times == pytest.approx([number / 10 for number in range(30)], abs=0.011)


def test_a_high_rate_is_made_in_batches_of_a_hundredth_of_a_second(stop: FakeStop) -> None:
    recorder = Recorder(stop)
    make_run(stop, recorder, rate=100_000, duration=1).run()
    assert len(recorder.times) == 100_000
    assert len(set(recorder.times)) <= 102


def test_a_slow_output_is_made_up_for(stop: FakeStop) -> None:
    recorder = Recorder(stop, [0, 5.0])
    run = make_run(stop, recorder, rate=100, duration=10)
    run.run()
    assert len(recorder.times) == 1_000
    assert run.books.given_up == 0
    assert run.books.most_late_seconds == pytest.approx(5, abs=0.1)
    assert "late: up to 5.0 s" in summary(run.books, [recorder])


def test_what_is_older_than_the_catch_up_is_not_made_and_told(stop: FakeStop) -> None:
    recorder = Recorder(stop, [0, 60.0])
    run = make_run(stop, recorder, rate=100, duration=90)
    run.run()
    assert run.books.given_up == pytest.approx((60 - CATCH_UP_SECONDS) * 100, abs=5)
    assert run.books.made + run.books.given_up == 9_000
    assert recorder.times[-1] < 90.1
    assert f"too slow: {run.books.given_up:,} lines were due and not made" in summary(run.books, [recorder])


def test_a_catch_up_is_cut_into_batches(stop: FakeStop) -> None:
    recorder = Recorder(stop, [8.0])
    sizes: list[int] = []
    recorder.on_write = lambda: sizes.append(len(recorder.times) - sum(sizes))
    make_run(stop, recorder, rate=10_000, duration=9).run()
    assert max(sizes) == 5_000


def test_a_count_is_kept_exactly(stop: FakeStop) -> None:
    recorder = Recorder(stop)
    run = make_run(stop, recorder, rate=70_000, count=12_345)
    run.run()
    assert run.books.made == len(recorder.times) == 12_345


def test_a_wish_to_end_is_heard_within_a_batch(stop: FakeStop) -> None:
    recorder = Recorder(stop)
    recorder.on_write = stop.request
    run = make_run(stop, recorder, rate=1_000)
    run.run()
    assert run.books.made < 20


def test_outputs_are_polled_while_no_line_is_due(stop: FakeStop) -> None:
    recorder = Recorder(stop)
    make_run(stop, recorder, rate=0.1, duration=9).run()
    assert recorder.polls >= 30
    assert len(recorder.times) == 1


def test_the_progress_line_says_the_rate_and_what_failed(stop: FakeStop) -> None:
    shown: list[str] = []
    recorder = Recorder(stop)
    recorder.tally.failed = 7
    run = make_run(stop, recorder, rate=50, duration=3.5, progress=ProgressLine(shown.append, [recorder]))
    run.run()
    assert len(shown) == 3
    assert shown[1].startswith("\r2 s  ")
    assert "50/s" in shown[1]
    assert "failed 7" in shown[1]
    assert {len(text) for text in shown} == {80}


def test_time_stamps_follow_the_wall_clock_when_it_is_set() -> None:
    wall_us = WALL_US
    wall = WallTime(lambda: wall_us)
    wall.follow(0)
    assert wall.at_us([0, 1.5]) == [WALL_US, WALL_US + 1_500_000]
    wall_us += 10_200_000
    wall.follow(10)
    assert wall.at_us([10]) == [WALL_US + 10_000_000], "a little is no reason to jump"
    wall_us += 3_600_000_000
    wall.follow(10)
    assert wall.at_us([10]) == [WALL_US + 3_610_200_000]


def test_a_fixed_start_does_not_look_at_the_clock() -> None:
    def broken() -> int:
        raise AssertionError

    wall = WallTime(broken, start_us=5)
    wall.follow(100)
    assert wall.at_us([1]) == [1_000_005]
