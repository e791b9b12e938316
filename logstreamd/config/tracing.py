"""The section ``tracing``: where traces of this daemon are sent."""

from __future__ import annotations

from importlib import metadata
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import PlainValidator

from logstreamd.config.problems import shown
from logstreamd.config.receiver_url import ReceiverUrl
from logstreamd.config.section import Section
from logstreamd.config.units import Duration

__all__ = ["TracingConfig"]

_EXPORTER = "opentelemetry-exporter-otlp-proto-http"
_TRACES_PATH = "/v1/traces"  # where every receiver has them; OTLP specification 1.9, "OTLP/HTTP Request"
_MAX_NAME_CHARS = 64


def _read_endpoint(value: object) -> ReceiverUrl | None:
    if value is None:
        return None
    url = ReceiverUrl.parse(value)
    try:
        metadata.distribution(_EXPORTER)
    except metadata.PackageNotFoundError as problem:
        raise ValueError("needs OpenTelemetry, which is not installed: pip install 'logstreamd[otel]'") from problem
    return url if urlsplit(url.text).path not in ("", "/") else ReceiverUrl.parse(url.origin + _TRACES_PATH)


def _read_service_name(value: object) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= _MAX_NAME_CHARS or not value.isprintable():
        raise ValueError(f"must be 1..{_MAX_NAME_CHARS} printable characters (got {shown(value)})")
    return value


def _read_ratio(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise ValueError(f"must be 0..1 (got {shown(value)})")
    return float(value)


class TracingConfig(Section):
    """OpenTelemetry traces over OTLP/HTTP; without an endpoint there are none."""

    endpoint: Annotated[ReceiverUrl | None, PlainValidator(_read_endpoint)] = None
    service_name: Annotated[str, PlainValidator(_read_service_name)] = "logstreamd"
    sample_ratio: Annotated[float, PlainValidator(_read_ratio)] = 1.0
    # Upper bound: spans queue up meanwhile, and the queue holds a minute of a busy day.
    timeout_seconds: Annotated[float, Duration(0.1, 60)] = 10.0
