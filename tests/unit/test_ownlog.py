from __future__ import annotations

import io
import logging
import re
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import structlog
from log_lines import LogLines, Terminal, log_lines
from prometheus_client import CollectorRegistry

from logstreamd.metrics import Metrics
from logstreamd.ownlog import writes_json
from logstreamd.ownlog.repeats import LINES_AT_ONCE, RepeatLimiter

HOSTILE = 'evil\x1b[2J\n{"event": "forged"}\r\0\x7f\x85\x9b\u2028\u2029\u202e\u2066\ud800'
COLOURS = re.compile("\x1b\\[(0|1|2|22|3[1-6])m")


@pytest.fixture
def log_to() -> Iterator[Callable[..., LogLines]]:
    """Configures the log onto a stream, and puts everything back."""
    with ExitStack() as stack:
        yield lambda log_format, *, level="info", **settings: stack.enter_context(
            log_lines(log_format, level=level, **settings)
        )


def test_the_format_follows_the_terminal_unless_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert [writes_json(one) for one in ("auto", "json", "console")] == [False, True, False]  # type: ignore[arg-type]
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert [writes_json(one) for one in ("auto", "json", "console")] == [True, True, False]  # type: ignore[arg-type]


def test_json_is_one_object_per_line_with_time_and_level(log_to: Callable[..., LogLines]) -> None:
    log = log_to("json")
    structlog.get_logger().warning("spool full", used_bytes=5)
    (entry,) = log.entries
    assert list(entry) == ["timestamp", "level", "event", "used_bytes"]
    assert entry.pop("timestamp").endswith("Z")
    assert entry == {"event": "spool full", "level": "warning", "used_bytes": 5}


def test_what_is_less_severe_is_not_written(log_to: Callable[..., LogLines]) -> None:
    log = log_to("json", level="warning")
    structlog.get_logger().info("quiet")
    assert log.text == ""


@pytest.mark.parametrize("log_format", ["json", "console"])
@pytest.mark.parametrize("terminal", [False, True])
def test_a_hostile_value_can_neither_forge_a_line_nor_drive_a_terminal(
    log_to: Callable[..., LogLines], log_format: str, terminal: bool
) -> None:
    log = log_to(log_format, terminal=terminal)
    structlog.get_logger().warning("connection refused", peer=HOSTILE, several=[HOSTILE], named={HOSTILE: HOSTILE})
    written = COLOURS.sub("", log.text.removesuffix("\n"))
    assert written.isprintable(), ascii(written)


def test_a_traceback_has_lines_of_its_own_and_none_that_somebody_else_wrote(log_to: Callable[..., LogLines]) -> None:
    log = log_to("console")
    try:
        raise ValueError(HOSTILE)
    except ValueError:
        structlog.get_logger().exception("broken")
    first, *others = log.text.splitlines()
    assert first.endswith("broken")
    assert all(line.startswith("  ") and line.isprintable() for line in others), others
    assert f"{__file__}:" in others[1]


def test_an_exception_in_json_is_what_was_raised_and_its_causes_without_variables(
    log_to: Callable[..., LogLines],
) -> None:
    log = log_to("json")
    password = "hunter2"
    try:
        try:
            raise OSError(HOSTILE)
        except OSError as cause:
            raise ExceptionGroup("several", [KeyError("one")]) from cause
    except ExceptionGroup:
        structlog.get_logger().exception("broken")
    raised, cause = log.entries[0]["exception"]
    assert (raised["exc_type"], raised["frames"][-1]["filename"]) == ("ExceptionGroup", __file__)
    assert raised["exceptions"][0][0]["exc_type"] == "KeyError"
    assert (cause["exc_type"], cause["is_cause"]) == ("OSError", True)
    assert cause["exc_value"].isprintable()
    assert password not in log.text


def raise_at_depth(depth: int) -> None:
    if depth:
        raise_at_depth(depth - 1)
    raise ValueError("x" * 1_000_000)


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_line_has_an_end_whatever_is_in_it(log_to: Callable[..., LogLines], log_format: str) -> None:
    log = log_to(log_format)
    endless: list[Any] = []
    endless.append(endless)
    try:
        raise_at_depth(200)
    except ValueError:
        structlog.get_logger().exception(
            "much", text="x" * 1_000_000, many=list(range(100_000)), texts=["y" * 10_000] * 1_000, endless=endless
        )
    structlog.get_logger().warning("names", **{f"name{number}": "z" * 1_000 for number in range(1_000)})
    assert max(map(len, log.text.splitlines())) < 150_000
    if log_format == "json":
        much, names = log.entries
        assert much["text"] == "x" * 8_192 + "…"
        assert much["many"][-2:] == [99, "…"]
        assert (names["event"], names["level"], len(names["name1"])) == ("names", "warning", 1_000)


def test_numbers_that_json_does_not_know_are_texts(log_to: Callable[..., LogLines]) -> None:
    log = log_to("json")
    structlog.get_logger().info("alert", value=float("nan"), limit=float("-inf"), most=1.5)
    assert {"value": "nan", "limit": "-inf", "most": 1.5}.items() <= log.entries[0].items()


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_lines_of_other_libraries_take_the_same_way(log_to: Callable[..., LogLines], log_format: str) -> None:
    log = log_to(log_format)
    logging.getLogger("aiohttp.server").error("cannot answer %s", HOSTILE)
    logging.getLogger("asyncio").info("of no interest to anybody")
    logging.getLogger("odd").warning("two %s %s", "words, one given")
    assert log.text.count("\n") == 2
    assert log.text.replace("\n", "").isprintable()
    if log_format == "json":
        first, second = log.entries
        assert (first["logger"], first["level"]) == ("aiohttp.server", "error")
        assert first["event"].startswith("cannot answer evil")
        assert second["event"] == "two %s %s ('words, one given',)"


