"""The outputs that the settings name, opened."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from generator.breaker import CircuitBreaker
from generator.channel import Channel
from generator.formats import Format, make_format
from generator.http_client import HttpClient
from generator.options import SettingsError
from generator.outputs.console import ConsoleOutput
from generator.outputs.file import FileOutput
from generator.outputs.http import HttpOutput
from generator.outputs.output import Output
from generator.outputs.tcp import TcpOutput
from generator.outputs.udp import UdpOutput
from generator.settings import Settings
from generator.stop import Stop, on_hangup

__all__ = ["make_breaker", "open_channels"]

# Some two seconds of attempts; then lines are given up without waiting, and the other outputs keep their rate.
_FAILURES_TO_OPEN = 5
_OPEN_SECONDS = 5.0

_Tell = Callable[[str], None]


def make_breaker(receiver: str, tell: _Tell) -> CircuitBreaker:
    """Return a breaker that says of whom it speaks."""
    return CircuitBreaker(
        failures_to_open=_FAILURES_TO_OPEN,
        open_seconds=_OPEN_SECONDS,
        clock=time.monotonic,
        tell=lambda text: tell(f"{receiver}: {text}"),
    )


def open_channels(settings: Settings, *, stop: Stop, tell: _Tell, cleanup: ExitStack) -> list[Channel]:
    """Open every output.

    Args:
        stop: ends what waits; requested when nobody reads the console.
        tell: is told in one line when an output fails, and when it works again.
        cleanup: closes them.

    Raises:
        SettingsError: one can't be opened.
    """
    host, pid = socket.gethostname() or "localhost", os.getpid()
    formats: dict[str, Format] = {}
    outputs: dict[str, list[Output]] = {}
    for format_name, open_output in _wanted(settings, stop, tell, cleanup):
        line_format = formats.setdefault(format_name, make_format(format_name, host=host, pid=pid))
        try:
            output = open_output(line_format)
        except OSError as problem:
            raise SettingsError([f"an output can't be opened: {problem}"]) from problem
        cleanup.callback(output.close)
        outputs.setdefault(format_name, []).append(output)
    return [Channel(formats[name], those) for name, those in outputs.items()]


def _wanted(
    settings: Settings, stop: Stop, tell: _Tell, cleanup: ExitStack
) -> Iterator[tuple[str, Callable[[Format], Output]]]:
    """Name the format of each output, and what opens it."""
    if settings.output_file is not None:
        yield settings.format, partial(_open_file, Path(settings.output_file), tell, cleanup)
    if settings.console_output:
        yield settings.format, partial(_open_console, stop)
    if settings.udp is not None:
        host, port = settings.udp
        yield settings.network_format, lambda _format: UdpOutput(host, port)
    if settings.tcp is not None:
        yield settings.network_format, partial(_open_tcp, settings.tcp, settings.tcp_framing, stop, tell)
    if settings.http is not None:
        yield "json", partial(_open_http, settings.http, settings.http_batch, stop, tell)


def _open_file(path: Path, tell: _Tell, cleanup: ExitStack, line_format: Format) -> Output:
    output = FileOutput(path, header=line_format.header, tell=tell)
    cleanup.enter_context(on_hangup(output.request_reopen))
    return output


def _open_console(stop: Stop, line_format: Format) -> Output:
    return ConsoleOutput(sys.stdout.fileno(), stop=stop, header=line_format.header)


def _open_tcp(address: tuple[str, int], framing: str, stop: Stop, tell: _Tell, _format: Format) -> Output:
    breaker = make_breaker(f"tcp {address[0]}:{address[1]}", tell)
    return TcpOutput(*address, framing=framing, stop=stop, breaker=breaker)


def _open_http(url: str, batch_lines: int, stop: Stop, tell: _Tell, _format: Format) -> Output:
    return HttpOutput(
        HttpClient(url),
        batch_lines=batch_lines,
        stop=stop,
        breaker=make_breaker(f"http {url}", tell),
        clock=time.monotonic,
        tell=tell,
    )
