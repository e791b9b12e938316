from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import NoReturn

import pytest

from logstreamd.config import Config, ConfigError, TracingConfig, load_config


def endpoint_of(url: str) -> str:
    endpoint = TracingConfig(endpoint=url).endpoint  # type: ignore[arg-type]
    assert endpoint is not None
    return endpoint.text


def test_an_endpoint_without_a_path_gets_the_one_that_receivers_have() -> None:
    assert endpoint_of("http://127.0.0.1:4318") == "http://127.0.0.1:4318/v1/traces"
    assert endpoint_of("https://collector.example.org/") == "https://collector.example.org/v1/traces"
    assert endpoint_of("https://collector.example.org/tenant/v1/traces").endswith("/tenant/v1/traces")


def test_without_an_endpoint_nothing_is_traced_and_the_path_of_one_is_not_shown() -> None:
    assert Config().tracing.endpoint is None
    config = Config(tracing={"endpoint": "https://collector.example.org/hunter2"})  # type: ignore[arg-type]
    assert config.redacted()["tracing"]["endpoint"] == "https://collector.example.org/***"
    assert "hunter2" not in repr(config)


def test_an_endpoint_without_opentelemetry_is_a_problem_that_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing_there(name: str) -> NoReturn:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", nothing_there)
    path = tmp_path / "traced.yaml"
    path.write_text("tracing: {endpoint: 'http://127.0.0.1:4318', sample_ratio: 0}")
    with pytest.raises(ConfigError) as refusal:
        load_config(path, {})
    (problem,) = refusal.value.problems
    assert str(problem) == (
        f"{path}:1:21: tracing.endpoint: needs OpenTelemetry, which is not installed: pip install 'logstreamd[otel]'"
    )
    path.write_text("tracing: {sample_ratio: 0}")
    assert load_config(path, {}).tracing.sample_ratio == 0.0