def test_an_exception_of_another_library_is_structured_too(log_to: Callable[..., LogLines]) -> None:
    log = log_to("json")
    try:
        raise ValueError("theirs")
    except ValueError:
        logging.getLogger("asyncio").exception("a callback failed")
    assert log.entries[0]["exception"][0]["exc_value"] == "theirs"


def test_a_warning_of_python_is_a_line_like_all_others(log_to: Callable[..., LogLines]) -> None:
    log = log_to("json")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("old\nfashioned", DeprecationWarning, stacklevel=1)
    (entry,) = log.entries
    assert (entry["logger"], entry["level"]) == ("py.warnings", "warning")
    assert "old\\nfashioned" in entry["event"]


def test_a_thread_that_dies_is_a_line(log_to: Callable[..., LogLines]) -> None:
    def fail() -> None:
        raise ValueError(HOSTILE)

    log = log_to("json")
    thread = threading.Thread(target=fail, name="worker")
    thread.start()
    thread.join()
    (entry,) = log.entries
    assert (entry["event"], entry["level"], entry["thread"]) == ("thread died", "critical", "worker")
    assert entry["exception"][0]["exc_type"] == "ValueError"


def test_an_exception_that_nobody_could_catch_is_a_line(log_to: Callable[..., LogLines]) -> None:
    class Weak:
        def __del__(self) -> None:
            raise ValueError(HOSTILE)

    log = log_to("json")
    weak = Weak()
    del weak
    (entry,) = log.entries
    assert (entry["event"], entry["level"]) == ("exception nobody could catch", "error")
    assert "__del__" in entry["where"]


def test_the_end_of_the_process_by_a_defect_is_a_line(log_to: Callable[..., LogLines]) -> None:
    log = log_to("json")
    sys.excepthook(ValueError, ValueError(HOSTILE), None)
    (entry,) = log.entries
    assert (entry["event"], entry["level"]) == ("the daemon died of a defect", "critical")
    assert entry["exception"][0]["exc_value"].isprintable()


def test_a_line_has_the_context_it_is_written_in(log_to: Callable[..., LogLines]) -> None:
    log = log_to("json")
    with structlog.contextvars.bound_contextvars(request_id="7f3a", input="tcp"):
        structlog.get_logger().info("inside", input="udp")
    structlog.get_logger().info("outside")
    inside, outside = log.entries
    assert (inside["request_id"], inside["input"]) == ("7f3a", "udp")
    assert "request_id" not in outside


def test_a_retry_is_not_logged_each_time(log_to: Callable[..., LogLines]) -> None:
    import stamina

    log = log_to("json")
    for trial in stamina.retry_context(on=OSError, attempts=3, wait_initial=0, wait_max=0, wait_jitter=0):
        with trial:
            if trial.num < 3:
                raise OSError("down")
    assert log.text == ""


def count(registry: CollectorRegistry, name: str, level: str) -> float | None:
    return registry.get_sample_value(f"logstreamd_{name}_total", {"level": level})


def test_lines_are_counted_by_level_and_repeated_ones_left_out_and_counted_too(log_to: Callable[..., LogLines]) -> None:
    metrics = Metrics(version="test", wire="python")
    now = [0.0]
    log = log_to("json", repeats=RepeatLimiter(lambda: now[0]))
    log.own_log.count(written=metrics.log_lines, suppressed=metrics.suppressed_log_lines)
    for _ in range(100):
        structlog.get_logger().warning("connection refused", peer="192.0.2.1")
    structlog.get_logger().info("listening")
    assert len(log.entries) == LINES_AT_ONCE + 1
    assert count(metrics.registry, "log_lines", "warning") == LINES_AT_ONCE
    assert count(metrics.registry, "suppressed_log_lines", "warning") == 100 - LINES_AT_ONCE
    assert count(metrics.registry, "log_lines", "info") == 1
    assert count(metrics.registry, "log_lines", "error") == 0
    now[0] = 61.0
    structlog.get_logger().warning("connection refused", peer="192.0.2.1")
    assert log.entries[-1]["suppressed"] == 100 - LINES_AT_ONCE


def test_what_was_left_out_is_said_also_when_the_flood_is_over(log_to: Callable[..., LogLines]) -> None:
    now = [0.0]
    log = log_to("json", repeats=RepeatLimiter(lambda: now[0]))
    for _ in range(9):
        structlog.get_logger().error("handshake failed", peer="192.0.2.1", problem="no shared cipher", tries=3)
    log.own_log.say_overdue()
    assert len(log.entries) == LINES_AT_ONCE
    now[0] = 61.0
    log.own_log.say_overdue()
    log.own_log.say_overdue()
    assert len(log.entries) == LINES_AT_ONCE + 1
    last = log.entries[-1]
    assert last.pop("timestamp")
    assert last == {
        "event": "handshake failed",
        "level": "error",
        "peer": "192.0.2.1",
        "problem": "no shared cipher",
        "suppressed": 9 - LINES_AT_ONCE,
        "last_seconds_ago": 61,
    }
