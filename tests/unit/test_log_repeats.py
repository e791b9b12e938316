from __future__ import annotations

from typing import Any

import pytest

from logstreamd.ownlog.repeats import EVERY_SECONDS, LINES_AT_ONCE, MAX_KINDS, MAX_VARIANTS, RepeatLimiter


class Limiter:
    """A limiter on a clock that the test sets."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.limiter = RepeatLimiter(lambda: self.now)

    def write(self, event: str, level: str = "warning", **fields: Any) -> int | None:
        return self.limiter.try_admit({"event": event, "level": level, **fields})

    def flood(self, event: str, times: int = 100, **fields: Any) -> int:
        """Return how many of the lines were written."""
        return sum(self.write(event, **fields) is not None for _ in range(times))


@pytest.fixture
def log() -> Limiter:
    return Limiter()


def test_the_first_lines_are_written_at_once_and_then_one_a_minute_says_how_many_were_not(log: Limiter) -> None:
    assert [log.write("refused", peer="a") for _ in range(LINES_AT_ONCE + 3)] == [0] * LINES_AT_ONCE + [None] * 3
    log.now += EVERY_SECONDS / 2
    assert log.write("refused", peer="a") is None
    log.now += EVERY_SECONDS / 2
    assert log.write("refused", peer="a") == 4
    assert log.write("refused", peer="a") is None


def test_a_flood_of_an_hour_is_a_line_a_minute(log: Limiter) -> None:
    written = 0
    for _ in range(3_600):
        log.now += 1
        written += log.write("refused", peer="a") is not None
    assert LINES_AT_ONCE + 59 <= written <= LINES_AT_ONCE + 60


def test_after_a_pause_the_first_lines_are_written_at_once_again(log: Limiter) -> None:
    log.flood("refused", peer="a")
    log.now += LINES_AT_ONCE * EVERY_SECONDS
    assert log.flood("refused", peer="a") == LINES_AT_ONCE


@pytest.mark.parametrize(
    "other",
    [
        {"event": "handshake failed"},
        {"level": "error"},
        {"peer": "192.0.2.2"},
        {"input": "tcp-2"},
        {"problem": "no such file"},
        {"anything": "that is a text"},
        {"problems": ["a.yaml:1:1: unknown key"]},
    ],
)
def test_a_flood_never_hides_the_first_lines_of_something_else(log: Limiter, other: dict[str, str]) -> None:
    flood = {"event": "refused", "peer": "192.0.2.1", "input": "tcp", "problem": "too many (5)"}
    log.flood(**flood)  # type: ignore[arg-type]
    assert log.flood(**(flood | other)) == LINES_AT_ONCE  # type: ignore[arg-type]


def test_numbers_ids_and_what_a_client_asked_for_make_no_difference(log: Limiter) -> None:
    log.flood("query failed", problem="deadlock of 17 and 0x7f", route="/api/v1/logs")
    for number in range(50):
        said = log.write(
            "query failed",
            problem=f"deadlock of {number} and 0xa{number}",
            route="/api/v1/logs",
            request_id=f"r{number}",
            trace_id=f"t{number}",
            path=f"/api/v1/logs/{number}",
            rows=number,
        )
        assert said is None


def raised(message: str, kind: type[Exception]) -> Exception:
    try:
        raise kind(message)
    except Exception as problem:
        return problem


def test_exceptions_are_told_apart_by_type_and_place_not_by_message(log: Limiter) -> None:
    problem = raised("one", ValueError)
    for number in range(LINES_AT_ONCE):
        assert log.write("request failed", exc_info=raised(f"for {number}", ValueError)) == 0
    assert log.write("request failed", exc_info=(ValueError, problem, problem.__traceback__)) is None
    assert log.write("request failed", exc_info=raised("one", KeyError)) == 0
    assert log.write("request failed", exc_info=ValueError("never raised")) == 0
    try:
        raise ValueError("here")
    except ValueError:
        assert log.write("request failed", exc_info=True) == 0


def test_peers_without_number_share_their_lines_and_hide_no_other_problem(log: Limiter) -> None:
    written = sum(log.flood("handshake failed", 10, problem="eof", peer=f"p{number}") for number in range(1_000))
    assert written == (MAX_VARIANTS + 1) * LINES_AT_ONCE
    assert log.flood("handshake failed", problem="certificate expired", peer="p1") == LINES_AT_ONCE
    assert log.flood("connection refused", peer="p1") == LINES_AT_ONCE


def test_problems_without_number_share_their_lines_and_hide_nobody_elses(log: Limiter) -> None:
    letters = [f"{chr(65 + number // 26)}{chr(65 + number % 26)}" for number in range(500)]
    written = sum(log.flood("odd", 10, problem=text, peer="p", input="tcp") for text in letters)
    assert written == (2 * MAX_VARIANTS + 1) * LINES_AT_ONCE
    assert log.flood("odd", problem="AA", peer="p", input="tcp-2") == LINES_AT_ONCE


def test_texts_of_other_libraries_are_no_names_of_ours(log: Limiter) -> None:
    """An attacker who writes into aiohttp's messages must not use up what everybody else has."""
    letters = [f"{chr(65 + number // 26)}{chr(65 + number % 26)}" for number in range(500)]
    written = sum(log.flood(f"bad request {text}", 10, logger="aiohttp.server") for text in letters)
    assert written == (2 * MAX_VARIANTS + 1) * LINES_AT_ONCE
    assert log.flood("bad request", logger="asyncio") == LINES_AT_ONCE


def test_memory_is_bounded_and_what_is_forgotten_is_written_again(log: Limiter) -> None:
    log.flood("alert firing", fingerprint="first")
    for number in range(MAX_KINDS):
        assert log.write("alert firing", fingerprint=f"{number}") == 0
    assert len(log.limiter) == MAX_KINDS
    assert log.write("alert firing", fingerprint="first") == 0


def test_at_the_end_everything_that_was_left_out_is_said(log: Limiter) -> None:
    log.flood("refused", peer="a")
    assert log.limiter.overdue() == []
    assert [line["suppressed"] for line in log.limiter.overdue(closing=True)] == [100 - LINES_AT_ONCE]
    assert log.limiter.overdue(closing=True) == []


def test_what_is_over_is_forgotten(log: Limiter) -> None:
    log.flood("refused", peer="a")
    log.now += EVERY_SECONDS
    (line,) = log.limiter.overdue()
    assert (line["event"], line["suppressed"]) == ("refused", 100 - LINES_AT_ONCE)
    assert line["last_seconds_ago"] == EVERY_SECONDS
    assert log.limiter.overdue() == []
    assert len(log.limiter) == 1
    log.now += LINES_AT_ONCE * EVERY_SECONDS
    assert log.limiter.overdue() == []
    assert len(log.limiter) == 0


@pytest.mark.parametrize(
    ("level", "fields", "limited"),
    [
        ("debug", {"peer": "a"}, False),
        ("info", {}, False),
        ("info", {"peer": "a"}, True),
        ("warning", {}, True),
        ("error", {}, True),
        ("critical", {"peer": "a"}, False),
    ],
)
def test_only_what_can_come_often_is_limited(log: Limiter, level: str, fields: dict[str, str], limited: bool) -> None:
    written = log.flood("something", level=level, **fields)
    assert written == (LINES_AT_ONCE if limited else 100)


def test_a_clock_that_stands_still_or_goes_back_gives_no_lines_away(log: Limiter) -> None:
    log.flood("refused")
    log.now -= 3_600
    assert log.write("refused") is None
