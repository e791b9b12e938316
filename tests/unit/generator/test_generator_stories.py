from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from random import Random

import pytest

from generator.event import LEVELS, Event
from generator.identifiers import Identifiers
from generator.patterns import PATTERNS, Pattern, Step
from generator.source import Source
from generator.stories import Stories

USUAL = {"INFO": 0.70, "WARNING": 0.20, "ERROR": 0.05, "DEBUG": 0.05}
STARTS = {step.message.partition("{")[0]: (pattern, step) for pattern in PATTERNS for step in pattern.steps}


def told(events: list[Event]) -> dict[str, list[tuple[Event, Pattern, Step]]]:
    """Return the lines of patterns by request id, found by what they say."""
    found = defaultdict(list)
    for event in events:
        for start, (pattern, step) in STARTS.items():
            if event.message.startswith(start):
                found[event.request_id].append((event, pattern, step))
    return found


@pytest.fixture(scope="module")
def stories() -> dict[str, list[tuple[Event, Pattern, Step]]]:
    """Of a quarter of an hour at 100 lines a second."""
    return told(Source(USUAL, Random(1), with_patterns=True).events(range(0, 900_000_000, 10_000)))


def test_every_pattern_is_told_in_order_for_every_id(stories: dict[str, list[tuple[Event, Pattern, Step]]]) -> None:
    finished = dict.fromkeys([pattern.name for pattern in PATTERNS], 0)
    for lines in stories.values():
        pattern = lines[0][1]
        assert [step for _, _, step in lines] == list(pattern.steps[: len(lines)])
        finished[pattern.name] += len(lines) == len(pattern.steps)
    assert all(count > 300 for count in finished.values()), finished
    unfinished = len(stories) - sum(finished.values())
    assert unfinished < 200, "only those under way at the end"


def test_the_lines_of_a_story_share_their_ids(stories: dict[str, list[tuple[Event, Pattern, Step]]]) -> None:
    for lines in stories.values():
        assert len({(event.user_id, event.trace_id, event.request_id) for event, _, _ in lines}) == 1
        assert len({event.id for event, _, _ in lines}) == len(lines)


def test_a_step_has_its_level_and_service_and_waits_its_pause(
    stories: dict[str, list[tuple[Event, Pattern, Step]]],
) -> None:
    for lines in stories.values():
        before_us = lines[0][0].time_us
        for event, _, step in lines:
            assert (event.level, event.service) == (step.level, step.service)
            assert event.time_us - before_us >= int(step.pause_seconds[0] * 1_000_000)
            before_us = event.time_us


def test_nobody_has_two_sessions_at_once(stories: dict[str, list[tuple[Event, Pattern, Step]]]) -> None:
    sessions = defaultdict(list)
    for lines in stories.values():
        if lines[0][1].name == "user session":
            sessions[lines[0][0].user_id].append([event.time_us for event, _, _ in lines])
    assert all(before[-1] < after[0] for those in sessions.values() for before, after in pairwise(those))


def test_a_pattern_that_needs_a_level_without_weight_is_not_begun() -> None:
    lines = told(Source({"INFO": 1, "DEBUG": 1}, Random(1), with_patterns=True).events(range(0, 10**8, 10_000)))
    assert {pattern.name for found in lines.values() for _, pattern, _ in found} == {"user session", "API request"}


def test_without_patterns_none_is_told() -> None:
    assert not told(Source(USUAL, Random(1), with_patterns=False).events(range(0, 10**8, 10_000)))


def test_stories_wait_to_begin_while_a_thousand_are_under_way() -> None:
    rng = Random(1)
    steps = (
        Step("first", "INFO", "a", "first", (0, 0), (1, 1)),
        Step("second", "ERROR", "a", "second", (0, 0), (1, 1)),
    )
    stories = Stories(LEVELS, Identifiers(rng), rng, (Pattern("always", ("x",), steps, start_chance=1.0),))
    begun = [stories.next_line("INFO", number) for number in range(1_500)]
    assert sum(line is not None for line in begun) == 1_000
    ended = stories.next_line("ERROR", 2_000)
    assert ended is not None
    assert begun[0] is not None
    assert ended.request_id == begun[0].request_id, "the one that waited longest comes first"
    assert stories.next_line("INFO", 2_001) is not None
