"""What the load generator can be told, and what is assumed when it is not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from generator.bursts import BurstSettings
from generator.formats import FORMATS
from generator.options import Option, SettingsError, read_options
from generator.outputs.tcp import FRAMINGS
from generator.values import (
    read_address,
    read_choice,
    read_count,
    read_distribution,
    read_duration,
    read_flag,
    read_http_url,
    read_moment,
    read_number,
    read_path,
)

__all__ = ["OPTIONS", "Settings", "read_settings"]

_MAX_COUNT = 10**15
_MAX_RATE = 1_000_000  # ten times what one core makes; more is a typing error
# What a receiver of syslog or JSON lines can read.
_NETWORK_FORMATS = ("json", "rfc5424", "rfc3164")

OPTIONS: tuple[Option, ...] = (
    Option("rate", "LOG_RATE", read_number(0.001, _MAX_RATE), "lines a second", "10"),
    Option("format", "LOG_FORMAT", read_choice(*FORMATS), f"of file and console: {', '.join(FORMATS)}", "text"),
    Option("output_file", "OUTPUT_FILE", read_path, "append to this file; SIGHUP opens it anew"),
    Option(
        "console_output",
        "CONSOLE_OUTPUT",
        read_flag,
        "write to standard output; without a setting: if there is no other output",
    ),
    Option("udp", "UDP_TARGET", read_address, "send datagrams to host:port"),
    Option("tcp", "TCP_TARGET", read_address, "send to host:port over a connection"),
    Option("tcp_framing", "TCP_FRAMING", read_choice(*FRAMINGS), " or ".join(FRAMINGS), "newline"),
    Option("http", "HTTP_TARGET", read_http_url, "send JSON in batches to the logstreamd at this URL"),
    Option("http_batch", "HTTP_BATCH", read_count(1, 10_000), "lines in a batch", "1000"),
    Option(
        "network_format",
        "NETWORK_FORMAT",
        read_choice(*FORMATS),
        "of UDP and TCP; without a setting: the other format where that is json, rfc5424 or rfc3164, else rfc5424",
    ),
    Option(
        "distribution",
        "LOG_DISTRIBUTION",
        read_distribution,
        "weights of the levels",
        "INFO:0.70,WARNING:0.20,ERROR:0.05,DEBUG:0.05",
    ),
    Option("patterns", "ENABLE_PATTERNS", read_flag, "tell sessions, requests and recoveries among the lines", "true"),
    Option("bursts", "ENABLE_BURSTS", read_flag, "be quicker now and then", "false"),
    Option("burst_frequency", "BURST_FREQUENCY", read_number(0, 1), "chance of a burst in a second", "0.05"),
    Option("burst_multiplier", "BURST_MULTIPLIER", read_number(1, 1_000), "a burst is this to twice this quicker", "5"),
    Option("burst_duration", "BURST_DURATION", read_count(1, 86_400), "seconds that a burst lasts", "3"),
    Option("seed", "SEED", read_count(0, 2**53), "repeat the run that had this seed"),
    Option("start_time", "START_TIME", read_moment, "let the time stamps begin here instead of now"),
    Option("count", "LOG_COUNT", read_count(1, _MAX_COUNT), "end after so many lines"),
    Option("duration", "LOG_DURATION", read_duration, "end after this time"),
)
"""The settings of the scenario ``app``."""


@dataclass(frozen=True, slots=True)
class Settings:
    """A checked set of settings; the names are those of :data:`OPTIONS`."""

    rate: float
    format: str
    output_file: str | None
    console_output: bool
    udp: tuple[str, int] | None
    tcp: tuple[str, int] | None
    tcp_framing: str
    http: str | None
    http_batch: int
    network_format: str
    distribution: dict[str, float]
    patterns: bool
    bursts: BurstSettings | None
    seed: int | None
    start_time: int | None
    count: int | None
    duration: float | None


def read_settings(flags: Mapping[str, Any], environment: Mapping[str, str]) -> Settings:
    """Read the settings of the scenario ``app``.

    Args:
        flags: name → text, None where the flag was not given.

    Raises:
        SettingsError: what is wrong, all of it.
    """
    values = read_options(OPTIONS, flags, environment)
    has_other_output = any(values[name] for name in ("output_file", "udp", "tcp", "http"))
    if values["console_output"] is None:
        values["console_output"] = not has_other_output
    if not (values["console_output"] or has_other_output):
        raise SettingsError(["CONSOLE_OUTPUT: must be true where there is no other output"])
    if values["network_format"] is None:
        values["network_format"] = values["format"] if values["format"] in _NETWORK_FORMATS else "rfc5424"
    frequency, multiplier, seconds = (values.pop(f"burst_{name}") for name in ("frequency", "multiplier", "duration"))
    values["bursts"] = BurstSettings(frequency, multiplier, seconds) if values["bursts"] else None
    return Settings(**values)
