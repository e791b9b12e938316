from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Callable, Iterator

import pytest
import structlog

from logstreamd.ownlog import configure_log, writes_json

HOSTILE = 'evil\x1b[2J\n{"event": "forged"}\r\0\x9b\u2028\u202e'


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def log_to(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., io.StringIO]]:
    """Configures the log onto a stream, and puts everything back."""
    handlers = logging.root.handlers[:]

    def configure(log_format: str, *, level: str = "info", terminal: bool = False) -> io.StringIO:
        stream = Terminal() if terminal else io.StringIO()
        monkeypatch.setattr(sys, "stderr", stream)
        configure_log(level, log_format)  # type: ignore[arg-type]
        return stream

    yield configure
    structlog.reset_defaults()
    logging.root.handlers[:] = handlers


def test_the_format_follows_the_terminal_unless_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert [writes_json(one) for one in ("auto", "json", "console")] == [False, True, False]  # type: ignore[arg-type]
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert [writes_json(one) for one in ("auto", "json", "console")] == [True, True, False]  # type: ignore[arg-type]


def test_json_is_one_object_per_line_with_time_and_level(log_to: Callable[..., io.StringIO]) -> None:
    stream = log_to("json")
    structlog.get_logger().warning("spool full", used_bytes=5)
    entry = json.loads(stream.getvalue())
    assert entry.pop("timestamp").endswith("Z")
    assert entry == {"event": "spool full", "level": "warning", "used_bytes": 5}


def test_what_is_less_severe_is_not_written(log_to: Callable[..., io.StringIO]) -> None:
    stream = log_to("json", level="warning")
    structlog.get_logger().info("quiet")
    assert stream.getvalue() == ""


@pytest.mark.parametrize("log_format", ["json", "console"])
@pytest.mark.parametrize("terminal", [False, True])
def test_a_hostile_value_can_neither_forge_a_line_nor_drive_a_terminal(
    log_to: Callable[..., io.StringIO], log_format: str, terminal: bool
) -> None:
    stream = log_to(log_format, terminal=terminal)
    structlog.get_logger().warning("connection refused", peer=HOSTILE, several=[HOSTILE], named={HOSTILE: HOSTILE})
    written = stream.getvalue().rstrip("\n")
    for colour in ("\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[22m", "\x1b[31m", "\x1b[33m", "\x1b[35m", "\x1b[36m"):
        written = written.replace(colour, "")
    assert written.isprintable(), ascii(written)


def test_a_traceback_keeps_its_lines_and_nothing_else_that_moves(log_to: Callable[..., io.StringIO]) -> None:
    stream = log_to("console")
    try:
        raise ValueError(HOSTILE)
    except ValueError:
        structlog.get_logger().exception("broken")
    written = stream.getvalue()
    assert "Traceback" in written
    assert written.replace("\n", "").isprintable(), ascii(written)


def test_a_retry_is_not_logged_each_time(log_to: Callable[..., io.StringIO]) -> None:
    import stamina

    stream = log_to("json")
    for trial in stamina.retry_context(on=OSError, attempts=3, wait_initial=0, wait_max=0, wait_jitter=0):
        with trial:
            if trial.num < 3:
                raise OSError("down")
    assert stream.getvalue() == ""
