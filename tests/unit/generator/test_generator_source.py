from __future__ import annotations

import re
from itertools import pairwise
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from generator.event import Event
from generator.patterns import PATTERNS
from generator.pools import POOLS
from generator.source import Source

USUAL = {"INFO": 0.70, "WARNING": 0.20, "ERROR": 0.05, "DEBUG": 0.05}


def events_of(seed: int, cuts: list[int], count: int = 400) -> list[Event]:
    source = Source(USUAL, Random(seed), with_patterns=True)
    places = [0, *sorted(cuts), count]
    return [
        event for start, end in pairwise(places) for event in source.events(range(start * 50_000, end * 50_000, 50_000))
    ]


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 2**53), st.lists(st.integers(0, 400), max_size=6))
def test_a_seed_repeats_a_run_however_it_is_cut_into_batches(seed: int, cuts: list[int]) -> None:
    assert events_of(seed, cuts) == events_of(seed, [])


def test_another_seed_is_another_run() -> None:
    assert events_of(1, []) != events_of(2, [])


def test_fields_look_like_those_of_an_application() -> None:
    for event in events_of(1, []):
        assert re.fullmatch(r"[a-z]{3}-\d{4}", event.id)
        assert re.fullmatch(r"user-\d{5}", event.user_id)
        assert re.fullmatch(r"req-[a-z0-9]{6}", event.request_id)
        assert re.fullmatch(r"[0-9a-f]{32}", event.trace_id)
        assert event.service in POOLS
        assert 0 < event.duration_ms < 10**6
        assert event.message.isprintable()
        assert "{" not in event.message


def test_the_ids_of_lines_are_all_different() -> None:
    events = Source(USUAL, Random(1), with_patterns=True).events(range(100_000))
    assert len({event.id for event in events}) == 100_000


def test_every_service_has_something_to_say_at_the_usual_levels() -> None:
    assert all(levels.get(level) for levels in POOLS.values() for level in USUAL)


def test_no_pool_says_what_a_pattern_says() -> None:
    said = {template for levels in POOLS.values() for templates in levels.values() for template in templates}
    told = {step.message.partition("{")[0] for pattern in PATTERNS for step in pattern.steps}
    assert not [(text, start) for text in said for start in told if text.startswith(start)]
