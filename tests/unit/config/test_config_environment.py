"""Environment variables over the file over the defaults."""

from __future__ import annotations

from pathlib import Path

import pytest

from logstreamd.config import Config, ConfigError, load_config


def problems_of(environ: dict[str, str], path: Path | None = None) -> list[str]:
    with pytest.raises(ConfigError) as refusal:
        load_config(path, environ)
    return [str(problem) for problem in refusal.value.problems]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "logstreamd.yaml"
    path.write_text(
        "writer: {connections: 3, batch_max_rows: 100}\n"
        "inputs:\n"
        '  - {type: udp, listen: "127.0.0.1:1514"}\n'
        '  - {type: tcp, listen: "127.0.0.1:1514"}\n'
    )
    return path


def test_the_environment_overrides_the_file_and_the_file_the_defaults(file: Path) -> None:
    writer = load_config(file, {"LOGSTREAMD_WRITER__CONNECTIONS": "4"}).writer
    assert (writer.connections, writer.batch_max_rows) == (4, 100)
    assert writer.batch_max_bytes == Config().writer.batch_max_bytes


def test_other_variables_are_none_of_ours(file: Path) -> None:
    assert load_config(file, {"PATH": "/bin", "LOGSTREAM": "x"}) == load_config(file, {})


def test_a_list_is_replaced_by_a_variable(file: Path) -> None:
    config = load_config(file, {"LOGSTREAMD_INPUTS": '[{type: udp, listen: "*:514"}]'})
    assert [str(one.listen) for one in config.inputs] == ["*:514"]


def test_a_section_is_merged_key_by_key(file: Path) -> None:
    writer = load_config(file, {"LOGSTREAMD_WRITER": "{connections: 5}"}).writer
    assert (writer.connections, writer.batch_max_rows) == (5, 100)


def test_one_element_of_a_list_is_changed(file: Path) -> None:
    config = load_config(file, {"LOGSTREAMD_INPUTS__1__LISTEN": "[::1]:1514"})
    assert [(one.type, str(one.listen)) for one in config.inputs] == [("udp", "127.0.0.1:1514"), ("tcp", "[::1]:1514")]


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "log: {level: debug}\n"])
def test_an_element_of_the_default_inputs_is_changed(tmp_path: Path, text: str) -> None:
    path = tmp_path / "no_inputs.yaml"
    path.write_text(text)
    config = load_config(path, {"LOGSTREAMD_INPUTS__0__LISTEN": "*:514"})
    assert [(one.type, str(one.listen)) for one in config.inputs] == [("udp", "*:514"), ("tcp", "127.0.0.1:5514")]


def test_the_number_after_the_last_element_adds_one(file: Path) -> None:
    environ = {"LOGSTREAMD_INPUTS__2__TYPE": "udp", "LOGSTREAMD_INPUTS__2__LISTEN": "*:514"}
    assert [one.name for one in load_config(file, environ).inputs] == ["udp", "tcp", "udp-2"]


def test_an_element_of_a_list_from_the_environment_is_changed() -> None:
    environ = {"LOGSTREAMD_INPUTS": '[{type: udp, listen: "*:514"}]', "LOGSTREAMD_INPUTS__0__NAME": "edge"}
    assert [one.name for one in load_config(None, environ).inputs] == ["edge"]


def test_a_gap_in_a_list_is_a_problem(file: Path) -> None:
    assert problems_of({"LOGSTREAMD_INPUTS__3__LISTEN": "*:514"}, file) == [
        "environment: LOGSTREAMD_INPUTS__3__LISTEN: leaves a gap: the next element is LOGSTREAMD_INPUTS__2"
    ]


def test_a_value_that_looks_like_yaml_syntax_is_taken_as_it_is() -> None:
    dsn = "postgresql://app:{p}: *!%40@db/logs"
    assert load_config(None, {"LOGSTREAMD_DATABASE__DSN": dsn}).database.dsn == dsn


def test_quotes_make_a_text_of_what_looks_like_a_number() -> None:
    assert load_config(None, {"LOGSTREAMD_INPUTS__0__NAME": "'514'"}).inputs[0].name == "514"


def test_null_is_a_value() -> None:
    assert load_config(None, {"LOGSTREAMD_RETENTION__DAYS": "null"}).retention.days is None


@pytest.mark.parametrize("text", ["", "  "])
def test_an_empty_variable_is_not_null(text: str) -> None:
    assert problems_of({"LOGSTREAMD_RETENTION__DAYS": text}) == [
        "environment: LOGSTREAMD_RETENTION__DAYS: is empty: remove the variable, or write null"
    ]


