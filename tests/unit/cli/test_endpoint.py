"""Which daemon is asked, with which token, and whom it is trusted to be."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from logstreamd.cli.endpoint import TOKEN_VARIABLE, Endpoint, endpoint

HERE = "http://127.0.0.1:1"


@pytest.fixture(autouse=True)
def _no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)


@pytest.mark.parametrize(
    ("listen", "url"),
    [
        ("127.0.0.1:8514", "http://127.0.0.1:8514"),
        ("*:80", "http://127.0.0.1:80"),
        ("0.0.0.0:80", "http://127.0.0.1:80"),
        ("[::]:80", "http://[::1]:80"),
        ("[2001:db8::1]:80", "http://[2001:db8::1]:80"),
        ("logs.example:80", "http://logs.example:80"),
    ],
)
def test_the_daemon_is_where_the_configuration_says(tmp_path: Path, listen: str, url: str) -> None:
    file = tmp_path / "logstreamd.yaml"
    file.write_text(f'http: {{listen: "{listen}"}}')
    assert endpoint(None, file, None, None).url == url


def test_a_daemon_that_speaks_tls_is_asked_by_https(tmp_path: Path) -> None:
    file = tmp_path / "logstreamd.yaml"
    file.write_text("http: {listen: 'logs.example:80', tls: {certificate: /c.pem, key: /k.pem}}")
    assert endpoint(None, file, None, None).url == "https://logs.example:80"


def test_what_is_said_wins_over_the_configuration() -> None:
    assert endpoint("https://logs.example/under/", None, None, None).url == "https://logs.example/under"
    assert endpoint("logs.example:8514", None, None, None).url == "http://logs.example:8514"


def test_a_port_that_the_system_chose_is_not_known(tmp_path: Path) -> None:
    file = tmp_path / "logstreamd.yaml"
    file.write_text('http: {listen: "127.0.0.1:0"}')
    with pytest.raises(click.UsageError, match="--url"):
        endpoint(None, file, None, None)


def test_without_a_token_none_is_sent() -> None:
    assert endpoint(HERE, None, None, None).headers() == {}


def test_the_token_is_the_one_of_the_file_or_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, " lsd_one ")
    asked = endpoint(HERE, None, None, None)
    assert (asked.headers(), asked.token_source) == ({"Authorization": "Bearer lsd_one"}, "LOGSTREAMD_TOKEN")
    file = tmp_path / "token"
    file.write_text("lsd_two\n")
    asked = endpoint(HERE, None, file, None)
    assert (asked.headers(), asked.token_source) == ({"Authorization": "Bearer lsd_two"}, str(file))
    assert "lsd_two" not in repr(asked)


@pytest.mark.parametrize("text", ["two hunter2", "hunter2\nhunter2", "hünter2", "hunter2\x00", "hunter2" * 1_000])
def test_what_is_no_token_is_refused_and_not_repeated(tmp_path: Path, text: str) -> None:
    (tmp_path / "token").write_text(text)
    with pytest.raises(click.ClickException, match="is not a token") as refusal:
        endpoint(HERE, None, tmp_path / "token", None)
    assert "hunter2" not in refusal.value.message


def test_a_file_without_a_token_is_not_passed_over(tmp_path: Path) -> None:
    with pytest.raises(click.ClickException, match="No such file"):
        endpoint(HERE, None, tmp_path / "token", None)
    (tmp_path / "token").touch()
    with pytest.raises(click.ClickException, match="is empty"):
        endpoint(HERE, None, tmp_path / "token", None)


def test_certificates_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    assert Endpoint(HERE).trust() is True
    file = tmp_path / "ca.pem"
    with pytest.raises(click.ClickException, match="No such file"):
        Endpoint(HERE, ca_file=file).trust()
    file.write_text("none")
    with pytest.raises(click.ClickException, match="there is no certificate in it"):
        Endpoint(HERE, ca_file=file).trust()
