"""Configuration: YAML and environment → one frozen ``Config``; every problem at once, with file:line:column.

=============== ==========================================================================
``model``       the settings, their defaults and bounds; ``consistency``: between settings
``units``       whole numbers, durations, sizes; ``address``, ``dsn``: the other values
``yaml_source`` a file, and ``environment``: variables, both into a ``document``
``load``        all of it in order; ``explain``: refusals in the operator's words
=============== ==========================================================================
"""

from __future__ import annotations

from logstreamd.config.address import ANY_HOST, ListenAddress
from logstreamd.config.consistency import HTTP_INPUT
from logstreamd.config.dsn import EMBEDDED, redacted
from logstreamd.config.load import Loaded, load_config, read_config
from logstreamd.config.model import (
    AlertsConfig,
    Config,
    DatabaseConfig,
    FileInput,
    HttpConfig,
    LogConfig,
    MirrorConfig,
    RetentionConfig,
    SpoolConfig,
    TcpInput,
    TimestampsConfig,
    TlsInput,
    TracingConfig,
    UdpInput,
    UnixInput,
    WriterConfig,
)
from logstreamd.config.problems import ConfigError, Problem
from logstreamd.config.units import duration_text, parse_duration, parse_size, size_text

__all__ = [
    "ANY_HOST",
    "EMBEDDED",
    "HTTP_INPUT",
    "AlertsConfig",
    "Config",
    "ConfigError",
    "DatabaseConfig",
    "FileInput",
    "HttpConfig",
    "ListenAddress",
    "Loaded",
    "LogConfig",
    "MirrorConfig",
    "Problem",
    "RetentionConfig",
    "SpoolConfig",
    "TcpInput",
    "TimestampsConfig",
    "TlsInput",
    "TracingConfig",
    "UdpInput",
    "UnixInput",
    "WriterConfig",
    "duration_text",
    "load_config",
    "parse_duration",
    "parse_size",
    "read_config",
    "redacted",
    "size_text",
]
