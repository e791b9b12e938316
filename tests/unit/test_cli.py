"""The command line: what it prints, and how it exits."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from certificates import Authority
from click.testing import CliRunner, Result

from logstreamd import __version__, cli
from logstreamd.cli import configuration

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def nothing_configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whoever runs the tests may have a configuration of their own."""
    for name in [name for name in os.environ if name.startswith("LOGSTREAMD_")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.setenv("HOME", "/home/ana")
    monkeypatch.setattr(configuration, "DEFAULT_CONFIG_FILE", tmp_path / "etc" / "logstreamd.yaml")


def run(*arguments: str | Path, environ: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(cli.cli, [str(argument) for argument in arguments], env=environ)


def test_version_prints_the_version() -> None:
    result = run("version")
    assert (result.exit_code, result.output) == (0, f"logstreamd {__version__}\n")


def test_a_good_configuration_is_said_in_one_line() -> None:
    file = ROOT / "config" / "minimal.yaml"
    result = run("check-config", "--config", file)
    assert result.exit_code == 0
    assert result.stdout == (
        f"ok: {file}: udp *:5514, tcp *:5514, http 127.0.0.1:8514"
        " -> postgresql://logstreamd@localhost/logs, state in /home/ana/.local/state/logstreamd\n"
    )


def test_certificates_are_read_and_a_key_open_to_everybody_is_warned_of(tmp_path: Path) -> None:
    files = Authority(tmp_path).issue("localhost")
    tls = f"{{certificate: {files.certificate}, key: {files.key}}}"
    config = tmp_path / "tls.yaml"
    config.write_text(f'http: {{tls: {tls}}}\ninputs: [{{type: tls, listen: "*:6514", tls: {tls}}}]\n')
    result = run("check-config", "--config", config)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "tls *:6514, https 127.0.0.1:8514" in result.stdout
    files.key.chmod(0o644)
    assert (
        f"warning: {files.key}: everybody on this machine can read the key"
        in run("check-config", "--config", config).stderr
    )
    files.key.write_bytes(Authority(tmp_path).issue("other").key.read_bytes())
    result = run("check-config", "--config", config)
    assert result.exit_code == 2
    assert f"http.tls.key: {files.key}: is not the key of {files.certificate}" in result.stderr
    assert "inputs[0].tls.key: " in result.stderr


def test_without_a_file_the_defaults_are_checked() -> None:
    result = run("check-config")
    assert result.exit_code == 0
    assert result.stdout.startswith("ok: built-in defaults: udp 127.0.0.1:5514")
    assert "-> embedded PostgreSQL" in result.stdout


def test_the_file_in_etc_is_read_when_no_other_is_named(tmp_path: Path) -> None:
    configuration.DEFAULT_CONFIG_FILE.parent.mkdir()
    configuration.DEFAULT_CONFIG_FILE.write_text('http: {listen: "*:80"}\n')
    assert run("check-config").stdout.startswith(f"ok: {configuration.DEFAULT_CONFIG_FILE}: ")
    other = tmp_path / "other.yaml"
    other.write_text("")
    assert run("check-config", "--config", other).stdout.startswith(f"ok: {other}: ")


def test_the_variable_names_the_file_and_the_option_wins(tmp_path: Path) -> None:
    one, two = tmp_path / "one.yaml", tmp_path / "two.yaml"
    one.write_text("")
    two.write_text("")
    environ = {"LOGSTREAMD_CONFIG": str(one)}
    assert run("check-config", environ=environ).stdout.startswith(f"ok: {one}: ")
    assert run("check-config", "--config", two, environ=environ).stdout.startswith(f"ok: {two}: ")


def test_every_problem_is_a_line_on_standard_error_and_the_exit_code_is_2(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text("writer: {connections: 0}\nlgo: {}\n")
    result = run("check-config", "--config", file, environ={"LOGSTREAMD_LOG__LEVEL": "loud"})
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines() == [
        f"{file}:1:23: writer.connections: must be 1..16 (got 0)",
        f"{file}:2:1: lgo: unknown key (did you mean 'log'?)",
        "environment: LOGSTREAMD_LOG__LEVEL: must be one of debug, info, warning, error, critical (got 'loud')",
    ]


def test_a_missing_file_is_bad_usage(tmp_path: Path) -> None:
    result = run("check-config", "--config", tmp_path / "none.yaml")
    assert result.exit_code == 2
    assert result.stderr == f"{tmp_path / 'none.yaml'}: cannot be read: No such file or directory\n"


def test_a_password_is_not_printed(tmp_path: Path) -> None:
    result = run("check-config", environ={"LOGSTREAMD_DATABASE__DSN": "postgresql://app:hunter2@db/logs"})
    assert result.exit_code == 0
    assert "postgresql://app:***@db/logs" in result.output
    assert "hunter2" not in result.output


@pytest.mark.parametrize("arguments", [["nonsense"], ["version", "--nonsense"], ["check-config", "extra"]])
def test_bad_usage_exits_with_2(arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, cwd=ROOT, timeout=60, check=False
    )


def test_the_package_runs_as_a_program() -> None:
    done = python("-m", "logstreamd", "check-config", "--config", "config/logstreamd.yaml")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("ok: config/logstreamd.yaml: udp 127.0.0.1:5514, tcp 127.0.0.1:5514, ")
    refused = python("-m", "logstreamd", "check-config", "--config", "tests/unit/config/bad/key_twice.yaml")
    assert refused.returncode == 2
    assert refused.stderr.startswith("tests/unit/config/bad/key_twice.yaml:4:3: writer.connections: duplicate key")


def test_heavy_modules_wait_for_the_command_that_needs_them() -> None:
    heavy = ("pydantic", "asyncpg", "aiohttp", "pandas", "uvloop", "structlog")
    done = python("-c", f"import sys, logstreamd.cli; print([name for name in {heavy} if name in sys.modules])")
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_a_fault_plan_that_can_t_be_read_is_bad_usage() -> None:
    result = run("run", environ={"LOGSTREAMD_FAULT": "spool.commited:1:kill"})
    assert result.exit_code == 2
    assert "unknown point 'spool.commited'" in result.output


def test_a_token_goes_where_a_pipe_takes_it_and_its_line_beside_it() -> None:
    result = run("token", "create", "grafana", "--scope", "query", "--scope", "metrics", "--scope", "query")
    assert result.exit_code == 0
    (text,) = result.stdout.splitlines()
    (line,) = result.stderr.splitlines()
    assert line == f"grafana sha256:{hashlib.sha256(text.encode()).hexdigest()} metrics,query"
    assert run("token", "create", "grafana", "--scope", "query").stdout != result.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("a b", "--scope", "query"), "must be 1..32 of A-Z a-z 0-9 _ - ."),
        (("a",), "--scope"),
        (("a", "--scope", "all"), "'ingest', 'query', 'admin', 'metrics'"),
    ],
)
def test_a_token_needs_a_name_and_a_scope(arguments: tuple[str, ...], said: str) -> None:
    result = run("token", "create", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


def test_tokens_are_checked_with_the_configuration(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    environ = {"LOGSTREAMD_HTTP__TOKENS_FILE": str(file)}
    file.write_text(run("token", "create", "a", "--scope", "query").stderr)
    assert run("check-config", environ=environ).stdout.endswith(", 1 token\n")
    file.write_text("a\n")
    result = run("check-config", environ=environ)
    assert (result.exit_code, result.stderr.split(" ")[0]) == (2, f"{file}:1:1:")
