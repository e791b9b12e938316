"""What the parts get: complete, frozen, and without a password where people can see it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from logstreamd.config import Config, ConfigError, DatabaseConfig, ListenAddress, TcpInput, load_config
from logstreamd.config.schema import settings as setting_paths

DSN = "postgresql://app:hunter2@db/logs"


def inputs(*elements: dict[str, Any]) -> Any:
    return Config(inputs=elements).inputs  # type: ignore[arg-type]


def test_inputs_without_a_name_get_their_type_numbered_where_it_is_taken() -> None:
    listeners = [
        {"type": "udp", "listen": "*:1"},
        {"type": "tcp", "listen": "*:1"},
        {"type": "udp", "listen": "*:2"},
        {"type": "udp", "listen": "*:3", "name": "udp"},
        {"type": "udp", "listen": "*:4", "name": "udp-3"},
    ]
    assert [one.name for one in inputs(*listeners)] == ["udp-2", "tcp", "udp-4", "udp", "udp-3"]


def test_inputs_without_a_zone_get_the_default_zone() -> None:
    config = Config(
        timestamps={"default_zone": "Asia/Kolkata"},  # type: ignore[arg-type]
        inputs=({"type": "udp", "listen": "*:1"}, {"type": "udp", "listen": "*:2", "zone": "UTC"}),  # type: ignore[arg-type]
    )
    assert [one.zone for one in config.inputs] == ["Asia/Kolkata", "UTC"]


def test_no_inputs_at_all_are_a_configuration() -> None:
    assert inputs() == ()


def test_the_home_directory_is_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ana")
    assert Config().state_dir == Path("/home/ana/.local/state/logstreamd")


def test_a_default_that_does_not_work_here_is_a_problem_of_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "nowhere")
    with pytest.raises(ConfigError) as refusal:
        load_config(None, {})
    assert [str(problem) for problem in refusal.value.problems] == [
        "defaults: state_dir: must be an absolute path, or start with ~ where there is a home "
        "(got '~/.local/state/logstreamd')"
    ]


def test_the_model_holds_seconds_bytes_and_addresses() -> None:
    config = Config()
    assert config.timestamps.max_past == 604_800.0
    assert config.spool.max_bytes == 4 << 30
    assert config.http.listen == ListenAddress("127.0.0.1", 8514)


def test_the_configuration_is_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Config().log.level = "debug"  # type: ignore[misc]


def test_a_configuration_made_in_code_is_checked_too() -> None:
    with pytest.raises(ValidationError, match="cannot both have it"):
        Config(inputs=(TcpInput(listen=ListenAddress("*", 8514)),))


def test_no_way_of_printing_it_shows_the_password() -> None:
    config = Config(database=DatabaseConfig(dsn=DSN))
    assert config.database.dsn == DSN
    for text in (repr(config), str(config), f"{config.database}", str(config.redacted())):
        assert "hunter2" not in text
        assert "app:***@db/logs" in text


def test_the_embedded_postgresql_has_no_password_to_be_read() -> None:
    with pytest.raises(ValidationError, match="the embedded PostgreSQL has no password"):
        DatabaseConfig(password_file="/run/secrets/password")


def test_the_redacted_form_is_plain_json_values() -> None:
    plain = Config().redacted()
    assert plain["inputs"][0]["listen"] == "127.0.0.1:5514"
    assert isinstance(plain["state_dir"], str)


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def nested(path: tuple[str | int, ...], value: object) -> object:
    """Return a configuration with ``value`` at ``path``, in the first input where that leads through the inputs."""
    if not path:
        return value
    inner = nested(path[1:], value)
    return {path[0]: inner} if isinstance(path[0], str) else [inner]


@settings(deadline=None, max_examples=300)
@given(path=st.sampled_from(sorted(setting_paths(), key=str)), value=anything)
def test_any_value_anywhere_is_read_or_reported(
    path: tuple[str | int, ...], value: object, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.getbasetemp() / "anything.yaml"
    file.write_text(yaml.safe_dump(nested(path, value), allow_unicode=True))
    try:
        load_config(file, {})
    except ConfigError as error:
        assert error.problems
        assert all(problem.file == str(file) and problem.message for problem in error.problems)


@settings(deadline=None, max_examples=300)
@given(data=st.binary(max_size=200))
def test_any_bytes_are_read_or_reported(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.getbasetemp() / "bytes.yaml"
    file.write_bytes(data)
    try:
        load_config(file, {})
    except ConfigError as error:
        assert error.problems


@settings(deadline=None, max_examples=300)
@given(text=st.text(alphabet="[]{}:,-?*&!|>'\"%@`# \n\tabc019~=<", max_size=60))
def test_any_yaml_syntax_is_read_or_reported(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.getbasetemp() / "syntax.yaml"
    file.write_text(text)
    try:
        load_config(file, {"LOGSTREAMD_WRITER": text or "{}"})
    except ConfigError as error:
        assert error.problems
