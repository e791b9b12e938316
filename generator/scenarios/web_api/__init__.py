"""``web-api``: a small web service that writes ``access.log``, ``error.log`` and ``application.log``.

The only scenario that needs more than the standard library: aiohttp.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from generator.options import Option, SettingsError, read_options
from generator.scenarios.web_api.log_files import LogFiles
from generator.scenarios.web_api.serving import ServiceSettings, serve
from generator.stop import Stop
from generator.terminal import show, tell
from generator.values import read_bind_address, read_count, read_duration, read_number, read_path, read_rates

__all__ = ["OPTIONS", "run"]

OPTIONS: tuple[Option, ...] = (
    Option("listen", "WEB_LISTEN", read_bind_address, "host:port; port 0 takes a free one", "127.0.0.1:8080"),
    Option("log_dir", "LOG_DIR", read_path, "where access.log, error.log and application.log are written", "./logs"),
    Option(
        "error_rates",
        "ERROR_RATES",
        read_rates(3),
        "chances that GET /users, POST /users and /simulate-load fail",
        "0.10,0.15,0.20",
    ),
    Option("maintenance_interval", "MAINTENANCE_INTERVAL", read_duration, "between two lines of maintenance", "30s"),
    Option("traffic", "TRAFFIC_RATE", read_number(0, 200), "requests a second that it makes to itself", "0"),
    Option("seed", "SEED", read_count(0, 2**53), "repeat the errors of the run that had this seed"),
    Option("duration", "LOG_DURATION", read_duration, "end after this time"),
)


def run(flags: Mapping[str, Any], environment: Mapping[str, str], stop: Stop) -> int:
    """Serve until told to stop.

    Raises:
        SettingsError: the settings can't be used, the address or the directory is not to be had.
    """
    values = read_options(OPTIONS, flags, environment)
    directory = Path(values.pop("log_dir"))
    settings = ServiceSettings(**values)
    try:
        with LogFiles(directory) as files:
            requests = asyncio.run(serve(settings, files, stop, tell))
    except OSError as problem:
        raise SettingsError([f"can't start: {problem}"]) from problem
    show(f"answered {requests:,} requests, logs are in {directory}\n")
    return 0
