from __future__ import annotations

import asyncio
import io

import pytest

from logstreamd.cli import progress as progress_module
from logstreamd.cli.progress import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


async def test_a_long_wait_is_told_and_its_line_cleared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_module, "_PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(progress_module, "_EVERY_SECONDS", 0.001)
    terminal = Terminal()
    async with progress("searching", terminal):
        async with asyncio.timeout(20):
            while terminal.getvalue().count("searching") < 2:
                await asyncio.sleep(0.001)
    assert "searching … 0 s" in terminal.getvalue()
    assert terminal.getvalue().endswith("\r\x1b[K")


async def test_a_quick_answer_needs_no_words() -> None:
    terminal = Terminal()
    async with progress("searching", terminal):
        pass
    assert terminal.getvalue() == ""


async def test_what_is_no_terminal_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(progress_module, "_PATIENCE_SECONDS", 0.0)
    async with progress("searching", stream):
        await asyncio.sleep(0.01)
    assert stream.getvalue() == ""