def test_a_value_mended_by_the_environment_is_no_problem(tmp_path: Path) -> None:
    path = tmp_path / "alias.yaml"
    path.write_text("writer: {connections: *two}\n")
    environ = {"LOGSTREAMD_WRITER__CONNECTIONS": "99"}
    assert problems_of(environ, path) == [
        f"{path}:1:23: writer.connections: the alias *two is refused: write the value out",
        "environment: LOGSTREAMD_WRITER__CONNECTIONS: must be 1..16 (got 99)",
    ]


def test_a_section_of_the_wrong_kind_is_reported_where_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "kind.yaml"
    path.write_text("writer: 3\n")
    assert problems_of({"LOGSTREAMD_WRITER__CONNECTIONS": "4"}, path) == [
        f"{path}:1:9: writer: must be a mapping (got 3)"
    ]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("LOGSTREAMD_HTTP_LISTEN", "LOGSTREAMD_HTTP__LISTEN"),
        ("LOGSTREAMD_WRITER__CONECTIONS", "LOGSTREAMD_WRITER__CONNECTIONS"),
        ("LOGSTREAMD_INPUTS__12__LISTN", "LOGSTREAMD_INPUTS__12__LISTEN"),
        ("logstreamd_log__level", "LOGSTREAMD_LOG__LEVEL"),
        ("LOGSTREAMD_CONFIG_FILE", "LOGSTREAMD_CONFIG"),
    ],
)
def test_an_unknown_variable_is_a_problem_with_a_guess(name: str, meant: str) -> None:
    assert problems_of({name: "x"}) == [f"environment: {name}: unknown variable (did you mean {meant}?)"]


def test_an_unknown_variable_does_not_show_its_value() -> None:
    assert "hunter2" not in str(problems_of({"LOGSTREAMD_DATABASE_DSN": "postgresql://app:hunter2@db"}))


def test_a_problem_inside_a_value_names_the_way_to_it() -> None:
    environ = {
        "LOGSTREAMD_INPUTS": '[{type: udp, listen: "*:514", zone: Mars}]',
        "LOGSTREAMD_HTTP": "{max_rows: 0, port: 1}",
        "LOGSTREAMD_SPOOL": "{sync: [batch}",
    }
    assert problems_of(environ) == [
        "environment: LOGSTREAMD_HTTP.max_rows: must be 1..10000 (got 0)",
        "environment: LOGSTREAMD_HTTP.port: unknown key",
        "environment: LOGSTREAMD_INPUTS[0].zone: no such time zone (got 'Mars')",
        "environment: LOGSTREAMD_SPOOL: not valid YAML: expected ',' or ']', but got '}'",
    ]


def test_reserved_variables_are_no_settings() -> None:
    variables = {"LOGSTREAMD_CONFIG": "x.yaml", "LOGSTREAMD_FAULT": "spool:1:kill", "LOGSTREAMD_URL": "logs.example"}
    assert load_config(None, variables) == Config()


def test_what_kubernetes_sets_for_a_service_of_our_name_is_ignored() -> None:
    environ = {
        "LOGSTREAMD_SERVICE_HOST": "10.0.0.11",
        "LOGSTREAMD_SERVICE_PORT": "5514",
        "LOGSTREAMD_SERVICE_PORT_SYSLOG_TCP": "5514",
        "LOGSTREAMD_HTTP_SERVICE_HOST": "10.0.0.12",
        "LOGSTREAMD_PORT": "udp://10.0.0.11:5514",
        "LOGSTREAMD_PORT_5514_UDP": "udp://10.0.0.11:5514",
        "LOGSTREAMD_PORT_5514_UDP_PROTO": "udp",
        "LOGSTREAMD_PORT_5514_UDP_PORT": "5514",
        "LOGSTREAMD_PORT_5514_UDP_ADDR": "10.0.0.11",
    }
    assert load_config(None, environ) == Config()


def test_a_port_that_somebody_meant_as_a_setting_is_not_ignored() -> None:
    assert len(problems_of({"LOGSTREAMD_PORT": "5514"})) == 1


def test_the_state_directory_of_systemd_is_the_default(tmp_path: Path) -> None:
    environ = {"STATE_DIRECTORY": "/var/lib/logstreamd:/var/lib/other"}
    assert load_config(None, environ).state_dir == Path("/var/lib/logstreamd")
    path = tmp_path / "own.yaml"
    path.write_text("")
    assert load_config(path, environ).state_dir == Path("/var/lib/logstreamd")
    path.write_text("state_dir: /srv/logs\n")
    assert load_config(path, environ).state_dir == Path("/srv/logs")
