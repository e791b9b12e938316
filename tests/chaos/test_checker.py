"""The checker finds what it is there to find."""

from __future__ import annotations

import pytest

from tests.chaos.checker import assert_good, check
from tests.chaos.messages import Stamp, read_stamp, stamped
from tests.chaos.senders import Journal


def outcome_of(numbers: list[int]) -> str:
    journal = Journal("s", sent=4, acknowledged={0, 1, 2})
    outcomes = check([Stamp("r", "s", number) for number in numbers], [journal])
    assert_good(outcomes)
    return f"{outcomes['s'].ok} ok, {outcomes['s'].recovered} recovered"


def test_what_is_stored_once_and_in_order_is_good() -> None:
    assert outcome_of([0, 1, 2]) == "3 ok, 0 recovered"
    assert outcome_of([0, 1, 2, 3]) == "3 ok, 1 recovered"


@pytest.mark.parametrize(
    ("numbers", "finding"),
    [
        ([0, 1], "'lost': [2]"),
        ([0, 1, 1, 2], "'duplicated': [1]"),
        ([0, 1, 2, 4], "'unexpected': [4]"),
        ([0, 2, 1], "'inversions': [1]"),
    ],
)
def test_what_went_wrong_is_named(numbers: list[int], finding: str) -> None:
    with pytest.raises(AssertionError, match=r"s': .*" + finding.replace("[", r"\[")):
        outcome_of(numbers)


@pytest.mark.parametrize("padding", [0, 3])
def test_a_changed_byte_is_noticed(padding: int) -> None:
    text = stamped(Stamp("r", "s", 17), padding)
    assert read_stamp(text) == Stamp("r", "s", 17)
    assert read_stamp(text.replace("17", "18")) is None
    assert read_stamp(text[:-1]) is None
    assert read_stamp(f"{text}.") is None


def test_only_the_end_of_a_connection_may_be_missing() -> None:
    journal = Journal("s", sent=10, streams=[range(5), range(5, 10)])
    stored = {0, 1, 2, 5, 6, 8}
    assert journal.holes(stored) == [7]
    assert journal.tails(stored) == [2, 2]
