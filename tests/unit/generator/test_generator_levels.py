from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.event import LEVELS
from generator.levels import LevelDeck
from generator.source import Source

USUAL = {"INFO": 0.70, "WARNING": 0.20, "ERROR": 0.05, "DEBUG": 0.05}


@pytest.mark.parametrize("with_patterns", [True, False])
def test_shares_are_exact_over_a_hundred_thousand_lines(with_patterns: bool) -> None:
    source = Source(USUAL, Random(1), with_patterns=with_patterns)
    events = source.events(range(0, 100_000 * 1_000, 1_000))
    assert Counter(event.level for event in events) == {
        "INFO": 70_000,
        "WARNING": 20_000,
        "ERROR": 5_000,
        "DEBUG": 5_000,
    }


@given(st.dictionaries(st.sampled_from(LEVELS), st.floats(0.001, 1_000), min_size=1), st.integers(0, 2**32))
def test_no_share_is_ever_off_by_more_than_a_deck(weights: dict[str, float], seed: int) -> None:
    deck = LevelDeck(weights, Random(seed))
    drawn = Counter(deck.draw() for _ in range(7_000))
    for level, weight in weights.items():
        assert abs(drawn[level] - 7_000 * weight / sum(weights.values())) < len(LEVELS)


def test_weights_need_not_add_up_to_one() -> None:
    deck = LevelDeck({"INFO": 3, "ERROR": 1, "DEBUG": 0}, Random(1))
    assert Counter(deck.draw() for _ in range(1_000)) == {"INFO": 750, "ERROR": 250}
    assert deck.levels == {"INFO", "ERROR"}


def test_a_level_does_not_come_at_a_fixed_place() -> None:
    deck = LevelDeck(USUAL, Random(1))
    first, second = ([deck.draw() for _ in range(1_000)] for _ in range(2))
    assert Counter(first) == Counter(second)
    assert first != second
