from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from logstreamd.alerts.silence import Matcher, Silence, is_withheld, silencers

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
LABELS = {"alertname": "ErrorBurst", "service": "checkout"}


@pytest.mark.parametrize(
    ("matcher", "matches"),
    [
        (Matcher("service", "checkout"), True),
        (Matcher("service", "check"), False),
        (Matcher("service", "cart", is_equal=False), True),
        (Matcher("service", "check.*", is_regex=True), True),
        (Matcher("service", "check", is_regex=True), False),
        (Matcher("service", "cart|checkout", is_regex=True), True),
        (Matcher("service", "Checkout", is_regex=True), False),
        (Matcher("service", "ca.*", is_regex=True, is_equal=False), True),
        (Matcher("team", ""), True),
        (Matcher("team", "web", is_equal=False), True),
        (Matcher("team", ".+", is_regex=True), False),
    ],
)
def test_a_matcher_takes_the_whole_value_and_a_missing_label_as_empty(matcher: Matcher, matches: bool) -> None:
    assert matcher.matches(LABELS) is matches


@pytest.mark.parametrize("value", ["(", "a)|(b", "(?<=a)b", "(a{200}){200}"])
def test_a_regex_that_cannot_be_used_is_no_matcher(value: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        Matcher("service", value, is_regex=True)


def test_a_silence_holds_from_its_begin_until_just_before_its_end_when_all_matchers_match() -> None:
    both = (Matcher("service", "checkout"), Matcher("alertname", "ErrorBurst"))
    silence = Silence("s", both, NOON, NOON + HOUR)
    other = Silence("o", (*both, Matcher("host", "web-1")), NOON, NOON + HOUR)
    assert silencers([silence, other], LABELS, NOON) == ["s"]
    assert silencers([silence, other], LABELS, NOON + HOUR) == []
    assert silencers([silence, other], LABELS, NOON - timedelta(microseconds=1)) == []


@pytest.mark.parametrize(
    ("fired_after_begin", "resolved", "withheld"),
    [(True, False, True), (True, True, True), (False, False, True), (False, True, False)],
)
def test_only_the_end_of_what_was_told_before_is_told(fired_after_begin: bool, resolved: bool, withheld: bool) -> None:
    silence = Silence("s", (Matcher("service", "checkout"),), NOON, NOON + HOUR)
    fired_at = NOON + HOUR / 2 if fired_after_begin else NOON - HOUR
    now = NOON + HOUR * 0.75
    assert is_withheld([silence], LABELS, now, fired_at=fired_at, resolved=resolved) is withheld
