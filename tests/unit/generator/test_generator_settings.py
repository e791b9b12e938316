from __future__ import annotations

import pytest

from generator.bursts import BurstSettings
from generator.options import SettingsError
from generator.settings import OPTIONS, Settings, read_settings


def read(flags: dict[str, str] | None = None, **environment: str) -> Settings:
    return read_settings(flags or {}, environment)


def problems(flags: dict[str, str] | None = None, **environment: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        read(flags, **environment)
    return caught.value.problems


def test_nothing_needs_to_be_set() -> None:
    settings = read()
    assert (settings.rate, settings.format, settings.console_output, settings.output_file) == (10, "text", True, None)
    assert settings.distribution == {"INFO": 0.7, "WARNING": 0.2, "ERROR": 0.05, "DEBUG": 0.05}
    assert (settings.patterns, settings.bursts, settings.count, settings.duration) == (True, None, None, None)


def test_everything_can_be_set_in_the_environment() -> None:
    settings = read(
        LOG_RATE="250.5",
        LOG_FORMAT="JSON",
        OUTPUT_FILE="/logs/app.log",
        CONSOLE_OUTPUT="yes",
        LOG_DISTRIBUTION="info:3, warn:1",
        ENABLE_BURSTS="true",
        BURST_FREQUENCY="0.1",
        BURST_MULTIPLIER="3",
        BURST_DURATION="7",
        ENABLE_PATTERNS="off",
        SEED="42",
        LOG_COUNT="1000",
        LOG_DURATION="5m",
        TCP_TARGET="[::1]:5514",
        TCP_FRAMING="octet-counting",
        UDP_TARGET="logs.example:514",
        HTTP_TARGET="http://127.0.0.1:8514/",
        START_TIME="2025-05-14T10:23:45",
    )
    assert (settings.rate, settings.format, settings.output_file) == (250.5, "json", "/logs/app.log")
    assert (settings.console_output, settings.patterns, settings.seed) == (True, False, 42)
    assert settings.distribution == {"INFO": 3, "WARNING": 1}
    assert settings.bursts == BurstSettings(frequency=0.1, multiplier=3, duration_seconds=7)
    assert (settings.count, settings.duration, settings.start_time) == (1_000, 300, 1_747_218_225_000_000)
    assert (settings.tcp, settings.udp, settings.http) == (
        ("::1", 5514),
        ("logs.example", 514),
        "http://127.0.0.1:8514",
    )


def test_a_flag_wins_over_the_environment_and_an_empty_variable_is_none() -> None:
    assert read({"rate": "5"}, LOG_RATE="20").rate == 5
    assert read(LOG_RATE="").rate == 10


def test_the_console_is_quiet_where_there_is_another_output_unless_it_is_asked_for() -> None:
    assert not read(OUTPUT_FILE="x.log").console_output
    assert read(OUTPUT_FILE="x.log", CONSOLE_OUTPUT="true").console_output
    assert problems(CONSOLE_OUTPUT="false") == ["CONSOLE_OUTPUT: must be true where there is no other output"]


@pytest.mark.parametrize(
    ("log_format", "network_format"),
    [("text", "rfc5424"), ("csv", "rfc5424"), ("json", "json"), ("rfc3164", "rfc3164"), ("rfc5424", "rfc5424")],
)
def test_the_network_gets_a_format_that_a_receiver_can_read(log_format: str, network_format: str) -> None:
    assert read(LOG_FORMAT=log_format).network_format == network_format
    assert read(LOG_FORMAT=log_format, NETWORK_FORMAT="text").network_format == "text"


def test_every_problem_is_told_at_once_with_the_place_of_the_setting() -> None:
    assert problems({"count": "0", "udp": "nowhere"}, LOG_RATE="fast", LOG_FORMAT="xml", ENABLE_BURSTS="perhaps") == [
        "LOG_RATE: must be a number from 0.001 to 1000000 (got 'fast')",
        "LOG_FORMAT: must be one of text, json, csv, rfc5424, rfc3164 (got 'xml')",
        "--udp: must be host:port, with a port from 1 to 65535 (got 'nowhere')",
        "ENABLE_BURSTS: must be true or false (got 'perhaps')",
        "--count: must be a whole number from 1 to 1000000000000000 (got '0')",
    ]


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("LOG_RATE", "0"),
        ("LOG_RATE", "-5"),
        ("LOG_RATE", "nan"),
        ("LOG_RATE", "1e9"),
        ("LOG_DISTRIBUTION", "INFO"),
        ("LOG_DISTRIBUTION", "INFO:x"),
        ("LOG_DISTRIBUTION", "INFO:-1"),
        ("LOG_DISTRIBUTION", "INFO:0"),
        ("LOG_DISTRIBUTION", "INFO:1,INFO:2"),
        ("LOG_DISTRIBUTION", "LOUD:1"),
        ("BURST_FREQUENCY", "1.1"),
        ("BURST_MULTIPLIER", "0.5"),
        ("BURST_DURATION", "0"),
        ("LOG_DURATION", "0s"),
        ("LOG_DURATION", "5 weeks"),
        ("LOG_COUNT", "1.5"),
        ("SEED", "seven"),
        ("TCP_TARGET", "host:99999"),
        ("TCP_FRAMING", "lines"),
        ("HTTP_TARGET", "ftp://host"),
        ("HTTP_TARGET", "http://host:0"),
        ("START_TIME", "yesterday"),
        ("OUTPUT_FILE", "a\0b"),
    ],
)
def test_a_bad_value_is_a_problem_of_its_variable(variable: str, text: str) -> None:
    (problem,) = problems(**{variable: text})
    assert problem.startswith(f"{variable}: ")


def test_flags_and_variables_have_names_of_their_own() -> None:
    assert len({option.flag for option in OPTIONS}) == len({option.variable for option in OPTIONS}) == len(OPTIONS)
